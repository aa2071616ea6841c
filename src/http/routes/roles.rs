//! Roles: the built-in ones to read, own ones to make.

use actix_web::web::{self, Json};
use actix_web::{HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields;
use crate::accounts::{Permission, Permissions};
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::RoleName;
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{RoleRow, StoreError};

/// A role with what it allows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct RoleShown {
    name: String,
    built_in: bool,
    #[schema(value_type = Vec<Permission>)]
    permissions: Vec<&'static str>,
}

/// All roles.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RoleList {
    roles: Vec<RoleShown>,
}

/// A role to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RoleRequest {
    #[schema(value_type = RoleName)]
    name: String,
    #[schema(value_type = Vec<Permission>)]
    permissions: Vec<String>,
}

/// Other permissions of a role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RoleChange {
    #[schema(value_type = Vec<Permission>)]
    permissions: Vec<String>,
}

/// All roles with what they allow.
#[utoipa::path(
    get, path = "/api/v1/roles", tag = "users", security(("bearer" = ["roles"])), responses((status = 200, body = RoleList))
)]
pub(in crate::http) async fn roles(app: web::Data<App>, caller: Caller) -> Result<Json<RoleList>, ApiError> {
    caller.require(Permission::ManageRoles)?;
    let roles = app.store(app.store.list_roles()).await?;
    Ok(Json(RoleList { roles: roles.into_iter().map(RoleShown::from).collect() }))
}

/// Makes a role of permissions that one has.
#[utoipa::path(
    post, path = "/api/v1/roles", tag = "users", security(("bearer" = ["roles"])), request_body = RoleRequest,
    responses(
        (status = 201, body = RoleShown),
        (status = 400, description = "`invalid_json`, `invalid_name`, `unknown_permission`."),
        (status = 409, description = "`taken`, or a conflict of the `idempotency-key`."),
    )
)]
pub(in crate::http) async fn create_role(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    body: Json<RoleRequest>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::ManageRoles)?;
    let RoleRequest { name, permissions } = body.into_inner();
    fields::name(&name)?;
    if name.len() > 32 {
        return Err(ApiError::bad_request("invalid_name", "The name of a role has at most 32 characters."));
    }
    check(&caller, &permissions)?;
    let entry = visit.entry(&caller, "role.create", &name);
    app.store(app.store.create_role(&name, permissions.clone(), Some(entry))).await?;
    let made = RoleShown::from(RoleRow { name, built_in: false, permissions });
    Ok(HttpResponse::Created().json(made))
}

/// Gives a role other permissions.
#[utoipa::path(
    put, path = "/api/v1/roles/{name}", tag = "users", security(("bearer" = ["roles"])), request_body = RoleChange,
    params(("name" = inline(RoleName), Path, description = "The role")),
    responses(
        (status = 200, body = RoleShown),
        (status = 400, description = "`invalid_json`, `invalid_name`, `unknown_permission`."),
        (status = 404, description = "`role_not_found`."),
        (status = 409, description = "`built_in_role`."),
    )
)]
pub(in crate::http) async fn change_role(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    name: web::Path<String>,
    body: Json<RoleChange>,
) -> Result<Json<RoleShown>, ApiError> {
    caller.require(Permission::ManageRoles)?;
    let (name, permissions) = (name.into_inner(), body.into_inner().permissions);
    may_change(&app, &caller, &name).await?;
    check(&caller, &permissions)?;
    let entry = visit.entry(&caller, "role.change", &name);
    app.store(app.store.change_role(&name, permissions.clone(), Some(entry))).await?;
    Ok(Json(RoleRow { name, built_in: false, permissions }.into()))
}

/// Deletes a role that no stream is limited to.
#[utoipa::path(
    delete, path = "/api/v1/roles/{name}", tag = "users", security(("bearer" = ["roles"])),
    params(("name" = inline(RoleName), Path, description = "The role")),
    responses(
        (status = 204, description = "Deleted."),
        (status = 400, description = "`invalid_name`."),
        (status = 404, description = "`role_not_found`."),
        (status = 409, description = "`built_in_role`, `role_in_use`."),
    )
)]
pub(in crate::http) async fn delete_role(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    name: web::Path<String>,
) -> Result<impl Responder, ApiError> {
    caller.require(Permission::ManageRoles)?;
    may_change(&app, &caller, &name).await?;
    let entry = visit.entry(&caller, "role.delete", &name);
    let deleted = match app.store.delete_role(&name, Some(entry)).await {
        // It was there: streams hold it.
        Err(StoreError::NotFound { .. }) => {
            let detail = "Streams are limited to this role; take it from them first.";
            return Err(ApiError::conflict("role_in_use", detail));
        }
        other => other,
    };
    app.store(std::future::ready(deleted)).await?;
    Ok(HttpResponse::NoContent())
}

async fn may_change(app: &App, caller: &Caller, name: &str) -> Result<(), ApiError> {
    fields::name(name)?;
    let roles = app.store(app.store.list_roles()).await?;
    let role = roles.into_iter().find(|role| role.name == name);
    let role = role.ok_or(ApiError::not_found("role_not_found", "There is no role of this name."))?;
    if role.built_in {
        return Err(ApiError::conflict("built_in_role", "Built-in roles stay as they are."));
    }
    check(caller, &role.permissions)
}

/// Refuses permissions that there are not, and those that the caller has not.
fn check(caller: &Caller, permissions: &[String]) -> Result<(), ApiError> {
    if !permissions.iter().all(|name| Permission::from_name(name).is_some()) {
        return Err(ApiError::bad_request("unknown_permission", "There is no permission of this name."));
    }
    let all = Permissions::of_roles([], permissions.iter().map(String::as_str));
    if caller.identity.permissions.cover(all) { Ok(()) } else { Err(ApiError::forbidden()) }
}

impl From<RoleRow> for RoleShown {
    fn from(role: RoleRow) -> Self {
        let granted = role.permissions.iter().map(String::as_str);
        let built_in = role.built_in.then_some(role.name.as_str());
        let permissions = Permissions::of_roles(built_in, granted).names();
        Self { permissions, built_in: role.built_in, name: role.name }
    }
}
