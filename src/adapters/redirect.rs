//! Asks a web server whether it redirects: what FFmpeg is kept from following is judged and followed here.
//!
//! Only asked when FFmpeg stopped, so that a server that does not redirect sees one request. Credentials are not sent:
//! one that redirects only who is logged in is not followed.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use kinora_actors::ports::CancelToken;
use kinora_media::{Address, Reach};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::tls;

/// How often it is looked whether somebody still waits.
const POLL: Duration = Duration::from_millis(50);

/// What the server of `address` says about where to go. None when it does not redirect, cannot be asked, or may not be.
pub(super) fn asked(
    address: &Address,
    reach: &Reach,
    deadline: Instant,
    cancel: &CancelToken,
) -> Option<String> {
    let (url, reach) = (address.web_url()?, reach.clone());
    let (sender, receiver) = mpsc::sync_channel(1);
    let ask = move || {
        // Whoever asked may have left; then nobody wants the answer.
        let _ = sender.try_send(location(&url, reach, deadline));
    };
    // A question cannot be interrupted. It ends at the deadline.
    thread::Builder::new().name("redirect".to_owned()).spawn(ask).ok()?;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(location) => return location,
            Err(RecvTimeoutError::Timeout) if !cancel.is_cancelled() => {}
            Err(_) => return None,
        }
    }
}

fn location(url: &str, reach: Reach, deadline: Instant) -> Option<String> {
    let config = Agent::config_builder()
        .tls_config(tls::towards_web_servers())
        .timeout_global(Some(deadline.saturating_duration_since(Instant::now())))
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent("kinora")
        .build();
    let agent = Agent::with_parts(config, DefaultConnector::default(), Judging(reach));
    let response = agent.get(url).call().ok().filter(|response| response.status().is_redirection())?;
    Some(response.headers().get("location")?.to_str().ok()?.to_owned())
}

/// Looks names up, and gives only numbers within reach.
#[derive(Debug)]
struct Judging(Reach);

impl Resolver for Judging {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut within = self.empty();
        for address in found.iter().filter(|address| self.0.allows(address.ip())) {
            within.push(*address);
        }
        if within.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(within) }
    }
}
