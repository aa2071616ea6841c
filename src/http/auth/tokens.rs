//! Access tokens: JSON Web Tokens signed with HMAC-SHA256, for one issuer and one audience.
//!
//! Only HS256 is taken, whatever a token's header claims; `exp`, `iss`, `aud` and `sub` have to be there.

use std::collections::HashSet;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::{Identity, Permissions};
use crate::http::ports::UserId;

/// RFC 7518, section 3.2: a key for HS256 has at least the size of the hash.
const SHORTEST_KEY: usize = 32;

/// Hidden streams that a token names.
const MOST_HIDDEN: usize = 64;

/// What tokens say and how long they live.
#[derive(Clone, Debug)]
pub(crate) struct TokenSettings {
    /// Who makes them.
    pub(crate) issuer: String,
    /// For whom.
    pub(crate) audience: String,
    /// How long an access token lives; 15 minutes by default, at most a day.
    pub(crate) lifetime: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            issuer: "kinora".to_owned(),
            audience: "kinora-api".to_owned(),
            lifetime: Duration::from_secs(900),
        }
    }
}

/// What a token claims.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::http) struct Claims {
    /// The issuer.
    pub(in crate::http) iss: String,
    /// The audience.
    pub(in crate::http) aud: String,
    /// The user's number, as text.
    pub(in crate::http) sub: String,
    /// The user's name.
    pub(in crate::http) name: String,
    /// The names of the user's roles, for programs that show them; they count only while the database is away.
    pub(in crate::http) roles: Vec<String>,
    /// When it was made, in seconds since the Unix epoch.
    pub(in crate::http) iat: u64,
    /// The version of the password that it was made under.
    #[serde(default)]
    pub(in crate::http) ver: i64,
    /// When it ends, in seconds since the Unix epoch.
    pub(in crate::http) exp: u64,
    /// Its identity.
    pub(in crate::http) jti: String,
    /// The login that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::http) fam: Option<i64>,
    /// Streams that are kept from the user: what counts while the database is away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::http) hid: Vec<String>,
}

impl Claims {
    /// The user's number.
    pub(in crate::http) fn user(&self) -> Option<UserId> {
        self.sub.parse().ok().map(UserId)
    }
}

impl Claims {
    /// Who the token was made for, as they were then. Own roles allow nothing here: what they allow is in the
    /// database only.
    pub(in crate::http) fn identity(self) -> Option<Identity> {
        let bare = Identity {
            user: self.user()?.0,
            username: self.name,
            roles: Vec::new(),
            permissions: Permissions::default(),
            hidden: self.hid,
            disabled: false,
            password_version: self.ver,
        };
        Some(bare.with_roles(self.roles, &[]))
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// The key cannot sign safely.
    #[error("the token key has to have at least {SHORTEST_KEY} bytes")]
    WeakKey,
    /// It was good once.
    #[error("the token is expired")]
    Expired,
    /// It is not one of ours.
    #[error("the token is not valid")]
    Invalid,
}

/// Makes and checks tokens.
pub(crate) struct TokenKeys {
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
    settings: TokenSettings,
}

impl TokenKeys {
    /// From the bytes of the key.
    ///
    /// # Errors
    /// When the key is too short.
    pub(crate) fn new(key: &[u8], settings: TokenSettings) -> Result<Self, TokenError> {
        if key.len() < SHORTEST_KEY {
            return Err(TokenError::WeakKey);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[&settings.audience]);
        validation.set_issuer(&[&settings.issuer]);
        validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(str::to_owned));
        validation.validate_nbf = true;
        // One server makes and checks them: there are no two clocks to differ.
        validation.leeway = 0;
        Ok(Self {
            sign: EncodingKey::from_secret(key),
            check: DecodingKey::from_secret(key),
            validation,
            settings,
        })
    }

    /// How long an access token lives.
    pub(in crate::http) fn lifetime(&self) -> Duration {
        self.settings.lifetime
    }

    /// A new access token of a login.
    ///
    /// # Errors
    /// When signing failed.
    pub(in crate::http) fn issue(
        &self,
        identity: &Identity,
        family: Option<i64>,
    ) -> Result<String, TokenError> {
        let now = jsonwebtoken::get_current_timestamp();
        // A token has to fit into a header. Without roles it allows nothing while the database is away.
        let few = identity.hidden.len() <= MOST_HIDDEN;
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: identity.user.to_string(),
            name: identity.username.clone(),
            roles: if few { identity.roles.clone() } else { Vec::new() },
            iat: now,
            ver: identity.password_version,
            exp: now + self.settings.lifetime.as_secs(),
            jti: Uuid::now_v7().to_string(),
            fam: family,
            hid: if few { identity.hidden.clone() } else { Vec::new() },
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .map_err(|_| TokenError::Invalid)
    }

    /// What a token claims, if it is good.
    ///
    /// # Errors
    /// When it is not.
    pub(in crate::http) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.check, &self.validation);
        match decoded {
            Ok(token) => Ok(token.claims),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => Err(TokenError::Expired),
            Err(_) => Err(TokenError::Invalid),
        }
    }
}
