//! One's own account: making it, looking at it, and its password.
//!
//! Nothing here tells whether a mail address has an account: a reset is accepted for every address, and the work
//! of it is done after the answer.

use actix_web::http::StatusCode;
use actix_web::web::{self, Json};
use actix_web::{HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields;
use super::login::{authenticate, refusal};
use super::users::may_give;
use crate::accounts::{Digest, Permission, Secret, digest, first_admin, roles};
use crate::http::app::{App, Signup};
use crate::http::auth::Caller;
use crate::http::openapi::schemas::{Email, Name, NewPassword};
use crate::http::ports::{HttpEvent, UserId, Who};
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{NewUser, OneTime, Purpose, UserChange};

/// How long a mail may wait to be read.
const RESET_GOOD_FOR_US: i64 = 3_600_000_000;
/// Why it is not good is nobody's business who has only the invitation.
const INVITATION_INVALID: ApiError =
    ApiError::bad_request("invitation_invalid", "The invitation is used or over.");

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SignupRequest {
    #[schema(value_type = Name)]
    username: String,
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
    #[schema(value_type = NewPassword)]
    password: String,
    /// Needed where accounts are made by invitation.
    invitation: Option<String>,
}

/// An account, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Me {
    username: String,
    roles: Vec<String>,
    #[schema(value_type = Vec<Permission>)]
    permissions: Vec<&'static str>,
}

/// An account that was made.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SignedUp {
    username: String,
}

/// Whose password is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ResetRequest {
    #[schema(value_type = Email)]
    email: String,
}

/// A new password, by the token of a mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ResetConfirmation {
    token: String,
    #[schema(value_type = NewPassword)]
    password: String,
}

/// A new password, by the old one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PasswordChange {
    #[schema(format = "password")]
    current_password: String,
    #[schema(value_type = NewPassword)]
    new_password: String,
}

/// Makes an account for oneself.
///
/// Where accounts are made by invitation, the invitation says the roles; else the account is a viewer.
#[utoipa::path(
    post, path = "/signup", tag = "login", request_body = SignupRequest,
    responses(
        (status = 201, body = SignedUp),
        (status = 400, description = "`invalid_json`, `invalid_name`, `invalid_email`, `password_too_short`, \
            `password_too_long`, `invalid_text`, `invitation_invalid`."),
        (status = 403, description = "`signup_closed`."),
        (status = 409, description = "`taken`."),
    )
)]
pub(in crate::http) async fn signup(
    app: web::Data<App>,
    visit: Visit,
    body: Json<SignupRequest>,
) -> Result<HttpResponse, ApiError> {
    let SignupRequest { username, email, password, invitation } = body.into_inner();
    let closed =
        ApiError::new(StatusCode::FORBIDDEN, "signup_closed", "Accounts are made by administrators.");
    if app.accounts.signup == Signup::Off {
        return Err(closed);
    }
    fields::name(&username)?;
    email.as_deref().map_or(Ok(()), fields::email)?;
    fields::password(&password)?;
    let password_hash = app.passwords.hash(password).await.map_err(refusal)?;
    let user =
        NewUser { username: username.clone(), email, password_hash, roles: vec![roles::VIEWER.to_owned()] };
    let entry = Some(visit.entry_by(&username, "user.signup", &username));
    match (app.accounts.signup, invitation) {
        (_, Some(token)) => {
            let token = digest(&token);
            check_invitation(&app, token).await?;
            let accepted = app.store.accept_invitation(token, user, app.clock.unix_us(), entry);
            app.store(accepted).await?.ok_or(INVITATION_INVALID)?;
        }
        (Signup::Open, None) => drop(app.store(app.store.create_user(user, entry)).await?),
        _ => return Err(closed),
    }
    Ok(HttpResponse::Created().json(SignedUp { username }))
}

/// Who one is, and what one may do.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "login", security(("bearer" = [])), responses((status = 200, body = Me))
)]
pub(in crate::http) async fn me(caller: Caller) -> Json<Me> {
    Json(Me {
        permissions: caller.identity.permissions.names(),
        username: caller.identity.username,
        roles: caller.identity.roles,
    })
}

/// Changes one's own password and ends all logins of the account.
///
/// A key cannot do this.
#[utoipa::path(
    post, path = "/api/v1/me/password", tag = "login", security(("bearer" = [])), request_body = PasswordChange,
    responses(
        (status = 204, description = "Changed."),
        (status = 400, description = "`invalid_json`, `wrong_password`, `password_too_short`, `password_too_long`."),
        (status = 403, description = "`forbidden`: a key was shown."),
        (status = 404, description = "`not_found`: the account is gone."),
    )
)]
pub(in crate::http) async fn change_password(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    body: Json<PasswordChange>,
) -> Result<impl Responder, ApiError> {
    if matches!(caller.who, Who::Key { .. }) {
        return Err(ApiError::forbidden());
    }
    let PasswordChange { current_password, new_password } = body.into_inner();
    fields::password(&new_password)?;
    let username = &caller.identity.username;
    let account = authenticate(&app, &visit, username, current_password).await?;
    account.ok_or(ApiError::bad_request("wrong_password", "The current password is wrong."))?;
    let hash = app.passwords.hash(new_password).await.map_err(refusal)?;
    let change = UserChange { password_hash: Some(hash), ..UserChange::default() };
    let entry = visit.entry(&caller, "user.password", username);
    app.store(app.store.change_user(username, change, Some(entry))).await?;
    forget_first_password(&app, username)?;
    Ok(HttpResponse::NoContent())
}

/// Asks for a new password.
///
/// Always 202: nobody learns which addresses have an account. A mail follows if this one has.
#[utoipa::path(
    post, path = "/password-reset", tag = "login", request_body = ResetRequest,
    responses(
        (status = 202, description = "A mail is sent if there is such an account."),
        (status = 400, description = "`invalid_json`, `invalid_email`."),
    )
)]
pub(in crate::http) async fn request_reset(
    app: web::Data<App>,
    visit: Visit,
    body: Json<ResetRequest>,
) -> Result<impl Responder, ApiError> {
    let email = body.into_inner().email;
    fields::email(&email)?;
    let secret = Secret::new().map_err(|_| ApiError::internal())?;
    actix_web::rt::spawn(async move {
        if let Err(error) = send_reset(&app, &visit, &email, &secret).await {
            let event = HttpEvent::ComponentUnavailable { component: "mail", error: &error };
            app.ports.observer.notice(event);
        }
    });
    Ok(HttpResponse::Accepted())
}

/// Sets a new password by the token of a mail and ends all logins of the account.
#[utoipa::path(
    post, path = "/password-reset/confirm", tag = "login", request_body = ResetConfirmation,
    responses(
        (status = 204, description = "Changed."),
        (status = 400, description = "`invalid_json`, `token_invalid`, `password_too_short`, `password_too_long`."),
        (status = 404, description = "`not_found`: the account is gone."),
    )
)]
pub(in crate::http) async fn confirm_reset(
    app: web::Data<App>,
    visit: Visit,
    body: Json<ResetConfirmation>,
) -> Result<impl Responder, ApiError> {
    let ResetConfirmation { token, password } = body.into_inner();
    fields::password(&password)?;
    // First, so that a password that cannot be hashed does not use the token up.
    let hash = app.passwords.hash(password).await.map_err(refusal)?;
    let entry = visit.entry_by("", "user.password_reset", "");
    let reset = app.store.reset_password(digest(&token), &hash, app.clock.unix_us(), entry);
    let username = app.store(reset).await?;
    let username = username.ok_or(ApiError::bad_request("token_invalid", "The token is used or over."))?;
    forget_first_password(&app, &username)?;
    Ok(HttpResponse::NoContent())
}

/// Forgets the file that told the password that was just changed, if it told this one.
pub(super) fn forget_first_password(app: &App, username: &str) -> Result<(), ApiError> {
    first_admin::forget(&app.accounts.data, username).map_err(|error| {
        let error = error.to_string();
        app.ports
            .observer
            .notice(HttpEvent::ComponentUnavailable { component: "first-admin", error: &error });
        ApiError::internal()
    })
}

/// Refuses an invitation that is over, and one that its maker could not make any more.
async fn check_invitation(app: &App, invitation: Digest) -> Result<(), ApiError> {
    let found = app.store(app.store.find_invitation(invitation, app.clock.unix_us())).await?;
    let (maker, roles) = found.ok_or(INVITATION_INVALID)?;
    let may = may_invite(app, UserId(maker), &roles).await;
    may.map_err(|error| if error.is_refusal() { INVITATION_INVALID } else { error })
}

/// Whether somebody may invite with these roles now.
async fn may_invite(app: &App, user: UserId, roles: &[String]) -> Result<(), ApiError> {
    let who = Who::User { user, family: None };
    // Who they were a second ago does not count: a right that was just taken is taken.
    app.known_now(&who).await?;
    let caller = Caller::admit(app, who, None, None).await?;
    caller.require(Permission::ManageUsers)?;
    may_give(app, &caller, roles).await
}

async fn send_reset(app: &App, visit: &Visit, email: &str, secret: &Secret) -> Result<(), String> {
    let say = |error: crate::store::StoreError| error.to_string();
    let found = app.store.find_by_email(email).await.map_err(say)?;
    // Who has no password signs in elsewhere, and is kept out there: a mail must not open a second door.
    let Some(user) = found.filter(|user| !user.password_hash.is_empty()) else { return Ok(()) };
    let until = app.clock.unix_us() + RESET_GOOD_FOR_US;
    let token = OneTime { purpose: Purpose::Reset, user: Some(user.id), invited_by: None, roles: Vec::new() };
    app.store.create_one_time(secret.digest(), token, until, None).await.map_err(say)?;
    let text = format!(
        "Somebody asked for a new password for {} on {}.\n\nThe token is good for one hour, once:\n\n{}\n\n\
         If it was not you, nothing has to be done.\n",
        user.username,
        app.accounts.link,
        secret.expose()
    );
    // To the account's address: the one that was typed only had to look alike.
    let Some(to) = user.email.clone() else { return Ok(()) };
    let mailer = app.accounts.mailer.clone();
    let sent = web::block(move || mailer.send(&to, "Kinora: a new password", text)).await;
    sent.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    visit.done_by(&user.username, "user.reset_mail", &user.username).await;
    Ok(())
}
