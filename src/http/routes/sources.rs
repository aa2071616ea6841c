//! Sources that are tried before they are saved, and what is refused of any source.

use actix_web::http::StatusCode;
use actix_web::web::{self, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::source_login::Said;
use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::{SourceAuth, SourceFacts, SourceRefusal};
use crate::http::problem::ApiError;

/// How long trying a source may take; opening has limits of its own.
const TRY_LIMIT: std::time::Duration = std::time::Duration::from_secs(25);

/// A source to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SourceRequest {
    #[schema(example = "rtsp://192.0.2.7/stream1")]
    source: String,
    /// User at a camera.
    #[schema(write_only, max_length = 1024, example = "viewer")]
    username: Option<String>,
    /// That user's password.
    #[schema(write_only, format = Password, max_length = 1024)]
    password: Option<String>,
    /// Which authentication a camera may be given.
    #[serde(default)]
    auth: SourceAuth,
}

/// Opens a source and says what it is, without saving anything.
#[utoipa::path(
    post, path = "/api/v1/sources/test", tag = "streams", security(("bearer" = ["streams:edit"])),
    request_body = SourceRequest,
    responses(
        (status = 200, body = SourceFacts),
        (status = 400, description = "`invalid_json`, `invalid_login`, `invalid_options`."),
        (status = 422, description = "`source_forbidden`, `source_invalid`, `source_unreachable`, `source_silent` and \
            others: the source cannot be used."),
    )
)]
pub(in crate::http) async fn test_source(
    app: web::Data<App>,
    caller: Caller,
    body: Json<SourceRequest>,
) -> Result<Json<SourceFacts>, ApiError> {
    caller.require(Permission::EditStreams)?;
    let SourceRequest { source, username, password, auth } = body.into_inner();
    for_cameras_only(&source, auth)?;
    let source = Said::of(username, password)?.with(source)?;
    let trying = app.ports.control.test(&source, auth);
    let tried = actix_web::rt::time::timeout(TRY_LIMIT, trying).await;
    let late =
        |_| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "source_silent", "The source says nothing.");
    tried.map_err(late)?.map_err(|_| ApiError::unavailable())?.map(Json).map_err(refusal)
}

/// What a source is refused for, as an answer.
pub(super) fn refusal(SourceRefusal { code, detail }: SourceRefusal) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

/// Refuses what would do nothing.
///
/// # Errors
/// 400 `invalid_options`.
pub(super) fn for_cameras_only(source: &str, auth: SourceAuth) -> Result<(), ApiError> {
    let scheme = source.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    if auth == SourceAuth::Auto || matches!(scheme.as_str(), "rtsp" | "rtsps") {
        return Ok(());
    }
    let detail = "auth other than auto is for cameras: rtsp:// and rtsps:// sources.";
    Err(ApiError::bad_request("invalid_options", detail))
}
