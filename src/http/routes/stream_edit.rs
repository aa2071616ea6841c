//! Streams, to make, change, steer and delete. What config.toml says stays as it says.
//!
//! A source goes in with its credentials, in its address or apart from it, and never comes out with them: what is shown
//! has `***` in their place, and a change that leaves the source out keeps it.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::web::{self, Json};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fields;
use super::source_login::Said;
use crate::accounts::{Permission, PrivateSource};
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::{Name, RoleName};
use crate::http::ports::{Beginning, SourceAuth, SourceFacts, SourceRefusal, StreamOptions};
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{ManagedStream, StreamSpec, StreamWish};

/// How long trying a source may take; opening has limits of its own.
const TRY_LIMIT: std::time::Duration = std::time::Duration::from_secs(25);

/// A stream to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StreamRequest {
    #[schema(value_type = Name)]
    name: String,
    /// An address or a file. Credentials may be in it, if they are not given apart.
    #[schema(example = "rtsp://192.0.2.7/stream1")]
    source: String,
    /// User at a camera (`rtsp://`, `rtsps://`), of any characters.
    #[schema(write_only, max_length = 1024, example = "viewer")]
    username: Option<String>,
    /// That user's password, of any characters. It is kept sealed and never shown.
    #[schema(write_only, format = Password, max_length = 1024)]
    password: Option<String>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// Who sees it beside administrators; none is everybody.
    #[serde(default)]
    #[schema(value_type = Vec<RoleName>)]
    roles: Vec<String>,
    #[serde(default)]
    options: StreamOptions,
}

/// What a stream shall be made of from now on; a source that is left out stays, and so do user and password as long as the
/// source is on the same server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StreamChange {
    source: Option<String>,
    /// User at a camera; an empty one is none.
    #[schema(write_only, max_length = 1024, example = "viewer")]
    username: Option<String>,
    /// That user's password. It is kept sealed and never shown.
    #[schema(write_only, format = Password, max_length = 1024)]
    password: Option<String>,
    enabled: bool,
    #[schema(value_type = Vec<RoleName>)]
    roles: Vec<String>,
    options: StreamOptions,
}

/// What a stream is made of.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamSettings {
    name: String,
    /// Without credentials.
    source: String,
    /// Whether user and password are kept that were given apart from the source.
    has_login: bool,
    enabled: bool,
    roles: Vec<String>,
    #[schema(value_type = StreamOptions)]
    options: serde_json::Value,
    managed_by_config: bool,
    revision: i64,
}

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

/// How an order is meant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Manner {
    /// The stream begins even if it makes others late.
    #[serde(default)]
    force: bool,
}

/// What can be asked of a stream.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the document is written from it; the handler reads the word itself")]
enum OrderName {
    Start,
    Stop,
    Restart,
}

const fn yes() -> bool {
    true
}

/// What a stream is made of. The source is shown without credentials.
#[utoipa::path(
    get, path = "/api/v1/streams/{name}/settings", tag = "streams", security(("bearer" = ["streams:edit"])),
    params(("name" = inline(Name), Path, description = "The stream")),
    responses(
        (status = 200, body = StreamSettings, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "`invalid_name`."),
        (status = 404, description = "`stream_not_found`."),
    )
)]
pub(in crate::http) async fn stream_settings(
    app: web::Data<App>,
    caller: Caller,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::EditStreams)?;
    shown(&app, find(&app, &caller, &name).await?, StatusCode::OK)
}

/// Makes a stream, and starts it if it is enabled.
#[utoipa::path(
    post, path = "/api/v1/streams", tag = "streams", security(("bearer" = ["streams:edit"])),
    request_body = StreamRequest, params(Manner),
    responses(
        (status = 201, body = StreamSettings, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "`invalid_json`, `invalid_login`, `invalid_name`, `invalid_options`, `invalid_query`, `invalid_text`."),
        (status = 404, description = "`not_found`: there is no such role."),
        (status = 409, description = "`taken`, or a conflict of the `idempotency-key`."),
        (status = 422, description = "`source_forbidden`, `source_invalid`."),
        (status = 503, description = "`over_capacity`: it would make others late; or `unavailable`.",
            headers(("retry-after" = u32, description = "Seconds to wait"))),
    )
)]
pub(in crate::http) async fn create_stream(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    manner: web::Query<Manner>,
    body: Json<StreamRequest>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::EditStreams)?;
    let StreamRequest { name, source, username, password, enabled, roles, options } = body.into_inner();
    fields::name(&name)?;
    let source = Said::of(username, password)?.with(source)?;
    if !caller.sees(&name) {
        // One that is hidden has this name, or had it and left events: they are not the caller's to show.
        return Err(ApiError::conflict("taken", "The name or address is taken."));
    }
    let spec = spec(&app, &name, &source, enabled, roles, &options).await?;
    if enabled {
        admit(
            &app,
            Beginning { stream: &name, made_of: Some((&source.address, &options)), force: manner.force },
        )?;
    }
    app.store(app.store.create_stream(&name, spec)).await?;
    app.ask("streams", app.ports.control.changed(&name)).await?;
    visit.done(&caller, "stream.create", &name).await;
    shown(&app, find(&app, &caller, &name).await?, StatusCode::CREATED)
}

/// Changes a stream: it restarts, and no other notices.
///
/// A source that is left out stays, and so do user and password that are left out, as long as the source is on the same
/// server. With `If-Match` it is changed only if nobody was faster.
#[utoipa::path(
    put, path = "/api/v1/streams/{name}/settings", tag = "streams", security(("bearer" = ["streams:edit"])),
    request_body = StreamChange,
    params(
        ("name" = inline(Name), Path, description = "The stream"),
        ("if-match" = Option<String>, Header, description = "The `etag` that was seen", example = "\"3\""),
        Manner,
    ),
    responses(
        (status = 200, body = StreamSettings, headers(("etag" = String, description = "The revision"))),
        (status = 400, description = "`invalid_json`, `invalid_login`, `invalid_name`, `invalid_options`, `invalid_query`, `invalid_text`."),
        (status = 404, description = "`stream_not_found`, or `not_found`: there is no such role."),
        (status = 409, description = "`managed_by_config`, `source_lost`."),
        (status = 412, description = "`stale`: somebody was faster."),
        (status = 422, description = "`source_forbidden`, `source_invalid`, or `login_needed`: the source is another \
            server, which does not get the kept password."),
        (status = 503, description = "`over_capacity`: it would begin, and make others late; or `unavailable`.",
            headers(("retry-after" = u32, description = "Seconds to wait"))),
    )
)]
pub(in crate::http) async fn change_stream(
    app: web::Data<App>,
    request: HttpRequest,
    visit: Visit,
    caller: Caller,
    name: web::Path<String>,
    manner: web::Query<Manner>,
    body: Json<StreamChange>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::EditStreams)?;
    let old = find(&app, &caller, &name).await?;
    let StreamChange { source, username, password, enabled, roles, options } = body.into_inner();
    let said = Said::of(username, password)?;
    let kept = kept_source(&app, &old);
    let source = match source {
        None => said.after(kept?, None)?,
        // What is replaced need not be readable any more.
        Some(source) => said.after(kept.unwrap_or_default(), Some(source))?,
    };
    let spec = spec(&app, &name, &source, enabled, roles, &options).await?;
    if enabled && old.wanted {
        admit(
            &app,
            Beginning { stream: &name, made_of: Some((&source.address, &options)), force: manner.force },
        )?;
    }
    app.store(app.store.change_stream(&name, seen(&request)?, spec)).await?;
    app.ask("streams", app.ports.control.changed(&name)).await?;
    visit.done(&caller, "stream.change", &name).await;
    shown(&app, find(&app, &caller, &name).await?, StatusCode::OK)
}

/// Deletes a stream. Its sessions and events stay until retention takes them.
#[utoipa::path(
    delete, path = "/api/v1/streams/{name}", tag = "streams", security(("bearer" = ["streams:edit"])),
    params(
        ("name" = inline(Name), Path, description = "The stream"),
        ("if-match" = Option<String>, Header, description = "The `etag` that was seen", example = "\"3\""),
    ),
    responses(
        (status = 204, description = "Deleted."),
        (status = 400, description = "`invalid_name`."),
        (status = 404, description = "`stream_not_found`."),
        (status = 409, description = "`managed_by_config`."),
        (status = 412, description = "`stale`: somebody was faster."),
    )
)]
pub(in crate::http) async fn delete_stream(
    app: web::Data<App>,
    request: HttpRequest,
    visit: Visit,
    caller: Caller,
    name: web::Path<String>,
) -> Result<impl Responder, ApiError> {
    caller.require(Permission::EditStreams)?;
    find(&app, &caller, &name).await?;
    app.store(app.store.delete_stream(&name, seen(&request)?)).await?;
    app.ask("streams", app.ports.control.changed(&name)).await?;
    visit.done(&caller, "stream.delete", &name).await;
    Ok(HttpResponse::NoContent())
}

/// Starts, stops or restarts a stream.
///
/// A stream of config.toml can be steered too; the next start of the server does what the file says.
#[utoipa::path(
    post, path = "/api/v1/streams/{name}/{order}", tag = "streams", security(("bearer" = ["streams:control"])),
    params(
        ("name" = inline(Name), Path, description = "The stream"),
        ("order" = inline(OrderName), Path, description = "What to do"),
        Manner,
    ),
    responses(
        (status = 202, description = "It is being done."),
        (status = 400, description = "`invalid_name`, `invalid_query`."),
        (status = 404, description = "`stream_not_found`, or `not_found`: there is no such order."),
        (status = 503, description = "`over_capacity`: it would begin, and make others late; or `unavailable`.",
            headers(("retry-after" = u32, description = "Seconds to wait"))),
    )
)]
pub(in crate::http) async fn order_stream(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    path: web::Path<(String, String)>,
    manner: web::Query<Manner>,
) -> Result<impl Responder, ApiError> {
    let (name, order) = path.into_inner();
    let (wish, action) = match order.as_str() {
        "start" => (StreamWish::Start, "stream.start"),
        "stop" => (StreamWish::Stop, "stream.stop"),
        "restart" => (StreamWish::Restart, "stream.restart"),
        _ => return Err(ApiError::not_found("not_found", "There is nothing at this address.")),
    };
    caller.require(Permission::ControlStreams)?;
    find(&app, &caller, &name).await?;
    if !matches!(wish, StreamWish::Stop) {
        admit(&app, Beginning { stream: &name, made_of: None, force: manner.force })?;
    }
    if !app.store(app.store.wish_of_stream(&name, wish)).await? {
        return Err(unknown());
    }
    app.ask("streams", app.ports.control.changed(&name)).await?;
    visit.done(&caller, action, &name).await;
    Ok(HttpResponse::Accepted())
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

fn refusal(SourceRefusal { code, detail }: SourceRefusal) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

fn admit(app: &App, beginning: Beginning<'_>) -> Result<(), ApiError> {
    app.ports.control.admit(beginning).map_err(ApiError::over_capacity)
}

const fn unknown() -> ApiError {
    ApiError::not_found("stream_not_found", "There is no stream of this name.")
}

async fn find(app: &App, caller: &Caller, name: &str) -> Result<ManagedStream, ApiError> {
    fields::name(name)?;
    if !caller.sees(name) {
        return Err(unknown());
    }
    app.store(app.store.find_stream(name)).await?.ok_or(unknown())
}

async fn spec(
    app: &App,
    name: &str,
    source: &PrivateSource,
    enabled: bool,
    roles: Vec<String>,
    options: &StreamOptions,
) -> Result<StreamSpec, ApiError> {
    if options.every_nth == 0 || options.every_nth > 10_000 || options.max_fps > 1_000 {
        let detail = "everyNth is 1 to 10000, maxFps is 0 to 1000.";
        return Err(ApiError::bad_request("invalid_options", detail));
    }
    for_cameras_only(&source.address, options.auth)?;
    let address = app.ask("streams", app.ports.control.check(&source.address)).await?.map_err(refusal)?;
    Ok(StreamSpec {
        address,
        sealed_source: source.seal(name, &app.sealer).map_err(|_| ApiError::internal())?,
        settings: serde_json::to_string(options).map_err(|_| ApiError::internal())?,
        enabled,
        roles,
    })
}

/// Refuses what would do nothing.
fn for_cameras_only(source: &str, auth: SourceAuth) -> Result<(), ApiError> {
    let scheme = source.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    if auth == SourceAuth::Auto || matches!(scheme.as_str(), "rtsp" | "rtsps") {
        return Ok(());
    }
    let detail = "auth other than auto is for cameras: rtsp:// and rtsps:// sources.";
    Err(ApiError::bad_request("invalid_options", detail))
}

fn kept_source(app: &App, stream: &ManagedStream) -> Result<PrivateSource, ApiError> {
    let Some(sealed) = &stream.sealed_source else { return Err(ApiError::managed_by_config()) };
    PrivateSource::open(&stream.name, sealed, &app.sealer).map_err(|_| {
        let detail =
            "The stored source cannot be read any more: its key was replaced. Send the source again.";
        ApiError::conflict("source_lost", detail)
    })
}

/// The revision that the caller saw, if they say so.
fn seen(request: &HttpRequest) -> Result<Option<i64>, ApiError> {
    let Some(tag) = request.headers().get(IF_MATCH) else { return Ok(None) };
    match tag.to_str().unwrap_or_default() {
        "*" => Ok(None),
        // A tag that is not one of ours matches nothing.
        tag => Ok(Some(tag.trim_matches('"').parse().unwrap_or(-1))),
    }
}

fn shown(app: &App, stream: ManagedStream, status: StatusCode) -> Result<HttpResponse, ApiError> {
    // What cannot be opened any more has no login either.
    let has_login = kept_source(app, &stream).is_ok_and(|source| source.login.is_some());
    let settings = StreamSettings {
        source: stream.address,
        has_login,
        enabled: stream.enabled,
        roles: stream.roles,
        options: serde_json::from_str(&stream.settings).map_err(|_| ApiError::internal())?,
        managed_by_config: stream.managed_by_config,
        revision: stream.revision,
        name: stream.name,
    };
    let tag = format!("\"{}\"", settings.revision);
    Ok(HttpResponse::build(status).insert_header((ETAG, tag)).json(settings))
}
