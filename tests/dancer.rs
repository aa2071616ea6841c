//! The test dancer and the drawing of skeletons, as clips.

use std::process::Command;

use serde_json::Value;

use crate::clips;
use crate::support::{count_frames, frames, kinora, scratch_file, text};

/// The streams of a clip by `ffprobe`.
fn streams(path: &str) -> Vec<Value> {
    let output =
        Command::new("ffprobe").args(["-v", "error", "-show_streams", "-of", "json", path]).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["streams"].as_array().unwrap().clone()
}

#[test]
fn the_clip_is_h264_with_aac_and_has_every_frame() {
    let clip = text(clips::short());
    let streams = streams(clip);
    let codecs: Vec<_> = streams.iter().map(|stream| stream["codec_name"].as_str().unwrap()).collect();
    assert_eq!(codecs, ["h264", "aac"]);
    assert_eq!((&streams[0]["width"], &streams[0]["height"]), (&Value::from(640), &Value::from(360)));
    assert_eq!(
        (&streams[0]["avg_frame_rate"], &streams[0]["pix_fmt"]),
        (&Value::from("30/1"), &Value::from("yuv420p"))
    );
    assert_eq!(count_frames(clips::short()), 24);
}

#[test]
fn every_frame_carries_its_number_through_the_encoder() {
    let events =
        kinora(&["analyze", text(clips::short()), "--read-marks", "--set", "analysis.every_nth=2"]).events();
    let marks: Vec<_> = frames(&events).iter().map(|frame| frame["frame"]["mark"].as_u64()).collect();
    assert_eq!(marks, (0..24).step_by(2).map(Some).collect::<Vec<_>>());
}

#[test]
fn the_clip_is_the_same_each_time() {
    let again = scratch_file("again.mp4");
    let run =
        kinora(&["dancer", "--size", "640x360", "--fps", "30", "--frames", "24", "--out", text(&again)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(std::fs::read(again).unwrap() == std::fs::read(clips::short()).unwrap());
}

#[test]
fn skeletons_are_drawn_on_a_copy_that_keeps_frames_and_sound() {
    let (events, drawn) = (scratch_file("draw.ndjson"), scratch_file("drawn.mp4"));
    let clip = text(clips::short());
    assert_eq!(kinora(&["analyze", clip, "--out", text(&events)]).code, 0);
    let run = kinora(&["draw", clip, "--events", text(&events), "--out", text(&drawn)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(count_frames(&drawn), 24);
    let codecs: Vec<_> = streams(text(&drawn)).iter().map(|stream| stream["codec_name"].clone()).collect();
    assert_eq!(codecs, ["h264", "aac"]);
    let changed = luma_difference(clip, text(&drawn));
    assert!((0.05..20.0).contains(&changed), "drawing should change some pixels and not all: {changed}");
}

/// Mean absolute difference of luma over both clips, by decoding them.
fn luma_difference(a: &str, b: &str) -> f64 {
    let luma = |path: &str| {
        let args = ["-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"];
        Command::new("ffmpeg").args(args).output().unwrap().stdout
    };
    let (a, b) = (luma(a), luma(b));
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(&b).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    sum as f64 / a.len() as f64
}

#[test]
fn wrong_wishes_are_refused_with_what_is_allowed() {
    for (args, word) in [
        (&["dancer", "--size", "100", "--out", "x.mp4"][..], "WIDTHxHEIGHT"),
        (&["dancer", "--fps", "0", "--out", "x.mp4"][..], "fps"),
        (&["analyze", "dancer:?frames=0"][..], "frames"),
    ] {
        let run = kinora(args);
        assert_eq!(run.code, 64, "{}", run.stderr);
        assert!(run.stderr.contains(word), "{}", run.stderr);
    }
}
