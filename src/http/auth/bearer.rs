//! The extractor of who calls: `Authorization: Bearer <JWT or agent key>` (RFC 6750).

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use kinora_actors::domain::EventKind;

use super::tokens::TokenError;
use crate::accounts::{AgentKey, Identity, KeyScope, Permission};
use crate::http::app::App;
use crate::http::ports::{Known, UserId, Who};
use crate::http::problem::ApiError;

/// A caller whose token or key is good.
#[derive(Clone, Debug)]
pub(in crate::http) struct Caller {
    /// What was shown.
    pub(in crate::http) who: Who,
    /// Who it is now.
    pub(in crate::http) identity: Identity,
    /// What a key limits them to.
    pub(in crate::http) scope: KeyScope,
    /// The version of the password that the token was made under; a key has none.
    version: Option<i64>,
    /// When the token ends, in seconds since 1970; a key does not.
    pub(in crate::http) expires_at: Option<u64>,
}

impl Caller {
    /// The caller of a request.
    ///
    /// # Errors
    /// 401 `token_missing`, `token_expired`, `token_invalid` or `token_revoked`; 503 if it cannot be known.
    pub(in crate::http) async fn of(app: &App, request: &HttpRequest) -> Result<Self, ApiError> {
        let token = bearer(request)
            .ok_or(ApiError::unauthorized("token_missing", "Log in and send the token as a bearer token."))?;
        if let Some((id, hash)) = AgentKey::parse(token) {
            return Self::admit(app, Who::Key { id: id.to_owned(), hash: Some(hash) }, None, None).await;
        }
        let claims = app.tokens.verify(token).map_err(refusal)?;
        let user = claims.user().ok_or(refusal(TokenError::Invalid))?;
        let who = Who::User { user, family: claims.fam };
        let (version, expires_at) = (Some(claims.ver), Some(claims.exp));
        match app.known(&who).await {
            Ok(known) => Self::with(who, known, version, expires_at),
            // The database is away, and takes no right from anyone: the token itself is what is known.
            Err(_) => {
                let known = claims.identity().map(|identity| (identity, KeyScope::default()));
                Self::with(who, known, version, expires_at)
            }
        }
    }

    /// Somebody who was recognised, by a ticket for example.
    ///
    /// # Errors
    /// 401 `token_revoked` if they may not come in any more.
    pub(in crate::http) async fn admit(
        app: &App,
        who: Who,
        version: Option<i64>,
        expires_at: Option<u64>,
    ) -> Result<Self, ApiError> {
        let known = app.known(&who).await?;
        Self::with(who, known, version, expires_at)
    }

    fn with(
        who: Who,
        known: Option<Known>,
        version: Option<i64>,
        expires_at: Option<u64>,
    ) -> Result<Self, ApiError> {
        let (identity, scope) = known.ok_or(revoked())?;
        let caller = Self { who, identity, scope, version, expires_at };
        if caller.is_good() { Ok(caller) } else { Err(revoked()) }
    }

    /// Refuses a caller who may not do this.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub(in crate::http) fn require(&self, permission: Permission) -> Result<(), ApiError> {
        if self.may(permission) { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// Whether the caller may do this.
    pub(in crate::http) fn may(&self, permission: Permission) -> bool {
        self.identity.permissions.allow(permission)
    }

    /// The user's number.
    pub(in crate::http) fn user(&self) -> UserId {
        UserId(self.identity.user)
    }

    /// Who it was, for the log of changes.
    pub(in crate::http) fn label(&self) -> String {
        match &self.who {
            Who::User { .. } => self.identity.username.clone(),
            Who::Key { id, .. } => format!("{} (key {id})", self.identity.username),
        }
    }

    /// Whether the caller may see this stream.
    pub(in crate::http) fn sees(&self, stream: &str) -> bool {
        let kept = self.identity.hidden.iter().any(|hidden| hidden == stream);
        let within =
            self.scope.streams.as_ref().is_none_or(|streams| streams.iter().any(|one| one == stream));
        within && !kept
    }

    /// The kinds of events that the caller may see; `None` is all.
    pub(in crate::http) fn kinds(&self) -> Option<Vec<EventKind>> {
        let names = self.scope.events.as_ref()?;
        Some(names.iter().filter_map(|name| EventKind::from_name(name)).collect())
    }

    /// Whether what is known now allows what was allowed to this caller.
    pub(in crate::http) fn is_still_good(&self, known: Option<Known>) -> bool {
        let Some((identity, scope)) = known else { return false };
        let same_view = identity.hidden == self.identity.hidden && scope == self.scope;
        let now = Self { identity, scope, ..self.clone() };
        same_view && now.is_good() && now.may(Permission::Watch)
    }

    /// The same caller, by what is known of them now.
    pub(in crate::http) fn as_known(&self, (identity, scope): Known) -> Self {
        Self { identity, scope, ..self.clone() }
    }

    fn is_good(&self) -> bool {
        let same_password = self.version.is_none_or(|version| version == self.identity.password_version);
        !self.identity.disabled && same_password
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn refusal(error: TokenError) -> ApiError {
    match error {
        TokenError::Expired => ApiError::unauthorized("token_expired", "The token is expired. Log in again."),
        _ => ApiError::unauthorized("token_invalid", "The token is not valid here."),
    }
}

fn revoked() -> ApiError {
    ApiError::unauthorized("token_revoked", "The token or key is not good any more.")
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let app = request.app_data::<web::Data<App>>().ok_or(ApiError::unavailable())?;
            Self::of(app, &request).await
        })
    }
}
