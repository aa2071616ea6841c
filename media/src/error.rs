//! What can go wrong with media: a kind that decides what to do next, and a sentence for the person who reads it.

use std::ffi::c_int;
use std::io;

use crate::raw::{self, sys};

/// An error of this crate. Its text says who, what and where, and never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MediaError {
    kind: ErrorKind,
    message: String,
}

/// What an error means for the one who has to decide: retry, give up, ask a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such file or device.
    NotFound,
    /// The path is a directory.
    IsDirectory,
    /// The file or device may not be read (or written).
    PermissionDenied,
    /// The file has 0 bytes.
    Empty,
    /// The bytes are no media that FFmpeg knows, or a playlist, which is refused.
    NotMedia,
    /// There are streams, but no video among them.
    NoVideo,
    /// This FFmpeg has no decoder (or encoder) for it.
    UnsupportedCodec,
    /// The host has no address, or no way leads to it.
    Unreachable,
    /// The host is in a network that the [`crate::Reach`] leaves out.
    OutOfReach,
    /// The host is there and refuses the connection: the port is closed.
    Refused,
    /// The server asks for credentials, or refuses those that were given (401).
    Unauthorized,
    /// The server knows the caller and refuses (403).
    Forbidden,
    /// The server has no such resource (404).
    NotFoundRemote,
    /// A deadline passed.
    Timeout,
    /// The [`crate::CancelToken`] was cancelled.
    Cancelled,
    /// The connection ended before it should have.
    Disconnected,
    /// The address begins with a scheme that is not allowed.
    UnknownScheme,
    /// The address is not well-formed, or names something that cannot be a source.
    BadAddress,
    /// A packet or a part of the stream is broken; what follows may be well.
    Corrupt,
    /// The file ends before its index says so.
    Truncated,
    /// A setting of the encoder, or a picture given to it, is out of range.
    InvalidSettings,
    /// Anything else, with FFmpeg's code.
    Other(i32),
}

impl MediaError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// From FFmpeg's `code`: "cannot {what}: {why}". `invalid` is what "invalid data" means in this place.
    pub(crate) fn from_code(code: c_int, what: &str, invalid: ErrorKind) -> Self {
        Self::from_code_and_log(code, what, invalid, str::to_owned)
    }

    /// The same, with FFmpeg's own line passed through `clean`; to take secrets out.
    pub(crate) fn from_code_and_log(
        code: c_int,
        what: &str,
        invalid: ErrorKind,
        clean: impl FnOnce(&str) -> String,
    ) -> Self {
        let kind = kind_of(code, invalid);
        let mut why = reason(kind).map_or_else(|| raw::error_text(code), str::to_owned);
        if let Some(line) = crate::log::take() {
            why = format!("{why} ({})", clean(&line));
        }
        Self::new(kind, format!("cannot {what}: {why}"))
    }

    /// FFmpeg had no memory to give.
    pub(crate) fn no_memory(what: &str) -> Self {
        Self::new(ErrorKind::Other(raw::NO_MEMORY), format!("cannot {what}: out of memory"))
    }

    /// What the error means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

fn kind_of(code: c_int, invalid: ErrorKind) -> ErrorKind {
    match code {
        sys::AVERROR_INVALIDDATA => invalid,
        sys::AVERROR_EOF => ErrorKind::Disconnected,
        sys::AVERROR_EXIT => ErrorKind::Cancelled,
        sys::AVERROR_HTTP_UNAUTHORIZED => ErrorKind::Unauthorized,
        sys::AVERROR_HTTP_FORBIDDEN => ErrorKind::Forbidden,
        sys::AVERROR_HTTP_NOT_FOUND => ErrorKind::NotFoundRemote,
        sys::AVERROR_DECODER_NOT_FOUND | sys::AVERROR_ENCODER_NOT_FOUND | sys::AVERROR_PATCHWELCOME => {
            ErrorKind::UnsupportedCodec
        }
        sys::AVERROR_PROTOCOL_NOT_FOUND => ErrorKind::UnknownScheme,
        code => kind_of_errno(code),
    }
}

/// POSIX errors arrive negated; the standard library knows what they mean.
fn kind_of_errno(code: c_int) -> ErrorKind {
    if !(-4096..0).contains(&code) {
        return ErrorKind::Other(code);
    }
    match io::Error::from_raw_os_error(-code).kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::IsADirectory => ErrorKind::IsDirectory,
        io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            ErrorKind::Unreachable
        }
        io::ErrorKind::TimedOut => ErrorKind::Timeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            ErrorKind::Disconnected
        }
        _ => ErrorKind::Other(code),
    }
}

fn reason(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "there is no such file or device",
        ErrorKind::IsDirectory => "it is a directory; a media file is needed",
        ErrorKind::PermissionDenied => {
            "permission denied; the user of this process must be allowed to use it"
        }
        ErrorKind::NotMedia => {
            "this is not a video that can be read; MP4, MPEG-TS, Matroska, AVI, PNG, JPEG and others can"
        }
        ErrorKind::UnsupportedCodec => "this FFmpeg has no codec for it",
        ErrorKind::Unreachable => "the host cannot be reached",
        ErrorKind::Refused => "the connection was refused; nothing listens on that port",
        ErrorKind::Unauthorized => "the server wants a valid user name and password (401)",
        ErrorKind::Forbidden => "the server forbids it (403)",
        ErrorKind::NotFoundRemote => "the server has no such stream (404)",
        ErrorKind::Timeout => "the time allowed for it passed",
        ErrorKind::Cancelled => "it was cancelled",
        ErrorKind::Disconnected => "the connection or the file ended early",
        ErrorKind::Corrupt => "the data are broken",
        _ => return None,
    })
}
