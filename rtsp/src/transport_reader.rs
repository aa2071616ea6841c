//! A session's transport stream as bytes, for a demultiplexer that wants to read.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::receiver::AccessUnit;
use crate::session::Client;

/// Reads what a [`Client`] of [`Codec::MpegTs`](crate::Codec::MpegTs) receives.
///
/// `read` blocks as [`Client::next`] does. Its errors are of kind `TimedOut` for a server that is away or silent, else
/// `Other`; whoever reads through a demultiplexer, which keeps errors to itself, asks [`TransportStatus`].
pub struct TransportReader {
    client: Client,
    unit: Option<AccessUnit>,
    /// How much of the unit was read.
    at: usize,
    status: Arc<TransportStatus>,
}

/// What goes on behind a demultiplexer.
#[derive(Debug, Default)]
pub struct TransportStatus(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    error: Option<Error>,
    received_at: Option<Instant>,
    lost_packets: u64,
}

impl TransportStatus {
    /// Why reading failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.with(|state| state.error.clone())
    }

    /// When the bytes arrived that were read last.
    #[must_use]
    pub fn received_at(&self) -> Option<Instant> {
        self.with(|state| state.received_at)
    }

    /// Packets of RTP that were lost; each may have held seven of the transport stream.
    #[must_use]
    pub fn lost_packets(&self) -> u64 {
        self.with(|state| state.lost_packets)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Nothing is left half done in it by a thread that panics.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TransportReader {
    /// Reads from a client that plays.
    ///
    /// # Errors
    /// `Unsupported` when what it plays is no transport stream.
    pub fn new(client: Client) -> Result<Self, Error> {
        if client.codec() != crate::Codec::MpegTs {
            let message = format!("{} is no transport stream", client.description().address);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Self { client, unit: None, at: 0, status: Arc::default() })
    }

    /// What goes on, for whoever gives the reader away.
    #[must_use]
    pub fn status(&self) -> Arc<TransportStatus> {
        Arc::clone(&self.status)
    }

    fn next_unit(&mut self) -> Result<Option<AccessUnit>, Error> {
        let next = self.client.next();
        self.status.with(|state| match &next {
            Ok(Some(unit)) => {
                state.received_at = Some(unit.received_at);
                state.lost_packets += u64::from(unit.lost_packets);
            }
            Ok(None) => {}
            Err(error) => state.error = Some(error.clone()),
        });
        next
    }
}

impl Read for TransportReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unit.as_ref().is_none_or(|unit| self.at == unit.data.len()) {
            let kind = |error: &Error| match error.kind() {
                ErrorKind::Unavailable => io::ErrorKind::TimedOut,
                _ => io::ErrorKind::Other,
            };
            self.unit = self.next_unit().map_err(|error| io::Error::new(kind(&error), error))?;
            self.at = 0;
        }
        let rest = self.unit.as_ref().map_or(&[][..], |unit| &unit.data[self.at..]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
