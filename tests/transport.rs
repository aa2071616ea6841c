//! The same pictures give the same results however they arrive (tracking off): MP4, MPEG-TS file, MPEG-TS over UDP.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::clips;
use crate::support::{Running, balanced, frames, kinora, only, spawn, text};

/// How often a run over UDP is repeated when the kernel lost datagrams.
const ATTEMPTS: usize = 5;

/// Poses by the number that is drawn in the frame.
pub(crate) fn by_mark(events: &[Value]) -> BTreeMap<u64, Value> {
    frames(events)
        .iter()
        .map(|frame| (frame["frame"]["mark"].as_u64().unwrap(), frame["poses"].clone()))
        .collect()
}

fn analyze(source: &str) -> BTreeMap<u64, Value> {
    by_mark(&kinora(&["analyze", source, "--read-marks", "--set", "analysis.tracking=off"]).events())
}

/// Asserts that both have the same poses, within what arithmetic may change.
pub(crate) fn assert_same(name: &str, expected: &Value, got: &Value) {
    let (Some(expected), Some(got)) = (expected[0]["keypoints"].as_array(), got[0]["keypoints"].as_array())
    else {
        assert_eq!(expected, got, "{name}: a pose should be found in both or in none");
        return;
    };
    for (a, b) in expected
        .iter()
        .flat_map(|k| k.as_array().unwrap())
        .zip(got.iter().flat_map(|k| k.as_array().unwrap()))
    {
        assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= 1e-3, "{name}: {a} and {b}");
    }
}

#[test]
fn a_transport_stream_file_gives_the_results_of_the_mp4() {
    let (mp4, ts) = (analyze(text(clips::short())), analyze(text(clips::short_mpegts())));
    assert_eq!(mp4.keys().collect::<Vec<_>>(), (0..24).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    assert_eq!(mp4.keys().collect::<Vec<_>>(), ts.keys().collect::<Vec<_>>());
    for (mark, poses) in &mp4 {
        assert_same(&format!("frame {mark}"), poses, &ts[mark]);
    }
}

#[test]
fn a_transport_stream_over_udp_gives_the_results_of_the_mp4() {
    let mp4 = analyze(text(clips::short()));
    let udp = (0..ATTEMPTS).find_map(|_| over_udp()).expect("one run in five should lose no datagram");
    assert!(udp.len() >= 8, "{} frames were analysed", udp.len());
    for (mark, poses) in &udp {
        assert_same(&format!("frame {mark}"), &mp4[mark], poses);
    }
}

/// One run over UDP; `None` when the kernel lost something on the way.
fn over_udp() -> Option<BTreeMap<u64, Value>> {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = format!("udp://127.0.0.1:{port}");
    // Frames wait for inference in the stream's slot; a limit ends the run, since datagrams have no end.
    let receiver = spawn(&[
        "analyze",
        &source,
        "--read-marks",
        "--max-frames",
        "60",
        "--set",
        "analysis.tracking=off",
        "--set",
        "decoder.read_timeout=5s",
    ]);
    // The sender repeats the clip, paced as a camera is, until the receiver has had enough.
    let sender = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-nostdin",
            "-re",
            "-stream_loop",
            "-1",
            "-i",
            text(clips::short()),
            "-an",
            "-c",
            "copy",
        ])
        .args(["-f", "mpegts", &format!("{source}?pkt_size=1316")])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _sender = Running::of(sender);
    let run = receiver.wait();
    let events = run.events();
    let account = &only(&events, "sessionEnded")["payload"]["frames"];
    balanced(account);
    // Units before the first key frame are not the kernel's doing: the receiver came in the middle of the clip.
    let corrupt = |account: &Value| account["dropped"]["corrupt"].as_u64().unwrap_or(0);
    let lost = corrupt(account) - corrupt(&frames(&events)[0]["frames"]);
    (lost == 0).then(|| by_mark(&events))
}
