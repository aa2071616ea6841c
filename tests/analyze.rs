//! `kinora analyze` on good input: accounts, determinism, endings, the shape of events.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clips;
use crate::support::{
    balanced, command, count_frames, ffmpeg, frames, kinora, only, root, scratch_file, spawn, text, wait_for,
};

#[test]
fn every_frame_of_a_clip_is_accounted_for() {
    let clip = clips::short();
    let counted = count_frames(clip);
    let summary = scratch_file("account-summary.json");
    let events = kinora(&["analyze", text(clip), "--summary", text(&summary)]).events();

    let seqs: Vec<_> = events.iter().map(|event| event["payload"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "numbers should have no gap");
    let frames = frames(&events);
    assert_eq!(frames.len() as u64, counted);
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame["frame"]["index"], n);
        assert_eq!(balanced(&frame["frames"]), (n as u64 + 1, n as u64 + 1, 0));
    }
    let ended = &only(&events, "sessionEnded")["payload"];
    assert_eq!((&ended["reason"], balanced(&ended["frames"]).0), (&Value::from("end_of_source"), counted));

    let summary: Value = serde_json::from_str(&std::fs::read_to_string(summary).unwrap()).unwrap();
    assert_eq!(summary["frames"]["received"], counted);
    assert!(
        summary["fps"].as_f64().unwrap() > 0.0
            && summary["latencyMs"]["extraction"]["p99"].as_f64().unwrap() > 0.0
    );
    assert_eq!(
        (&summary["device"], &summary["model"]),
        (&Value::from("cpu"), &Value::from("mediapipe-pose-full"))
    );
}

#[test]
fn two_runs_are_equal_but_for_session_timestamp_and_latency() {
    let run = || {
        let mut events = kinora(&["analyze", text(clips::short())]).events();
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            event.remove("sessionId").unwrap();
            event.remove("timestamp").unwrap();
            event["payload"].as_object_mut().unwrap().remove("latencyMs");
        }
        events
    };
    let (one, two) = (run(), run());
    assert!(
        frames(&one).iter().any(|frame| frame["poses"][0]["score"].as_f64() > Some(0.9)),
        "a pose should be found"
    );
    assert_eq!(one, two);
}

#[test]
fn events_are_valid_by_the_published_schema() {
    let events = scratch_file("schema.ndjson");
    assert_eq!(kinora(&["analyze", text(clips::short()), "--read-marks", "--out", text(&events)]).code, 0);
    assert_eq!(schema_errors(&events), "");

    let broken = scratch_file("schema-broken.ndjson");
    let lines = std::fs::read_to_string(events).unwrap();
    std::fs::write(&broken, lines.replacen("\"keypoints\":[[", "\"keypoints\":[\"left\",[", 1)).unwrap();
    assert!(
        schema_errors(&broken).contains("'left' is not of type 'array'"),
        "the schema should refuse what is wrong"
    );
}

/// What a JSON Schema validator finds wrong with a file of events: nothing, or a line for each event.
///
/// The validator is Debian's `python3-jsonschema`: a Rust one in the dev-dependencies would change the features of
/// crates that the binary is built from, and everything would be compiled twice.
pub(crate) fn schema_errors(events: &Path) -> String {
    errors_by(&root().join("docs/reference/event.schema.json"), events)
}

/// The same by another schema and for other values, one a line.
pub(crate) fn errors_by(schema: &Path, values: &Path) -> String {
    let output = Command::new("/usr/bin/python3")
        .arg(root().join("tests/tools/validate.py"))
        .args([schema, values])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn latency_stages_add_up_in_each_event() {
    let events = kinora(&["analyze", text(clips::short()), "--max-frames", "5"]).events();
    for frame in frames(&events) {
        let latency = frame["latencyMs"].as_object().unwrap();
        let total = latency["total"].as_f64().unwrap();
        let sum: f64 =
            latency.iter().filter(|(name, _)| *name != "total").map(|(_, ms)| ms.as_f64().unwrap()).sum();
        assert!((sum - total).abs() < 1e-6, "{latency:?}");
    }
}

#[test]
fn numbers_are_written_without_exponents_and_negative_zeros() {
    let run = kinora(&["analyze", text(clips::short()), "--max-frames", "10"]);
    for token in
        run.stdout.split([',', ':', '[', ']', '{', '}']).filter(|t| t.starts_with(['-', '0', '1', '2']))
    {
        let number = token.trim();
        if number.parse::<f64>().is_ok() {
            assert!(!number.contains(['e', 'E']) && number != "-0.0", "{number}");
            let decimals = number.split('.').nth(1).map_or(0, str::len);
            assert!(decimals <= 4, "{number}");
        }
    }
}

#[test]
fn a_frame_limit_and_a_file_for_events_are_honoured() {
    let out = scratch_file("limited.ndjson");
    let run = kinora(&["analyze", text(clips::short()), "--max-frames", "7", "--out", text(&out)]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    let lines = std::fs::read_to_string(out).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames(&events).len(), 7);
    assert_eq!(only(&events, "sessionEnded")["payload"]["reason"], "frame_limit");
}

#[test]
fn skipping_by_policy_is_counted() {
    let events = kinora(&["analyze", text(clips::short()), "--set", "analysis.every_nth=4"]).events();
    let account = &only(&events, "sessionEnded")["payload"]["frames"];
    assert_eq!((account["received"].as_u64(), account["analyzed"].as_u64()), (Some(24), Some(6)));
    assert_eq!(account["skipped"], 18);
}

#[test]
fn realtime_pace_takes_the_time_of_the_clip() {
    let begun = Instant::now();
    let run = kinora(&["analyze", text(clips::short()), "--pace", "realtime"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // 24 frames at 30 a second: the last one is due after 766 ms.
    assert!(begun.elapsed() >= Duration::from_millis(766));
}

#[test]
fn a_single_image_is_one_frame() {
    let image = scratch_file("one.png");
    ffmpeg(&["-i", text(clips::short()), "-frames:v", "1", text(&image)]);
    let events = kinora(&["analyze", text(&image)]).events();
    let frames = frames(&events);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["poses"][0]["keypoints"].as_array().unwrap().len(), 33);
}

#[test]
fn a_rotated_clip_gives_coordinates_of_the_displayed_frame() {
    let rotated = scratch_file("rotated.mp4");
    // Stored turned a quarter to the left, with the instruction to turn it back; FFmpeg 5.1's tag `rotate` counts
    // counter-clockwise.
    let turned = scratch_file("turned.mp4");
    ffmpeg(&["-i", text(clips::short()), "-vf", "transpose=2", "-an", "-crf", "16", text(&turned)]);
    ffmpeg(&["-i", text(&turned), "-c", "copy", "-metadata:s:v", "rotate=270", text(&rotated)]);
    let limit = ["--max-frames", "3", "--set", "analysis.tracking=off"];
    let run = |path| kinora(&[&["analyze", text(path)], &limit[..]].concat()).events();
    let (upright, back) = (run(clips::short()), run(&rotated));
    for (a, b) in frames(&upright).iter().zip(frames(&back)) {
        assert_eq!((&b["frame"]["width"], &b["frame"]["height"]), (&Value::from(640), &Value::from(360)));
        for joint in [0, 11, 12, 23, 24, 27, 28] {
            for axis in [0, 1] {
                let of = |pose: &Value| pose["poses"][0]["keypoints"][joint][axis].as_f64().unwrap();
                assert!((of(a) - of(b)).abs() < 0.02, "joint {joint}: {} and {}", of(a), of(b));
            }
        }
    }
}

#[test]
fn sigint_ends_it_within_two_seconds_with_a_summary() {
    let summary = scratch_file("sigint-summary.json");
    let mut running = spawn(&["analyze", "dancer:?size=640x360&frames=100000", "--summary", text(&summary)]);
    let mut lines = BufReader::new(running.child().stdout.take().unwrap()).lines();
    lines.by_ref().take(5).for_each(|line| assert!(line.is_ok()));
    running.signal("INT");
    let begun = Instant::now();
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    let run = running.wait();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let last: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["payload"]["reason"]),
        (&Value::from("sessionEnded"), &Value::from("stopped"))
    );
    balanced(&last["payload"]["frames"]);
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(summary).unwrap()).unwrap();
    assert_eq!(
        (&summary["reason"], &summary["frames"]),
        (&Value::from("stopped"), &last["payload"]["frames"])
    );
}

#[test]
fn memory_does_not_grow_with_the_number_of_frames() {
    // Small pictures and few inferences, so that thousands of frames pass through the whole pipeline in seconds;
    // `docs/reference/performance.md` tells of the run over 10,000 analysed frames.
    let clip = scratch_file("long.mp4");
    ffmpeg(&["-stream_loop", "124", "-i", text(clips::short()), "-c", "copy", "-an", text(&clip)]);
    let child = command(&["analyze", text(&clip), "--set", "analysis.every_nth=10"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut running = crate::support::Running::of(child);
    let pid = running.pid();
    let mut early = None;
    let mut late = 0;
    for line in BufReader::new(running.child().stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let index = event["payload"]["frame"]["index"].as_u64().unwrap_or(0);
        if index >= 500 {
            let resident = resident_kib(pid).unwrap_or(late);
            early.get_or_insert(resident);
            late = resident.max(late);
        }
    }
    assert_eq!(running.wait().code, 0);
    let early = early.expect("frame 500 should come");
    assert!(late < early + 16 * 1024, "resident memory grew from {early} to {late} KiB over 2,500 frames");
}

/// Resident memory of a process, while it lives.
fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_reader_that_goes_away_ends_the_analysis() {
    let mut running = spawn(&["analyze", "dancer:?size=640x360&frames=100000"]);
    drop(running.child().stdout.take());
    let status = wait_for("the end", Duration::from_secs(20), || running.child().try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
}
