//! Broken input: each kind has its error, and what can be decoded is.

use kinora_media::{Address, DecodeOptions, ErrorKind, FrameReader};

use super::support::*;

#[test]
fn what_is_no_video_is_told_apart() {
    let folder = Folder::new();
    let text = "This is a text that somebody renamed.\n".repeat(50);
    let sound = folder.make("sound.m4a", "-f lavfi -i sine=duration=1 -c:a aac");
    let cases = [
        (folder.file("missing.mp4"), ErrorKind::NotFound, "no file"),
        (folder.file("."), ErrorKind::IsDirectory, "directory"),
        (folder.write("empty.mp4", b""), ErrorKind::Empty, "0 bytes"),
        (folder.write("text.mp4", text.as_bytes()), ErrorKind::NotMedia, "not a video"),
        (folder.write("noise.bin", &noise(20_000)), ErrorKind::NotMedia, "not a video"),
        (sound, ErrorKind::NoVideo, "aac (audio)"),
    ];
    for (path, kind, word) in cases {
        let error = open_error(&path);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(
            error.to_string().contains(path.file_name().map_or(".", |name| name.to_str().unwrap())),
            "{error}"
        );
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_playlist_opens_nothing_else() {
    let folder = Folder::new();
    let clip = folder.clip("a.ts", 10);
    let name = clip.file_name().unwrap().to_str().unwrap().to_owned();
    let hls = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n");
    for (list, text) in [("a.m3u8", hls), ("a.ffconcat", format!("ffconcat version 1.0\nfile {name}\n"))] {
        let error = open_error(&folder.write(list, text.as_bytes()));
        assert_eq!(error.kind(), ErrorKind::NotMedia, "{error}");
    }
}

#[test]
fn a_cut_mp4_gives_what_is_there_and_then_says_so() {
    let folder = Folder::new();
    let clip = folder.make("a.mp4", &format!("{} {X264} -movflags +faststart", source(120)));
    let bytes = std::fs::read(&clip).unwrap();
    let intact = fingerprints(&read_all(&mut open(&clip)));
    for percent in [40, 70, 99] {
        let cut = folder.write("cut.mp4", &bytes[..bytes.len() * percent / 100]);
        let all = read_all(&mut open(&cut));
        assert_eq!(all.error, Some(ErrorKind::Truncated), "{percent} % {}", all.message);
        assert!(all.message.contains("announces 120 frames and "), "{}", all.message);
        assert!(all.message.ends_with(" are there"), "{}", all.message);
        assert!(all.frames.len() > 10 && all.frames.len() < 120, "{percent} % {}", all.frames.len());
        let whole = all.frames.iter().take_while(|(_, meta)| !meta.corrupt).count();
        assert!(whole + 4 >= all.frames.len());
        let sound = all.frames.len() - 4;
        assert!(fingerprints(&all)[..sound] == intact[..sound], "{percent} %");
    }
}

#[test]
fn an_edit_list_or_a_guess_in_a_header_does_not_make_a_file_cut() {
    let folder = Folder::new();
    let clip = folder.clip("a.mp4", 90);
    let copy = |name: &str| folder.make(name, &format!("-ss 0.7 -i {} -c copy -t 1", clip.display()));
    for name in ["edit.mp4", "copy.avi"] {
        let mut reader = open(&copy(name));
        let claimed = reader.input().video().frames;
        let all = read_all(&mut reader);
        assert_eq!((all.error, all.account.lost), (None, 0), "{name} claims {claimed:?}: {}", all.message);
        assert!(all.frames.len() >= 28, "{name}: {}", all.frames.len());
        // The claim is what must not be believed.
        assert!(name != "edit.mp4" || claimed > Some(all.account.frames), "{name} claims {claimed:?}");
    }
}

#[test]
fn a_named_pipe_is_refused_before_it_can_block() {
    let folder = Folder::new();
    let pipe = folder.pipe("pipe.ts");
    let link = folder.file("link.ts");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for path in [pipe, link] {
        let began = std::time::Instant::now();
        let error = open_error(&path);
        assert!(began.elapsed().as_secs() < 5);
        assert_eq!(error.kind(), ErrorKind::BadAddress, "{error}");
        assert!(error.to_string().contains("/dev/stdin"), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn standard_input_is_read_from_a_pipe() {
    let folder = Folder::new();
    let clip = folder.clip("a.ts", 30);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "media::broken::read_standard_input"]);
    let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::copy(&mut std::fs::File::open(clip).unwrap(), &mut child.stdin.take().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "run by standard_input_is_read_from_a_pipe"]
fn read_standard_input() {
    let all = read_all(&mut open(std::path::Path::new("/dev/stdin")));
    assert_eq!((all.frames.len(), all.error), (30, None), "{}", all.message);
}

#[test]
fn an_mp4_without_its_index_is_no_media() {
    let folder = Folder::new();
    let clip = folder.clip("a.mp4", 60);
    let bytes = std::fs::read(&clip).unwrap();
    let error = open_error(&folder.write("cut.mp4", &bytes[..bytes.len() / 2]));
    assert_eq!(error.kind(), ErrorKind::NotMedia);
    assert!(error.to_string().contains("moov atom not found"), "{error}");
}

#[test]
fn a_cut_transport_stream_balances() {
    let folder = Folder::new();
    let bytes = std::fs::read(folder.clip("a.ts", 90)).unwrap();
    for keep in [bytes.len() / 3, bytes.len() / 2 + 77] {
        let all = read_all(&mut open(&folder.write("cut.ts", &bytes[..keep])));
        assert!(all.frames.len() > 10, "{}", all.frames.len());
    }
}

#[test]
fn flipped_bytes_are_accounted_for_and_repeat_exactly() {
    let folder = Folder::new();
    for name in ["a.mp4", "a.ts"] {
        let clip = folder.clip(name, 120);
        let mut bytes = std::fs::read(&clip).unwrap();
        // The index at the end of the MP4 stays whole; what is hit are slices.
        let (start, end) = (bytes.len() / 10, bytes.len() * 8 / 10);
        for at in (start..end).step_by(701) {
            bytes[at] ^= 0x55;
        }
        let broken = folder.write(&format!("broken-{name}"), &bytes);
        let all = read_all(&mut open(&broken));
        assert!(all.frames.len() > 20, "{name}: {}", all.frames.len());
        assert!(all.frames.iter().any(|(_, meta)| meta.corrupt), "{name}: damage is told");
        assert!(all.account.received <= 130, "{name}: {:?}", all.account);
        let again = read_all(&mut open(&broken));
        assert_eq!((all.account, &all.lost), (again.account, &again.lost));
        assert!(fingerprints(&all) == fingerprints(&again), "{name}");
        for threads in [2, 4] {
            let options = DecodeOptions { threads, ..DecodeOptions::default() };
            read_all(
                &mut FrameReader::open(&address(&broken), &super::support::options(), &options).unwrap(),
            );
        }
    }
}

#[test]
fn a_stream_that_begins_between_key_frames_loses_only_its_beginning() {
    let folder = Folder::new();
    let bytes = std::fs::read(folder.clip("a.ts", 90)).unwrap();
    // Whole transport packets without the tables are skipped; the first key frame is gone with them.
    let skip = bytes.len() / 5 / 188 * 188;
    let tail = [&bytes[..188 * 3], &bytes[skip..]].concat();
    let all = read_all(&mut open(&folder.write("tail.ts", &tail)));
    assert!(all.frames.len() > 50, "{}", all.frames.len());
    assert!(lost(&all) < 20, "{:?}", all.lost);
    assert!(all.frames[0].0.is_key() || all.frames[0].1.corrupt);
}

#[test]
fn an_unreadable_file_is_refused_for_that_reason() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.write("closed.mp4", b"x");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same, and then it is no media.
    let expected =
        if std::fs::File::open(&path).is_ok() { ErrorKind::NotMedia } else { ErrorKind::PermissionDenied };
    assert_eq!(open_error(&path).kind(), expected);
}

#[test]
fn a_missing_device_is_named() {
    let address = Address::parse("device:/dev/video-none").unwrap();
    let error = FrameReader::open(&address, &options(), &DecodeOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // FFmpeg's own line names the device once more; neither is said twice.
    assert!(error.to_string().starts_with("cannot open `device:/dev/video-none`: "), "{error}");
    assert!(!error.to_string().contains("device:device:"), "{error}");
}
