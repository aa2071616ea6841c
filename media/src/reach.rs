//! Where a connection may lead: asked about numbers, after names were looked up.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Which hosts may be connected to; all of them unless somebody says otherwise.
///
/// A limited reach also keeps FFmpeg from going its own ways: it is given the number that was judged, follows no
/// redirect and uses no proxy of the environment. An `https:` host that has a name keeps it, since a certificate is for
/// names; its certificate is checked then, so that a name that means another host at FFmpeg's own look-up gets no request.
#[derive(Clone, Default)]
pub struct Reach(Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>);

impl Reach {
    /// Only hosts whose number `allows` says yes to.
    pub fn only(allows: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(allows)))
    }

    /// Whether there is a host that may not be connected to.
    pub fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the host of this number may be connected to.
    pub fn allows(&self, number: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|allows| allows(number))
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_limited() { "Reach(some)" } else { "Reach(all)" })
    }
}
