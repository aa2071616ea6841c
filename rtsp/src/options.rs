//! How to open an address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
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
    /// Where connections may lead, those that a redirect asks for included.
    pub reach: Reach,
    /// The longest wait for a connection, and for each answer.
    pub request_timeout: Duration,
    /// The longest wait for a whole unit of media while playing. Packets that give none are as good as silence.
    pub silence_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: None,
            auth: AuthPolicy::Auto,
            trust: Trust::System,
            reach: Reach::default(),
            request_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(10),
        }
    }
}

/// Which hosts may be connected to; all of them unless somebody says otherwise.
///
/// It is asked about the very numbers that a connection is made to, after names were looked up. So neither a redirect
/// nor a name that means something else at the second look leads where it must not.
#[derive(Clone, Default)]
pub struct Reach(Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>);

impl Reach {
    /// Only hosts whose number `allows` says yes to.
    #[must_use]
    pub fn only(allows: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(allows)))
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|allows| allows(address))
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reach(some)" } else { "Reach(all)" })
    }
}
