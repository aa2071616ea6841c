//! Finds a host's address before FFmpeg asks for it.
//!
//! FFmpeg's TCP protocol calls `getaddrinfo` where no interrupt reaches it, and reports a name that does not exist as an
//! input/output error. So the name is resolved here first, on a thread that can be left behind.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::cancel::Interrupt;
use crate::error::{ErrorKind, MediaError};

/// How often the cancel flag is looked at while the resolver works.
const POLL: Duration = Duration::from_millis(20);

/// The numbers that `host` stands for, within the time of `interrupt`.
///
/// # Errors
/// `Unreachable` when there is no such host, `Timeout`, `Cancelled`.
pub(crate) fn resolve(host: &str, port: u16, interrupt: &Interrupt) -> Result<Vec<IpAddr>, MediaError> {
    let allowed = interrupt.time_left();
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let lookup = move || {
        let found = (name.as_str(), port)
            .to_socket_addrs()
            .map(|all| all.map(|address| address.ip()).collect::<Vec<_>>());
        // The reader may have left; then nobody wants the answer.
        let _ = sender.try_send(found);
    };
    // A look-up that hangs ends by itself when the system's resolver gives up.
    std::thread::Builder::new().name("resolve".to_owned()).spawn(lookup).map_err(|error| {
        MediaError::new(
            ErrorKind::Other(error.raw_os_error().unwrap_or(0)),
            format!("cannot look `{host}` up: {error}"),
        )
    })?;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(Ok(numbers)) if !numbers.is_empty() => return Ok(numbers),
            Ok(Ok(_)) | Err(RecvTimeoutError::Disconnected) => {
                return Err(unknown(host, "it has no address"));
            }
            Ok(Err(error)) => return Err(unknown(host, &error.to_string())),
            Err(RecvTimeoutError::Timeout) => match interrupt.error(&format!("look `{host}` up"), allowed) {
                Some(error) => return Err(error),
                None => continue,
            },
        }
    }
}

fn unknown(host: &str, why: &str) -> MediaError {
    MediaError::new(ErrorKind::Unreachable, format!("the host `{host}` cannot be found: {why}"))
}
