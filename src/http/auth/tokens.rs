//! Access tokens: JSON Web Tokens signed with HMAC-SHA256, for one issuer and one audience.
//!
//! Only HS256 is taken, whatever a token's header claims; `exp`, `iss`, `aud` and `sub` have to be there.

use std::collections::HashSet;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::http::ports::{Account, UserId};

/// RFC 7518, section 3.2: a key for HS256 has at least the size of the hash.
const SHORTEST_KEY: usize = 32;

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

/// A role by its name in the table `roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// May do everything.
    Admin,
    /// May see everything and steer streams.
    Operator,
    /// May read streams and sessions, and subscribe to their events: people.
    Viewer,
    /// May read streams and sessions, and subscribe to their events: programs.
    Agent,
}

impl Role {
    /// The roles that may read streams and sessions, and subscribe.
    pub(crate) const WATCHERS: &[Role] = &[Role::Admin, Role::Operator, Role::Viewer, Role::Agent];
    /// The roles that may see how the server itself is.
    pub(crate) const KEEPERS: &[Role] = &[Role::Admin, Role::Operator];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Viewer => "viewer",
            Role::Agent => "agent",
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
    /// The names of the user's roles.
    pub(in crate::http) roles: Vec<String>,
    /// When it was made, in seconds since the Unix epoch.
    pub(in crate::http) iat: u64,
    /// When it ends, in seconds since the Unix epoch.
    pub(in crate::http) exp: u64,
    /// Its identity.
    pub(in crate::http) jti: String,
}

impl Claims {
    /// The user's number.
    pub(in crate::http) fn user(&self) -> Option<UserId> {
        self.sub.parse().ok().map(UserId)
    }

    /// Whether the user has one of these roles.
    pub(in crate::http) fn has_one_of(&self, roles: &[Role]) -> bool {
        self.roles.iter().any(|name| roles.iter().any(|role| role.name() == name))
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

    /// A new access token.
    ///
    /// # Errors
    /// When signing failed.
    pub(in crate::http) fn issue(&self, account: &Account) -> Result<String, TokenError> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: account.id.0.to_string(),
            name: account.username.clone(),
            roles: account.roles.clone(),
            iat: now,
            exp: now + self.settings.lifetime.as_secs(),
            jti: Uuid::now_v7().to_string(),
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
