//! Every way that a picture takes: each gives the results of the MP4, frame by frame (tracking off).
//!
//! Cameras are GStreamer's RTSP server, other senders are ffmpeg and GStreamer.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::camera_times::listens;
use crate::clips;
use crate::gst_sender::GstSender;
use crate::server_support::{Camera, h264_of};
use crate::support::{Running, balanced, ffmpeg, frames, kinora, only, scratch_file, spawn, text, wait_for};
use crate::transport::{assert_same, by_mark};

const TRACKING_OFF: [&str; 3] = ["--read-marks", "--set", "analysis.tracking=off"];

/// The poses of the short clip by their numbers, read from a file.
fn of_file(path: &str) -> BTreeMap<u64, Value> {
    by_mark(&kinora(&[&["analyze", path][..], &TRACKING_OFF].concat()).events())
}

/// Asserts that a source shows the clip's frames and that poses are those of `expected`.
fn assert_shows(name: &str, expected: &BTreeMap<u64, Value>, events: &[Value]) {
    balanced(&only(events, "sessionEnded")["payload"]["frames"]);
    let got = by_mark(events);
    // Live frames that a busy machine has no time for are dropped.
    assert!(got.len() >= 3, "{name}: {} different frames were analysed", got.len());
    for (mark, poses) in &got {
        assert_same(&format!("{name}, frame {mark}"), &expected[mark], poses);
    }
}

/// The short clip in H.265, as an MP4.
fn h265() -> PathBuf {
    let path = scratch_file("short-h265.mp4");
    let codec = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=12 -tag:v hvc1 -an";
    let arguments =
        [&["-i", text(clips::short())][..], &codec.split(' ').collect::<Vec<_>>(), &[text(&path)]];
    ffmpeg(&arguments.concat());
    path
}

#[test]
fn cameras_with_each_payload_give_the_results_of_the_file() {
    let h264 = slow(clips::short(), "slow-h264.mp4");
    let h265 = slow(&h265(), "slow-h265.mp4");
    let transport = slow(clips::short(), "slow.ts");
    let packed =
        |clip: &Path, elements| format!("( filesrc location={} ! {elements} name=pay0 )", text(clip));
    let cases = [
        ("H.264", &h264, h264_of(&h264)),
        ("H.265", &h265, packed(&h265, "qtdemux ! h265parse config-interval=-1 ! rtph265pay pt=96")),
        ("MPEG-TS", &transport, packed(&transport, "tsparse set-timestamps=true ! rtpmp2tpay")),
    ];
    for (name, clip, launch) in cases {
        let expected = of_file(text(clip));
        let camera = Camera::serving(&launch, &[]);
        let events = kinora(&[&["analyze", &camera.address("")][..], &TRACKING_OFF].concat()).events();
        let source = &only(&events, "sessionStarted")["payload"]["source"];
        assert_eq!(source["codec"], if name == "H.265" { "hevc" } else { "h264" }, "{source}");
        assert_shows(name, &expected, &events);
    }
}

/// The same pictures as in the short clip, ten a second, so that a busy machine has time for each.
fn slow(clip: &Path, name: &str) -> PathBuf {
    let path = scratch_file(name);
    ffmpeg(&["-itsscale", "3", "-i", text(clip), "-an", "-c", "copy", text(&path)]);
    path
}

/// A receiver of 30 access units, and ffmpeg, which sends the slow clip again and again.
fn sent(name: &str, listen: &str, target: &str) -> Vec<Value> {
    let limits = ["--max-frames", "30", "--set", "decoder.read_timeout=5s"];
    let receiver = spawn(&[&["analyze", listen][..], &limits, &TRACKING_OFF].concat());
    let mut command = Command::new("ffmpeg");
    command
        .args("-v error -nostdin -re -stream_loop -1 -i".split(' '))
        .arg(slow(clips::short(), &format!("slow-{name}.mp4")));
    command.args("-an -c copy -f mpegts".split(' ')).arg(target);
    let _sender = Running::of(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    receiver.wait().events()
}

#[test]
fn a_transport_stream_of_gstreamers_muxer_gives_the_results_of_the_file() {
    let (clip, long) = (slow(clips::short(), "slow-gst.mp4"), scratch_file("slow-gst-long.mp4"));
    ffmpeg(&["-stream_loop", "4", "-i", text(&clip), "-c", "copy", text(&long)]);
    let port = free_port();
    let source = format!("udp://127.0.0.1:{port}");
    let limits = ["--max-frames", "30", "--set", "decoder.read_timeout=5s"];
    let receiver = spawn(&[&["analyze", &source][..], &limits, &TRACKING_OFF].concat());
    wait_for("the receiver being ready", Duration::from_secs(20), || listens(port).then_some(()));
    let launch = format!(
        "filesrc location={} ! qtdemux ! h264parse config-interval=-1 ! identity sync=true \
         ! mpegtsmux alignment=7 ! udpsink host=127.0.0.1 port={port} sync=false",
        text(&long)
    );
    let _sender = GstSender::start(&launch, &[]);
    assert_shows("GStreamer's MPEG-TS", &of_file(text(clips::short())), &receiver.wait().events());
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether datagrams to a group come back over the loopback of this machine.
fn has_multicast(group: Ipv4Addr) -> bool {
    let receiver = UdpSocket::bind("0.0.0.0:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let target = (group, receiver.local_addr().unwrap().port());
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    let works = receiver.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_ok()
        && socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).is_ok()
        && socket.send_to(b"x", &std::net::SocketAddrV4::new(target.0, target.1).into()).is_ok();
    works && receiver.recv(&mut [0; 8]).is_ok()
}

#[test]
fn a_multicast_group_is_joined() {
    let group = Ipv4Addr::new(239, 255, 77, 9);
    if !has_multicast(group) {
        return println!("SKIPPED: this machine's loopback carries no multicast");
    }
    let address = format!("udp://{group}:{}?localaddr=127.0.0.1", free_port());
    let events = sent("multicast", &address, &format!("{address}&pkt_size=1316"));
    // Datagrams may be lost on a busy machine; what is analysed is right all the same.
    assert_shows("multicast", &of_file(text(clips::short())), &events);
}

#[test]
fn secure_reliable_transport_is_spoken_where_ffmpeg_can() {
    let protocols = Command::new("ffmpeg").args(["-hide_banner", "-protocols"]).output().unwrap();
    if !String::from_utf8_lossy(&protocols.stdout).lines().any(|line| line.trim() == "srt") {
        return println!("SKIPPED: this FFmpeg was built without SRT");
    }
    let expected = of_file(text(clips::short()));
    let port = free_port();
    let called = sent(
        "srt",
        &format!("srt://127.0.0.1:{port}?mode=listener"),
        &format!("srt://127.0.0.1:{port}?mode=caller&connect_timeout=10000"),
    );
    assert_shows("SRT, listening", &expected, &called);
}

#[test]
fn a_transport_stream_without_an_end_comes_over_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let bytes = std::fs::read(clips::short_mpegts()).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // What is asked for is known.
        let _ = client.read(&mut [0; 4096]);
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";
        let _ = client.write_all(&[&head[..], &bytes].concat());
    });
    let source = format!("http://user:s3cret@{address}/live.ts");
    let run = kinora(&[&["analyze", &source][..], &TRACKING_OFF].concat());
    assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"));
    let (expected, events) = (of_file(text(clips::short())), run.events());
    assert_eq!(frames(&events).len(), 24);
    assert_shows("HTTP", &expected, &events);
}

#[test]
fn a_device_is_asked_for_size_and_rate() {
    let run = kinora(&["analyze", "device:lavfi:testsrc2?size=320x240&rate=12", "--max-frames", "5"]);
    let events = run.events();
    let source = &only(&events, "sessionStarted")["payload"]["source"];
    assert_eq!(
        (&source["width"], &source["height"], &source["live"]),
        (&320.into(), &240.into(), &true.into())
    );
    let wrong = kinora(&["analyze", "device:/dev/video0?size=large"]);
    assert_eq!(wrong.code, 64, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("`large` is no size") && wrong.stderr.contains("1280x720"),
        "{}",
        wrong.stderr
    );
}
