//! What is known of streams while they run, for the API and the metrics: read by anyone, without asking an actor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::domain::{
    EndReason, FrameAccount, SessionId, StreamState, StreamStateChanged, Timestamp, state_in_words,
};
use crate::ledger::SessionLedger;
use crate::stats::LatencySummary;
use crate::threads::ThreadWatch;

/// A stream as it is now.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its address without credentials.
    pub address: Arc<str>,
    /// Whether its frames come at the pace of a clock, not as fast as they are taken: a live source, or a looped file.
    pub is_paced: bool,
    /// Its state.
    pub state: StreamState,
    /// Why, as a stable code.
    pub reason: &'static str,
    /// The same in plain words, without credentials.
    pub message: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again, if that is planned.
    pub next_try_at: Option<Timestamp>,
    /// The session that runs, or the last one.
    pub session: Option<SessionView>,
}

/// What is told of a stream when it happens; the log listens.
#[derive(Clone, Debug)]
pub enum StreamNotice {
    /// It entered a state; the status is that after the change.
    StateChanged(Box<StreamStatus>),
    /// A session began.
    SessionBegan {
        /// The stream.
        stream: Arc<str>,
        /// The session.
        session: SessionId,
    },
    /// A session ended.
    SessionEnded {
        /// The stream.
        stream: Arc<str>,
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
        /// The number of its last event.
        last_seq: u64,
    },
}

/// Hears of streams, on the supervisors' thread: it must not block.
pub type StreamObserver = Arc<dyn Fn(StreamNotice) + Send + Sync>;

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
    /// Who decodes it, where a GPU was asked for: `cuda:N`, or the CPU and why.
    pub decoder: Option<Arc<str>>,
    /// Its latency percentiles.
    pub latency: LatencySummary,
    /// The 99th percentile of the extraction of its last thousand frames, in milliseconds.
    pub recent_p99_ms: f64,
}

/// All streams by name. Shared by the supervisors, which write, and everyone who reads.
#[derive(Default)]
pub struct StatusBoard {
    entries: RwLock<BTreeMap<Arc<str>, Arc<StatusEntry>>>,
    observer: Option<StreamObserver>,
    threads: OnceLock<Arc<ThreadWatch>>,
}

impl StatusBoard {
    /// A board without streams whose changes `observer` hears of.
    #[must_use]
    pub fn observed_by(observer: StreamObserver) -> Self {
        Self { observer: Some(observer), ..Self::default() }
    }

    /// Every stream, by name.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamStatus> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(|entry| entry.status()).collect()
    }

    /// One stream.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<StreamStatus> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).map(|entry| entry.status())
    }

    /// The sessions that run, and the last one of each stream that is stopped.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        self.streams().into_iter().filter_map(|stream| stream.session).collect()
    }

    /// Threads that were given up and still hang.
    #[must_use]
    pub fn hanging_threads(&self) -> usize {
        self.threads.get().map_or(0, |threads| threads.hanging())
    }

    /// What is wrong with the process itself, in plain words; `None`: nothing. Streams have states of their own.
    #[must_use]
    pub fn degraded(&self) -> Option<String> {
        match self.hanging_threads() {
            0 => None,
            1 => Some(
                "1 thread hangs and was given up; at the third the process ends to be started anew".into(),
            ),
            hanging => {
                let words =
                    "threads hang and were given up; at the third the process ends to be started anew";
                Some(format!("{hanging} {words}"))
            }
        }
    }

    /// The threads that [`StatusBoard::degraded`] tells of; the first call counts.
    pub(crate) fn watch(&self, threads: Arc<ThreadWatch>) {
        // A board has one server.
        let _ = self.threads.set(threads);
    }

    /// Enters a stream that was not started yet.
    pub(crate) fn enter(
        &self,
        name: Arc<str>,
        (address, is_paced): (Arc<str>, bool),
        since: Timestamp,
    ) -> Arc<StatusEntry> {
        let entry = StatusEntry { is_paced, ..StatusEntry::new(name, address, since, self.observer.clone()) };
        let entry = Arc::new(entry);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(Arc::clone(&entry.name), Arc::clone(&entry));
        entry
    }

    pub(crate) fn leave(&self, name: &str) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// One supervisor's entry.
pub(crate) struct StatusEntry {
    name: Arc<str>,
    address: Arc<str>,
    is_paced: bool,
    observer: Option<StreamObserver>,
    now: Mutex<Now>,
}

struct Now {
    state: StreamState,
    reason: &'static str,
    message: Arc<str>,
    since: Timestamp,
    next_try_at: Option<Timestamp>,
    /// How often the state was told.
    changes: u64,
    session: Option<SessionNow>,
}

struct SessionNow {
    id: SessionId,
    started_at: Timestamp,
    ended: Option<(Timestamp, EndReason)>,
    ledger: Arc<SessionLedger>,
}

impl StatusEntry {
    fn new(name: Arc<str>, address: Arc<str>, since: Timestamp, observer: Option<StreamObserver>) -> Self {
        let reason = "not_started";
        let now = Now {
            state: StreamState::Stopped,
            reason,
            message: state_in_words(reason).into(),
            since,
            next_try_at: None,
            changes: 0,
            session: None,
        };
        Self { name, address, is_paced: false, observer, now: Mutex::new(now) }
    }

    pub(crate) fn change(&self, change: StreamStateChanged, since: Timestamp) {
        let StreamStateChanged { state, reason, message, next_try_at } = change;
        let mut now = self.now();
        (now.state, now.reason, now.message) = (state, reason, message);
        (now.since, now.next_try_at) = (since, next_try_at);
        now.changes += 1;
        drop(now);
        self.notice(|| StreamNotice::StateChanged(Box::new(self.status())));
    }

    /// How often the state changed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.now().changes
    }

    /// Whether nothing follows by itself.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.now().state, StreamState::Stopped | StreamState::Failed | StreamState::Unsupported)
    }

    pub(crate) fn session_began(&self, id: SessionId, started_at: Timestamp, ledger: Arc<SessionLedger>) {
        let session = id.clone();
        self.now().session = Some(SessionNow { id, started_at, ended: None, ledger });
        self.notice(|| StreamNotice::SessionBegan { stream: Arc::clone(&self.name), session });
    }

    pub(crate) fn session_ended(&self, at: Timestamp, reason: EndReason) {
        let mut now = self.now();
        let Some(session) = now.session.as_mut() else { return };
        session.ended = Some((at, reason.clone()));
        let (session, last_seq) = (session.id.clone(), session.ledger.last_seq());
        drop(now);
        let stream = Arc::clone(&self.name);
        self.notice(|| StreamNotice::SessionEnded { stream, session, reason, last_seq });
    }

    /// Its supervisor was lost, and with it the end of the session that ran.
    pub(crate) fn session_lost(&self, at: Timestamp) {
        let runs = self.now().session.as_ref().is_some_and(|session| session.ended.is_none());
        if runs {
            self.session_ended(at, EndReason::PipelineFailed("its supervisor failed".into()));
        }
    }

    fn notice(&self, notice: impl FnOnce() -> StreamNotice) {
        if let Some(observer) = &self.observer {
            observer(notice());
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
            decoder: session.ledger.decoder(),
            latency: session.ledger.latency(),
            recent_p99_ms: session.ledger.recent_p99_ms(),
        });
        StreamStatus {
            name: Arc::clone(&self.name),
            address: Arc::clone(&self.address),
            is_paced: self.is_paced,
            state: now.state,
            reason: now.reason,
            message: Arc::clone(&now.message),
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
