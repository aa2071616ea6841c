//! Keys of agents: a key acts for its owner, and watches only, whatever else its owner may do.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Json};
use actix_web::{HttpResponse, Responder};
use kinora_actors::domain::{EventKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields;
use super::users::may_give;
use crate::accounts::{AgentKey, KeyScope, Permission};
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::{EventName, Label, Name, Time};
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{KeyRow, NewKey};

/// Streams or events that one key can name.
const MOST_NAMES: usize = 64;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct KeyRequest {
    /// What it is for.
    #[schema(value_type = Label)]
    name: String,
    /// The streams that it may see; absent is all that its owner may.
    #[schema(value_type = Option<Vec<Name>>, min_items = 1, max_items = 64)]
    streams: Option<Vec<String>>,
    /// The kinds of events that it may see; absent is all.
    #[schema(value_type = Option<Vec<EventName>>, min_items = 1, max_items = 64)]
    events: Option<Vec<String>>,
    /// For whom it acts; absent is the caller.
    owner: Option<String>,
}

/// A key that was made. Its text is told here and never again.
#[derive(Serialize, ToSchema)]
struct KeyCreated {
    id: String,
    name: String,
    key: String,
}

/// A key as it is listed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct KeyShown {
    id: String,
    name: String,
    owner: String,
    streams: Option<Vec<String>>,
    events: Option<Vec<String>>,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Option<Time>)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = Option<Time>)]
    revoked_at: Option<Timestamp>,
}

/// Keys.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct KeyList {
    keys: Vec<KeyShown>,
}

/// Keys: everybody's for those who may see them, else one's own.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "keys", security(("bearer" = ["keys:own"]), ("bearer" = ["keys:all"])),
    responses((status = 200, body = KeyList))
)]
pub(in crate::http) async fn keys(app: web::Data<App>, caller: Caller) -> Result<Json<KeyList>, ApiError> {
    let owner = whose(&caller)?;
    let rows = app.store(app.store.list_keys(owner)).await?;
    Ok(Json(KeyList { keys: rows.into_iter().map(KeyShown::from).collect() }))
}

/// Makes a key. Its text is told here and never again.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "keys", security(("bearer" = ["keys:own"]), ("bearer" = ["keys:all"])),
    request_body = KeyRequest,
    responses(
        (status = 201, body = KeyCreated),
        (status = 400, description = "`invalid_json`, `invalid_name`, `invalid_scope`, `unknown_role`, `invalid_text`."),
        (status = 404, description = "`user_not_found`: there is no such owner."),
    )
)]
pub(in crate::http) async fn create_key(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    body: Json<KeyRequest>,
) -> Result<HttpResponse, ApiError> {
    let own = whose(&caller)?;
    let KeyRequest { name, streams, events, owner } = body.into_inner();
    let owner = owner.unwrap_or_else(|| caller.identity.username.clone());
    if own.is_some_and(|own| own != owner) {
        return Err(ApiError::forbidden());
    }
    if owner != caller.identity.username {
        // Its text is told to the caller, who could do with it what its owner may.
        let user = app.store(app.store.find_user(&owner)).await?;
        let user = user.ok_or(ApiError::not_found("user_not_found", "There is no user of this name."))?;
        may_give(&app, &caller, &user.roles).await?;
    }
    fields::label(&name)?;
    let scope = KeyScope { streams, events };
    check(&scope)?;
    let AgentKey { id, text, hash } = AgentKey::new().map_err(|_| ApiError::internal())?;
    let key = NewKey { id: id.clone(), name: name.clone(), hash, owner, scope };
    let entry = visit.entry(&caller, "key.create", &id);
    app.store(app.store.create_key(key, Some(entry))).await?;
    let created = KeyCreated { id, name, key: text };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(created))
}

/// Revokes a key: it is void from now on, and what it opened ends.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys", security(("bearer" = ["keys:own"]), ("bearer" = ["keys:all"])),
    params(("id" = String, Path, description = "The key's public part", example = "9f86d081884c")),
    responses(
        (status = 204, description = "Revoked."),
        (status = 400, description = "`invalid_text`."),
        (status = 404, description = "`not_found`."),
    )
)]
pub(in crate::http) async fn revoke_key(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    id: web::Path<String>,
) -> Result<impl Responder, ApiError> {
    let owner = whose(&caller)?;
    let entry = visit.entry(&caller, "key.revoke", &id);
    app.store(app.store.revoke_key(&id, owner, Some(entry))).await?;
    Ok(HttpResponse::NoContent())
}

/// `None` for everybody's keys, a name for one's own.
fn whose(caller: &Caller) -> Result<Option<&str>, ApiError> {
    if caller.may(Permission::AllKeys) {
        return Ok(None);
    }
    caller.require(Permission::OwnKeys)?;
    Ok(Some(&caller.identity.username))
}

fn check(scope: &KeyScope) -> Result<(), ApiError> {
    let bad = |detail| ApiError::bad_request("invalid_scope", detail);
    let too_many = |list: &Option<Vec<String>>| {
        list.as_ref().is_some_and(|list| list.is_empty() || list.len() > MOST_NAMES)
    };
    if too_many(&scope.streams) || too_many(&scope.events) {
        return Err(bad("streams and events name 1 to 64 each, or are left out."));
    }
    if !scope.events.iter().flatten().all(|name| EventKind::from_name(name).is_some()) {
        return Err(bad("events names a kind that does not exist."));
    }
    scope.streams.iter().flatten().try_for_each(|name| fields::name(name))
}

impl From<KeyRow> for KeyShown {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            owner: row.owner,
            streams: row.scope.streams,
            events: row.scope.events,
            created_at: Timestamp(row.created_at_us),
            last_used_at: row.last_used_at_us.map(Timestamp),
            revoked_at: row.revoked_at_us.map(Timestamp),
        }
    }
}
