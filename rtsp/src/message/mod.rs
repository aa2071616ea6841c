//! RTSP messages (RFC 2326): requests written, responses and interleaved packets read, as forgivingly as cameras need.

mod decoder;

pub(crate) use decoder::{Decoder, Item};

use std::fmt::Write as _;

/// Name and value pairs in the order of arrival; names ignore case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The number of the request that it answers, if it says so.
    pub(crate) fn sequence(&self) -> Option<u32> {
        self.headers.get("CSeq").and_then(leading_number)
    }
}

/// A request that the server makes of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerRequest {
    pub(crate) method: String,
    pub(crate) headers: Headers,
}

/// A request of ours. Values come from line-based sources or constants, so none holds a line break.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Request {
    pub(crate) fn new(method: &'static str, uri: impl Into<String>) -> Self {
        Self { method, uri: uri.into(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The request as it goes over the wire.
    pub(crate) fn encode(&self, sequence: u32, authorization: Option<&str>) -> Vec<u8> {
        let mut text = format!("{} {} RTSP/1.0\r\nCSeq: {sequence}\r\n", self.method, self.uri);
        let _ = write!(text, "User-Agent: {}\r\n", concat!("kinora/", env!("CARGO_PKG_VERSION")));
        if let Some(value) = authorization {
            let _ = write!(text, "Authorization: {value}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// The number that a text begins with, whatever follows it.
pub(crate) fn leading_number(text: &str) -> Option<u32> {
    let text = text.trim();
    text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
}
