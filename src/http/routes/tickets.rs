//! Tickets: what a browser opens a subscription with, since it cannot send a header with a WebSocket.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{Permission, Secret};
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::Who;
use crate::http::problem::ApiError;
use crate::http::ws::{Wanted, origin};
use crate::store::Ticket;

/// Seconds that a ticket is good.
const GOOD_FOR: i64 = 30;

/// What the subscription shall be: the members of its query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TicketRequest {
    /// Names of streams.
    #[serde(default)]
    stream: Vec<String>,
    /// Ids of sessions.
    #[serde(default)]
    session: Vec<String>,
    /// Kinds of events.
    #[serde(default)]
    events: Vec<String>,
    /// The last number that is known of the one session.
    after: Option<u64>,
}

/// A ticket, shown once.
#[derive(Serialize, ToSchema)]
struct TicketGranted {
    ticket: String,
    /// Seconds that it is good.
    expires_in: i64,
}

/// Makes a ticket that opens one subscription, once, within 30 seconds.
#[utoipa::path(
    post, path = "/api/v1/ws-tickets", tag = "events", security(("bearer" = ["watch"])), request_body = TicketRequest,
    responses(
        (status = 201, body = TicketGranted),
        (status = 400, description = "`invalid_json`, `invalid_query`, `invalid_text`."),
        (status = 404, description = "`stream_not_found`, `session_not_found`."),
        (status = 409, description = "`seq_ahead`: `after` is greater than the session's last number."),
    )
)]
pub(in crate::http) async fn create_ticket(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    body: web::Json<TicketRequest>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::Watch)?;
    let pairs = body.into_inner().pairs();
    Wanted::of(pairs.clone())?.limit(&app, &caller).await?;
    let secret = Secret::new().map_err(|_| ApiError::internal())?;
    let until = app.clock.unix_us() + GOOD_FOR * 1_000_000;
    let (key, family) = login_of(&caller);
    let ticket = Ticket {
        user: caller.user().0,
        key,
        family,
        filter: serde_json::to_string(&pairs).map_err(|_| ApiError::internal())?,
        origin: origin(&request).map(str::to_owned),
        session_until_us: caller.expires_at.and_then(|at| i64::try_from(at).ok()).map(|at| at * 1_000_000),
    };
    app.store(app.store.create_ticket(secret.digest(), ticket, until)).await?;
    let granted = TicketGranted { ticket: secret.expose().to_owned(), expires_in: GOOD_FOR };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(granted))
}

/// The key or the login that asks: with its end the subscription ends.
fn login_of(caller: &Caller) -> (Option<String>, Option<i64>) {
    match &caller.who {
        Who::Key { id, .. } => (Some(id.clone()), None),
        Who::User { family, .. } => (None, *family),
    }
}

impl TicketRequest {
    fn pairs(self) -> Vec<(String, String)> {
        let member = |name: &'static str| move |value: String| (name.to_owned(), value);
        let streams = self.stream.into_iter().map(member("stream"));
        let sessions = self.session.into_iter().map(member("session"));
        let events = self.events.into_iter().map(member("events"));
        let after = self.after.map(|after| after.to_string()).into_iter().map(member("after"));
        streams.chain(sessions).chain(events).chain(after).collect()
    }
}
