//! Logging in: OAuth2's password grant as a form, and the same as JSON.
//!
//! An unknown user, a wrong password and a disabled account get the same answer after the same time.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::http::app::App;
use crate::http::auth::PasswordError;
use crate::http::ports::Account;
use crate::http::problem::ApiError;

const WRONG: &str = "The user name or the password is wrong.";

/// RFC 6749, section 4.3.2. Everything is optional to serde, so that what is missing can be named.
#[derive(Deserialize)]
pub(in crate::http) struct PasswordGrant {
    grant_type: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The same as JSON; either name will do.
#[derive(Deserialize)]
pub(in crate::http) struct Credentials {
    #[serde(alias = "email")]
    username: String,
    password: String,
}

/// RFC 6749, section 5.1.
#[derive(Serialize)]
struct Granted {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// `POST /login`. Wrong credentials are 400 `invalid_grant`, as OAuth2 has it.
pub(in crate::http) async fn login_form(
    app: web::Data<App>,
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
    let account = authenticate(&app, &username, password).await?;
    let wrong = ApiError::bad_request("invalid_credentials", WRONG).as_oauth("invalid_grant");
    grant_token(&app, &account.ok_or(wrong)?)
}

/// `POST /api/v1/auth/login`. Wrong credentials are 401 `invalid_credentials`.
pub(in crate::http) async fn login_json(
    app: web::Data<App>,
    credentials: web::Json<Credentials>,
) -> Result<HttpResponse, ApiError> {
    let Credentials { username, password } = credentials.into_inner();
    let account = authenticate(&app, &username, password).await?;
    grant_token(&app, &account.ok_or(ApiError::unauthorized("invalid_credentials", WRONG))?)
}

async fn authenticate(app: &App, login: &str, password: String) -> Result<Option<Account>, ApiError> {
    let account = app.ask("accounts", app.ports.accounts.find(login)).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let matches = app.passwords.matches(password, hash).await.map_err(refusal)?;
    Ok(account.filter(|account| matches && !account.disabled))
}

fn refusal(error: PasswordError) -> ApiError {
    match error {
        PasswordError::Busy => ApiError::unavailable(),
        _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The password was not checked."),
    }
}

fn grant_token(app: &App, account: &Account) -> Result<HttpResponse, ApiError> {
    let access_token = app.tokens.issue(account).map_err(|_| ApiError::unavailable())?;
    let granted = Granted { access_token, token_type: "bearer", expires_in: app.tokens.lifetime().as_secs() };
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    Ok(response.json(granted))
}
