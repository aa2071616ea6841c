//! Bad input: each case with its message and exit code, and what could be done before the fault.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use crate::clips;
use crate::support::{Run, balanced, count_frames, ffmpeg, frames, kinora, only, root, scratch_file, text};

/// A source that cannot be analysed at all.
struct Case {
    name: &'static str,
    source: String,
    code: i32,
    /// Words that the message has to have: who, what, what is allowed.
    says: &'static [&'static str],
}

fn case(name: &'static str, source: impl Into<String>, code: i32, says: &'static [&'static str]) -> Case {
    Case { name, source: source.into(), code, says }
}

fn written(name: &str, bytes: &[u8]) -> String {
    let path = scratch_file(name);
    fs::write(&path, bytes).unwrap();
    text(&path).to_owned()
}

fn audio_only() -> String {
    let path = scratch_file("audio-only.mp4");
    ffmpeg(&["-i", text(clips::short()), "-vn", "-c", "copy", text(&path)]);
    text(&path).to_owned()
}

/// The clip with its index at the end, cut in the middle: the index is gone.
fn cut_without_index() -> String {
    let path = scratch_file("index-at-end.mp4");
    ffmpeg(&["-i", text(clips::short()), "-c", "copy", "-movflags", "-faststart", text(&path)]);
    let bytes = fs::read(&path).unwrap();
    written("cut-without-index.mp4", &bytes[..bytes.len() / 2])
}

fn closed_port() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("tcp://127.0.0.1:{port}")
}

#[test]
fn what_cannot_be_analysed_is_refused_with_a_clear_message() {
    let table = [
        case("missing file", "no-such-clip.mp4", 1, &["no-such-clip.mp4", "there is no file"]),
        case("directory", text(&root().join("src")), 1, &["src", "directory"]),
        case("text file renamed", written("text.mp4", b"This is not a video.\n"), 1, &["text.mp4", "not"]),
        case("0 bytes", written("empty.mp4", b""), 1, &["empty.mp4", "empty"]),
        case("audio only", audio_only(), 1, &["audio-only.mp4", "no video", "aac"]),
        case("cut before its index", cut_without_index(), 1, &["cut-without-index.mp4"]),
        case("unreachable host", "rtsp://no-such-host.invalid/stream", 1, &["no-such-host.invalid"]),
        case("closed port", closed_port(), 1, &["127.0.0.1", "refused"]),
        case("unknown scheme", "gopher://example.com/clip", 64, &["gopher", "rtsp://", "udp://", "dancer:"]),
        case(
            "password stays secret",
            "rtsp://user:s3cret@no-such-host.invalid/",
            1,
            &["no-such-host.invalid"],
        ),
    ];
    for Case { name, source, code, says } in table {
        let run = kinora(&["analyze", &source]);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{name}: {}", run.stderr);
        for word in says {
            assert!(
                run.stderr.to_lowercase().contains(&word.to_lowercase()),
                "{name}: {word} in {}",
                run.stderr
            );
        }
        assert!(!run.stderr.contains("s3cret") && !run.stderr.contains("panicked"), "{name}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{name}: one message, one line: {}", run.stderr);
    }
}

/// Events of a run that may have failed.
fn events(run: &Run) -> Vec<serde_json::Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_clip_cut_in_the_middle_is_analysed_as_far_as_it_goes_and_the_rest_is_reported() {
    let bytes = fs::read(clips::short()).unwrap();
    let cut = written("cut.mp4", &bytes[..bytes.len() * 3 / 5]);
    let run = kinora(&["analyze", &cut]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("24"), "the number of frames that were announced: {}", run.stderr);
    let events = events(&run);
    let ended = &only(&events, "sessionEnded")["payload"];
    let (received, analyzed, _) = balanced(&ended["frames"]);
    assert!((4..24).contains(&analyzed) && received < 24, "{ended}");
    assert_eq!(frames(&events).len() as u64, analyzed);
    assert_eq!(ended["reason"], "source_failed");
}

#[test]
fn flipped_bytes_are_survived_and_every_access_unit_is_accounted_for() {
    let path: PathBuf = clips::short_mpegts().clone();
    let whole = count_frames(&path);
    let mut bytes = fs::read(path).unwrap();
    // Flip bytes in the payload of every seventh packet, past the first ones, which hold tables and the key frame.
    let packets = bytes.len() / 188;
    for packet in (packets / 4..packets).step_by(7) {
        for offset in [40, 77, 123] {
            bytes[packet * 188 + offset] ^= 0x5A;
        }
    }
    let flipped = written("flipped.ts", &bytes);
    let run = kinora(&["analyze", &flipped]);
    assert!([0, 1].contains(&run.code), "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let events = events(&run);
    let account = &only(&events, "sessionEnded")["payload"]["frames"];
    let (received, analyzed, dropped) = balanced(account);
    assert!(received <= whole + 2 && analyzed >= 3, "{account}");
    assert!(dropped > 0 || received < whole, "damage should be visible in the account: {account}");
}

#[test]
fn weights_that_are_missing_or_wrong_are_named_with_the_remedy() {
    let folder = scratch_file("weights");
    fs::create_dir_all(&folder).unwrap();
    let set = format!("models.directory={}", text(&folder));
    let missing = kinora(&["analyze", text(clips::short()), "--set", &set]);
    assert_eq!(missing.code, 69, "{}", missing.stderr);
    for word in ["pose_detection.tflite", "make setup"] {
        assert!(missing.stderr.contains(word), "{word} in {}", missing.stderr);
    }
    assert_eq!(kinora(&["models", "status", "--set", &set]).code, 69);

    for file in ["pose_detection.tflite", "pose_landmark_full.tflite"] {
        let mut bytes = fs::read(root().join("models/weights").join(file)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(folder.join(file), bytes).unwrap();
    }
    let wrong = kinora(&["analyze", text(clips::short()), "--set", &set]);
    assert_eq!(wrong.code, 69, "{}", wrong.stderr);
    for word in ["pose_detection.tflite", "SHA-256", "9ba9dd3d"] {
        assert!(wrong.stderr.contains(word), "{word} in {}", wrong.stderr);
    }
}

#[test]
fn wrong_use_is_told_with_exit_code_64() {
    for args in
        [&["analyze"][..], &["analyse", "x"][..], &["analyze", "x", "--max-frames", "0"][..], &["models"][..]]
    {
        let run = kinora(args);
        assert_eq!(run.code, 64, "{args:?}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty());
    }
    let help = kinora(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("analyze") && help.stdout.contains("69 a needed component is away"));
}

#[test]
fn files_that_cannot_be_written_are_named() {
    for args in [
        &["analyze", "dancer:?size=64x64&frames=1", "--out", "/no-such-folder/events.ndjson"][..],
        &["dancer", "--frames", "1", "--out", "/no-such-folder/clip.mp4"][..],
    ] {
        let run = kinora(args);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("no-such-folder"), "{}", run.stderr);
    }
}
