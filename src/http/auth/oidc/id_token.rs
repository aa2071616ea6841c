//! Checks an id token (OpenID Connect Core 1.0, section 3.1.3.7): signature, issuer, audience, times, nonce.
//!
//! Only RS256 and ES256 are taken, whatever a token's header says: `none` is no signature, and one made with a shared
//! secret could be made by everybody who knows the public key.

use std::collections::HashSet;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::OidcError;

/// What signatures may be.
const ALLOWED: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];
/// Seconds by which the provider's clock may differ from this one.
const LEEWAY: u64 = 60;
/// OpenID Connect Core 1.0, section 2: a subject has at most so many letters. An issuer fits the same column.
const LONGEST_SUBJECT: usize = 255;

/// Who signed in, as the provider knows them.
#[derive(Clone, Debug)]
pub(in crate::http) struct Person {
    /// The provider.
    pub(in crate::http) issuer: String,
    /// Their name there; it never changes and never goes to somebody else.
    pub(in crate::http) subject: String,
    /// Everything that the token says.
    pub(in crate::http) claims: Map<String, Value>,
}

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) nonce: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    azp: Option<String>,
    nonce: Option<String>,
    iat: i64,
    #[serde(flatten)]
    all: Map<String, Value>,
}

/// The header of a token whose algorithm is allowed.
///
/// # Errors
/// [`OidcError::Token`].
pub(super) fn read_header(token: &str) -> Result<Header, OidcError> {
    // `none` is no algorithm that the library knows.
    let header =
        jsonwebtoken::decode_header(token).map_err(|_| OidcError::Token("its header is not understood"))?;
    if ALLOWED.contains(&header.alg) {
        Ok(header)
    } else {
        Err(OidcError::Token("its algorithm is not allowed"))
    }
}

/// Who a token is about, if it is good.
///
/// # Errors
/// [`OidcError::Token`] that says what is wrong.
pub(super) fn check(
    token: &str,
    header: &Header,
    key: &Jwk,
    expected: &Expected<'_>,
) -> Result<Person, OidcError> {
    let key = DecodingKey::from_jwk(key).map_err(|_| OidcError::Token("its key cannot be used"))?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[expected.audience]);
    validation.set_issuer(&[expected.issuer]);
    validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(str::to_owned));
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    let claims = decoded.map_err(|error| OidcError::Token(reason(error.kind())))?.claims;
    check_rest(&claims, expected)?;
    let Claims { iss, sub, all, .. } = claims;
    Ok(Person { issuer: iss, subject: sub, claims: all })
}

/// What the library does not look at.
fn check_rest(claims: &Claims, expected: &Expected<'_>) -> Result<(), OidcError> {
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(OidcError::Token("its nonce is another sign-in's"));
    }
    let party = claims.azp.as_deref();
    if claims.aud.as_array().is_some_and(|many| many.len() > 1) && party.is_none() {
        return Err(OidcError::Token("it is for several, and says not for whom"));
    }
    if party.is_some_and(|party| party != expected.audience) {
        return Err(OidcError::Token("it was made for another program"));
    }
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap_or(i64::MAX);
    if claims.iat > now.saturating_add_unsigned(LEEWAY) {
        return Err(OidcError::Token("it was made in the future"));
    }
    if claims.sub.is_empty() || claims.sub.len() > LONGEST_SUBJECT || claims.iss.len() > LONGEST_SUBJECT {
        return Err(OidcError::Token("its subject is empty or too long"));
    }
    Ok(())
}

const fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "it is expired",
        ErrorKind::ImmatureSignature => "it is not good yet",
        ErrorKind::InvalidIssuer => "its issuer is another",
        ErrorKind::InvalidAudience => "its audience is another",
        ErrorKind::InvalidSignature => "its signature is wrong",
        _ => "it is not understood",
    }
}
