//! Puts the HTTP application together: its ports on store, board and log, and its limits.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use kinora_actors::hub::{Hub, QueueBound};
use kinora_actors::ports::Clock;
use kinora_actors::status::StatusBoard;
use slog::{Logger, o};

use super::{StartError, away};
use crate::adapters::{DatabaseHealth, HttpLog, LiveView, StoredAccounts, StoredHistory};
use crate::config::WebSocket;
use crate::http::ports::Ports;
use crate::http::{App, Metrics, Parts, Passwords, TokenKeys, TokenSettings, WsSettings};
use crate::store::Store;

/// How long a query of a request may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that may wait for a slow agent, for each event that may: two events of a person.
const QUEUE_BYTES_PER_EVENT: usize = 4_096;

/// What the application is made of.
pub(super) struct Web<'a> {
    pub(super) store: &'a Store,
    pub(super) board: &'a Arc<StatusBoard>,
    pub(super) hub: &'a Arc<Hub>,
    pub(super) clock: &'a Arc<dyn Clock>,
    /// What tokens are signed with.
    pub(super) key: &'a [u8],
    pub(super) passwords: Passwords,
    pub(super) metrics: Metrics,
    pub(super) limits: &'a WebSocket,
    pub(super) log: &'a Logger,
}

impl Web<'_> {
    /// The application, not ready yet.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] when the key is no key.
    pub(super) fn build(self) -> Result<web::Data<App>, StartError> {
        let ports = self.ports();
        Ok(web::Data::new(App::new(Parts {
            ports,
            hub: Arc::clone(self.hub),
            clock: Arc::clone(self.clock),
            tokens: TokenKeys::new(self.key, TokenSettings::default()).map_err(away)?,
            passwords: self.passwords,
            metrics: self.metrics,
            ws: ws_settings(self.limits),
            query_timeout: QUERY_TIMEOUT,
        })))
    }

    fn ports(&self) -> Ports {
        Ports {
            history: Arc::new(StoredHistory(self.store.clone())),
            accounts: Arc::new(StoredAccounts(self.store.clone())),
            streams: Arc::new(LiveView { board: Arc::clone(self.board), store: self.store.clone() }),
            checks: vec![Arc::new(DatabaseHealth(self.store.clone()))],
            observer: Arc::new(HttpLog(self.log.new(o!("part" => "http")))),
        }
    }
}

fn ws_settings(limits: &WebSocket) -> WsSettings {
    let bytes = limits.queue_events * QUEUE_BYTES_PER_EVENT;
    WsSettings {
        max_per_user: limits.max_per_user,
        max_total: limits.max_total,
        queue: QueueBound { events: limits.queue_events, bytes },
        ping_every: limits.ping_every,
        stall_limit: limits.stall_after,
        ..WsSettings::default()
    }
}
