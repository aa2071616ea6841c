//! The extractor of who calls: `Authorization: Bearer <JWT>` (RFC 6750).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};

use super::tokens::TokenError;
use super::{Claims, Role};
use crate::http::app::App;
use crate::http::ports::UserId;
use crate::http::problem::ApiError;

/// A caller whose token is good.
#[derive(Clone, Debug)]
pub(in crate::http) struct Caller {
    /// The user's number.
    pub(in crate::http) user: UserId,
    /// What the token claims.
    pub(in crate::http) claims: Claims,
}

impl Caller {
    /// Refuses a caller who has none of `roles`.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub(in crate::http) fn require(&self, roles: &[Role]) -> Result<(), ApiError> {
        if self.claims.has_one_of(roles) { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// The caller of a request.
    ///
    /// # Errors
    /// 401 `token_missing`, `token_expired` or `token_invalid`.
    pub(in crate::http) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let token = bearer(request)
            .ok_or(ApiError::unauthorized("token_missing", "Log in and send the token as a bearer token."))?;
        let app = request.app_data::<web::Data<App>>().ok_or(ApiError::unavailable())?;
        let claims = app.tokens.verify(token).map_err(refusal)?;
        let user = claims.user().ok_or(refusal(TokenError::Invalid))?;
        Ok(Self { user, claims })
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

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
