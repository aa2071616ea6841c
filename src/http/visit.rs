//! Where a request comes from, and what is written down about it.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::app::App;
use super::auth::Caller;
use super::ports::HttpEvent;
use super::problem::ApiError;
use crate::store::AuditEntry;

/// The request's id, as the middleware chose it.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) String);

/// A request's facts, for the log of changes.
#[derive(Clone)]
pub(super) struct Visit {
    app: web::Data<App>,
    address: Option<String>,
    request_id: Option<String>,
}

impl Visit {
    /// What is to be written down beside a change that `caller` makes, in the same transaction.
    pub(super) fn entry(&self, caller: &Caller, action: &'static str, target: &str) -> AuditEntry {
        self.entry_of(caller.label(), action, target, true)
    }

    /// The same for somebody who has no token (yet).
    pub(super) fn entry_by(&self, actor: &str, action: &'static str, target: &str) -> AuditEntry {
        self.entry_of(actor.to_owned(), action, target, true)
    }

    /// Writes down that something was done by somebody who has no token (yet). What was done stays done when it cannot be
    /// written.
    pub(super) async fn done_by(&self, actor: &str, action: &'static str, target: &str) {
        self.write(actor.to_owned(), action, target, true).await;
    }

    /// Writes down that somebody was refused.
    pub(super) async fn refused(&self, actor: &str, action: &'static str) {
        self.write(actor.to_owned(), action, "", false).await;
    }

    async fn write(&self, actor: String, action: &'static str, target: &str, done: bool) {
        let entry = self.entry_of(actor, action, target, done);
        if let Err(error) = self.app.store.audit(entry).await {
            let error = error.to_string();
            let event = HttpEvent::ComponentUnavailable { component: "audit", error: &error };
            self.app.ports.observer.notice(event);
        }
    }

    fn entry_of(&self, actor: String, action: &'static str, target: &str, done: bool) -> AuditEntry {
        let (address, request_id) = (self.address.clone(), self.request_id.clone());
        AuditEntry { actor, action, target: target.to_owned(), done, address, request_id }
    }
}

/// The address of who really asks: that of the connection, or what a trusted proxy says of it.
///
/// The list is read from its end: each proxy that is trusted vouches for the address before it.
pub(super) fn address(app: &App, request: &HttpRequest) -> Option<IpAddr> {
    let mut address = request.peer_addr()?.ip().to_canonical();
    let said: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in said.iter().rev() {
        let trusted = app.trusted_proxies.iter().any(|network| network.contains(address));
        match hop.trim().parse::<IpAddr>() {
            Ok(before) if trusted => address = before.to_canonical(),
            _ => break,
        }
    }
    Some(address)
}

impl FromRequest for Visit {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>().cloned();
        ready(app.ok_or(ApiError::unavailable()).map(|app| Self {
            address: address(&app, request).map(|address| address.to_string()),
            request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
            app,
        }))
    }
}
