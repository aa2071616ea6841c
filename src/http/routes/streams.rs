//! What runs and what ran, to read.

use std::sync::Arc;

use actix_web::web::{self, Json};
use kinora_actors::domain::SessionId;
use serde::Serialize;

use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::{SessionStatus, StreamStatus};
use crate::http::problem::ApiError;

/// All streams.
#[derive(Serialize)]
pub(in crate::http) struct StreamList {
    streams: Vec<StreamStatus>,
}

/// The latest sessions.
#[derive(Serialize)]
pub(in crate::http) struct SessionList {
    sessions: Vec<SessionStatus>,
}

/// `GET /api/v1/streams`
pub(in crate::http) async fn streams(
    app: web::Data<App>,
    caller: Caller,
) -> Result<Json<StreamList>, ApiError> {
    caller.require(Permission::Watch)?;
    let streams = app.ports.streams.streams().into_iter().filter(|stream| caller.sees(&stream.name));
    Ok(Json(StreamList { streams: streams.collect() }))
}

/// `GET /api/v1/streams/{name}`
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

/// `GET /api/v1/sessions`
pub(in crate::http) async fn sessions(
    app: web::Data<App>,
    caller: Caller,
) -> Result<Json<SessionList>, ApiError> {
    caller.require(Permission::Watch)?;
    let sessions = app.ask("sessions", app.ports.streams.sessions()).await?;
    let sessions = sessions.into_iter().filter(|session| caller.sees(&session.stream));
    Ok(Json(SessionList { sessions: sessions.collect() }))
}

/// `GET /api/v1/sessions/{id}`
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
