//! Questions to the identity provider: few, small, bounded in time and size, off the event loop.
//!
//! ureq with the rustls and the ring that RTSPS has already: one more TLS library or an asynchronous client with its
//! own pool would be much code for two requests an hour. Proxies of the environment are not used.

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::web;
use serde::de::DeserializeOwned;
use ureq::{Agent, Body};

use super::OidcError;
use crate::tls;

/// A provider that says nothing for so long is away. A person waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer that is of use; Azure AD's keys are 20 kB.
const LARGEST_ANSWER: u64 = 1 << 20;

/// What was answered.
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The JSON of an answer that is well; `what` names it in an error.
    ///
    /// # Errors
    /// [`OidcError::Away`] for a status of 500 and above, [`OidcError::Odd`].
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, OidcError> {
        match self.status {
            // What serde says may quote the answer, which may hold a token.
            200 => serde_json::from_slice(&self.body)
                .map_err(|error| OidcError::Odd(format!("{what}: no such JSON (line {})", error.line()))),
            500.. => Err(OidcError::Away(format!("{what}: status {}", self.status))),
            status => Err(OidcError::Odd(format!("{what}: status {status}"))),
        }
    }
}

/// Reads what is at an address.
///
/// # Errors
/// [`OidcError::Away`].
pub(super) async fn get(url: String) -> Result<Answer, OidcError> {
    exchange(move |agent| agent.get(&url).header("accept", "application/json").call()).await
}

/// Sends a form.
///
/// # Errors
/// [`OidcError::Away`].
pub(super) async fn post_form(
    url: String,
    form: Vec<(&'static str, String)>,
    authorization: Option<String>,
) -> Result<Answer, OidcError> {
    exchange(move |agent| {
        let mut request = agent.post(&url).header("accept", "application/json");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.send_form(form)
    })
    .await
}

async fn exchange(
    ask: impl FnOnce(&Agent) -> Result<ureq::http::Response<Body>, ureq::Error> + Send + 'static,
) -> Result<Answer, OidcError> {
    let asked = web::block(move || {
        let mut response = ask(agent())?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(Answer { status, body })
    });
    let answered = asked.await.map_err(|error| OidcError::Away(error.to_string()))?;
    answered.map_err(|error: ureq::Error| OidcError::Away(error.to_string()))
}

/// One for the process: it keeps connections.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        Agent::config_builder()
            .tls_config(tls::towards_web_servers())
            .timeout_global(Some(PATIENCE))
            // A redirect could lead anywhere; no provider needs one.
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent("kinora")
            .build()
            .into()
    })
}
