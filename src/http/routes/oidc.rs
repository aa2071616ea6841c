//! Sign-in by an identity provider: the way there, the way back, and how a page or a program gets its tokens.
//!
//! A person's browser comes back with a code that the provider gave it. Who began and who ends are one: a cookie that
//! lives ten minutes sees to that. Tokens are never put into an address: a page gets a code of ours, good for a minute
//! and once, and only with the secret whose challenge it sent when it began (PKCE, RFC 7636).

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use actix_web::web::{self, Json, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::login::{Granted, begin};
use crate::accounts::{Digest, Secret, digest, username, verified_email};
use crate::http::app::App;
use crate::http::auth::{Attempt, Oidc, OidcError, Person, challenge};
use crate::http::ports::{HttpEvent, UserId};
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{Newcomer, Onward, SignIn, SignedIn};

/// A person has so long to sign in: ten minutes.
const PATIENCE_S: i64 = 600;
/// A code is redeemed by a program, at once.
const CODE_GOOD_FOR_US: i64 = 60_000_000;
/// So many sign-ins may be under way in one browser; one more ends the others.
const MOST_BEGUN: usize = 8;
/// What the browser keeps meanwhile begins so; the rest of its name is the sign-in's, since two may be under way in
/// two tabs.
const COOKIE_NAME: &str = "kinora_sign_in";
/// Where it shows it.
const COOKIE_PATH: &str = "/api/v1/auth/oidc";

/// Where the browser goes when somebody has signed in; without it, tokens are the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LoginQuery {
    /// A path of this server, a page of `http.allowed_origins`, or a program on the person's own machine.
    return_to: Option<String>,
    /// SHA-256 of the secret that redeems the code, in base64url.
    code_challenge: Option<String>,
}

/// What the identity provider adds to the address. It may add more, which is not looked at.
#[derive(Deserialize)]
pub(in crate::http) struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// A code, and the secret whose challenge it has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CodeRequest {
    code: String,
    code_verifier: String,
}

/// Sends the browser to the identity provider.
///
/// With `return_to` the browser ends there with a code; without, the callback answers with tokens.
#[utoipa::path(
    get, path = "/api/v1/auth/oidc/login", tag = "login",
    params(
        ("return_to" = Option<String>, Query,
            description = "A path of this server, a page of `http.allowed_origins`, or http://127.0.0.1:<port>/... where a \
                program listens."),
        ("code_challenge" = Option<String>, Query,
            description = "Goes with `return_to`: the S256 challenge of RFC 7636, of a secret that redeems the code."),
    ),
    responses(
        (status = 302, description = "To the identity provider, with a cookie for ten minutes."),
        (status = 400, description = "`invalid_query`."),
        (status = 404, description = "`oidc_off`."),
        (status = 500, description = "`internal`."),
        (status = 502, description = "`provider_odd`: its answer is not understood."),
        (status = 503, description = "`provider_away`, or `unavailable`: the database."),
    )
)]
pub(in crate::http) async fn oidc_login(
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let oidc = provider(&app)?;
    let query = Query::<LoginQuery>::from_query(request.query_string());
    let onward = onward(&app, query.map_err(|_| bad("The query is not understood."))?.into_inner())?;
    let secret = || Secret::new().map_err(|_| ApiError::internal());
    let (state, nonce, verifier, browser) = (secret()?, secret()?, secret()?, secret()?);
    let attempt = Attempt { state: state.expose(), nonce: nonce.expose(), verifier: verifier.expose() };
    let address = oidc.authorization_url(&attempt).await.map_err(|error| told(&app, &error))?;
    let sign_in = SignIn {
        browser: browser.digest(),
        nonce: nonce.expose().to_owned(),
        verifier: verifier.expose().to_owned(),
        onward,
    };
    let until = app.clock.unix_us() + PATIENCE_S * 1_000_000;
    app.store(app.store.begin_sign_in(state.digest(), sign_in, until)).await?;
    let mut response = HttpResponse::Found();
    response.insert_header((LOCATION, address)).insert_header((CACHE_CONTROL, "no-store"));
    let name = cookie_name(state.expose());
    response.insert_header((SET_COOKIE, cookie(oidc, &name, browser.expose(), PATIENCE_S)));
    // Sign-ins that were left half-way must not fill a header of the browser's.
    let begun: Vec<(&str, &str)> = cookies(&request).filter(|(name, _)| is_sign_in(name)).collect();
    if begun.len() >= MOST_BEGUN {
        for (name, _) in begun {
            response.append_header((SET_COOKIE, cookie(oidc, name, "", 0)));
        }
    }
    Ok(response.finish())
}

/// Where the identity provider sends the browser back.
#[utoipa::path(
    get, path = "/api/v1/auth/oidc/callback", tag = "login",
    params(
        ("state" = Option<String>, Query, description = "What the sign-in began with."),
        ("code" = Option<String>, Query, description = "What the identity provider is shown for its token."),
        ("error" = Option<String>, Query, description = "In place of a code: it does not vouch."),
    ),
    responses(
        (status = 200, body = Granted),
        (status = 302, description = "To `return_to`, with a code."),
        (status = 400, description = "`invalid_query`, `sign_in_unknown`."),
        (status = 401, description = "`sign_in_refused`; `token_revoked`: the account was closed in this moment."),
        (status = 403, description = "`no_role`, `account_disabled`."),
        (status = 404, description = "`oidc_off`."),
        (status = 500, description = "`internal`."),
        (status = 502, description = "`provider_odd`: its answer is not understood."),
        (status = 503, description = "`provider_away`, or `unavailable`: the database."),
    )
)]
pub(in crate::http) async fn oidc_callback(
    app: web::Data<App>,
    visit: Visit,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let oidc = provider(&app)?;
    let query = Query::<CallbackQuery>::from_query(request.query_string());
    let query = query.map_err(|_| bad("The query is not understood."))?.into_inner();
    let state = query.state.unwrap_or_default();
    let taken = app.store(app.store.take_sign_in(digest(&state), app.clock.unix_us())).await?;
    let sign_in = taken.filter(|taken| kept(&request, &state) == Some(taken.browser));
    let sign_in = sign_in.ok_or(ApiError::bad_request(
        "sign_in_unknown",
        "This sign-in was not begun in this browser, is over, or was used. Begin again.",
    ))?;
    let code = query.code.filter(|_| query.error.is_none());
    let ended = end(&app, &visit, code, &state, sign_in).await;
    // A sign-in is used up however it ends, and so is what the browser kept of it.
    let mut response = ended.unwrap_or_else(|error| error.error_response());
    let over = cookie(oidc, &cookie_name(&state), "", 0).parse().map_err(|_| ApiError::internal())?;
    response.headers_mut().insert(SET_COOKIE, over);
    Ok(response)
}

/// Ends a sign-in for which the provider gave `code`, if it vouches.
async fn end(
    app: &App,
    visit: &Visit,
    code: Option<String>,
    state: &str,
    sign_in: SignIn,
) -> Result<HttpResponse, ApiError> {
    let oidc = provider(app)?;
    let Some(code) = code else {
        visit.refused("", "login.oidc").await;
        return Err(refused());
    };
    let attempt = Attempt { state, nonce: &sign_in.nonce, verifier: &sign_in.verifier };
    let person = match oidc.person(&code, &attempt).await {
        Ok(person) => person,
        Err(error) => {
            visit.refused("", "login.oidc").await;
            return Err(told(app, &error));
        }
    };
    let account = account_of(app, visit, oidc, person).await?;
    match sign_in.onward {
        None => begin(app, UserId(i64::from(account.user)), oidc.settings.login_lifetime).await,
        Some(onward) => send_on(app, account.user, onward).await,
    }
}

/// Redeems the code of a sign-in for the tokens of a login.
#[utoipa::path(
    post, path = "/api/v1/auth/oidc/token", tag = "login", request_body = CodeRequest,
    responses(
        (status = 200, body = Granted),
        (status = 400, description = "`invalid_json`, `code_invalid`: it is used, over, or of another program."),
        (status = 401, description = "`token_revoked`: the account was closed in this moment."),
        (status = 404, description = "`oidc_off`."),
    )
)]
pub(in crate::http) async fn oidc_token(
    app: web::Data<App>,
    body: Json<CodeRequest>,
) -> Result<HttpResponse, ApiError> {
    let oidc = provider(&app)?;
    let CodeRequest { code, code_verifier } = body.into_inner();
    let taken = app.store(app.store.take_sign_in_code(digest(&code), app.clock.unix_us())).await?;
    let good = taken.filter(|(_, expected)| *expected == challenge(&code_verifier));
    let (user, _) = good.ok_or(ApiError::bad_request(
        "code_invalid",
        "The code is used, over, or of another program. Sign in again.",
    ))?;
    begin(&app, UserId(i64::from(user)), oidc.settings.login_lifetime).await
}

fn provider(app: &App) -> Result<&Oidc, ApiError> {
    let off = ApiError::not_found("oidc_off", "No identity provider is configured here.");
    app.accounts.oidc.as_ref().ok_or(off)
}

/// The account of somebody whom the provider vouches for.
async fn account_of(app: &App, visit: &Visit, oidc: &Oidc, person: Person) -> Result<SignedIn, ApiError> {
    let mut given = oidc.settings.mapping.roles(&person.claims);
    let known = app.store(app.store.list_roles()).await?;
    given.roles.retain(|role| {
        let there = known.iter().any(|known| known.name == *role);
        if !there {
            let error = format!("[auth.oidc] gives the role {role}, which there is not");
            notice(app, &error);
        }
        there
    });
    if given.roles.is_empty() {
        visit.refused(&username(&person.claims), "login.oidc").await;
        let detail = "The identity provider gives you no role here.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "no_role", detail));
    }
    let suffix = Secret::new().map_err(|_| ApiError::internal())?;
    let newcomer = Newcomer {
        username: username(&person.claims),
        suffix: suffix.expose().chars().take(12).collect(),
        email: verified_email(&person.claims),
        issuer: person.issuer,
        subject: person.subject,
        given,
    };
    let entry = visit.entry_by("", "login.oidc", "");
    let account = app.store(app.store.sign_in(newcomer, Some(entry))).await?;
    if account.disabled {
        let detail = "This account was closed by an administrator.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "account_disabled", detail));
    }
    Ok(account)
}

/// Sends the browser to where it wanted to go, with a code and never with a token.
async fn send_on(app: &App, user: i32, onward: Onward) -> Result<HttpResponse, ApiError> {
    let code = Secret::new().map_err(|_| ApiError::internal())?;
    let until = app.clock.unix_us() + CODE_GOOD_FOR_US;
    let kept = app.store.create_sign_in_code(code.digest(), user, onward.challenge, until);
    app.store(kept).await?;
    let joint = if onward.return_to.contains('?') { '&' } else { '?' };
    let address = format!("{}{joint}code={}", onward.return_to, code.expose());
    Ok(HttpResponse::Found()
        .insert_header((LOCATION, address))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

fn onward(app: &App, query: LoginQuery) -> Result<Option<Onward>, ApiError> {
    let Some(return_to) = query.return_to else { return Ok(None) };
    if !may_return_to(&app.allowed_origins, &return_to) {
        return Err(bad(
            "return_to= is a path of this server, a page of http.allowed_origins, or on this machine.",
        ));
    }
    let challenge = query.code_challenge.filter(|text| {
        // The base64url of a SHA-256.
        text.len() == 43 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    });
    let challenge =
        challenge.ok_or(bad("return_to= goes with code_challenge=, the S256 challenge of RFC 7636."))?;
    Ok(Some(Onward { return_to, challenge }))
}

/// Whether a browser may be sent there with a code.
fn may_return_to(origins: &[String], address: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '#' | '"' | '<' | '>');
    if address.len() > 2_000 || !address.chars().all(plain) {
        return false;
    }
    if let Some(path) = address.strip_prefix('/') {
        // Two slashes would be another server.
        return !path.starts_with('/');
    }
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if origins.iter().any(|origin| *origin == format!("{scheme}://{authority}")) {
        return true;
    }
    // RFC 8252, section 7.3: a program listens on the person's own machine, on any port.
    let host =
        authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(host, _)| host);
    scheme == "http" && matches!(host, Some("127.0.0.1" | "[::1]" | "localhost"))
}

/// Sent back to these addresses only, out of reach of scripts, and on the way back from the provider too.
fn cookie(oidc: &Oidc, name: &str, value: &str, seconds: i64) -> String {
    let secure = if oidc.settings.redirect_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{name}={value}; Path={COOKIE_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The name of a sign-in's cookie: nothing of its state can be told from it.
fn cookie_name(state: &str) -> String {
    let own = digest(state).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{COOKIE_NAME}_{own}")
}

/// Whether a cookie's name is one that [`cookie_name`] gives.
fn is_sign_in(name: &str) -> bool {
    let own = name.strip_prefix(COOKIE_NAME).and_then(|rest| rest.strip_prefix('_'));
    own.is_some_and(|own| own.len() == 16 && own.chars().all(|c| c.is_ascii_hexdigit()))
}

/// What the browser kept of a sign-in, as the database knows it.
fn kept(request: &HttpRequest, state: &str) -> Option<Digest> {
    let wanted = cookie_name(state);
    cookies(request).find(|(name, _)| *name == wanted).map(|(_, value)| digest(value))
}

/// The cookies that the browser shows, by name and value.
fn cookies(request: &HttpRequest) -> impl Iterator<Item = (&str, &str)> {
    let headers = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    headers.flat_map(|value| value.split(';')).filter_map(|cookie| cookie.trim().split_once('='))
}

/// What a sign-in that failed means for a client; the reason goes to the log.
fn told(app: &App, error: &OidcError) -> ApiError {
    notice(app, &error.to_string());
    match error {
        OidcError::Away(_) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_away",
            "The identity provider does not answer. Try again later.",
        ),
        OidcError::Odd(_) => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "provider_odd",
            "The identity provider's answer is not understood. The log has more under the request's id.",
        ),
        OidcError::Refused(_) | OidcError::Token(_) => refused(),
    }
}

fn notice(app: &App, error: &str) {
    app.ports.observer.notice(HttpEvent::ComponentUnavailable { component: "oidc", error });
}

const fn refused() -> ApiError {
    ApiError::unauthorized("sign_in_refused", "The identity provider did not vouch for you. Begin again.")
}

const fn bad(detail: &'static str) -> ApiError {
    ApiError::bad_request("invalid_query", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_this_server_to_named_pages_and_to_its_own_machine() {
        let origins = ["https://console.example".to_owned()];
        for good in [
            "/console",
            "/console?x=1",
            "https://console.example/after",
            "http://127.0.0.1:54321/done",
            "http://[::1]:54321/",
            "http://localhost:1",
        ] {
            assert!(may_return_to(&origins, good), "{good}");
        }
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "https://console.example.evil.example",
            "https://console.example@evil.example",
            "http://127.0.0.1:80@evil.example",
            "http://127.0.0.1.evil.example:80/",
            "http://127.0.0.1",
            "javascript:alert(1)",
            "https://console.example/#x",
            "/a b",
            "/a\r\nx: y",
            "",
        ] {
            assert!(!may_return_to(&origins, bad), "{bad}");
        }
    }
}
