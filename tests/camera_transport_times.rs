//! Whether `timestamp` is true for transport streams, which bring no word of a wall clock: GStreamer sends a clip whose frames
//! carry their numbers, and writes down when each was due.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::camera_times::{BEFORE_WRAP_S, Timed, clip, due, listens, timed};
use crate::gst_sender::GstSender;
use crate::support::{balanced, ffmpeg, frames, only, scratch_file, spawn, text, wait_for};

/// The muxer of GStreamer begins an hour after zero by itself.
const ITS_HOUR_S: u64 = 3_600;
/// The wrap of 33 bits.
const WRAP: i64 = 1 << 33;
/// By then the delays of the way are known.
const LEARNED: u64 = 200;

/// The clip without pictures that are sent out of order: what is sent was taken just now.
fn live_clip() -> &'static Path {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        let path = scratch_file("nine-seconds-live.mp4");
        let codec = "-an -c:v libx264 -preset veryfast -bf 0 -g 15";
        ffmpeg(&[&["-i", text(clip())][..], &codec.split(' ').collect::<Vec<_>>(), &[text(&path)]].concat());
        path
    })
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A pipeline that sends the clip at its own speed to a sink.
fn launch(sink: &str) -> String {
    let clip = text(live_clip());
    format!(
        "filesrc location={clip} ! qtdemux ! h264parse config-interval=-1 ! identity name=due sync=true \
         ! mpegtsmux name=mux alignment=7 ! {sink} sync=false"
    )
}

/// Arguments of a sender whose timestamps wrap after 5.7 s.
fn wrapping(times: &Path) -> [String; 4] {
    let begin = BEFORE_WRAP_S.parse::<u64>().unwrap() - ITS_HOUR_S;
    ["--begin".to_owned(), begin.to_string(), "--times".to_owned(), text(times).to_owned()]
}

/// What was analysed of a source until it fell silent or hung up.
fn events_of(
    source: &str,
    before: impl FnOnce() -> Option<GstSender>,
    after: impl FnOnce() -> Option<GstSender>,
) -> Vec<Value> {
    let earlier = before();
    let receiver = spawn(&["analyze", source, "--read-marks", "--set", "decoder.read_timeout=3s"]);
    let later = after();
    // The source has no end of its own, so that its silence is told as an error.
    let run = receiver.wait();
    drop((earlier, later));
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn over_udp() -> Vec<Timed> {
    let (port, times) = (free_port(), scratch_file("times-udp"));
    let start = || {
        wait_for("the receiver being ready", Duration::from_secs(20), || listens(port).then_some(()));
        Some(GstSender::start(&launch(&format!("udpsink host=127.0.0.1 port={port}")), &wrapping(&times)))
    };
    true_times(&events_of(&format!("udp://127.0.0.1:{port}"), || None, start), &times)
}

fn over_tcp() -> Vec<Timed> {
    let (port, times) = (free_port(), scratch_file("times-tcp"));
    let sink = format!("tcpserversink host=127.0.0.1 port={port}");
    let start = || Some(GstSender::start(&launch(&sink), &wrapping(&times)));
    true_times(&events_of(&format!("tcp://127.0.0.1:{port}"), start, || None), &times)
}

fn true_times(events: &[Value], times: &Path) -> Vec<Timed> {
    balanced(&only(events, "sessionEnded")["payload"]["frames"]);
    let pts = |frame: &Value| frame["frame"]["pts"].as_i64().unwrap();
    let all = frames(events);
    assert!(
        pts(all[0]) < WRAP && pts(all[all.len() - 1]) > WRAP,
        "{} to {}",
        pts(all[0]),
        pts(all[all.len() - 1])
    );
    let due = due(times);
    events.iter().filter(|event| event["event"] == "frameAnalyzed").map(|event| timed(event, &due)).collect()
}

#[test]
fn transport_streams_are_timed_within_their_uncertainty_over_a_wrap() {
    live_clip();
    let (udp, tcp) = thread::scope(|scope| {
        let (udp, tcp) = (scope.spawn(over_udp), scope.spawn(over_tcp));
        (udp.join(), tcp.join())
    });
    for (name, frames) in [("UDP", udp.unwrap()), ("TCP", tcp.unwrap())] {
        assert!(frames.iter().all(|frame| frame.source == "arrival"));
        // Once with the cautious beginning, once without.
        let learned: Vec<_> = frames.iter().filter(|frame| frame.number > LEARNED).collect();
        for part in [frames.iter().collect(), learned] {
            assert!(part.len() > 20, "{name}: {} frames", part.len());
            let outside = part.iter().filter(|frame| frame.error_us > frame.uncertainty_us).count();
            let worst_us = part.iter().map(|frame| frame.error_us).max().unwrap();
            let most_us = part.iter().map(|frame| frame.uncertainty_us).max().unwrap();
            let least_us = part.iter().map(|frame| frame.uncertainty_us).min().unwrap();
            println!(
                "{name}: {} frames, the worst is off by {worst_us} us, told are {least_us} to {most_us} us, {outside} outside",
                part.len()
            );
            assert!(outside * 100 <= part.len(), "{name}: {outside} of {}", part.len());
        }
    }
}

#[test]
fn a_sender_that_begins_anew_at_another_time_opens_an_epoch() {
    let port = free_port();
    let sink = format!("udpsink host=127.0.0.1 port={port}");
    let begin = |seconds: &str| GstSender::start(&launch(&sink), &["--begin".to_owned(), seconds.to_owned()]);
    let out = scratch_file("anew");
    let source = format!("udp://127.0.0.1:{port}");
    live_clip();
    let receiver = spawn(&["analyze", &source, "--out", text(&out), "--set", "decoder.read_timeout=5s"]);
    wait_for("the receiver being ready", Duration::from_secs(20), || listens(port).then_some(()));
    let seen = |epoch: u64| {
        let written = fs::read_to_string(&out).unwrap_or_default();
        written.contains(&format!("\"epoch\":{epoch},")).then_some(())
    };
    let first = begin("1");
    wait_for("frames of the first sender", Duration::from_secs(20), || seen(1));
    drop(first);
    let _second = begin("5000");
    wait_for("frames of the second sender", Duration::from_secs(20), || seen(2));
    receiver.signal("TERM");
    assert_eq!(receiver.wait().code, 0);
}
