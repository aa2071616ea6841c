//! Logging in: OAuth2's password grant as a form, and the same as JSON; refreshing and logging out.
//!
//! An unknown user, a wrong password and a disabled account get the same answer after the same work.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::web::{self, Json};
use actix_web::{HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{Secret, digest};
use crate::http::app::App;
use crate::http::auth::{Caller, PasswordError};
use crate::http::ports::{Account, UserId, Who};
use crate::http::problem::{ApiError, Problem};
use crate::http::visit::Visit;
use crate::store::Refreshed;

const WRONG: &str = "The user name or the password is wrong.";

/// RFC 6749, section 4.3.2. Everything is optional to serde, so that what is missing can be named.
#[derive(Deserialize, ToSchema)]
pub(in crate::http) struct PasswordGrant {
    #[schema(value_type = String, required = true, pattern = "^password$", example = "password")]
    grant_type: Option<String>,
    #[schema(value_type = String, required = true)]
    username: Option<String>,
    #[schema(value_type = String, required = true, format = "password")]
    password: Option<String>,
}

/// The same as JSON; name or mail address, under either name.
#[derive(Deserialize, ToSchema)]
pub(in crate::http) struct Credentials {
    #[serde(alias = "email")]
    username: String,
    #[schema(format = "password")]
    password: String,
}

/// A refresh token that is shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RefreshRequest {
    refresh_token: String,
}

/// RFC 6749, section 5.1.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Granted {
    access_token: String,
    refresh_token: String,
    /// Always `bearer`.
    token_type: &'static str,
    /// Seconds that the access token is good.
    expires_in: u64,
}

/// Logs in with OAuth2's password grant.
///
/// Wrong credentials are 400 `invalid_grant`, as OAuth2 has it.
#[utoipa::path(
    post, path = "/login", tag = "login",
    request_body(content = PasswordGrant, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = Granted),
        (status = 400, description = "`invalid_grant`, `invalid_request`, `unsupported_grant_type` in `error`.",
            body = Problem, content_type = "application/json"),
        (status = 401, description = "`token_revoked`: the account was closed in this moment."),
        (status = 408, description = "`request_timeout`.", body = Problem, content_type = "application/json"),
        (status = 413, description = "`payload_too_large`.", body = Problem, content_type = "application/json"),
        (status = 415, description = "`unsupported_media_type`.", body = Problem, content_type = "application/json"),
    )
)]
pub(in crate::http) async fn login_form(
    app: web::Data<App>,
    visit: Visit,
    form: web::Form<PasswordGrant>,
) -> Result<HttpResponse, ApiError> {
    let grant = form.into_inner();
    if grant.grant_type.as_deref() != Some("password") {
        let detail = "grant_type has to be \"password\".";
        return Err(
            ApiError::bad_request("unsupported_grant_type", detail).as_oauth("unsupported_grant_type")
        );
    }
    let (Some(username), Some(password)) = (grant.username, grant.password) else {
        let detail = "username and password are needed.";
        return Err(ApiError::bad_request("invalid_request", detail).as_oauth("invalid_request"));
    };
    let account = authenticate(&app, &visit, &username, password).await?;
    let wrong = ApiError::bad_request("invalid_credentials", WRONG).as_oauth("invalid_grant");
    begin(&app, account.ok_or(wrong)?.id, app.accounts.refresh_lifetime).await
}

/// Logs in with JSON; `email` may stand for `username`.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "login", request_body = Credentials,
    responses((status = 200, body = Granted), (status = 401, description = "`invalid_credentials`."))
)]
pub(in crate::http) async fn login_json(
    app: web::Data<App>,
    visit: Visit,
    credentials: Json<Credentials>,
) -> Result<HttpResponse, ApiError> {
    let Credentials { username, password } = credentials.into_inner();
    let account = authenticate(&app, &visit, &username, password).await?;
    let account = account.ok_or(ApiError::unauthorized("invalid_credentials", WRONG))?;
    begin(&app, account.id, app.accounts.refresh_lifetime).await
}

/// Gives the next tokens for a refresh token.
///
/// A token is good once; one that comes again was copied, so its login is ended for everybody. Only when it comes again
/// within ten seconds, and nobody has shown the token that was given for it, that answer counts as lost: another one is
/// given, and that of the lost answer is void.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "login", request_body = RefreshRequest,
    responses((status = 200, body = Granted), (status = 401, description = "`refresh_invalid`, `refresh_reused`."))
)]
pub(in crate::http) async fn refresh(
    app: web::Data<App>,
    visit: Visit,
    body: Json<RefreshRequest>,
) -> Result<HttpResponse, ApiError> {
    let next = Secret::new().map_err(|_| ApiError::internal())?;
    let shown = digest(&body.refresh_token);
    let over = ApiError::unauthorized("refresh_invalid", "The login is over. Log in again.");
    let (user, family) = app.store(app.store.find_login(shown)).await?.ok_or(over)?;
    // Ready before the token is used up: who gets no answer then asks again with a token that is still good.
    let granted = grant(&app, UserId(user), family, &next).await;
    let granted = granted.map_err(|error| if error.is_refusal() { over } else { error })?;
    let refreshed = app.store.refresh_login(shown, next.digest(), app.clock.unix_us());
    match app.store(refreshed).await? {
        Refreshed::Done => Ok(granted),
        Refreshed::Reused { user } => {
            visit.refused(&format!("user {user}"), "login.refresh_reused").await;
            let detail = "The refresh token was used before, so its login was ended. Log in again.";
            Err(ApiError::unauthorized("refresh_reused", detail))
        }
        Refreshed::Unknown => Err(over),
    }
}

/// Ends the login that the token comes from, and what it opened.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "login", security(("bearer" = [])),
    responses((status = 204, description = "Ended."))
)]
pub(in crate::http) async fn logout(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
) -> Result<impl Responder, ApiError> {
    if let Who::User { family: Some(family), .. } = caller.who {
        let entry = visit.entry(&caller, "login.end", &caller.identity.username);
        app.store(app.store.end_login(family, Some(entry))).await?;
        app.forget(&caller.who);
    }
    Ok(HttpResponse::NoContent())
}

/// The account of a login that is right, after the same work for one that is not.
pub(super) async fn authenticate(
    app: &App,
    visit: &Visit,
    login: &str,
    password: String,
) -> Result<Option<Account>, ApiError> {
    // PostgreSQL's text has no NUL: no account has such a name, and the question would be an error.
    let known = if login.contains('\0') { "" } else { login };
    let account = app.ask("accounts", app.ports.accounts.find(known)).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let matches = app.passwords.matches(password, hash).await.map_err(refusal)?;
    let account = account.filter(|account| matches && !account.disabled);
    if account.is_none() {
        visit.refused(login, "login").await;
    }
    Ok(account)
}

/// What a password that cannot be hashed or checked means for a client.
pub(super) fn refusal(error: PasswordError) -> ApiError {
    match error {
        PasswordError::Busy => ApiError::unavailable(),
        PasswordError::TooLong => ApiError::bad_request(
            "password_too_long",
            "A password may have at most 72 bytes; most letters take one, others two to four.",
        ),
        PasswordError::Failed => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The password was not checked.")
        }
    }
}

/// Begins a login that is kept for `lifetime` at most, and grants its first tokens.
pub(super) async fn begin(app: &App, user: UserId, lifetime: Duration) -> Result<HttpResponse, ApiError> {
    let first = Secret::new().map_err(|_| ApiError::internal())?;
    let lifetime = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX / 2);
    let until = app.clock.unix_us().saturating_add(lifetime);
    let family = app.store(app.store.begin_login(user.0, first.digest(), until)).await?;
    grant(app, user, family, &first).await
}

async fn grant(app: &App, user: UserId, family: i64, refresh: &Secret) -> Result<HttpResponse, ApiError> {
    let who = Who::User { user, family: Some(family) };
    let caller = Caller::admit(app, who, None, None).await?;
    let access_token = app.tokens.issue(&caller.identity, Some(family));
    let granted = Granted {
        access_token: access_token.map_err(|_| ApiError::internal())?,
        refresh_token: refresh.expose().to_owned(),
        token_type: "bearer",
        expires_in: app.tokens.lifetime().as_secs(),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    Ok(response.json(granted))
}
