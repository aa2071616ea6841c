//! Who changed what, newest first.

use actix_web::web::{self, Json, Query};
use kinora_actors::domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fields;
use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::Time;
use crate::http::problem::ApiError;
use crate::store::AuditRow;

/// Entries of a page, unless the caller wants fewer or more.
const PAGE: u32 = 100;
/// Entries of the largest page.
const LARGEST_PAGE: u32 = 1_000;

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AuditQuery {
    /// Who did it, or was refused.
    #[param(nullable = false)]
    actor: Option<String>,
    /// What was done.
    #[param(nullable = false, example = "stream.create")]
    action: Option<String>,
    /// Where the last page ended.
    #[param(nullable = false, minimum = 1)]
    cursor: Option<i64>,
    /// Entries of the page.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// An entry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditShown {
    id: i64,
    #[schema(value_type = Time)]
    at: Timestamp,
    actor: String,
    action: String,
    target: String,
    outcome: String,
    address: Option<String>,
    request_id: Option<String>,
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct AuditPage {
    entries: Vec<AuditShown>,
    /// Where the next page goes on; absent at the end.
    next_cursor: Option<i64>,
}

/// Who changed what, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "users", security(("bearer" = ["audit"])), params(AuditQuery),
    responses(
        (status = 200, body = AuditPage),
        (status = 400, description = "`invalid_query`."),
    )
)]
pub(in crate::http) async fn audit(
    app: web::Data<App>,
    caller: Caller,
    query: Query<AuditQuery>,
) -> Result<Json<AuditPage>, ApiError> {
    caller.require(Permission::ReadAudit)?;
    let AuditQuery { actor, action, cursor, limit } = query.into_inner();
    if [&actor, &action].into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(ApiError::bad_request("invalid_query", "The query is not understood."));
    }
    let limit = fields::limit(limit, PAGE, LARGEST_PAGE)?;
    let rows = app.store(app.store.audit_page(cursor, actor, action, limit)).await?;
    let full = rows.len() == limit as usize;
    let next_cursor = rows.last().map(|row| row.id).filter(|_| full);
    Ok(Json(AuditPage { entries: rows.into_iter().map(AuditShown::from).collect(), next_cursor }))
}

impl From<AuditRow> for AuditShown {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: Timestamp(row.at_us),
            actor: row.actor,
            action: row.action,
            target: row.target,
            outcome: row.outcome,
            address: row.address,
            request_id: row.request_id,
        }
    }
}
