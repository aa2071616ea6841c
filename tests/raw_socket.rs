//! A WebSocket client that does only what a test tells it to: it may leave pings unanswered, stop reading and have
//! small buffers, which no library allows. And the refusals that a client may meet.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// Longer than any deadline of the server that a test waits for.
const LIMIT: Duration = Duration::from_secs(60);
/// Bytes that the kernel keeps for a client that does not read, and the segments they come in. Segments matter: the
/// server's kernel gives a connection room for some of them, and over the loopback they are 64 kB otherwise.
const SMALL_BUFFER: usize = 4 * 1024;
const SMALL_SEGMENT: u32 = 536;

/// What the server sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// An event.
    Text(Value),
    /// A ping.
    Ping,
    /// The end, with its code and its word.
    Close(u16, String),
}

/// A request for an upgrade that was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) problem: Value,
}

/// A client.
pub(crate) struct RawSocket {
    stream: TcpStream,
}

impl RawSocket {
    /// Subscribes with the subprotocol `json` and this token; the server agrees.
    pub(crate) fn open(address: &str, query: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        Self::upgrade(stream, query, &subscription(token)).unwrap()
    }

    /// The same with small buffers, which are soon full when the client does not read.
    pub(crate) fn open_narrow(address: &str, query: &str, token: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(SMALL_BUFFER).unwrap();
        socket.set_tcp_mss(SMALL_SEGMENT).unwrap();
        socket.connect(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        Self::upgrade(socket.into(), query, &subscription(token)).unwrap()
    }

    /// Asks for an upgrade with these further headers.
    pub(crate) fn ask(address: &str, query: &str, headers: &str) -> Result<Self, Refusal> {
        Self::upgrade(TcpStream::connect(address).unwrap(), query, headers)
    }

    fn upgrade(mut stream: TcpStream, query: &str, headers: &str) -> Result<Self, Refusal> {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let request = format!(
            "GET /ws/analysis?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 101 {
            assert_eq!(header(&head, "sec-websocket-protocol"), "json");
            return Ok(Self { stream });
        }
        let mut body = vec![0; header(&head, "content-length").parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        let content_type = header(&head, "content-type").to_owned();
        Err(Refusal { status, content_type, problem: serde_json::from_slice(&body).unwrap() })
    }

    /// The next frame; `None` when the connection is over, however it ended. That it is over is never assumed: a
    /// connection that stays open and silent fails the test.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let head = self.bytes(2)?;
        let length = match head[1] {
            126 => u16::from_be_bytes(self.bytes(2)?.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.bytes(8)?.try_into().unwrap()),
            short => short.into(),
        };
        let payload = self.bytes(usize::try_from(length).unwrap())?;
        // The final frame of a message, with its kind.
        Some(match head[0] {
            0x81 => Frame::Text(serde_json::from_slice(&payload).unwrap()),
            0x89 => Frame::Ping,
            0x88 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Frame::Close(code, String::from_utf8(payload[2..].to_vec()).unwrap())
            }
            other => panic!("a frame that the server has no reason to send: {other:#x}"),
        })
    }

    /// The next event; pings before it are left unanswered.
    pub(crate) fn event(&mut self) -> Value {
        loop {
            match self.next() {
                Some(Frame::Text(event)) => return event,
                Some(Frame::Ping) => {}
                other => panic!("an event was expected: {other:?}"),
            }
        }
    }

    /// Answers a ping.
    pub(crate) fn pong(&mut self) {
        // A client's frames are masked; this one's mask is zero.
        self.stream.write_all(&[0x8A, 0x80, 0, 0, 0, 0]).unwrap();
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) => {
                None
            }
            Err(error) => panic!("the connection should have ended or said something: {error}"),
        }
    }
}

/// The headers of a good subscription.
pub(crate) fn subscription(token: &str) -> String {
    format!("Sec-WebSocket-Protocol: json\r\nAuthorization: Bearer {token}\r\n")
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    };
    head.lines().find_map(value).unwrap_or_else(|| panic!("no {name} in {head}"))
}
