//! Authentication as interchangeable strategies: each applies an authorisation to a request.
//!
//! A server's 401 lists challenges; the [`AuthPolicy`] says which of them may be answered, and a [`Strategy`] answers.
//! Under [`AuthPolicy::Digest`] the strategy that sends a password is never built, whatever the server offers.

mod basic;
mod challenge;
mod credentials;
mod digest;

use std::str::FromStr;

pub use credentials::Credentials;

use basic::Basic;
pub(crate) use challenge::Challenge;
use digest::Digest;

use crate::error::{Error, ErrorKind};
use crate::text::printable;

/// Which ways to authenticate may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthPolicy {
    /// Digest where it is offered, else Basic, which shows the password to everyone on a plain connection's way.
    #[default]
    Auto,
    /// Basic only.
    Basic,
    /// Digest only.
    Digest,
}

impl FromStr for AuthPolicy {
    type Err = Error;

    /// `auto`, `basic` or `digest`, as in configurations and on command lines.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "basic" => Ok(Self::Basic),
            "digest" => Ok(Self::Digest),
            _ => Err(Error::new(ErrorKind::Invalid, format!("`{text}` is none of auto, basic and digest"))),
        }
    }
}

/// Applies the authorisation to a request.
pub(crate) trait Strategy: Send {
    /// The value of `Authorization` for this request.
    fn authorize(&mut self, method: &str, uri: &str) -> Result<String, Error>;
}

/// Remembers how a server wants to be answered, from its first 401 to the end of the connection.
pub(crate) struct Authenticator {
    policy: AuthPolicy,
    credentials: Option<Credentials>,
    strategy: Option<Box<dyn Strategy>>,
    /// The schemes that the server offered last, for messages and descriptions.
    offered: Vec<String>,
    /// The present strategy was accepted before: a refusal means that its nonce is used up.
    accepted: bool,
}

impl Authenticator {
    pub(crate) fn new(policy: AuthPolicy, credentials: Option<Credentials>) -> Self {
        Self { policy, credentials, strategy: None, offered: Vec::new(), accepted: false }
    }

    /// The schemes that the server offered, as it wrote them.
    pub(crate) fn offered(&self) -> &[String] {
        &self.offered
    }

    /// The value of `Authorization` for a request, once the server has asked for it.
    pub(crate) fn authorize(&mut self, method: &str, uri: &str) -> Result<Option<String>, Error> {
        self.strategy.as_mut().map(|strategy| strategy.authorize(method, uri)).transpose()
    }

    /// The server took the last request.
    pub(crate) fn accepted(&mut self) {
        self.accepted = self.strategy.is_some();
    }

    /// The server answered 401 with these headers: prepares another try.
    ///
    /// # Errors
    /// `Unauthorized` when another try cannot help: it says why.
    pub(crate) fn challenged<'a>(&mut self, headers: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let challenges: Vec<Challenge> = headers.flat_map(challenge::parse).collect();
        self.offered = challenges.iter().map(describe).collect();
        let stale = challenges.iter().any(|challenge| {
            challenge.get("stale").is_some_and(|stale| stale.trim().eq_ignore_ascii_case("true"))
        });
        // A refusal of what was accepted is taken for an expired nonce once, whether it says so or not.
        let may_retry = self.strategy.is_none() || stale || self.accepted;
        self.accepted = false;
        if !may_retry {
            return Err(unauthorized("the server refused the user name or the password"));
        }
        let Some(credentials) = &self.credentials else {
            return Err(unauthorized(format!(
                "the server asks for a user name and a password ({}) and none is given",
                self.offer()
            )));
        };
        self.strategy = Some(
            choose(self.policy, &challenges, credentials)
                .map_err(|error| Error::new(error.kind(), format!("{error}; it offers {}", self.offer())))?,
        );
        Ok(())
    }

    fn offer(&self) -> String {
        if self.offered.is_empty() { "nothing".to_owned() } else { self.offered.join(", ") }
    }
}

/// The first challenge, in the server's order of preference, that the policy allows; Digest before Basic.
fn choose(
    policy: AuthPolicy,
    challenges: &[Challenge],
    credentials: &Credentials,
) -> Result<Box<dyn Strategy>, Error> {
    let digest = challenges.iter().find(|challenge| Digest::understands(challenge));
    let basic = challenges.iter().any(|challenge| challenge.is("Basic"));
    match (policy, digest) {
        (AuthPolicy::Auto | AuthPolicy::Digest, Some(challenge)) => {
            Ok(Box::new(Digest::new(challenge, credentials)?))
        }
        (AuthPolicy::Auto | AuthPolicy::Basic, _) if basic => Ok(Box::new(Basic::new(credentials)?)),
        (AuthPolicy::Digest, None) => {
            Err(unauthorized("the server offers no Digest that is known here, and only Digest is allowed"))
        }
        (AuthPolicy::Basic, _) => Err(unauthorized("the server offers no Basic, and only Basic is allowed")),
        (AuthPolicy::Auto, _) => Err(unauthorized("the server offers no authentication that is known here")),
    }
}

/// A challenge in a few words, `Digest (SHA-256)` for example.
fn describe(challenge: &Challenge) -> String {
    match challenge.get("algorithm").filter(|_| challenge.is("Digest")) {
        Some(algorithm) => format!("{} ({})", challenge.scheme, printable(algorithm)),
        None => challenge.scheme.clone(),
    }
}

fn unauthorized(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthorized, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "Basic realm=\"r\", Digest realm=\"r\", nonce=\"n\"";

    fn answer(policy: AuthPolicy, challenges: &[&str]) -> Result<String, Error> {
        let mut authenticator = Authenticator::new(policy, Some(Credentials::new("viewer", "hunter2")));
        authenticator.challenged(challenges.iter().copied())?;
        Ok(authenticator.authorize("DESCRIBE", "/x")?.unwrap())
    }

    #[test]
    fn the_policy_chooses_among_what_is_offered() {
        assert!(answer(AuthPolicy::Auto, &[BOTH]).unwrap().starts_with("Digest "));
        assert!(answer(AuthPolicy::Auto, &["Basic realm=\"r\""]).unwrap().starts_with("Basic "));
        assert!(answer(AuthPolicy::Basic, &[BOTH]).unwrap().starts_with("Basic "));
        let headers =
            ["Negotiate", "Digest realm=\"r\", nonce=\"n\", algorithm=X", "Digest realm=\"r\", nonce=\"m\""];
        assert!(answer(AuthPolicy::Digest, &headers).unwrap().contains("nonce=\"m\""));
    }

    #[test]
    fn policies_have_names() {
        let named = ["auto", "basic", "digest"].map(|name| name.parse::<AuthPolicy>().unwrap());
        assert_eq!(named, [AuthPolicy::Auto, AuthPolicy::Basic, AuthPolicy::Digest]);
        assert!("Basic ".parse::<AuthPolicy>().is_err());
    }

    #[test]
    fn digest_never_becomes_basic() {
        for offered in
            ["Basic realm=\"r\"", "Basic realm=\"r\", Digest realm=\"r\", nonce=\"n\", algorithm=X"]
        {
            let error = answer(AuthPolicy::Digest, &[offered]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            assert!(error.to_string().contains("Basic") && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_refusal_is_final_unless_the_nonce_is_stale_or_was_good_before() {
        let mut authenticator =
            Authenticator::new(AuthPolicy::Auto, Some(Credentials::new("viewer", "hunter2")));
        let mut challenged = |nonce: &str, accepted: bool| {
            if accepted {
                authenticator.accepted();
            }
            authenticator.challenged([nonce].into_iter())
        };
        challenged("Digest realm=\"r\", nonce=\"1\"", false).unwrap();
        challenged("Digest realm=\"r\", nonce=\"2\", stale=TRUE", false).unwrap();
        challenged("Digest realm=\"r\", nonce=\"3\"", true).unwrap();
        let error = challenged("Digest realm=\"r\", nonce=\"4\"", false).unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[test]
    fn without_credentials_the_offer_is_told() {
        let mut authenticator = Authenticator::new(AuthPolicy::Auto, None);
        let error = authenticator.challenged([BOTH].into_iter()).unwrap_err();
        assert!(error.to_string().contains("Basic, Digest"), "{error}");
        assert_eq!(authenticator.offered(), ["Basic", "Digest"]);
    }
}
