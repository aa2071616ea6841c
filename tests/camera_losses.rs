//! Packets that are lost on the way: nothing crashes, the account balances, and no damaged picture is analysed.
//!
//! What is analysed has to be what the file gives, frame by frame: a picture with a hole in it would not be. Losses come
//! from a generator with a seed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clips;
use crate::proxy::random;
use crate::server_support::Camera;
use crate::support::{Running, balanced, frames, kinora, only, scratch_file, spawn, text, wait_for};
use crate::transport::{assert_same, by_mark};

const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(60);
/// A source that loses its first packets takes a while to be understood.
const BEGINNING: Duration = Duration::from_secs(30);

/// Decides which packets are lost.
struct Loss {
    numbers: Box<dyn Iterator<Item = u64> + Send>,
    percent: u64,
}

impl Loss {
    fn new(percent: u64) -> Self {
        Self { numbers: Box::new(random(20_261_122 + percent)), percent }
    }

    fn takes_this(&mut self) -> bool {
        // The upper bits of a generator of this kind are the better ones.
        self.numbers.next().is_some_and(|number| (number >> 32) % 100 < self.percent)
    }
}

/// Passes datagrams on, all but those that are lost. Ends with this value.
struct Relay {
    port: u16,
    lost: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Relay {
    fn to(target: u16, mut loss: Loss) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let (lost, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&lost), Arc::clone(&is_over));
        thread::spawn(move || {
            let mut datagram = [0; 2_048];
            while !end.load(Ordering::Acquire) {
                let Ok(length) = socket.recv(&mut datagram) else { continue };
                match loss.takes_this() {
                    true => drop(count.fetch_add(1, Ordering::AcqRel)),
                    // A receiver that is not there yet is the beginning's business.
                    false => drop(socket.send_to(&datagram[..length], ("127.0.0.1", target))),
                }
            }
        });
        Self { port, lost, is_over }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// Passes a camera's answers on, and of its media what is not lost, for one viewer.
fn lossy_proxy(camera: u16, mut loss: Loss) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, lost) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&lost);
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", camera)).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        // Either may leave; then the other is left.
        let _ = pass_on(&mut BufReader::new(server), client, &mut loss, &count);
    });
    (port, lost)
}

fn pass_on(
    server: &mut BufReader<TcpStream>,
    mut client: TcpStream,
    loss: &mut Loss,
    lost: &AtomicU64,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        if server.fill_buf()?.first() == Some(&b'$') {
            head.resize(4, 0);
            server.read_exact(&mut head)?;
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            server.read_exact(&mut packet)?;
            if head[1] == 0 && loss.takes_this() {
                lost.fetch_add(1, Ordering::AcqRel);
                continue;
            }
            client.write_all(&[head, packet].concat())?;
        } else {
            // A line of an answer; a description has no line that begins with `$`.
            if server.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
            client.write_all(&head)?;
        }
    }
}

/// Analyses a source for this long after its session began, and ends it in order.
fn watched(name: &str, source: &str, time: Duration) -> Vec<Value> {
    let out = scratch_file(name);
    let options = ["--read-marks", "--set", "analysis.tracking=off", "--set", "decoder.open_timeout=30s"];
    let receiver = spawn(&[&["analyze", source, "--out", text(&out)][..], &options].concat());
    wait_for("the session's beginning", BEGINNING, || {
        std::fs::read_to_string(&out).unwrap_or_default().contains("sessionStarted").then_some(())
    });
    // The time is what is tested.
    thread::sleep(time);
    receiver.signal("TERM");
    let run = receiver.wait();
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    std::fs::read_to_string(&out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that losses are counted and that what was analysed is what the file gives; tells how much that was.
fn assert_unharmed(name: &str, events: &[Value], expected: &BTreeMap<u64, Value>, lost: u64) {
    let account = &only(events, "sessionEnded")["payload"]["frames"];
    let (received, analyzed, _) = balanced(account);
    let corrupt = account["dropped"]["corrupt"].as_u64().unwrap_or(0);
    println!(
        "{name}: {lost} packets lost; {received} units received, {analyzed} analysed, {corrupt} corrupt"
    );
    assert!(lost > 0 && corrupt > 0, "{name}: losses should be seen in the account: {account}");
    for frame in frames(events) {
        balanced(&frame["frames"]);
        let mark = frame["frame"]["mark"].as_u64().unwrap_or_else(|| panic!("{name}: no number in {frame}"));
        assert_same(&format!("{name}, frame {mark}"), &expected[&mark], &frame["poses"]);
    }
}

fn of_file() -> BTreeMap<u64, Value> {
    let clip = text(clips::short());
    by_mark(&kinora(&["analyze", clip, "--read-marks", "--set", "analysis.tracking=off"]).events())
}

/// A transport stream in datagrams, of which so many are lost. Gives how many frames were analysed.
fn datagrams(percent: u64, time: Duration) -> usize {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let relay = Relay::to(port, Loss::new(percent));
    let mut command = Command::new("ffmpeg");
    command.args("-v error -nostdin -re -stream_loop -1 -i".split(' ')).arg(clips::short());
    command.args("-an -c copy -f mpegts".split(' '));
    command.arg(format!("udp://127.0.0.1:{}?pkt_size=1316", relay.port));
    let _sender = Running::of(command.stdin(Stdio::null()).spawn().unwrap());
    let name = format!("UDP with {percent} % lost");
    let events =
        watched(&format!("udp-{percent}-{}", time.as_secs()), &format!("udp://127.0.0.1:{port}"), time);
    assert_unharmed(&name, &events, &of_file(), relay.lost.load(Ordering::Acquire));
    frames(&events).len()
}

/// A camera whose packets are lost inside its connection, as those of a camera are that sends more than it can.
fn camera(percent: u64, time: Duration) -> usize {
    let camera = Camera::start("none");
    let (port, lost) = lossy_proxy(camera.port, Loss::new(percent));
    let name = format!("RTSP with {percent} % lost");
    let source = format!("rtsp://127.0.0.1:{port}/camera");
    let events = watched(&format!("rtsp-{percent}-{}", time.as_secs()), &source, time);
    assert_unharmed(&name, &events, &of_file(), lost.load(Ordering::Acquire));
    frames(&events).len()
}

#[test]
fn lost_datagrams_are_survived_and_counted() {
    assert!(datagrams(2, SHORT) > 0, "between two losses frames are well");
}

#[test]
fn many_lost_datagrams_are_survived_and_counted() {
    datagrams(10, SHORT);
}

#[test]
fn packets_that_a_camera_leaves_out_are_survived_and_counted() {
    assert!(camera(2, SHORT) > 0, "between two losses frames are well");
}

#[test]
#[ignore = "a minute; `make soak` runs it"]
fn soak_a_minute_with_lost_datagrams() {
    for percent in [2, 10] {
        assert!(datagrams(percent, LONG) > 0, "between two losses frames are well");
    }
}

#[test]
#[ignore = "a minute; `make soak` runs it"]
fn soak_a_minute_with_packets_that_a_camera_leaves_out() {
    for percent in [2, 10] {
        assert!(camera(percent, LONG) > 0, "between two losses frames are well");
    }
}
