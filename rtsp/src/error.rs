//! What can go wrong with a camera: a kind that decides what to do next, and a sentence for the person who reads it.

use std::fmt;

/// An error of this crate. Its text names the server, what failed and a hint; it never holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What an error means for the one who has to decide: retry, give up, ask a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Refused, hung up, silent, or its name is unknown: it may come back.
    Unavailable,
    /// The server is there and has nothing under this path.
    NotFound,
    /// It asks for credentials that were not given, or refused those that were.
    Unauthorized,
    /// There is no video, or none in a form that is read here.
    Unsupported,
    /// It is, or leads, where no connection may go. A name may mean another host later.
    OutOfReach,
    /// What it says is not RTSP, or contradicts itself.
    Protocol,
    /// The address or an option cannot be used.
    Invalid,
    /// The wait was cancelled.
    Cancelled,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the wait was cancelled")
    }

    /// What it means.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with the place where it happened in front.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{place}: {}", self.message) }
    }
}
