//! The first event comes within a second of the first key frame: from a file, a camera and datagrams.
//!
//! The key frame's time is taken outside the server, by those who hand it over: a proxy before the camera and a relay
//! of the datagrams. So finding out what the source is counts too.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::raw_socket::RawSocket;
use crate::server_support::{Camera, Server, long_clip, looping, stream};
use crate::support::{Running, text, wait_for};

/// What is promised.
const PROMISE: Duration = Duration::from_secs(1);
/// An idle thread ends when its test should be over.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// When the first of something was seen.
type First = Arc<OnceLock<SystemTime>>;

#[test]
fn the_first_event_comes_within_a_second_of_the_first_key_frame() {
    let camera = Camera::start("digest");
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let through = format!("rtsp://viewer:secret@{}/camera", proxy.local_addr().unwrap());
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let datagrams = stream("datagrams", &format!("udp://127.0.0.1:{port}"), "");
    let server = Server::start(&[looping("file"), stream("camera", &through, ""), datagrams].concat());

    // Whose key frame comes when the test wants it: after somebody listens for the event.
    let camera_frame = event_after(&server, "camera", |first| forward(proxy, camera.port, first));
    wait_for("the port of the datagrams", IDLE_LIMIT, || is_bound(port).then_some(()));
    let mut sender = None;
    let datagrams_frame = event_after(&server, "datagrams", |first| sender = Some(relay(port, first)));
    // The file's key frame is there when its stream is started, just before the server says that it listens.
    let listening = server.home.log().into_iter().find(|line| line["message"] == "listening").unwrap();
    let file_frame = until_made(&server, "file", listening["time"].as_str().unwrap());

    for (name, took) in [("file", file_frame), ("camera", camera_frame), ("datagrams", datagrams_frame)] {
        let made = until_made(&server, name, "timestamp");
        println!("{name}: first event {took:?} after the first key frame, {made:?} after it was captured");
        assert!(took < PROMISE && made < PROMISE, "{name}: {took:?}, {made:?}");
    }
}

/// From the first key frame that `start` lets through to the first event that an agent gets.
fn event_after(server: &Server, stream: &str, start: impl FnOnce(First)) -> Duration {
    let query = format!("stream={stream}&events=frameAnalyzed");
    let mut agent = RawSocket::open(&server.address, &query, server.token());
    let first = First::default();
    start(Arc::clone(&first));
    agent.event();
    first.get().expect("an event should not come before its frame").elapsed().unwrap()
}

/// From a time, a column of the row or a literal, to the making of the first event of the stream's session.
fn until_made(server: &Server, stream: &str, since: &str) -> Duration {
    let session = server.session(stream);
    let since =
        if since == "timestamp" { "\"timestamp\"".to_owned() } else { format!("timestamptz '{since}'") };
    let sql = format!(
        "select extract(epoch from recorded_at - {since}) from analysis_results \
         where session_id = '{session}' and event = 'frameAnalyzed' order by seq limit 1"
    );
    let seconds = wait_for("the first row", IDLE_LIMIT, || {
        server.home.try_query(&sql).ok()?.first().map(|seconds| seconds.parse().unwrap())
    });
    Duration::try_from_secs_f64(seconds).expect("an event should be made after its frame was captured")
}

/// Whether somebody receives datagrams at this port.
fn is_bound(port: u16) -> bool {
    std::fs::read_to_string("/proc/net/udp").unwrap().contains(&format!(":{port:04X} 00000000:0000"))
}

/// Lets connections through to the camera; notes when the first of its packets passed.
fn forward(proxy: TcpListener, camera: u16, first: First) {
    std::thread::spawn(move || {
        for client in proxy.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", camera)) else { return };
            let (asks, answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let first = Arc::clone(&first);
            std::thread::spawn(move || copy(asks, server, |_| ()));
            std::thread::spawn(move || {
                copy(answers, client, |bytes| {
                    // Video is interleaved in channel 0 (RFC 2326, section 10.12), behind the answer to PLAY.
                    if bytes.starts_with(b"$\0") || bytes.windows(6).any(|part| part == b"\r\n\r\n$\0") {
                        first.get_or_init(SystemTime::now);
                    }
                });
            });
        }
    });
}

/// Copies until one side ends.
fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        look(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other direction waits in `read`.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Sends the clip as MPEG-TS, paced as a camera is; notes when the first datagram, of a key frame, was sent on.
fn relay(port: u16, first: First) -> Running {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(IDLE_LIMIT)).unwrap();
    let here = format!("udp://{}?pkt_size=1316", socket.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok(count) = socket.recv(&mut datagram) {
            first.get_or_init(SystemTime::now);
            // A receiver that is gone is the end of the test.
            if socket.send_to(&datagram[..count], ("127.0.0.1", port)).is_err() {
                break;
            }
        }
    });
    let arguments =
        ["-v", "error", "-nostdin", "-re", "-i", text(long_clip()), "-c", "copy", "-f", "mpegts", &here];
    Running::of(Command::new("ffmpeg").args(arguments).stdin(Stdio::null()).spawn().unwrap())
}
