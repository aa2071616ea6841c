//! One connection to a server: requests out, answers and packets in. The thin shell around the [`Decoder`].

mod connect;

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Options;
use crate::address::Address;
use crate::auth::Authenticator;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind};
use crate::message::{Decoder, Item, Request, Response, ServerRequest};
use connect::{Stream, connect, is_pause};

/// How often a wait looks at the cancel flag.
const POLL: Duration = Duration::from_millis(50);
/// Packets that arrive before the answer to a request are kept up to this many; then the oldest go, and are counted
/// as lost by their sequence numbers.
const MOST_EARLY: usize = 4096;
/// Answers to 401 for one request: the first challenge, then an expired nonce.
const MOST_CHALLENGES: u32 = 2;

/// A packet and when it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) channel: u8,
    pub(crate) data: Bytes,
    pub(crate) received_at: Instant,
}

/// What arrived while nobody waited for an answer.
#[derive(Debug)]
pub(crate) enum Event {
    Packet(Packet),
    /// An answer to [`Connection::send`].
    Response(Response),
    /// The server ends the session.
    Farewell,
}

/// A connection, with the authorisation that its server wants.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    authenticator: Authenticator,
    cancel: CancelToken,
    sequence: u32,
    /// Requests whose answers nobody waits for any more.
    abandoned: Vec<u32>,
    early: VecDeque<Packet>,
    round_trip: Option<Duration>,
    buffer: Vec<u8>,
    /// When the bytes in the decoder arrived.
    read_at: Instant,
}

impl Connection {
    /// Connects; nothing is sent yet.
    ///
    /// # Errors
    /// `Unavailable`, `Cancelled`, `Invalid`.
    pub(crate) fn open(
        address: &Address,
        authenticator: Authenticator,
        options: &Options,
        cancel: &CancelToken,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + options.request_timeout;
        Ok(Self {
            stream: connect(address, options, cancel, deadline)?,
            decoder: Decoder::default(),
            authenticator,
            cancel: cancel.clone(),
            sequence: 0,
            abandoned: Vec::new(),
            early: VecDeque::new(),
            round_trip: None,
            buffer: vec![0; 64 * 1024],
            read_at: Instant::now(),
        })
    }

    /// The authorisation that was learned, for a new connection to the same server.
    pub(crate) fn into_authenticator(self) -> Authenticator {
        self.authenticator
    }

    /// The schemes that the server offered.
    pub(crate) fn offered(&self) -> &[String] {
        self.authenticator.offered()
    }

    /// The quickest answer so far.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Sends a request and waits for its answer, whatever its status; answers challenges on the way.
    ///
    /// # Errors
    /// `Unavailable`, `Cancelled`, `Protocol`; `Unauthorized` when the credentials do not help.
    pub(crate) fn request(&mut self, request: &Request, timeout: Duration) -> Result<Response, Error> {
        let mut challenges = 0;
        loop {
            let sequence = self.send(request)?;
            let response = self.answer(request.method, sequence, Instant::now() + timeout)?;
            if response.status != 401 {
                self.authenticator.accepted();
                return Ok(response);
            }
            challenges += 1;
            self.challenged(&response)?;
            if challenges > MOST_CHALLENGES {
                return Err(Error::new(
                    ErrorKind::Unauthorized,
                    "the server asks for credentials again and again",
                ));
            }
        }
    }

    /// Takes a 401: the next request carries what it asks for.
    ///
    /// # Errors
    /// `Unauthorized` when another try cannot help.
    pub(crate) fn challenged(&mut self, response: &Response) -> Result<(), Error> {
        self.authenticator.challenged(response.headers.all("WWW-Authenticate"))
    }

    /// The server took an authorised request that was answered outside [`Self::request`].
    pub(crate) fn accepted(&mut self) {
        self.authenticator.accepted();
    }

    /// Sends a request without waiting; gives its number.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) fn send(&mut self, request: &Request) -> Result<u32, Error> {
        self.sequence += 1;
        let authorization = self.authenticator.authorize(request.method, &request.uri)?;
        self.write(&request.encode(self.sequence, authorization.as_deref()))?;
        Ok(self.sequence)
    }

    /// The next thing that arrives, or none until the deadline; packets that came before an answer come first.
    ///
    /// # Errors
    /// `Unavailable` when the server hangs up, `Cancelled`, `Protocol`.
    pub(crate) fn next(&mut self, deadline: Instant) -> Result<Option<Event>, Error> {
        if let Some(packet) = self.early.pop_front() {
            return Ok(Some(Event::Packet(packet)));
        }
        loop {
            let Some((item, received_at)) = self.receive(deadline)? else { return Ok(None) };
            match item {
                Item::Packet(channel, data) => {
                    return Ok(Some(Event::Packet(Packet { channel, data, received_at })));
                }
                Item::Response(response) => return Ok(Some(Event::Response(response))),
                Item::Request(request) if matches!(&*request.method, "TEARDOWN" | "REDIRECT") => {
                    return Ok(Some(Event::Farewell));
                }
                Item::Request(request) => self.refuse(&request)?,
            }
        }
    }

    /// Waits for the answer to request `sequence`.
    fn answer(&mut self, method: &str, sequence: u32, deadline: Instant) -> Result<Response, Error> {
        let sent_at = Instant::now();
        loop {
            let Some((item, received_at)) = self.receive(deadline)? else {
                self.abandoned.push(sequence);
                return Err(Error::unavailable(format!(
                    "the server does not answer {method} in time; is it RTSP that listens on this port?"
                )));
            };
            match item {
                Item::Packet(channel, data) => self.keep(Packet { channel, data, received_at }),
                // A late answer to something else; any other number is a careless server's answer to this.
                Item::Response(response)
                    if response.sequence().is_some_and(|n| self.abandoned.contains(&n)) => {}
                Item::Response(response) => {
                    let taken = received_at.saturating_duration_since(sent_at);
                    self.round_trip = Some(self.round_trip.map_or(taken, |best| best.min(taken)));
                    return Ok(response);
                }
                Item::Request(request) => self.refuse(&request)?,
            }
        }
    }

    fn keep(&mut self, packet: Packet) {
        if self.early.len() == MOST_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(packet);
    }

    /// Servers may ask as well; none of their questions needs more than a polite no.
    fn refuse(&mut self, request: &ServerRequest) -> Result<(), Error> {
        let sequence = request.headers.get("CSeq").unwrap_or("0").to_owned();
        self.write(format!("RTSP/1.0 501 Not Implemented\r\nCSeq: {sequence}\r\n\r\n").as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .map_err(|error| Error::unavailable(format!("the server takes no request: {error}")))
    }

    /// The next item, or none until the deadline.
    fn receive(&mut self, deadline: Instant) -> Result<Option<(Item, Instant)>, Error> {
        loop {
            if let Some(item) = self.decoder.next()? {
                return Ok(Some((item, self.read_at)));
            }
            if self.cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(Error::unavailable("the server hung up")),
                Ok(count) => {
                    self.read_at = Instant::now();
                    self.decoder.push(&self.buffer[..count]);
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(Error::unavailable(format!("the connection broke: {error}"))),
            }
        }
    }
}
