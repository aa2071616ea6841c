//! What every handler shares.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kinora_actors::hub::Hub;
use kinora_actors::ports::Clock;
use tokio::sync::watch;

use super::auth::{KnownCache, Oidc, Passwords, TokenKeys};
use super::guard::Limits;
use super::metrics::Metrics;
use super::ports::{Answer, HttpEvent, Known, Ports, Who};
use super::problem::ApiError;
use super::routes::{Exports, HealthCache};
use super::ws::{Seats, WsSettings};
use crate::accounts::{Mailer, Sealer};
use crate::config::Network;
use crate::store::{Store, StoreError};

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signup {
    /// Administrators only.
    Off,
    /// Who was invited.
    Invite,
    /// Everybody, as a viewer.
    Open,
}

/// How accounts are made and kept.
pub(crate) struct AccountRules {
    /// Who may make one.
    pub(crate) signup: Signup,
    /// How long a login lasts at most.
    pub(crate) refresh_lifetime: Duration,
    /// Sends resets and invitations.
    pub(crate) mailer: Arc<Mailer>,
    /// The server's address for people.
    pub(crate) link: String,
    /// The data directory, where the first administrator's password may lie.
    pub(crate) data: PathBuf,
    /// The identity provider.
    pub(crate) oidc: Option<Oidc>,
    /// Whether programs on this machine may sign in without a password.
    pub(crate) development_login: bool,
}

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
    /// Accounts, keys and everything else that is administered.
    pub(crate) store: Store,
    /// Seals sources with their passwords.
    pub(crate) sealer: Arc<Sealer>,
    /// Sign-up, logins and mail.
    pub(crate) accounts: AccountRules,
    /// Pages of other addresses that may come.
    pub(crate) allowed_origins: Vec<String>,
    /// Proxies that are believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Requests of one caller a minute: usual ones, and those that cost much.
    pub(crate) rates: (NonZeroU32, NonZeroU32),
    /// How long a body may take to arrive.
    pub(crate) body_timeout: Duration,
    /// Whether everybody may read `/metrics`.
    pub(crate) open_metrics: bool,
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
    pub(super) store: Store,
    pub(super) sealer: Arc<Sealer>,
    pub(super) accounts: AccountRules,
    pub(super) allowed_origins: Vec<String>,
    pub(super) trusted_proxies: Vec<Network>,
    pub(super) limits: Limits,
    pub(super) body_timeout: Duration,
    pub(super) open_metrics: bool,
    known: KnownCache,
    pub(super) seats: Arc<Seats>,
    pub(super) exports: Arc<Exports>,
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
            exports: Arc::default(),
            health: HealthCache::default(),
            ports: parts.ports,
            hub: parts.hub,
            clock: parts.clock,
            tokens: parts.tokens,
            passwords: parts.passwords,
            metrics: parts.metrics,
            ws: parts.ws,
            store: parts.store,
            sealer: parts.sealer,
            accounts: parts.accounts,
            allowed_origins: parts.allowed_origins,
            trusted_proxies: parts.trusted_proxies,
            limits: Limits::new(parts.rates.0, parts.rates.1),
            body_timeout: parts.body_timeout,
            open_metrics: parts.open_metrics,
            known: KnownCache::default(),
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

    /// The answer of the store to somebody who administers.
    ///
    /// # Errors
    /// What the database refused in the caller's words, or 503 `unavailable` with the reason in the log.
    pub(super) async fn store<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ApiError> {
        match actix_web::rt::time::timeout(self.query_timeout, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(ApiError::of_store(&error).unwrap_or_else(|| self.away(&error.to_string())))
            }
            Err(_) => Err(self.away("no answer in time")),
        }
    }

    /// What a relay that is away means for a client.
    pub(super) fn mail_away(&self, error: &str) -> ApiError {
        self.ports.observer.notice(HttpEvent::ComponentUnavailable { component: "mail", error });
        ApiError::unavailable()
    }

    fn away(&self, error: &str) -> ApiError {
        self.ports.observer.notice(HttpEvent::ComponentUnavailable { component: "database", error });
        ApiError::unavailable()
    }

    /// Forgets who somebody was a second ago: their right has just changed.
    pub(super) fn forget(&self, who: &Who) {
        self.known.forget(who);
    }

    /// Forgets everybody, as a second does.
    #[cfg(test)]
    pub(super) fn forget_all(&self) {
        self.known.forget_all();
    }

    /// Who somebody is now; what is a second old counts as now.
    ///
    /// # Errors
    /// 503 `unavailable` if the database is away and they were never seen.
    pub(super) async fn known(&self, who: &Who) -> Result<Option<Known>, ApiError> {
        if let Some(known) = self.known.fresh(who) {
            return Ok(Some(known));
        }
        match self.known_now(who).await {
            Ok(known) => Ok(known),
            Err(error) => self.known.last(who).map(Some).ok_or(error),
        }
    }

    /// The same, asked of the database in any case.
    ///
    /// # Errors
    /// 503 `unavailable` if the database is away.
    pub(super) async fn known_now(&self, who: &Who) -> Result<Option<Known>, ApiError> {
        let known = self.ask("accounts", self.ports.accounts.known(who)).await?;
        self.known.learn(who, known.as_ref());
        Ok(known)
    }
}
