//! Streams, to make, change and delete. What config.toml says stays as it says.
//!
//! A source goes in with its credentials, in its address or apart from it, and never comes out with them: what is shown
//! has `***` in their place, and a change that leaves the source out keeps it.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::web::{self, Json};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields;
use super::source_login::Said;
use super::sources::{for_cameras_only, refusal};
use super::stream_orders::{Manner, find, with_room};
use crate::accounts::{Permission, PrivateSource};
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::{Name, RoleName};
use crate::http::ports::{Beginning, StreamOptions};
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{ManagedStream, StreamSpec};

/// How often a change is tried on what others have changed in between.
const MOST_TRIES: u32 = 3;

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
#[derive(Clone, Deserialize, ToSchema)]
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
    let made_of = Some((source.address.as_str(), &options));
    let beginning = enabled.then_some(Beginning { stream: &name, made_of, force: manner.force });
    let entry = visit.entry(&caller, "stream.create", &name);
    let create = app.store(app.store.create_stream(&name, spec, Some(entry)));
    with_room(&app, beginning, create).await?;
    app.ask("streams", app.ports.control.changed(&name)).await?;
    shown(&app, find(&app, &caller, &name).await?, StatusCode::CREATED)
}

/// Changes a stream: it restarts, and no other notices.
///
/// A source that is left out, or sent back as it is shown, stays, and so do user and password that are left out, as long as the source is on the same
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
        (status = 404, description = "`stream_not_found`, or `not_found`: there is no such role, or the stream was deleted meanwhile."),
        (status = 409, description = "`managed_by_config`, `source_lost`."),
        (status = 412, description = "`stale`: somebody was faster."),
        (status = 422, description = "`source_forbidden`, `source_invalid`, or `login_needed`: the source is another \
            server, which does not get the kept password, or has `***` in place of credentials."),
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
    let (seen, body) = (seen(&request)?, body.into_inner());
    let change = Change { app: &app, visit: &visit, caller: &caller, name: &name, force: manner.force };
    let mut tries = 0;
    loop {
        let old = find(&app, &caller, &name).await?;
        tries += 1;
        match change.of(&old, seen, body.clone()).await {
            // What was kept is not what is there now; nobody said that it must be.
            Err(error) if seen.is_none() && error.is_stale() && tries < MOST_TRIES => {}
            changed => break changed?,
        }
    }
    app.ask("streams", app.ports.control.changed(&name)).await?;
    shown(&app, find(&app, &caller, &name).await?, StatusCode::OK)
}

/// A stream that somebody wants to change, and how.
struct Change<'a> {
    app: &'a App,
    visit: &'a Visit,
    caller: &'a Caller,
    name: &'a str,
    force: bool,
}

impl Change<'_> {
    /// Changes the stream that was read as `old`, if it is still that, or what the caller saw.
    async fn of(&self, old: &ManagedStream, seen: Option<i64>, body: StreamChange) -> Result<(), ApiError> {
        let Self { app, name, .. } = *self;
        if old.managed_by_config {
            return Err(ApiError::managed_by_config());
        }
        let StreamChange { source, username, password, enabled, roles, options } = body;
        let said = Said::of(username, password)?;
        let kept = kept_source(app, old);
        // What is shown and sent back has `***` where credentials were: nothing was changed.
        let is_shown = |source: &String| *source == old.address && source.contains("***");
        let source = match source.filter(|source| !is_shown(source)) {
            None => said.after(kept?, None)?,
            // What is replaced need not be readable any more.
            Some(source) => said.after(kept.unwrap_or_default(), Some(source))?,
        };
        let spec = spec(app, name, &source, enabled, roles, &options).await?;
        let made_of = Some((source.address.as_str(), &options));
        let beginning =
            (enabled && old.wanted).then_some(Beginning { stream: name, made_of, force: self.force });
        let entry = self.visit.entry(self.caller, "stream.change", name);
        let seen = (old.id, seen.unwrap_or(old.revision));
        let change = app.store(app.store.change_stream(name, seen, spec, Some(entry)));
        with_room(app, beginning, change).await
    }
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
        (status = 404, description = "`stream_not_found`, or `not_found`: somebody else deleted it meanwhile."),
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
    let entry = visit.entry(&caller, "stream.delete", &name);
    app.store(app.store.delete_stream(&name, seen(&request)?, Some(entry))).await?;
    app.ask("streams", app.ports.control.changed(&name)).await?;
    Ok(HttpResponse::NoContent())
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
    if is_masked(&source.address) {
        let detail =
            "The source has *** where its credentials were. Send them, or leave the source out to keep it.";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "login_needed", detail));
    }
    let address = app.ask("streams", app.ports.control.check(&source.address)).await?.map_err(refusal)?;
    Ok(StreamSpec {
        address,
        sealed_source: source.seal(name, &app.sealer).map_err(|_| ApiError::internal())?,
        settings: serde_json::to_string(options).map_err(|_| ApiError::internal())?,
        enabled,
        roles,
    })
}

fn kept_source(app: &App, stream: &ManagedStream) -> Result<PrivateSource, ApiError> {
    let Some(sealed) = &stream.sealed_source else { return Err(ApiError::managed_by_config()) };
    PrivateSource::open(&stream.name, sealed, &app.sealer).map_err(|_| {
        let detail =
            "The stored source cannot be read any more: its key was replaced. Send the source again.";
        ApiError::conflict("source_lost", detail)
    })
}

/// Whether an address is one that was shown: what stood in the place of `***` is not there.
fn is_masked(address: &str) -> bool {
    address.contains("://***@") || address.contains("=***")
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
