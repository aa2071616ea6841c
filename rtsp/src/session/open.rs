//! The way to a description: OPTIONS, DESCRIBE, challenges, redirects.

use std::time::Duration;

use crate::Options;
use crate::address::{Address, is_rtsp};
use crate::auth::Authenticator;
use crate::cancel::CancelToken;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::message::{Request, Response};
use crate::sdp::{self, Presentation};

/// A redirect that leads to one more is followed so often.
const MOST_REDIRECTS: usize = 5;
/// OPTIONS is a courtesy; a server that does not answer it is asked for the description without.
const OPTIONS_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that has described what it has.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Where the way ended.
    pub(super) address: Address,
    pub(super) presentation: Presentation,
    /// What relative `control` attributes are relative to, by the server and by us.
    pub(super) bases: Vec<String>,
    /// The methods that the server understands.
    pub(super) public: Option<String>,
    /// What it calls itself.
    pub(super) server: Option<String>,
}

/// Connects and asks for the description.
///
/// # Errors
/// Of every kind; the message begins with the address.
pub(super) fn open(address: &Address, options: &Options, cancel: &CancelToken) -> Result<Opened, Error> {
    let mut address = address.clone();
    let mut credentials = options.credentials.clone().or_else(|| address.credentials().cloned());
    for _ in 0..=MOST_REDIRECTS {
        let authenticator = Authenticator::new(options.auth, credentials.clone());
        match ask(&address, authenticator, options, cancel).map_err(|error| error.at(&address))? {
            Answer::Described(opened) => return Ok(*opened),
            Answer::Elsewhere(location) => {
                let next = address
                    .redirected(&location)
                    .map_err(|error| error.at(format!("{address} redirects")))?;
                // What one host may know is no business of another.
                if !address.trusts(&next) {
                    credentials = None;
                }
                address = next;
            }
        }
    }
    Err(Error::protocol(format!("{address}: redirected more than {MOST_REDIRECTS} times")))
}

enum Answer {
    Described(Box<Opened>),
    Elsewhere(String),
}

fn ask(
    address: &Address,
    authenticator: Authenticator,
    options: &Options,
    cancel: &CancelToken,
) -> Result<Answer, Error> {
    let mut connection = Connection::open(address, authenticator, options, cancel)?;
    let timeout = options.request_timeout;
    let courtesy = connection.request(&Request::new("OPTIONS", address.uri()), OPTIONS_TIMEOUT.min(timeout));
    let public = match courtesy {
        Ok(response) => match location(&response) {
            Some(elsewhere) => return Ok(Answer::Elsewhere(elsewhere)),
            None => response.headers.get("Public").map(str::to_owned),
        },
        // Silence, or a server that hangs up on what it does not know: a fresh connection, and no OPTIONS.
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            connection = Connection::open(address, connection.into_authenticator(), options, cancel)?;
            None
        }
        Err(error) => return Err(error),
    };
    let describe = Request::new("DESCRIBE", address.uri()).with("Accept", "application/sdp");
    let response = connection.request(&describe, timeout)?;
    if let Some(elsewhere) = location(&response) {
        return Ok(Answer::Elsewhere(elsewhere));
    }
    check(&response, "DESCRIBE")?;
    let presentation = sdp::parse(&response.body)?;
    Ok(Answer::Described(Box::new(Opened {
        bases: bases(&response, address),
        presentation,
        public,
        server: response.headers.get("Server").map(str::to_owned),
        connection,
        address: address.clone(),
    })))
}

fn location(response: &Response) -> Option<String> {
    let is_redirect = matches!(response.status, 301 | 302 | 303 | 305 | 307 | 308);
    response.headers.get("Location").filter(|location| is_redirect && !location.is_empty()).map(str::to_owned)
}

/// The base that the server names, if it can be one, then the address that was asked.
fn bases(response: &Response, address: &Address) -> Vec<String> {
    let named = ["Content-Base", "Content-Location"].into_iter().find_map(|name| response.headers.get(name));
    let mut bases: Vec<String> = named.filter(|base| is_rtsp(base)).map(str::to_owned).into_iter().collect();
    if !bases.contains(&address.uri()) {
        bases.push(address.uri());
    }
    bases
}

/// Takes anything but success for an error of the kind that its status means.
pub(super) fn check(response: &Response, method: &str) -> Result<(), Error> {
    let (kind, hint) = match response.status {
        200..=299 => return Ok(()),
        401 | 403 => (ErrorKind::Unauthorized, "may this user see it?"),
        404 | 410 => (ErrorKind::NotFound, "is the path right?"),
        415 | 461 => (ErrorKind::Unsupported, "it does not send media over the same connection (TCP)"),
        453 | 503 => (ErrorKind::Unavailable, "too many are watching, or it is not ready"),
        500..=599 => (ErrorKind::Unavailable, "the fault is its own"),
        _ => (ErrorKind::Protocol, "it does not like the request"),
    };
    let (status, reason) = (response.status, &response.reason);
    Err(Error::new(kind, format!("the server answers {status} {reason} to {method}: {hint}")))
}
