//! `GET /ws/analysis`: who may subscribe to what is decided here, before the upgrade, with an HTTP status each.
//!
//! ```text
//!           ┌────────────── keeper (a task outside the actor) ──────────────┐
//!   hub ──> │ feed: replay, then live ──Frames──> session (the actor) ──────────> socket
//!           │ watchdog: pings, expiry, shutdown ──Ping, Close──> session    │       ^
//!           └──────────────────────── shuts down, when nothing else helps ──────────┘
//! ```
//!
//! The actor freezes when its client stops reading, so it decides nothing: what waits for it has a deadline
//! outside.

mod end;
mod entry;
mod feed;
mod keeper;
mod query;
mod replay;
mod seats;
mod session;
mod settings;
mod sight;
mod socket;

use actix_web::http::StatusCode;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{Error, HttpRequest, HttpResponse, web};

pub(super) use entry::{is_allowed, origin};
pub(super) use seats::Seats;
pub(crate) use settings::WsSettings;
pub(super) use socket::{SpareSocket, remember_socket};

use self::entry::enter;
use self::feed::Feed;
use self::keeper::Keeper;
pub(super) use self::query::Wanted;
use self::seats::Seat;
use super::app::App;
use super::auth::Caller;
use super::problem::ApiError;
use crate::accounts::Permission;

/// The subprotocol: text frames of JSON.
const SUBPROTOCOL: &str = "json";

/// Subscribes to events over WebSocket.
///
/// The subprotocol is `json`. With a `ticket` no other parameter is sent. What is sent and how a connection ends is told in
/// `docs/reference/websocket.md`.
#[utoipa::path(
    get, path = "/ws/analysis", tag = "events", security(("bearer" = ["watch"]), ("ticket" = [])),
    params(
        ("stream" = Option<Vec<String>>, Query, description = "Names of streams; absent is all that the caller may see"),
        ("session" = Option<Vec<String>>, Query, description = "Ids of sessions"),
        ("events" = Option<Vec<String>>, Query, description = "Kinds of events, commas between"),
        ("after" = Option<u64>, Query, description = "The last number that is known of the one session"),
    ),
    responses(
        (status = 101, description = "Events follow, one JSON object a text frame."),
        (status = 400, description = "`subprotocol_required`, `invalid_query`, or no upgrade at all."),
        (status = 403, description = "`forbidden`, `origin_forbidden`."),
        (status = 404, description = "`stream_not_found`, `session_not_found`."),
        (status = 409, description = "`seq_ahead`."),
        (status = 429, description = "`too_many_requests`, `too_many_connections`."),
    )
)]
pub(super) async fn subscribe(
    app: web::Data<App>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    require_subprotocol(&request)?;
    let (caller, mut wanted) = enter(&app, &request).await?;
    caller.require(Permission::Watch)?;
    wanted.limit(&app, &caller).await?;
    let seat = take_seat(&app, &caller)?;
    // Subscribed before the upgrade: what is published once the client knows that it is connected is delivered.
    let feed = Feed::new(app.clone().into_inner(), &wanted, &caller);
    let (peer, pulse, response) = session::start(&request, payload, app.ws.mailbox)?;
    let socket = request.conn_data::<SpareSocket>().cloned();
    let keeper = Keeper { app: app.into_inner(), caller, peer, pulse, socket, _seat: seat };
    actix_web::rt::spawn(keeper.run(feed));
    Ok(response)
}

fn require_subprotocol(request: &HttpRequest) -> Result<(), ApiError> {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut names = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if names.any(|name| name.trim() == SUBPROTOCOL) {
        return Ok(());
    }
    Err(ApiError::bad_request("subprotocol_required", "Offer the WebSocket subprotocol \"json\"."))
}

fn take_seat(app: &App, caller: &Caller) -> Result<Seat, ApiError> {
    app.seats.take(caller.user()).ok_or(ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_connections",
        "Close a connection before you open another.",
    ))
}
