//! Sign-in by an identity provider: OpenID Connect's authorisation code flow with PKCE.
//!
//! ```text
//!   browser ── login ──> here ── redirect: state, nonce, challenge ──> provider
//!   browser <─ redirect: code, state ──────────────────────────────── provider
//!   browser ── callback ──> here ── code, verifier ──> provider ── id token ──> here
//! ```
//!
//! What is trusted is the id token alone, after its signature and claims were checked ([`id_token`]); whose keys
//! sign it is asked of the provider and kept for an hour ([`issuer`]).

mod http;
mod id_token;
mod issuer;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub(in crate::http) use id_token::Person;
use issuer::Issuer;

use crate::accounts::RoleMapping;

/// What is known of the provider, and how its people are treated. Holds a secret: it has no `Debug`.
#[derive(Clone)]
pub(crate) struct OidcSettings {
    /// Its address, which is also what its tokens name.
    pub(crate) issuer: String,
    /// What it calls this server.
    pub(crate) client_id: String,
    /// This server's password there.
    pub(crate) client_secret: Option<String>,
    /// What is asked for.
    pub(crate) scopes: String,
    /// Where it sends people back.
    pub(crate) redirect_url: String,
    /// Which claims give which roles.
    pub(crate) mapping: RoleMapping,
    /// How long such a login is kept.
    pub(crate) login_lifetime: Duration,
}

/// Why somebody is not signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum OidcError {
    /// The provider does not answer.
    #[error("the identity provider does not answer: {0}")]
    Away(String),
    /// The provider answers what it should not.
    #[error("the identity provider's answer is not understood: {0}")]
    Odd(String),
    /// The provider does not know the code, or not this server.
    #[error("the identity provider refuses: {0}")]
    Refused(String),
    /// The id token is not good.
    #[error("the id token is not good: {0}")]
    Token(&'static str),
}

/// The secrets of one sign-in that is under way.
pub(in crate::http) struct Attempt<'a> {
    /// Comes back with the redirect.
    pub(in crate::http) state: &'a str,
    /// Comes back in the id token.
    pub(in crate::http) nonce: &'a str,
    /// Shows that who began is who ends (PKCE).
    pub(in crate::http) verifier: &'a str,
}

/// The provider.
pub(crate) struct Oidc {
    pub(in crate::http) settings: OidcSettings,
    issuer: Issuer,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
}

impl Oidc {
    /// Asks nothing yet: the server starts without its provider.
    pub(crate) fn new(settings: OidcSettings) -> Self {
        Self { issuer: Issuer::new(&settings.issuer), settings }
    }

    /// Where the browser is sent.
    ///
    /// # Errors
    /// [`OidcError::Away`], [`OidcError::Odd`].
    pub(in crate::http) async fn authorization_url(
        &self,
        attempt: &Attempt<'_>,
    ) -> Result<String, OidcError> {
        let endpoint = self.issuer.metadata().await?.authorization_endpoint.clone();
        let settings = &self.settings;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &settings.redirect_url)
            .append_pair("scope", &settings.scopes)
            .append_pair("state", attempt.state)
            .append_pair("nonce", attempt.nonce)
            .append_pair("code_challenge", &challenge(attempt.verifier))
            .append_pair("code_challenge_method", "S256")
            .finish();
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{joint}{query}"))
    }

    /// Who came back with this code.
    ///
    /// # Errors
    /// Every [`OidcError`].
    pub(in crate::http) async fn person(
        &self,
        code: &str,
        attempt: &Attempt<'_>,
    ) -> Result<Person, OidcError> {
        let token = self.redeem(code, attempt.verifier).await?;
        let header = id_token::read_header(&token)?;
        let key = self.issuer.key(&header).await?;
        let expected = id_token::Expected {
            issuer: &self.settings.issuer,
            audience: &self.settings.client_id,
            nonce: attempt.nonce,
        };
        id_token::check(&token, &header, &key, &expected)
    }

    /// The id token for a code.
    async fn redeem(&self, code: &str, verifier: &str) -> Result<String, OidcError> {
        let metadata = self.issuer.metadata().await?;
        let settings = &self.settings;
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", settings.redirect_url.clone()),
            ("code_verifier", verifier.to_owned()),
        ];
        let mut authorization = None;
        match &settings.client_secret {
            Some(secret) if !metadata.takes_secret_in_form() => {
                authorization = Some(basic(&settings.client_id, secret));
            }
            secret => {
                form.push(("client_id", settings.client_id.clone()));
                form.extend(secret.clone().map(|secret| ("client_secret", secret)));
            }
        }
        let answer = http::post_form(metadata.token_endpoint.clone(), form, authorization).await?;
        if (400..500).contains(&answer.status) {
            let refusal = serde_json::from_slice(&answer.body).map(|refusal: TokenRefusal| refusal.error);
            return Err(OidcError::Refused(plain(
                &refusal.unwrap_or_else(|_| format!("status {}", answer.status)),
            )));
        }
        let granted: TokenAnswer = answer.json("token endpoint")?;
        granted
            .id_token
            .ok_or_else(|| OidcError::Odd("token endpoint: no id_token; is openid in the scopes?".into()))
    }
}

/// PKCE's S256 (RFC 7636, section 4.2).
pub(in crate::http) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// HTTP Basic with both parts encoded as in forms (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// A stranger's word, for the log.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn basic_encodes_both_parts() {
        assert_eq!(basic("a b", "c:d"), "Basic YStiOmMlM0Fk");
    }
}
