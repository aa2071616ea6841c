//! What every handler shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kinora_actors::hub::Hub;
use kinora_actors::ports::Clock;
use tokio::sync::watch;

use super::auth::{Passwords, TokenKeys};
use super::metrics::Metrics;
use super::ports::{Answer, HttpEvent, Ports};
use super::problem::ApiError;
use super::routes::HealthCache;
use super::ws::{Seats, WsSettings};

/// What the application is built from.
pub(crate) struct Parts {
    /// The rest of the server.
    pub(crate) ports: Ports,
    /// Live events.
    pub(crate) hub: Arc<Hub>,
    /// Time, for the events that are made here.
    pub(crate) clock: Arc<dyn Clock>,
    /// Access tokens.
    pub(crate) tokens: TokenKeys,
    /// Passwords.
    pub(crate) passwords: Passwords,
    /// Numbers for Prometheus.
    pub(crate) metrics: Metrics,
    /// Subscriptions.
    pub(crate) ws: WsSettings,
    /// How long a query of a port may take.
    pub(crate) query_timeout: Duration,
}

/// The application's state, one for all workers.
pub(crate) struct App {
    pub(super) ports: Ports,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tokens: TokenKeys,
    pub(super) passwords: Passwords,
    pub(super) metrics: Metrics,
    pub(super) ws: WsSettings,
    pub(super) seats: Arc<Seats>,
    pub(super) health: HealthCache,
    query_timeout: Duration,
    ready: AtomicBool,
    stopping: watch::Sender<bool>,
}

impl App {
    /// Not ready yet; see [`App::set_ready`].
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            seats: Seats::new(&parts.ws, parts.metrics.subscribers.clone()),
            health: HealthCache::default(),
            ports: parts.ports,
            hub: parts.hub,
            clock: parts.clock,
            tokens: parts.tokens,
            passwords: parts.passwords,
            metrics: parts.metrics,
            ws: parts.ws,
            query_timeout: parts.query_timeout,
            ready: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
        }
    }

    /// Whether `/ready` may say so: everything that is built at start is there.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !*self.stopping.borrow()
    }

    /// Tells every connection to end.
    pub(super) fn begin_stopping(&self) {
        self.stopping.send_replace(true);
    }

    /// Hears of the end.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// The answer of a component, within the time that a query may take.
    ///
    /// # Errors
    /// 503 `unavailable`; the reason goes to the log.
    pub(super) async fn ask<T>(&self, component: &'static str, answer: Answer<'_, T>) -> Result<T, ApiError> {
        let answered = actix_web::rt::time::timeout(self.query_timeout, answer).await;
        let error = match answered {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.ports.observer.notice(HttpEvent::ComponentUnavailable { component, error: &error });
        Err(ApiError::unavailable())
    }
}
