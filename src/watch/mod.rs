//! `kinora watch`: an agent that prints every event once and in order, however often its connection breaks.
//!
//! One live connection brings what happens. Each session's last number is remembered ([`ledger`]); when an event
//! does not follow it (after a reconnection, or after a gap for slowness), a second connection for that session
//! alone resumes at `after=`, and live events of the session are left out until the two meet. The client is
//! tungstenite: awc is a whole HTTP client with a pool of connections, and two small requests ([`http`]) are all
//! the HTTP that is needed. Addresses with TLS are refused for now: put a proxy in front of the agent.

mod agent;
mod backoff;
mod http;
mod ledger;
mod link;
mod links;
mod target;
#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::time::Duration;

pub(crate) use agent::watch;

/// How to watch.
pub(crate) struct WatchOptions {
    /// `http://host:port`, `ws://host:port/ws/analysis?stream=...`.
    pub(crate) url: String,
    /// Who asks.
    pub(crate) credentials: Credentials,
    /// Deadlines.
    pub(crate) timing: Timing,
}

/// Who asks.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// A token; when it expires, watching is over.
    Token(String),
    /// A user, who logs in as often as needed.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
}

/// Deadlines; tests inject shorter ones.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// One unit of the backoff 1, 2, 5, 10, 20, 40, 60.
    pub(crate) backoff_unit: Duration,
    /// A connection without a ping or an event for so long is dead. The server pings every 30 s.
    pub(crate) silence: Duration,
    /// A connection that catches up and brings nothing for so long is not needed: longer than the server waits
    /// for its database.
    pub(crate) catch_up_idle: Duration,
    /// For connecting and for small requests.
    pub(crate) request: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff_unit: Duration::from_secs(1),
            silence: Duration::from_secs(75),
            catch_up_idle: Duration::from_secs(15),
            request: Duration::from_secs(10),
        }
    }
}

/// What an operator at the terminal may want to know meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Events flow.
    Connected,
    /// The connection is lost or was not made.
    Lost {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A session is being caught up with.
    CatchingUp {
        /// Which.
        session: String,
        /// After which number.
        after: u64,
    },
    /// A session cannot be resumed: the server does not know it any more.
    Forgotten {
        /// Which.
        session: String,
    },
}

/// Why watching ended though nobody asked for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// The address is not one that can be watched.
    #[error("{0}")]
    Address(String),
    /// The server refuses, and would again.
    #[error("the server refuses ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// Events cannot be written.
    #[error("events cannot be written: {0}")]
    Output(#[from] io::Error),
}
