//! What the provider says of itself: its addresses, and the keys that it signs with.
//!
//! Both are kept for an hour. A token that names an unknown key is news: the provider has a new one, so keys are read
//! again, but not more often than once a minute, whatever tokens say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::OidcError;
use super::http::get;

/// How long an answer is kept.
const GOOD_FOR: Duration = Duration::from_secs(3_600);
/// Keys are read again for an unknown one after this time.
const NOT_BEFORE: Duration = Duration::from_secs(60);
/// Where a provider describes itself (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The addresses of a provider.
#[derive(Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// Keys as they are published. One that this program does not understand is no fault of the others.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The provider.
///
/// One question is asked at a time. Who waited for it shares its answer, a failure too: otherwise those who sign in
/// while the provider is silent would wait for one time-out after the other.
pub(super) struct Issuer {
    address: String,
    metadata: Mutex<Option<Described>>,
    keys: Mutex<KeptKeys>,
}

/// How it described itself last, or why it did not.
type Described = (Instant, Result<Arc<Metadata>, OidcError>);

#[derive(Default)]
struct KeptKeys {
    known: Option<Keys>,
    failed: Option<(Instant, OidcError)>,
}

struct Keys {
    read_at: Instant,
    /// When they were read again because of an unknown one.
    again_at: Option<Instant>,
    keys: Vec<Jwk>,
}

impl Metadata {
    /// Whether it takes this server's password in the form; else in the header, which is the standard's default.
    pub(super) fn takes_secret_in_form(&self) -> bool {
        self.token_endpoint_auth_methods_supported.iter().any(|method| method == "client_secret_post")
    }

    /// Refuses a provider that calls itself otherwise, or that would be spoken to without TLS.
    fn check(&self, issuer: &str) -> Result<(), OidcError> {
        if self.issuer != issuer {
            return Err(OidcError::Odd("discovery: it names another issuer than the configuration".into()));
        }
        // An issuer without TLS is on this machine: the configuration sees to that.
        let encrypted = issuer.starts_with("https://");
        let endpoints = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        if encrypted && !endpoints.iter().all(|endpoint| endpoint.starts_with("https://")) {
            return Err(OidcError::Odd("discovery: an address is not https://".into()));
        }
        Ok(())
    }
}

impl Issuer {
    /// Nothing is known yet.
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), metadata: Mutex::new(None), keys: Mutex::default() }
    }

    /// Its addresses.
    ///
    /// # Errors
    /// [`OidcError::Away`], [`OidcError::Odd`].
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let came_at = Instant::now();
        let mut kept = self.metadata.lock().await;
        match &*kept {
            Some((at, Ok(metadata))) if at.elapsed() < GOOD_FOR => return Ok(Arc::clone(metadata)),
            Some((at, Err(error))) if *at >= came_at => return Err(error.clone()),
            _ => {}
        }
        let read = self.read_metadata().await.map(Arc::new);
        *kept = Some((Instant::now(), read.clone()));
        read
    }

    /// The key that a token's header names.
    ///
    /// # Errors
    /// [`OidcError::Token`] when there is none that fits; [`OidcError::Away`], [`OidcError::Odd`].
    pub(super) async fn key(&self, header: &Header) -> Result<Jwk, OidcError> {
        let came_at = Instant::now();
        let mut kept = self.keys.lock().await;
        let unknown = OidcError::Token("its key is unknown");
        let mut again_at = None;
        if let Some(keys) = kept.known.as_mut().filter(|keys| keys.read_at.elapsed() < GOOD_FOR) {
            if let Some(key) = find(&keys.keys, header) {
                return Ok(key);
            }
            if keys.again_at.is_some_and(|at| at.elapsed() < NOT_BEFORE) {
                return Err(unknown);
            }
            again_at = Some(Instant::now());
            // Before the question: one that fails counts too.
            keys.again_at = again_at;
        }
        if let Some((at, error)) = &kept.failed
            && *at >= came_at
        {
            return Err(error.clone());
        }
        let keys = self.read_keys().await;
        let keys = keys.inspect_err(|error| kept.failed = Some((Instant::now(), error.clone())))?;
        let found = find(&keys, header);
        kept.known = Some(Keys { read_at: Instant::now(), again_at, keys });
        found.ok_or(unknown)
    }

    async fn read_metadata(&self) -> Result<Metadata, OidcError> {
        let url = self.address.trim_end_matches('/').to_owned() + DISCOVERY;
        let metadata: Metadata = get(url).await?.json("discovery")?;
        metadata.check(&self.address)?;
        Ok(metadata)
    }

    async fn read_keys(&self) -> Result<Vec<Jwk>, OidcError> {
        let url = self.metadata().await?.jwks_uri.clone();
        let set: KeySet = get(url).await?.json("keys")?;
        Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
    }
}

/// The key of this name for this algorithm. A token that names none fits if there is only one to choose.
fn find(keys: &[Jwk], header: &Header) -> Option<Jwk> {
    let mut fitting = keys.iter().filter(|key| fits(key, header.alg));
    match &header.kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid)).cloned(),
        None => fitting.next().filter(|_| fitting.next().is_none()).cloned(),
    }
}

/// Whether a key is one for signatures of this kind: a public RSA key is never taken for a shared secret.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256) => curve.curve == EllipticCurve::P256,
        _ => false,
    };
    let named = key.common.key_algorithm.is_none_or(|own| own.to_string() == format!("{algorithm:?}"));
    let used = key.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    kind && named && used
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use futures_util::future::join_all;
    use serde_json::json;

    use super::*;

    fn key(value: Value) -> Jwk {
        serde_json::from_value(value).unwrap()
    }

    fn named(alg: Algorithm, kid: Option<&str>) -> Header {
        Header { kid: kid.map(str::to_owned), ..Header::new(alg) }
    }

    #[actix_web::test]
    async fn those_who_wait_for_a_provider_that_does_not_answer_share_its_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Issuer::new(&format!("http://{}", listener.local_addr().unwrap()));
        listener.set_nonblocking(true).unwrap();
        // All of them wait before the first question can be answered: with the end of its connection.
        let asked = std::thread::spawn(move || {
            let (mut asked, begun) = (0, Instant::now());
            while asked == 0 || begun.elapsed() < Duration::from_millis(500) {
                match listener.accept() {
                    Ok(_) => asked += 1,
                    Err(_) => std::thread::park_timeout(Duration::from_millis(5)),
                }
            }
            asked
        });
        let answers = join_all((0..5).map(|_| issuer.metadata())).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(OidcError::Away(_)))));
        assert_eq!(asked.join().unwrap(), 1, "the others did not ask again");
    }

    #[test]
    fn a_key_is_taken_for_what_it_is_made_for_only() {
        let rsa = |kid: &str, more: Value| {
            let mut value = json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB"});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            key(value)
        };
        let keys = [
            rsa("sign", json!({"use": "sig"})),
            rsa("seal", json!({"use": "enc"})),
            rsa("long", json!({"alg": "RS512"})),
            rsa("exact", json!({"alg": "RS256"})),
            key(json!({"kty": "EC", "kid": "curve", "crv": "P-256", "x": "AQAB", "y": "AQAB"})),
            key(json!({"kty": "EC", "kid": "large", "crv": "P-384", "x": "AQAB", "y": "AQAB"})),
            key(json!({"kty": "oct", "kid": "shared", "k": "AQAB"})),
        ];
        let found = |alg, kid: &str| find(&keys, &named(alg, Some(kid))).is_some();
        assert!(
            found(Algorithm::RS256, "sign")
                && found(Algorithm::RS256, "exact")
                && found(Algorithm::ES256, "curve")
        );
        for (alg, kid) in [
            (Algorithm::RS256, "seal"),
            (Algorithm::RS256, "long"),
            (Algorithm::RS256, "curve"),
            (Algorithm::ES256, "sign"),
            (Algorithm::ES256, "large"),
            (Algorithm::HS256, "sign"),
            (Algorithm::HS256, "shared"),
            (Algorithm::RS256, "nobody"),
        ] {
            assert!(!found(alg, kid), "{alg:?} {kid}");
        }
        assert!(find(&keys, &named(Algorithm::RS256, None)).is_none(), "two would fit");
        assert!(find(&keys, &named(Algorithm::ES256, None)).is_some(), "only one fits");
    }

    #[test]
    fn a_provider_that_calls_itself_otherwise_or_has_no_tls_is_refused() {
        let said = |issuer: &str, endpoint: &str| Metadata {
            issuer: issuer.into(),
            authorization_endpoint: endpoint.into(),
            token_endpoint: endpoint.into(),
            jwks_uri: endpoint.into(),
            token_endpoint_auth_methods_supported: Vec::new(),
        };
        assert!(said("https://a", "https://a/x").check("https://a").is_ok());
        assert!(said("https://b", "https://a/x").check("https://a").is_err());
        assert!(said("https://a", "http://a/x").check("https://a").is_err());
    }
}
