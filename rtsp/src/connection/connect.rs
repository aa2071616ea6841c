//! Opens the byte stream to a server: look-up, TCP, TLS. Everything that may block can be cancelled.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::POLL;
use crate::Options;
use crate::address::Address;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind};
use crate::options::Reach;
use crate::tls::{self, Trust};

/// Bytes both ways; reads return after [`POLL`] at the latest.
pub(super) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Connects to the server of `address` before `deadline`.
///
/// # Errors
/// `Unavailable`, `Cancelled`; `OutOfReach` for a host that may not be connected to; `Invalid` for certificates that cannot
/// be used.
pub(super) fn connect(
    address: &Address,
    options: &Options,
    cancel: &CancelToken,
    deadline: Instant,
) -> Result<Box<dyn Stream>, Error> {
    let socket = tcp(address, &options.reach, cancel, deadline)?;
    let set = socket.set_nodelay(true).and_then(|()| socket.set_read_timeout(Some(POLL)));
    set.and_then(|()| socket.set_write_timeout(Some(time_left(deadline))))
        .map_err(|error| Error::unavailable(format!("the connection cannot be set up: {error}")))?;
    match address.is_secure() {
        false => Ok(Box::new(socket)),
        true => Ok(Box::new(encrypt(socket, address, &options.trust, cancel, deadline)?)),
    }
}

/// Look-up and connection run on a thread of their own, since neither can be interrupted; it ends at the deadline.
fn tcp(
    address: &Address,
    reach: &Reach,
    cancel: &CancelToken,
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (host, port, reach) = (address.host().to_owned(), address.port(), reach.clone());
    let work = move || {
        // Whoever asked may have left; then nobody wants the connection.
        let _ = sender.try_send(connect_any(&host, port, &reach, deadline));
    };
    thread::Builder::new()
        .name("rtsp-connect".to_owned())
        .spawn(work)
        .map_err(|error| Error::unavailable(format!("no thread to connect with: {error}")))?;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(result) => return result,
            Err(_) if cancel.is_cancelled() => return Err(Error::cancelled()),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => return Err(Error::unavailable("no connection in time; is the host right?")),
        }
    }
}

/// The first of the host's numbers that may be connected to and answers. One that swallows packets does not take the time
/// of those behind it.
fn connect_any(host: &str, port: u16, reach: &Reach, deadline: Instant) -> Result<TcpStream, Error> {
    let numbers = (host, port).to_socket_addrs().map_err(|error| {
        Error::unavailable(format!("the host `{host}` cannot be found ({error}); is its name right?"))
    })?;
    let numbers: Vec<SocketAddr> = numbers.collect();
    let allowed = numbers.iter().filter(|number| reach.allows(number.ip()));
    let allowed: Vec<&SocketAddr> = allowed.collect();
    let mut last = match numbers.is_empty() {
        true => Error::unavailable(format!("the host `{host}` has no address")),
        false => out_of_reach(host),
    };
    for (index, number) in allowed.iter().enumerate() {
        let waiting = u32::try_from(allowed.len() - index).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(number, share(time_left(deadline), waiting)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = refused(&error),
        }
    }
    Err(last)
}

/// An equal part of the time for each of those that wait, the first of them included.
fn share(time: Duration, waiting: u32) -> Duration {
    // Zero would be refused.
    (time / waiting.max(1)).max(Duration::from_millis(1))
}

fn out_of_reach(host: &str) -> Error {
    let message = format!("the host `{host}` is in a network that the configuration forbids to sources");
    Error::new(ErrorKind::OutOfReach, message)
}

fn refused(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Error::unavailable("the connection is refused; is the port right?")
        }
        io::ErrorKind::TimedOut => Error::unavailable("no connection in time; is the host right?"),
        _ => Error::unavailable(format!("no connection: {error}")),
    }
}

fn encrypt(
    mut socket: TcpStream,
    address: &Address,
    trust: &Trust,
    cancel: &CancelToken,
    deadline: Instant,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let name = ServerName::try_from(address.host().to_owned())
        .map_err(|_| Error::new(ErrorKind::Invalid, "the host's name cannot be that of a certificate"))?;
    let mut session = ClientConnection::new(tls::config(trust)?, name)
        .map_err(|error| Error::unavailable(format!("TLS cannot be set up: {error}")))?;
    while session.is_handshaking() {
        match session.complete_io(&mut socket) {
            Ok(_) => {}
            Err(error) if is_pause(&error) => may_wait(cancel, deadline)?,
            Err(error) => return Err(handshake_failed(&error)),
        }
    }
    Ok(StreamOwned::new(session, socket))
}

/// # Errors
/// `Cancelled`, or `Unavailable` at the deadline.
fn may_wait(cancel: &CancelToken, deadline: Instant) -> Result<(), Error> {
    match cancel.is_cancelled() {
        true => Err(Error::cancelled()),
        false if Instant::now() < deadline => Ok(()),
        false => {
            Err(Error::unavailable("the server does not finish the TLS handshake; does it speak RTSPS?"))
        }
    }
}

fn handshake_failed(error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => Error::unavailable(format!(
            "the server's certificate is not trusted ({why:?}); give its certificate as a trusted file"
        )),
        _ => Error::unavailable(format!("no encrypted connection: {error}; does the server speak RTSPS?")),
    }
}

/// Whether nothing is wrong but that no byte came in time.
pub(super) fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

fn time_left(deadline: Instant) -> Duration {
    // Zero would mean "for ever" to the socket.
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
