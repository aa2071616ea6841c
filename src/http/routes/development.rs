//! Sign-in without a password, for those who develop Kinora: off unless the configuration switches it on, which it can
//! only in the environment `local`, and only for programs on this machine.

use actix_web::http::StatusCode;
use actix_web::http::header::{FORWARDED, HOST, HeaderName};
use actix_web::web::{self, Json};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::login::{Granted, begin};
use crate::accounts::GivenRoles;
use crate::http::app::App;
use crate::http::ports::UserId;
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{DEVELOPMENT, Newcomer};

/// How long such a login is kept at most: a day.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(86_400);

/// As which role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DevelopmentRequest {
    role: String,
}

/// Signs a developer in without a password.
///
/// As the account `development-<role>`, where the configuration allows it, and from the server's own machine only.
#[utoipa::path(
    post, path = "/api/v1/auth/development", tag = "login", request_body = DevelopmentRequest,
    responses(
        (status = 200, body = Granted),
        (status = 400, description = "`invalid_json`, `unknown_role`."),
        (status = 401, description = "`token_revoked`: the account was closed in this moment."),
        (status = 403, description = "`not_local`, `account_disabled`."),
        (status = 404, description = "`development_login_off`."),
    )
)]
pub(in crate::http) async fn development_login(
    app: web::Data<App>,
    visit: Visit,
    request: HttpRequest,
    body: Json<DevelopmentRequest>,
) -> Result<HttpResponse, ApiError> {
    if !app.accounts.development_login {
        return Err(ApiError::not_found("development_login_off", "There is no such way to sign in here."));
    }
    if !is_from_here(&request) {
        let detail = "The development login is for programs on the server's own machine.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not_local", detail));
    }
    let role = body.into_inner().role;
    let known = app.store(app.store.list_roles()).await?;
    if !known.iter().any(|known| known.name == role) {
        return Err(ApiError::bad_request("unknown_role", "There is no role of this name."));
    }
    let person = Newcomer {
        issuer: DEVELOPMENT.to_owned(),
        subject: role.clone(),
        username: format!("{DEVELOPMENT}-{role}"),
        suffix: role.clone(),
        email: None,
        given: GivenRoles { roles: vec![role], each_time: true },
    };
    let entry = visit.entry_by("", "login.development", "");
    let account = app.store(app.store.sign_in(person, Some(entry))).await?;
    if account.disabled {
        let detail = "This account was closed by an administrator.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "account_disabled", detail));
    }
    begin(&app, UserId(i64::from(account.user)), app.accounts.refresh_lifetime.min(LONGEST)).await
}

/// Whether a program on this machine asks, and asks this machine: behind a proxy everybody would seem to be here, and a
/// foreign page could give its own name the address of this machine.
fn is_from_here(request: &HttpRequest) -> bool {
    let near = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let proxied = ["via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    let mut proxied = proxied.into_iter().map(HeaderName::from_static).chain([FORWARDED]);
    let direct = !proxied.any(|name| request.headers().contains_key(name));
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    near && direct && matches!(name, "127.0.0.1" | "[::1]" | "localhost")
}
