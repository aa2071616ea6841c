//! Every access unit is accounted for, and intact files give exactly their frames.

use kinora_media::{Account, DecodeOptions, FrameReader, Input};

use super::support::*;

fn whole(frames: u64) -> Account {
    Account { received: frames, frames, lost: 0, in_flight: 0 }
}

#[test]
fn an_intact_file_gives_exactly_its_frames() {
    let folder = Folder::new();
    for (name, frames) in
        [("one.mp4", 1), ("some.mp4", 97), ("some.ts", 64), ("some.mkv", 50), ("some.avi", 40)]
    {
        let clip = folder.clip(name, frames);
        let all = read_all(&mut open(&clip));
        assert_eq!(all.account, whole(u64::from(frames)), "{name} {:?}", all.lost);
        assert_eq!((all.error, probe_frames(&clip)), (None, u64::from(frames)), "{name}");
        assert!(all.frames.iter().all(|(_, meta)| !meta.corrupt), "{name}");
    }
}

#[test]
fn other_codecs_balance_too() {
    let folder = Folder::new();
    for (name, codec) in [
        ("a.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p"),
        ("b.webm", "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -b:v 200k"),
        ("c.webm", "-c:v libvpx-vp9 -deadline realtime -lag-in-frames 16 -auto-alt-ref 1 -b:v 200k"),
        ("d.avi", "-c:v mpeg4 -bf 2"),
        ("e.mpg", "-c:v mpeg2video -bf 2"),
        ("f.avi", "-c:v mjpeg"),
        ("g.ts", "-c:v mpeg2video -bf 2 -flags +ilme+ildct"),
        ("h.ts", "-c:v libx264 -flags +ilme+ildct -preset veryfast -pix_fmt yuv420p"),
    ] {
        let clip = folder.make(name, &format!("{} {codec}", source(60)));
        let all = read_all(&mut open(&clip));
        assert_eq!((all.account, all.error), (whole(60), None), "{name} {:?}", all.lost);
    }
}

#[test]
fn timestamps_rise_and_key_frames_are_where_the_encoder_put_them() {
    let folder = Folder::new();
    let all = read_all(&mut open(&folder.clip("a.mp4", 60)));
    let pts: Vec<i64> = all.frames.iter().map(|(frame, _)| frame.pts().unwrap()).collect();
    assert!(pts.is_sorted_by(|a, b| a < b));
    let keys: Vec<usize> = (0..60).filter(|&index| all.frames[index].0.is_key()).collect();
    assert_eq!(keys, [0, 15, 30, 45]);
}

#[test]
fn decoding_twice_gives_the_same_frames_whatever_the_threads() {
    let folder = Folder::new();
    let clip = folder.clip("a.mp4", 60);
    let first = fingerprints(&read_all(&mut open(&clip)));
    for (threads, low_delay) in [(1, None), (1, Some(true)), (2, None), (4, None), (3, Some(true))] {
        let decode = DecodeOptions { threads, low_delay, gpu: None };
        let mut reader = FrameReader::open(&address(&clip), &options(), &decode).unwrap();
        let all = read_all(&mut reader);
        assert_eq!(all.account, whole(60), "{decode:?}");
        assert!(fingerprints(&all) == first, "{decode:?}");
    }
    assert_eq!(
        first.iter().collect::<std::collections::HashSet<_>>().len(),
        60,
        "each frame has its own picture"
    );
}

#[test]
fn an_edit_list_hides_frames_that_are_decoded_but_not_counted() {
    let folder = Folder::new();
    let whole_clip = folder.clip("a.mp4", 60);
    // Cut in the middle of a group of pictures without encoding: MP4 keeps the key frame and hides what is before the cut.
    let cut = folder.make("b.mp4", &format!("-ss 0.7 -i {} -c copy", whole_clip.display()));
    let all = read_all(&mut open(&cut));
    assert_eq!(all.account, whole(probe_frames(&cut)), "{:?}", all.lost);
    assert_eq!(all.error, None);
}

#[test]
fn info_tells_what_the_container_claims() {
    let folder = Folder::new();
    let metadata = "-metadata creation_time=2026-11-22T05:11:05.123456Z";
    let sound = "-f lavfi -i sine=sample_rate=44100:duration=1 -c:a aac -shortest";
    let arguments = "-f lavfi -i testsrc2=size=320x240:rate=30000/1001:duration=1";
    let clip = folder.make("a.mp4", &format!("{arguments} {sound} {X264} {metadata}"));
    let input = Input::open(&address(&clip), &options()).unwrap();
    let info = input.video();
    assert_eq!((&*info.codec, info.width, info.height, &*info.pixel_format), ("h264", 320, 240, "yuv420p"));
    assert_eq!((info.frame_rate, info.frames), (Some((30000, 1001)), Some(30)));
    assert_eq!((info.rotation, info.start_pts), (0, Some(0)));
    // 2026-11-22T05:11:05Z; MP4 keeps whole seconds in its header and more in no standard place.
    assert_eq!(info.creation_time_us.map(|us| us / 1_000_000), Some(1_795_324_265));
    assert!((990_000..=1_010_000).contains(&info.duration_us.unwrap()), "{:?}", info.duration_us);
    let audio = input.audio().unwrap();
    assert_eq!((&*audio.codec, audio.sample_rate, audio.channels), ("aac", 44100, 1));
}

/// Measured in a process of its own: the other tests of this one allocate as they please.
#[test]
fn memory_does_not_grow() {
    let test = "media::accounting::memory_of_2000_frames";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--ignored", "--exact", test]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by memory_does_not_grow"]
fn memory_of_2000_frames() {
    let folder = Folder::new();
    let clip = folder.clip("a.mp4", 250);
    let mut live = Vec::new();
    for _ in 0..9 {
        let mut reader = open(&clip);
        let mut held: Vec<kinora_media::Frame> = Vec::new();
        while let kinora_media::Item::Frame(frame, _) = reader.next_item() {
            held.push(frame.clone());
            held.drain(..held.len().saturating_sub(4));
        }
        assert_eq!(reader.account().frames, 250);
        drop((reader, held));
        live.push(kinora_media::heap_use().expect("glibc should count").live / 1024);
    }
    // The first round pays for caches. Over the other 2000 frames a leaked plane each would be 150 MiB, a leaked
    // packet or frame struct each about 1 MiB.
    assert!(live[8] < live[0] + 64, "{live:?} KiB");
}
