//! How to open an address.

use std::time::Duration;

use crate::auth::{AuthPolicy, Credentials};
use crate::tls::Trust;

/// How to open an address. The default suits a camera in the same building.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instead of those in the address.
    pub credentials: Option<Credentials>,
    /// Which ways to authenticate may be used.
    pub auth: AuthPolicy,
    /// Whom an RTSPS connection trusts.
    pub trust: Trust,
    /// The longest wait for a connection, and for each answer.
    pub request_timeout: Duration,
    /// The longest wait for media while playing.
    pub silence_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: None,
            auth: AuthPolicy::Auto,
            trust: Trust::System,
            request_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(10),
        }
    }
}
