//! Users and invitations, for those who manage them.
//!
//! Nobody gives away, or takes over, more than they have: whoever changes an account must be allowed everything
//! that its roles allow, before the change and after it.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Json};
use actix_web::{HttpResponse, Responder};
use kinora_actors::domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::forget_first_password;
use super::fields;
use super::login::refusal;
use crate::accounts::{Permission, Permissions, Secret, roles};
use crate::http::app::{App, Signup};
use crate::http::auth::Caller;
use crate::http::openapi::schemas::{Email, Name, NewPassword, RoleName, Time};
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{self, NewUser, OneTime, Purpose, User};

/// An invitation waits for so long: seven days.
const INVITATION_GOOD_FOR_US: i64 = 7 * 86_400 * 1_000_000;

/// A user as the API shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct UserShown {
    username: String,
    email: Option<String>,
    roles: Vec<String>,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Option<Time>)]
    disabled_at: Option<Timestamp>,
}

/// All users.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct UserList {
    users: Vec<UserShown>,
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UserRequest {
    #[schema(value_type = Name)]
    username: String,
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
    #[schema(value_type = NewPassword)]
    password: String,
    #[schema(value_type = Vec<RoleName>)]
    roles: Vec<String>,
}

/// What is to be changed of a user; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UserChange {
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
    #[schema(value_type = Option<NewPassword>)]
    password: Option<String>,
    #[schema(value_type = Option<Vec<RoleName>>)]
    roles: Option<Vec<String>>,
    disabled: Option<bool>,
}

/// The roles that an invitation gives, and where it is sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct InvitationRequest {
    #[schema(value_type = Vec<RoleName>)]
    roles: Vec<String>,
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
}

/// An invitation, shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Invitation {
    invitation: String,
    #[schema(value_type = Time)]
    expires_at: Timestamp,
}

/// All users.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", security(("bearer" = ["users"])), responses((status = 200, body = UserList))
)]
pub(in crate::http) async fn users(app: web::Data<App>, caller: Caller) -> Result<Json<UserList>, ApiError> {
    caller.require(Permission::ManageUsers)?;
    let users = app.store(app.store.list_users()).await?;
    Ok(Json(UserList { users: users.into_iter().map(UserShown::from).collect() }))
}

/// One user.
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "users", security(("bearer" = ["users"])),
    params(("name" = inline(Name), Path, description = "The user")),
    responses(
        (status = 200, body = UserShown),
        (status = 400, description = "`invalid_name`."),
        (status = 404, description = "`user_not_found`."),
    )
)]
pub(in crate::http) async fn user(
    app: web::Data<App>,
    caller: Caller,
    name: web::Path<String>,
) -> Result<Json<UserShown>, ApiError> {
    caller.require(Permission::ManageUsers)?;
    Ok(Json(find(&app, &name).await?.into()))
}

/// Makes a user, with no more than one may oneself.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", security(("bearer" = ["users"])), request_body = UserRequest,
    responses(
        (status = 201, body = UserShown),
        (status = 400, description = "`invalid_json`, `invalid_name`, `invalid_email`, `password_too_short`, \
            `password_too_long`, `unknown_role`, `invalid_text`."),
        (status = 404, description = "`user_not_found`: it was deleted in this moment."),
        (status = 409, description = "`taken`, or a conflict of the `idempotency-key`."),
    )
)]
pub(in crate::http) async fn create_user(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    body: Json<UserRequest>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::ManageUsers)?;
    let UserRequest { username, email, password, roles } = body.into_inner();
    fields::name(&username)?;
    email.as_deref().map_or(Ok(()), fields::email)?;
    fields::password(&password)?;
    may_give(&app, &caller, &roles).await?;
    let password_hash = app.passwords.hash(password).await.map_err(refusal)?;
    let user = NewUser { username: username.clone(), email, password_hash, roles };
    let entry = visit.entry(&caller, "user.create", &username);
    app.store(app.store.create_user(user, Some(entry))).await?;
    Ok(HttpResponse::Created().json(UserShown::from(find(&app, &username).await?)))
}

/// Changes a user; what is absent stays. A new password ends all logins of the account.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "users", security(("bearer" = ["users"])), request_body = UserChange,
    params(("name" = inline(Name), Path, description = "The user")),
    responses(
        (status = 200, body = UserShown),
        (status = 400, description = "`invalid_json`, `invalid_name`, `invalid_email`, `password_too_short`, \
            `password_too_long`, `unknown_role`, `invalid_text`."),
        (status = 404, description = "`user_not_found`."),
        (status = 409, description = "`taken`, `last_administrator`."),
    )
)]
pub(in crate::http) async fn change_user(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    name: web::Path<String>,
    body: Json<UserChange>,
) -> Result<Json<UserShown>, ApiError> {
    caller.require(Permission::ManageUsers)?;
    let user = find(&app, &name).await?;
    may_give(&app, &caller, &user.roles).await?;
    let change = body.into_inner();
    change.check()?;
    if let Some(roles) = &change.roles {
        may_give(&app, &caller, roles).await?;
    }
    let UserChange { email, password, roles, disabled } = change;
    let password_hash = match password {
        Some(password) => Some(app.passwords.hash(password).await.map_err(refusal)?),
        None => None,
    };
    let new_password = password_hash.is_some();
    let change = store::UserChange { roles, email, disabled, password_hash };
    let entry = visit.entry(&caller, "user.change", &name);
    app.store(app.store.change_user(&name, change, Some(entry))).await?;
    if new_password {
        forget_first_password(&app, &name)?;
    }
    Ok(Json(find(&app, &name).await?.into()))
}

/// Deletes a user with their keys and logins.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "users", security(("bearer" = ["users"])),
    params(("name" = inline(Name), Path, description = "The user")),
    responses(
        (status = 204, description = "Deleted."),
        (status = 400, description = "`invalid_name`."),
        (status = 404, description = "`user_not_found`."),
        (status = 409, description = "`last_administrator`."),
    )
)]
pub(in crate::http) async fn delete_user(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    name: web::Path<String>,
) -> Result<impl Responder, ApiError> {
    caller.require(Permission::ManageUsers)?;
    may_give(&app, &caller, &find(&app, &name).await?.roles).await?;
    let entry = visit.entry(&caller, "user.delete", &name);
    app.store(app.store.delete_user(&name, Some(entry))).await?;
    Ok(HttpResponse::NoContent())
}

/// Invites somebody: the token is told once, and mailed if there is an address.
///
/// It is good as long as its maker may give its roles, and void when their password is changed.
#[utoipa::path(
    post, path = "/api/v1/invitations", tag = "users", security(("bearer" = ["users"])), request_body = InvitationRequest,
    responses(
        (status = 201, body = Invitation),
        (status = 400, description = "`invalid_json`, `invalid_email`, `unknown_role`, `invalid_text`."),
        (status = 409, description = "`signup_closed`: `auth.signup` is `off`, so nobody could use it; or a conflict \
            of the `idempotency-key`."),
    )
)]
pub(in crate::http) async fn invite(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    body: Json<InvitationRequest>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::ManageUsers)?;
    let InvitationRequest { roles, email } = body.into_inner();
    email.as_deref().map_or(Ok(()), fields::email)?;
    may_give(&app, &caller, &roles).await?;
    if app.accounts.signup == Signup::Off {
        let detail = "Nobody could sign up with it: set auth.signup = \"invite\" in the configuration first.";
        return Err(ApiError::conflict("signup_closed", detail));
    }
    let secret = Secret::new().map_err(|_| ApiError::internal())?;
    let invited_by = i32::try_from(caller.user().0).ok();
    let token = OneTime { purpose: Purpose::Invite, user: None, invited_by, roles };
    let until = app.clock.unix_us() + INVITATION_GOOD_FOR_US;
    let entry = visit.entry(&caller, "user.invite", email.as_deref().unwrap_or_default());
    app.store(app.store.create_one_time(secret.digest(), token, until, Some(entry))).await?;
    if let Some(email) = email {
        send_invitation(&app, email, &secret).await?;
    }
    let made = Invitation { invitation: secret.expose().to_owned(), expires_at: Timestamp(until) };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(made))
}

/// Refuses roles that allow or see more than the caller, and roles that there are not.
pub(super) async fn may_give(app: &App, caller: &Caller, roles: &[String]) -> Result<(), ApiError> {
    let known = app.store(app.store.list_roles()).await?;
    let mut granted = Vec::new();
    for name in roles {
        let role = known.iter().find(|role| role.name == *name);
        let role = role.ok_or(ApiError::bad_request("unknown_role", "There is no role of this name."))?;
        granted.extend(role.permissions.iter().map(String::as_str));
    }
    let all = Permissions::of_roles(roles.iter().map(String::as_str), granted);
    if !caller.identity.permissions.cover(all) || !sees_all_of(app, caller, roles).await? {
        return Err(ApiError::forbidden());
    }
    Ok(())
}

/// Whether the caller sees every stream that somebody with these roles sees.
async fn sees_all_of(app: &App, caller: &Caller, given: &[String]) -> Result<bool, ApiError> {
    let is_admin = |names: &[String]| names.iter().any(|name| name == roles::ADMIN);
    if is_admin(&caller.identity.roles) {
        return Ok(true);
    }
    // Administrators see all, what is to come included.
    if is_admin(given) {
        return Ok(false);
    }
    let shown = app.store(app.store.streams_limited_to(given)).await?;
    Ok(shown.iter().all(|stream| caller.sees(stream)))
}

async fn find(app: &App, name: &str) -> Result<User, ApiError> {
    fields::name(name)?;
    let found = app.store(app.store.find_user(name)).await?;
    found.ok_or(ApiError::not_found("user_not_found", "There is no user of this name."))
}

async fn send_invitation(app: &App, to: String, secret: &Secret) -> Result<(), ApiError> {
    let link = app.accounts.link.trim_end_matches('/');
    let text = format!(
        "You are invited to {link}.\n\nThe invitation is good for seven days, once:\n\n{}\n\n\
         To make your account, send it as JSON:\n\n\
         POST {link}/signup\n\
         Content-Type: application/json\n\n\
         {{\"username\": \"...\", \"password\": \"...\", \"invitation\": \"...\"}}\n\n\
         The name and the password are yours to choose (a password has at least 8\n\
         characters); the invitation is the line above. Then log in with them.\n",
        secret.expose()
    );
    let mailer = app.accounts.mailer.clone();
    let sent = web::block(move || mailer.send(&to, "Kinora: an invitation", text)).await;
    sent.map_err(|_| ApiError::internal())?.map_err(|error| app.mail_away(&error.to_string()))
}

impl UserChange {
    fn check(&self) -> Result<(), ApiError> {
        self.email.as_deref().map_or(Ok(()), fields::email)?;
        self.password.as_deref().map_or(Ok(()), fields::password)
    }
}

impl From<User> for UserShown {
    fn from(user: User) -> Self {
        Self {
            username: user.username,
            email: user.email,
            roles: user.roles,
            created_at: Timestamp(user.created_at_us),
            disabled_at: user.disabled_at_us.map(Timestamp),
        }
    }
}
