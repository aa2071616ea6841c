//! Whether `timestamp` is true: a clip whose frames carry their numbers, from a camera that writes down when each was due.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::server_support::{Camera, h264_of};
use crate::support::{Running, frames, kinora, scratch_file, spawn, text, wait_for};

/// Nine seconds: longer than arrival needs to learn the network, and than a camera waits with its first report.
const FRAMES: u64 = 270;
/// Timestamps of RTP begin so that they wrap after two seconds.
const WRAPS_SOON: &str = "timestamp-offset=4294787296";
/// The wrap of 33 bits is at 95,443.7 s; with the 1.4 s that the muxer adds, the clip passes it in its middle.
pub(crate) const BEFORE_WRAP_S: &str = "95438";

pub(crate) fn clip() -> &'static Path {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        let (path, frames) = (scratch_file("nine-seconds.mp4"), FRAMES.to_string());
        let arguments = ["--size", "640x360", "--fps", "30", "--frames", &frames, "--out", text(&path)];
        let run = kinora(&[&["dancer"][..], &arguments].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        path
    })
}

/// When each frame was due, in microseconds since 1970 by its number, by what the camera wrote down.
pub(crate) fn due(times: &Path) -> BTreeMap<u64, i64> {
    let (mut origin_us, mut running_us) = (0, BTreeMap::new());
    for line in fs::read_to_string(times).unwrap().lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["origin", at] => origin_us = at.parse().unwrap(),
            ["frame", pts, running] => {
                running_us.insert(pts.parse::<u64>().unwrap(), running.parse::<i64>().unwrap() / 1_000);
            }
            _ => panic!("{line}"),
        }
    }
    // Numbers follow the order of display, thirty a second; pictures are sent in that of decoding.
    let first = *running_us.keys().next().unwrap();
    let number = |pts: u64| ((pts - first) * 30 + 500_000_000) / 1_000_000_000;
    running_us.into_iter().map(|(pts, running_us)| (number(pts), origin_us + running_us)).collect()
}

/// A frame that was analysed: its number, the clock that timed it, the error in microseconds and the uncertainty told.
pub(crate) struct Timed {
    pub(crate) number: u64,
    pub(crate) source: String,
    pub(crate) error_us: i64,
    pub(crate) uncertainty_us: i64,
}

/// How an event tells the time of a frame that was due as `due` says; it has to be of the first epoch.
pub(crate) fn timed(event: &Value, due: &BTreeMap<u64, i64>) -> Timed {
    let payload = &event["payload"];
    assert_eq!(payload["epoch"], 1, "a wrap is no new epoch: {payload}");
    let number = payload["frame"]["mark"].as_u64().unwrap();
    Timed {
        number,
        source: payload["clock"]["source"].as_str().unwrap().to_owned(),
        error_us: (unix_us(event["timestamp"].as_str().unwrap()) - due[&number]).abs(),
        uncertainty_us: payload["clock"]["uncertaintyMs"].as_i64().unwrap() * 1_000,
    }
}

fn unix_us(timestamp: &str) -> i64 {
    timestamp.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

/// Analyses the clip from a camera; all of it has to be one epoch.
fn watch(name: &str, arguments: &[&str]) -> Vec<Timed> {
    let times = scratch_file(name);
    let launch = h264_of(clip()).replace("pt=96", &format!("pt=96 {WRAPS_SOON}"));
    let camera = Camera::serving(&launch, &[&["--times", text(&times)][..], arguments].concat());
    // Without reports the server does not say good-bye either, and ends in silence.
    let limit = (FRAMES - 5).to_string();
    let run = kinora(&["analyze", &camera.address(""), "--read-marks", "--max-frames", &limit]);
    let events = run.events();
    let due = due(&times);
    let analysed = events.iter().filter(|event| event["event"] == "frameAnalyzed");
    analysed.map(|event| timed(event, &due)).collect()
}

#[test]
fn with_sender_reports_timestamps_are_within_5_ms_over_a_wrap() {
    let frames = watch("times-with-reports", &[]);
    let reported: Vec<_> = frames.iter().filter(|frame| frame.source == "rtcp").collect();
    assert!(reported.len() > 50, "{} of {} frames were timed by reports", reported.len(), frames.len());
    assert!(reported.iter().any(|frame| frame.number > FRAMES / 2), "the wrap is before the middle");
    let worst_us = reported.iter().map(|frame| frame.error_us).max().unwrap();
    println!("{} frames timed by reports, the worst is off by {worst_us} us", reported.len());
    assert!(worst_us <= 5_000, "{worst_us} us");
}

#[test]
fn without_reports_the_uncertainty_covers_99_of_100_timestamps_over_a_wrap() {
    let frames = watch("times-without-reports", &["--no-reports"]);
    assert!(frames.iter().all(|frame| frame.source == "arrival"));
    let outside =
        |frames: &[&Timed]| frames.iter().filter(|frame| frame.error_us > frame.uncertainty_us).count();
    // Once with the cautious beginning, once without.
    let all: Vec<_> = frames.iter().collect();
    let learned: Vec<_> = frames.iter().filter(|frame| frame.number > 165).collect();
    for part in [all, learned] {
        assert!(part.len() > 30, "{} frames", part.len());
        let worst_us = part.iter().map(|frame| frame.error_us).max().unwrap();
        println!("{} frames timed by arrival, the worst is off by {worst_us} us", part.len());
        assert!(outside(&part) * 100 <= part.len(), "{} of {}", outside(&part), part.len());
    }
}

/// Whether somebody on this machine receives datagrams at a port.
pub(crate) fn listens(port: u16) -> bool {
    fs::read_to_string("/proc/net/udp").unwrap().contains(&format!(":{port:04X} "))
}

#[test]
fn the_wrap_of_a_transport_streams_33_bits_is_no_new_epoch() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = format!("udp://127.0.0.1:{port}");
    let limits = ["--read-marks", "--max-frames", "140", "--set", "decoder.read_timeout=5s"];
    // Made before somebody waits for it.
    let clip = clip();
    let receiver = spawn(&[&["analyze", &source][..], &limits].concat());
    wait_for("the receiver being ready", Duration::from_secs(20), || listens(port).then_some(()));
    let mut command = Command::new("ffmpeg");
    command.args("-v error -nostdin -re -i".split(' ')).arg(clip);
    command.args(["-an", "-c", "copy", "-output_ts_offset", BEFORE_WRAP_S, "-f", "mpegts"]);
    command.arg(format!("{source}?pkt_size=1316"));
    let _sender = Running::of(command.stdin(Stdio::null()).spawn().unwrap());
    let events = receiver.wait().events();
    let frames = frames(&events);
    assert!(frames.iter().all(|frame| frame["epoch"] == 1), "a wrap is no new epoch");
    let number = |frame: &Value| frame["frame"]["mark"].as_i64().unwrap();
    let pts = |frame: &Value| frame["frame"]["pts"].as_i64().unwrap();
    let (first, last) = (frames[0], frames[frames.len() - 1]);
    let wrap = 1 << 33;
    assert!(pts(first) < wrap && pts(last) > wrap, "{} to {}", pts(first), pts(last));
    for frame in &frames {
        assert_eq!(pts(frame) - pts(first), (number(frame) - number(first)) * 3_000, "time goes on evenly");
    }
    let timestamps: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "frameAnalyzed")
        .map(|event| event["timestamp"].as_str())
        .collect();
    let span_us = unix_us(timestamps[timestamps.len() - 1].unwrap()) - unix_us(timestamps[0].unwrap());
    let expected_us = (number(last) - number(first)) * 1_000_000 / 30;
    let uncertainty_us = last["clock"]["uncertaintyMs"].as_i64().unwrap() * 1_000;
    assert!((span_us - expected_us).abs() <= 2 * uncertainty_us, "{span_us} us for {expected_us} us");
}
