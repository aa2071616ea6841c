//! Cuts a byte stream into responses, requests and interleaved packets (RFC 2326, section 10.12). No input or output.
//!
//! Lines end with CR LF, LF, or blanks before either; lines without a colon are skipped; text need not be UTF-8.

use bytes::{Buf, Bytes, BytesMut};

use super::{Headers, Response, ServerRequest};
use crate::error::Error;
use crate::text::printable;

/// A head longer than this is no RTSP.
const MOST_HEAD: usize = 64 * 1024;
/// Descriptions take a few kilobytes.
const MOST_BODY: usize = 1024 * 1024;

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Response(Response),
    Request(ServerRequest),
    /// A packet of RTP or RTCP on its channel.
    Packet(u8, Bytes),
}

/// Bytes in, items out.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item, when all of it is there.
    ///
    /// # Errors
    /// `Protocol` for bytes that cannot be RTSP; the connection is of no use after that.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Error> {
        let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)).count();
        self.buffer.advance(blank);
        match self.buffer.first() {
            None => Ok(None),
            Some(b'$') => Ok(self.packet()),
            Some(byte) if byte.is_ascii_alphabetic() => self.message(),
            Some(_) => Err(Error::protocol("the server sends something that is not RTSP")),
        }
    }

    fn packet(&mut self) -> Option<Item> {
        let &[_, channel, high, low, ..] = &*self.buffer else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if self.buffer.len() < 4 + length {
            return None;
        }
        self.buffer.advance(4);
        Some(Item::Packet(channel, self.buffer.split_to(length).freeze()))
    }

    fn message(&mut self) -> Result<Option<Item>, Error> {
        let Some(head_length) = head_length(&self.buffer) else {
            return match self.buffer.len() > MOST_HEAD {
                true => Err(Error::protocol("the server sends a line without an end")),
                false => Ok(None),
            };
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_length]).into_owned();
        let mut lines = head.lines().map(str::trim_end);
        let first = lines.next().unwrap_or_default();
        let headers = headers(lines);
        let body_length = headers.get("Content-Length").and_then(super::leading_number).unwrap_or(0) as usize;
        if body_length > MOST_BODY {
            return Err(Error::protocol(format!("the server announces a body of {body_length} bytes")));
        }
        if self.buffer.len() < head_length + body_length {
            return Ok(None);
        }
        self.buffer.advance(head_length);
        let body = self.buffer.split_to(body_length).to_vec();
        item(first, headers, body).map(Some)
    }
}

/// The length of a head with the empty line that ends it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let end = start + bytes[start..].iter().position(|&byte| byte == b'\n')?;
        if bytes[start..end].iter().all(u8::is_ascii_whitespace) {
            return Some(end + 1);
        }
        start = end + 1;
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> Headers {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), headers.last_mut(), line.split_once(':')) {
            // A folded line goes on with the value of the one before it.
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (_, _, Some((name, value))) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
            _ => {}
        }
    }
    Headers(headers)
}

fn item(first: &str, headers: Headers, body: Vec<u8>) -> Result<Item, Error> {
    let mut words = first.split_whitespace();
    let (word, next) = (words.next().unwrap_or_default(), words.next());
    if !word.to_ascii_uppercase().starts_with("RTSP/") {
        // `HTTP/1.1 400 Bad Request` is what a web server says to us.
        return match word.contains('/') {
            true => Err(Error::protocol("the server does not speak RTSP; is the port right?")),
            false => Ok(Item::Request(ServerRequest { method: word.to_ascii_uppercase(), headers })),
        };
    }
    let status = next.and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Error::protocol("the server answers without a status code"))?;
    let reason = printable(&words.collect::<Vec<_>>().join(" "));
    Ok(Item::Response(Response { status, reason, headers, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Item> {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        std::iter::from_fn(|| decoder.next().unwrap()).collect()
    }

    fn response(item: &Item) -> &Response {
        match item {
            Item::Response(response) => response,
            other => panic!("{other:?}"),
        }
    }

    const MIXED: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: 4\r\n\r\nv=0\n$\x01\x00\x02ab\
                           RTSP/1.0 404 Stream Not Found\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n";

    #[test]
    fn messages_and_packets_are_told_apart_however_the_bytes_arrive() {
        let whole = all(MIXED);
        assert_eq!(whole.len(), 4);
        assert_eq!((response(&whole[0]).sequence(), &*response(&whole[0]).body), (Some(3), &b"v=0\n"[..]));
        assert_eq!(whole[1], Item::Packet(1, Bytes::from_static(b"ab")));
        assert_eq!((response(&whole[2]).status, &*response(&whole[2]).reason), (404, "Stream Not Found"));
        assert!(matches!(&whole[3], Item::Request(request) if request.method == "OPTIONS"));
        let mut decoder = Decoder::default();
        let mut single = Vec::new();
        for byte in MIXED {
            decoder.push(&[*byte]);
            single.extend(std::iter::from_fn(|| decoder.next().unwrap()));
        }
        assert_eq!(single, whole);
    }

    #[test]
    fn careless_messages_are_read() {
        for bytes in [
            &b"RTSP/1.0 200 OK\nCSeq: 7\nContent-Length: 2\n\nab"[..],
            b"\r\nRTSP/1.0 200 OK  \r\ncseq : 7 \r\nCONTENT-LENGTH:2 bytes\r\n\r\nab",
            b"RTSP/1.0 200\r\nnonsense\r\nCSeq:7\r\nServer: caf\xe9\r\nContent-length: 2\r\n \t\r\nab",
            b"rtsp/1.0  200  OK\r\nCSeq:\r\n 7\r\nContent-Length: 2\r\n\r\nab",
        ] {
            let items = all(bytes);
            let response = response(&items[0]);
            assert_eq!((response.status, response.sequence()), (200, Some(7)), "{}", bytes.escape_ascii());
            assert_eq!(response.body, b"ab", "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_rtsp_is_refused() {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x16\x03\x01", b"RTSP/1.0 what\r\n\r\n"] {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert!(decoder.next().is_err(), "{}", bytes.escape_ascii());
        }
        let mut decoder = Decoder::default();
        decoder.push(&vec![b'A'; MOST_HEAD + 1]);
        assert!(decoder.next().is_err());
    }
}
