//! A camera that says what a test wants: answers, bytes and hang-ups by script, and a record of what it was sent.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use kinora_rtsp::Address;

pub(super) const SPS: &[u8] = &[0x67, 0x42, 0, 0x1e];
pub(super) const PPS: &[u8] = &[0x68, 0xce, 0x3c];
pub(super) const KEY: &[u8] = &[0x65, 0x88, 1];
pub(super) const DELTA: &[u8] = &[0x41, 0x9a, 2];

/// A description with sound before the picture, as most cameras have it.
pub(super) const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n\
    m=audio 0 RTP/AVP 8\r\na=control:trackID=0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAHg==,aM48\r\na=control:trackID=1\r\n";

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) uri: String,
    lines: Vec<String>,
    /// The server's own address.
    pub(super) base: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.lines.iter().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn read(requests: &mut impl BufRead, port: u16) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let mut words = lines[0].split(' ').map(str::to_owned);
        let (method, uri) = (words.next()?, words.next()?);
        let base = format!("rtsp://127.0.0.1:{port}/camera");
        Some(Self { method, uri, lines, base })
    }
}

/// What the camera does about a request.
pub(super) enum Reply {
    Bytes(Vec<u8>),
    Silence,
    HangUp,
    /// Says something, then goes on by itself and hangs up.
    Live(Vec<u8>, Box<dyn FnOnce(TcpStream) + Send>),
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

/// Listens until the process ends.
pub(super) struct Script {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, requests) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let record = Arc::clone(&requests);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
                thread::spawn(move || converse(socket.unwrap(), port, &*answer, &record));
            }
        });
        Self { port, requests }
    }

    pub(super) fn address(&self) -> Address {
        self.address_of("127.0.0.1", "")
    }

    pub(super) fn address_of(&self, host: &str, user: &str) -> Address {
        Address::parse(&format!("rtsp://{user}{host}:{}/camera", self.port)).unwrap()
    }

    /// What was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until a request of this kind was made.
    pub(super) fn wait_for(&self, what: impl Fn(&Request) -> bool) -> Request {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            if let Some(found) = self.requests().into_iter().find(|request| what(request)) {
                return found;
            }
            assert!(std::time::Instant::now() < deadline, "no such request: {:?}", self.requests());
            thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }

    /// Everything that was sent to it, as text.
    pub(super) fn transcript(&self) -> String {
        self.requests().iter().fold(String::new(), |mut text, request| {
            let _ = writeln!(text, "{}", request.lines.join("\n"));
            text
        })
    }
}

fn converse(
    mut socket: TcpStream,
    port: u16,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
    record: &Mutex<Vec<Request>>,
) {
    let mut requests = BufReader::new(socket.try_clone().unwrap());
    while let Some(request) = Request::read(&mut requests, port) {
        let reply = answer(&request);
        record.lock().unwrap().push(request);
        // A client that has left is the test's business.
        match reply {
            Reply::Bytes(bytes) => drop(socket.write_all(&bytes)),
            Reply::Silence => {}
            Reply::HangUp => break,
            Reply::Live(bytes, go_on) => {
                socket.write_all(&bytes).unwrap();
                return go_on(socket);
            }
        }
    }
    let _ = socket.shutdown(std::net::Shutdown::Both);
}

/// An answer with the request's number.
pub(super) fn answer(request: &Request, status: &str, headers: &str, body: &str) -> String {
    let sequence = request.header("CSeq").unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{headers}{length}\r\n{body}")
}

/// What a good camera says.
pub(super) fn good(request: &Request) -> String {
    good_with(request, SDP)
}

/// The same with another description.
pub(super) fn good_with(request: &Request, sdp: &str) -> String {
    let ok = |headers: &str, body| answer(request, "200 OK", headers, body);
    match &*request.method {
        "OPTIONS" => {
            ok("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\nServer: script\r\n", "")
        }
        "DESCRIBE" => {
            ok(&format!("Content-Base: {}/\r\nContent-Type: application/sdp\r\n", request.base), sdp)
        }
        "SETUP" if request.uri == format!("{}/trackID=1", request.base) => {
            ok("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 12345678;timeout=60\r\n", "")
        }
        "SETUP" | "PLAY" if request.uri.contains("trackID") => answer(request, "404 Not Found", "", ""),
        "SETUP" => answer(request, "459 Aggregate Operation Not Allowed", "", ""),
        "PLAY" => ok("Session: 12345678\r\nRTP-Info: url=trackID=1;seq=1\r\n", ""),
        _ => ok("Session: 12345678\r\n", ""),
    }
}

/// The same answer with another head; the body and its length stay.
pub(super) fn edit_head(reply: &str, edit: impl Fn(&str) -> String) -> String {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    edit(&format!("{head}\r\n\r\n")) + body
}

/// Follows PLAY with packets.
pub(super) fn with_media(request: &Request, reply: String, packets: &[Vec<u8>]) -> Reply {
    let mut bytes = reply.into_bytes();
    if request.method == "PLAY" {
        bytes.extend(packets.concat());
    }
    Reply::Bytes(bytes)
}

/// Three pictures and good-bye.
pub(super) fn media() -> Vec<Vec<u8>> {
    vec![
        packet(1, 9_000, true, KEY),
        packet(2, 12_000, true, DELTA),
        packet(3, 15_000, true, DELTA),
        interleaved(1, &[0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 203, 0, 1, 0, 0, 0, 7]),
    ]
}

/// A packet of RTP on channel 0.
pub(super) fn packet(sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, (u8::from(marker) << 7) | 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(payload);
    interleaved(0, &packet)
}

pub(super) fn interleaved(channel: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&[b'$', channel][..], &length, data].concat()
}
