//! What runs and what ran, to read.

use std::sync::Arc;

use actix_web::web::{self, Json};
use kinora_actors::domain::SessionId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::Name;
use crate::http::ports::{SessionStatus, StreamStatus, StreamsSeen};
use crate::http::problem::ApiError;

/// All streams.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct StreamList {
    streams: Vec<StreamStatus>,
}

/// The latest sessions.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SessionList {
    sessions: Vec<SessionStatus>,
}

/// All streams with state, account and latency.
#[utoipa::path(
    get, path = "/api/v1/streams", tag = "streams", security(("bearer" = ["watch"])),
    responses((status = 200, body = StreamList))
)]
pub(in crate::http) async fn streams(
    app: web::Data<App>,
    caller: Caller,
) -> Result<Json<StreamList>, ApiError> {
    caller.require(Permission::Watch)?;
    let streams = app.ports.streams.streams().into_iter().filter(|stream| caller.sees(&stream.name));
    Ok(Json(StreamList { streams: streams.collect() }))
}

/// One stream with state, account and latency.
#[utoipa::path(
    get, path = "/api/v1/streams/{name}", tag = "streams", security(("bearer" = ["watch"])),
    params(("name" = inline(Name), Path, description = "The stream")),
    responses((status = 200, body = StreamStatus), (status = 404, description = "`stream_not_found`."))
)]
pub(in crate::http) async fn stream(
    app: web::Data<App>,
    caller: Caller,
    name: web::Path<String>,
) -> Result<Json<StreamStatus>, ApiError> {
    caller.require(Permission::Watch)?;
    let found = app.ports.streams.streams().into_iter().find(|stream| stream.name == *name);
    let seen = found.filter(|stream| caller.sees(&stream.name));
    seen.map(Json).ok_or(ApiError::not_found("stream_not_found", "There is no stream of this name."))
}

/// The latest sessions, those that run first: up to 200 that are over.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "streams", security(("bearer" = ["watch"])),
    responses((status = 200, body = SessionList))
)]
pub(in crate::http) async fn sessions(
    app: web::Data<App>,
    caller: Caller,
) -> Result<Json<SessionList>, ApiError> {
    caller.require(Permission::Watch)?;
    let seen = StreamsSeen { only: caller.scope.streams.clone(), hidden: caller.identity.hidden.clone() };
    let sessions = app.ask("sessions", app.ports.streams.sessions(seen)).await?;
    let sessions = sessions.into_iter().filter(|session| caller.sees(&session.stream));
    Ok(Json(SessionList { sessions: sessions.collect() }))
}

/// One session, however old, while something of it is known.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "streams", security(("bearer" = ["watch"])),
    params(("id" = String, Path, description = "The session", example = "0198c2f4-7b1e-7c3a-9a55-0c1d2e3f4a5b")),
    responses((status = 200, body = SessionStatus), (status = 404, description = "`session_not_found`."))
)]
pub(in crate::http) async fn session(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<Json<SessionStatus>, ApiError> {
    caller.require(Permission::Watch)?;
    let id = SessionId(Arc::from(id.as_str()));
    let found = app.ask("sessions", app.ports.streams.session(&id)).await?;
    let seen = found.filter(|session| caller.sees(&session.stream));
    seen.map(Json).ok_or(ApiError::not_found("session_not_found", "There is no session of this id."))
}
