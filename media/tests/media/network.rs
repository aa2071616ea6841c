//! Sources over the network, on free ports of this machine; and the way out of each call that waits.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kinora_media::{Address, DecodeOptions, ErrorKind, FrameReader, Input, Item, MediaError, OpenOptions};

use super::support::*;

/// A thread that serves one connection.
fn serve(work: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            work(stream);
        }
    });
    address
}

fn parse(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn frames_of(address: &Address) -> Everything {
    read_all(&mut FrameReader::open(address, &options(), &DecodeOptions::default()).unwrap())
}

/// Reads a request and answers it.
fn answer(mut stream: TcpStream, head: &str, body: &[u8]) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    // The client may leave before it has all.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

#[test]
fn tcp_and_http_give_the_same_frames_as_the_file() {
    let folder = Folder::new();
    let clip = folder.clip("a.ts", 60);
    let expected = fingerprints(&read_all(&mut open(&clip)));
    let bytes = std::fs::read(&clip).unwrap();
    let body = bytes.clone();
    let tcp = serve(move |mut stream: TcpStream| stream.write_all(&body).unwrap());
    let all = frames_of(&parse(&format!("tcp://{tcp}")));
    assert!(fingerprints(&all) == expected, "tcp {:?} {:?}", all.account, all.lost);
    let http = serve(move |stream| answer(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &bytes));
    let all = frames_of(&parse(&format!("http://{http}/live.ts")));
    assert!(fingerprints(&all) == expected, "http {:?} {:?}", all.account, all.lost);
    assert_eq!(all.error, None, "{}", all.message);
}

#[test]
fn a_body_that_says_no_length_ends_without_an_error_wherever_it_ends() {
    let folder = Folder::new();
    let clip = folder.clip("a.ts", 60);
    let whole = std::fs::read(&clip).unwrap();
    // FFmpeg meets the end in different reads, by how the length lies to its buffer.
    for packets in [whole.len() / 188, whole.len() / 188 - 1, 180, 175] {
        let body = whole[..packets * 188].to_vec();
        let port = serve(move |stream| answer(stream, "HTTP/1.1 200 OK\r\n\r\n", &body)).port();
        let all = frames_of(&parse(&format!("http://127.0.0.1:{port}/live.ts")));
        assert_eq!(all.error, None, "{packets}: {}", all.message);
    }
}

#[test]
fn udp_gives_the_same_frames_as_the_file() {
    let folder = Folder::new();
    let clip = folder.clip("a.ts", 60);
    let expected = fingerprints(&read_all(&mut open(&clip)));
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let address = parse(&format!("udp://127.0.0.1:{port}"));
    let mut sender = Sender::start(&clip, port);
    let options = OpenOptions { read_timeout: Duration::from_secs(2), ..options() };
    let mut reader = FrameReader::open(&address, &options, &DecodeOptions::default()).unwrap();
    let all = read_all(&mut reader);
    sender.stop();
    assert_eq!(all.error, Some(ErrorKind::Timeout), "{}", all.message);
    // The sender repeats the clip, so that it does not matter when the reader came. What it shows is the clip's frames.
    let found = fingerprints(&all);
    assert!(found.len() >= 60, "{:?} {:?}", all.account, all.lost);
    let known = found.iter().filter(|print| expected.contains(print)).count();
    assert!(known * 10 >= found.len() * 9, "{known} of {} {:?}", found.len(), all.lost);
}

/// An ffmpeg that plays a transport stream to a port, at its own speed, four times.
struct Sender(Child);

impl Sender {
    fn start(clip: &std::path::Path, port: u16) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args("-nostdin -v error -re -stream_loop 3 -i".split(' ')).arg(clip);
        command.args("-c copy -f mpegts".split(' ')).arg(format!("udp://127.0.0.1:{port}?pkt_size=1316"));
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn stop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn a_test_source_of_libavdevice_is_a_live_device() {
    let address = parse("device:lavfi:testsrc2=size=160x120:rate=30:duration=1");
    let all = frames_of(&address);
    assert_eq!((all.account.frames, all.account.lost, all.error), (30, 0, None));
}

fn open_error_of(address: &Address, options: &OpenOptions) -> MediaError {
    match Input::open(address, options) {
        Err(error) => error,
        Ok(_) => panic!("{address} was opened"),
    }
}

#[test]
fn each_failure_of_a_network_has_its_kind_and_hides_the_password() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let status = |line: &'static str| {
        let head = format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        serve(move |stream| answer(stream, &head, b"")).port()
    };
    let cases = [
        (format!("tcp://127.0.0.1:{closed}"), ErrorKind::Refused),
        (format!("http://u:hunter2@127.0.0.1:{closed}/a.ts"), ErrorKind::Refused),
        ("http://nonexistent.invalid/a.ts?token=hunter2".to_owned(), ErrorKind::Unreachable),
        (format!("http://127.0.0.1:{}/a.ts", status("401 Unauthorized")), ErrorKind::Unauthorized),
        (format!("http://u:hunter2@127.0.0.1:{}/a.ts", status("403 Forbidden")), ErrorKind::Forbidden),
        (format!("http://u:hunter2@127.0.0.1:{}/a.ts", status("404 Not Found")), ErrorKind::NotFoundRemote),
        (format!("tcp://127.0.0.1:{}", serve(drop).port()), ErrorKind::Disconnected),
    ];
    for (text, kind) in cases {
        let error = open_error_of(&parse(&text), &options());
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_server_cannot_lead_to_a_file() {
    let folder = Folder::new();
    let clip = folder.clip("a.ts", 10);
    let list = format!("#EXTM3U\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n", clip.display());
    let kind = "Content-Type: application/vnd.apple.mpegurl";
    let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {}\r\n\r\n", list.len());
    let port = serve(move |stream| answer(stream, &head, list.as_bytes())).port();
    let error = open_error_of(&parse(&format!("http://127.0.0.1:{port}/a.m3u8")), &options());
    assert_eq!(error.kind(), ErrorKind::NotMedia, "{error}");
}

/// A server that accepts and says nothing, until its client leaves.
fn silent() -> u16 {
    serve(|mut stream| while matches!(stream.read(&mut [0; 256]), Ok(n) if n > 0) {}).port()
}

#[test]
fn a_deadline_ends_the_opening_of_a_silent_source() {
    let options = OpenOptions { open_timeout: Duration::from_millis(300), ..options() };
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for text in [
        format!("tcp://127.0.0.1:{}", silent()),
        format!("http://127.0.0.1:{}/a", silent()),
        format!("udp://127.0.0.1:{free}"),
    ] {
        let began = Instant::now();
        let error = open_error_of(&parse(&text), &options);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{text}: {error}");
        assert!(error.to_string().contains("0.3 s"), "{error}");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(290) && took < Duration::from_millis(1300), "{text}: {took:?}");
    }
}

#[test]
fn cancelling_ends_the_opening_of_a_silent_source() {
    let options = options();
    let (cancel, (accepted, wait)) = (options.cancel.clone(), std::sync::mpsc::channel());
    let port = serve(move |mut stream| {
        accepted.send(()).unwrap();
        while matches!(stream.read(&mut [0; 256]), Ok(n) if n > 0) {}
    })
    .port();
    let canceller = thread::spawn(move || {
        wait.recv_timeout(Duration::from_secs(10)).unwrap();
        cancel.cancel();
        Instant::now()
    });
    let error = open_error_of(&parse(&format!("tcp://127.0.0.1:{port}")), &options);
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(canceller.join().unwrap().elapsed() < Duration::from_secs(1));
}

/// A reader whose server goes silent after half a clip, read up to the silence's edge.
fn half_a_clip(options: &OpenOptions) -> FrameReader {
    let folder = Folder::new();
    let bytes = std::fs::read(folder.clip("a.ts", 60)).unwrap();
    let port = serve(move |mut stream| {
        stream.write_all(&bytes[..bytes.len() / 2]).unwrap();
        while matches!(stream.read(&mut [0; 256]), Ok(n) if n > 0) {}
    })
    .port();
    let address = parse(&format!("tcp://127.0.0.1:{port}"));
    let mut reader = FrameReader::open(&address, options, &DecodeOptions::default()).unwrap();
    assert!(matches!(reader.next_item(), Item::Frame(..)));
    reader
}

#[test]
fn cancelling_ends_a_read() {
    let options = options();
    let mut reader = half_a_clip(&options);
    let cancel = options.cancel.clone();
    let canceller = thread::spawn(move || {
        cancel.cancel();
        Instant::now()
    });
    let error = loop {
        if let Item::End { error } = reader.next_item() {
            break error.unwrap();
        }
    };
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(canceller.join().unwrap().elapsed() < Duration::from_secs(1));
    let account = reader.account();
    assert_eq!((account.in_flight, account.received), (0, account.frames + account.lost));
    assert!(matches!(reader.next_item(), Item::End { error: Some(_) }), "the end stays");
}

#[test]
fn a_read_that_times_out_first_delivers_what_is_there() {
    let options = OpenOptions { read_timeout: Duration::from_millis(300), ..options() };
    let mut reader = half_a_clip(&options);
    let mut frames = 1;
    let error = loop {
        match reader.next_item() {
            Item::Frame(..) => frames += 1,
            Item::Lost(_) => {}
            Item::End { error } => break error.unwrap(),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let account = reader.account();
    assert_eq!((account.frames, account.received), (frames, account.frames + account.lost));
    assert!(frames > 20, "{account:?}");
}
