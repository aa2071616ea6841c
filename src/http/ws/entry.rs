//! Who comes to a subscription: by token or key, or, since browsers cannot send the header, by ticket.
//!
//! A browser sends the page's address as `Origin`, and nothing else keeps a foreign page from using what its
//! visitor may do: so a page of another address is let in only if the configuration names it.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::web::Query;

use super::query::Wanted;
use crate::accounts::digest;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::{UserId, Who};
use crate::http::problem::ApiError;
use crate::store::Ticket;

/// The caller, and what they want.
///
/// # Errors
/// 400 for a query that is not understood, 401, 403 `origin_forbidden`.
pub(super) async fn enter(app: &App, request: &HttpRequest) -> Result<(Caller, Wanted), ApiError> {
    require_origin(app, request)?;
    if let Some(ticket) = ticket_of(request)? {
        let ticket = take(app, &ticket, origin(request)).await?;
        let caller = holder(app, &ticket).await?;
        let pairs = serde_json::from_str(&ticket.filter).map_err(|_| ApiError::internal())?;
        return Ok((caller, Wanted::of(pairs)?));
    }
    let caller = Caller::of(app, request).await?;
    Ok((caller, Wanted::parse(request.query_string())?))
}

/// The page that a request comes from; programs come from none.
pub(in crate::http) fn origin(request: &HttpRequest) -> Option<&str> {
    request.headers().get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"))
}

/// Whether a page may come: one of this address, or of one that the configuration names.
pub(in crate::http) fn is_allowed(app: &App, request: &HttpRequest, origin: &str) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(_, address)| Some(address) == host);
    own || app.allowed_origins.iter().any(|allowed| allowed == origin)
}

fn require_origin(app: &App, request: &HttpRequest) -> Result<(), ApiError> {
    match origin(request) {
        Some(origin) if !is_allowed(app, request, origin) => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "origin_forbidden",
            "Pages of this address may not subscribe; http.allowed_origins names those that may.",
        )),
        _ => Ok(()),
    }
}

/// The ticket of a query. What it opens was said when it was made, so it comes alone.
fn ticket_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = pairs.map(Query::into_inner).unwrap_or_default();
    match &pairs[..] {
        [(name, ticket)] if name == "ticket" => Ok(Some(ticket.clone())),
        pairs if pairs.iter().any(|(name, _)| name == "ticket") => {
            Err(ApiError::bad_request("invalid_query", "ticket= comes alone: the ticket knows its filter."))
        }
        _ => Ok(None),
    }
}

async fn take(app: &App, shown: &str, origin: Option<&str>) -> Result<Ticket, ApiError> {
    let taken = app.store(app.store.take_ticket(digest(shown), app.clock.unix_us())).await?;
    // A ticket of another page was stolen: it is used up all the same.
    taken.filter(|ticket| ticket.origin.as_deref() == origin).ok_or(ApiError::unauthorized(
        "ticket_invalid",
        "The ticket is used, over, or of another page. Ask for a new one.",
    ))
}

async fn holder(app: &App, ticket: &Ticket) -> Result<Caller, ApiError> {
    let who = match &ticket.key {
        Some(id) => Who::Key { id: id.clone(), hash: None },
        None => Who::User { user: UserId(ticket.user), family: ticket.family },
    };
    let until = ticket.session_until_us.map(|us| u64::try_from(us / 1_000_000).unwrap_or(0));
    Caller::admit(app, who, None, until).await
}
