//! What is known of streams while they run, for the API and the metrics: read by anyone, without asking an actor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::domain::{EndReason, FrameAccount, SessionId, StreamState, Timestamp};
use crate::ledger::SessionLedger;
use crate::stats::LatencySummary;

/// A stream as it is now.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its address without credentials.
    pub address: Arc<str>,
    /// Its state.
    pub state: StreamState,
    /// Why, as a stable code.
    pub reason: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again, if that is planned.
    pub next_try_at: Option<Timestamp>,
    /// The session that runs, or the last one.
    pub session: Option<SessionView>,
}

/// A session as it is now.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Its identity.
    pub id: SessionId,
    /// The stream's name.
    pub stream: Arc<str>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, and why.
    pub ended: Option<(Timestamp, EndReason)>,
    /// The number of its last event.
    pub last_seq: u64,
    /// Its account; what is in flight is `account.in_flight()`.
    pub account: FrameAccount,
    /// Its latency percentiles.
    pub latency: LatencySummary,
}

/// All streams by name. Shared by the supervisors, which write, and everyone who reads.
#[derive(Default)]
pub struct StatusBoard(RwLock<BTreeMap<Arc<str>, Arc<StatusEntry>>>);

impl StatusBoard {
    /// Every stream, by name.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamStatus> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(|entry| entry.status()).collect()
    }

    /// One stream.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<StreamStatus> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).map(|entry| entry.status())
    }

    /// The sessions that run, and the last one of each stream that is stopped.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        self.streams().into_iter().filter_map(|stream| stream.session).collect()
    }

    pub(crate) fn enter(&self, entry: Arc<StatusEntry>) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(Arc::clone(&entry.name), entry);
    }

    pub(crate) fn leave(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// One supervisor's entry.
pub(crate) struct StatusEntry {
    name: Arc<str>,
    address: Arc<str>,
    now: Mutex<Now>,
}

struct Now {
    state: StreamState,
    reason: &'static str,
    since: Timestamp,
    next_try_at: Option<Timestamp>,
    session: Option<SessionNow>,
}

struct SessionNow {
    id: SessionId,
    started_at: Timestamp,
    ended: Option<(Timestamp, EndReason)>,
    ledger: Arc<SessionLedger>,
}

impl StatusEntry {
    pub(crate) fn new(name: Arc<str>, address: Arc<str>, since: Timestamp) -> Self {
        let now = Now {
            state: StreamState::Stopped,
            reason: "not_started",
            since,
            next_try_at: None,
            session: None,
        };
        Self { name, address, now: Mutex::new(now) }
    }

    pub(crate) fn change(
        &self,
        state: StreamState,
        reason: &'static str,
        since: Timestamp,
        next_try_at: Option<Timestamp>,
    ) {
        let mut now = self.now();
        (now.state, now.reason, now.since, now.next_try_at) = (state, reason, since, next_try_at);
    }

    pub(crate) fn session_began(&self, id: SessionId, started_at: Timestamp, ledger: Arc<SessionLedger>) {
        self.now().session = Some(SessionNow { id, started_at, ended: None, ledger });
    }

    pub(crate) fn session_ended(&self, at: Timestamp, reason: EndReason) {
        if let Some(session) = self.now().session.as_mut() {
            session.ended = Some((at, reason));
        }
    }

    pub(crate) fn status(&self) -> StreamStatus {
        let now = self.now();
        let session = now.session.as_ref().map(|session| SessionView {
            id: session.id.clone(),
            stream: Arc::clone(&self.name),
            started_at: session.started_at,
            ended: session.ended.clone(),
            last_seq: session.ledger.last_seq(),
            account: session.ledger.live_account(),
            latency: session.ledger.latency(),
        });
        StreamStatus {
            name: Arc::clone(&self.name),
            address: Arc::clone(&self.address),
            state: now.state,
            reason: now.reason,
            since: now.since,
            next_try_at: now.next_try_at,
            session,
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain fields: nothing in the lock can panic half-way through a change.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
