//! The HTTP server's ports on the store, the status board and the log.

use std::sync::Arc;

use kinora_actors::domain::{
    DropReason, EncodedEvent, EndReason, EventFacts, EventKind, FrameAccount, SessionId, Timestamp,
};
use kinora_actors::hub::Published;
use kinora_actors::status::{self, SessionView, StatusBoard};
use serde_json::Value;
use slog::{Logger, debug, info, o, warn};

use super::Elsewhere;
use crate::accounts::KeyScope;
use crate::http::current_request_id;
use crate::http::ports::{
    Account, Accounts, Answer, EventHistory, Extent, HealthCheck, HistoryPage, HttpEvent, Known, LiveAccount,
    Observer, SessionStatus, StreamStatus, StreamsSeen, StreamsView, Unavailable, UserId, Who,
};
use crate::journal::Journal;
use crate::store::{EventRow, SessionRow, Store, StoreError, User};

/// Sessions that one answer holds.
const SESSIONS_LISTED: u32 = 200;
/// Routes that machines ask all the time.
const PROBED: [&str; 4] = ["/health", "/live", "/ready", "/metrics"];

fn unavailable(error: StoreError) -> Unavailable {
    Unavailable(error.to_string())
}

/// Events that are rows.
pub(crate) struct StoredHistory(pub(crate) Store);

impl EventHistory for StoredHistory {
    fn events_after(&self, page: HistoryPage) -> Answer<'_, Vec<Published>> {
        Box::pin(async move {
            let kinds = page.kinds.unwrap_or_default();
            let kinds: Vec<String> = kinds.iter().map(|kind| kind.name().to_owned()).collect();
            let after = i64::try_from(page.after).unwrap_or(i64::MAX);
            let limit = u32::try_from(page.limit).unwrap_or(u32::MAX);
            let rows =
                self.0.events_after(&page.session.0, after, limit, &kinds).await.map_err(unavailable)?;
            rows.into_iter().map(|row| published(&page.session, row)).collect()
        })
    }

    fn extent<'a>(&'a self, session: &'a SessionId) -> Answer<'a, Option<Extent>> {
        Box::pin(async move {
            let oldest = self.0.oldest_seq(&session.0).await.map_err(unavailable)?;
            let last = self.0.last_seq(&session.0).await.map_err(unavailable)?;
            let number = |seq: i64| u64::try_from(seq).unwrap_or(0);
            Ok(oldest.zip(last).map(|(oldest, last)| Extent { oldest: number(oldest), last: number(last) }))
        })
    }
}

impl StoredHistory {
    /// The last event of this kind among those of a session with numbers up to `upto`.
    pub(crate) async fn last_of(
        &self,
        session: &SessionId,
        kind: EventKind,
        upto: u64,
    ) -> Result<Option<Published>, Unavailable> {
        let upto = i64::try_from(upto).unwrap_or(i64::MAX);
        let row = self.0.last_event(&session.0, kind.name(), upto).await.map_err(unavailable)?;
        row.map(|row| published(session, row)).transpose()
    }
}

/// A row as the event that it was.
fn published(session: &SessionId, row: EventRow) -> Result<Published, Unavailable> {
    let broken = |what: &str| Unavailable(format!("event {} of session {}: {what}", row.seq, session.0));
    let kind = EventKind::from_name(&row.event).ok_or_else(|| broken("unknown kind"))?;
    let payload: Value = serde_json::from_str(&row.payload).map_err(|error| broken(&error.to_string()))?;
    let stream: Arc<str> = payload["stream"].as_str().unwrap_or_default().into();
    let envelope = kinora_actors::domain::Event {
        session_id: session,
        timestamp: Timestamp(row.timestamp_us),
        event: kind,
        payload: &payload,
    };
    let json = serde_json::to_vec(&envelope).map_err(|error| broken(&error.to_string()))?;
    let seq = u64::try_from(row.seq).unwrap_or(0);
    let event = EncodedEvent { seq, kind, json: json.into(), facts: EventFacts::default() };
    Ok(Published::new(session.clone(), stream, &event))
}

/// Users that are rows.
pub(crate) struct StoredAccounts(pub(crate) Store);

impl Accounts for StoredAccounts {
    fn find<'a>(&'a self, login: &'a str) -> Answer<'a, Option<Account>> {
        Box::pin(async move {
            // No user name has an @ in it.
            let found = match login.contains('@') {
                true => self.0.find_by_email(login).await,
                false => self.0.find_user(login).await,
            };
            Ok(found.map_err(unavailable)?.map(account))
        })
    }

    fn known<'a>(&'a self, who: &'a Who) -> Answer<'a, Option<Known>> {
        Box::pin(async move {
            let known = match who {
                Who::User { user, family } => {
                    let identity = self.0.identity(user.0, *family).await.map_err(unavailable)?;
                    identity.map(|identity| (identity, KeyScope::default()))
                }
                Who::Key { id, hash } => self.0.key_identity(id, *hash).await.map_err(unavailable)?,
            };
            Ok(known)
        })
    }
}

fn account(user: User) -> Account {
    Account {
        id: UserId(i64::from(user.id)),
        password_hash: user.password_hash,
        disabled: user.disabled_at_us.is_some(),
    }
}

/// Streams from memory, sessions from memory and the database.
pub(crate) struct LiveView {
    /// What runs.
    pub(crate) board: Arc<StatusBoard>,
    /// What ran.
    pub(crate) store: Store,
    /// What other servers run that use the same store; `None`: there are none.
    pub(crate) elsewhere: Option<Arc<Elsewhere>>,
}

impl StreamsView for LiveView {
    fn streams(&self) -> Vec<StreamStatus> {
        let shown = self.board.streams().into_iter().map(stream_status);
        match &self.elsewhere {
            Some(elsewhere) => shown.map(|stream| elsewhere.show(stream)).collect(),
            None => shown.collect(),
        }
    }

    fn sessions(&self, StreamsSeen { only, hidden }: StreamsSeen) -> Answer<'_, Vec<SessionStatus>> {
        Box::pin(async move {
            let live = self.board.sessions();
            let rows = self.store.list_sessions(only, hidden, SESSIONS_LISTED).await.map_err(unavailable)?;
            let known = |id: &str| live.iter().any(|session| &*session.id.0 == id);
            let ended =
                rows.into_iter().filter(|row| !known(&row.id)).map(stored_session).collect::<Vec<_>>();
            Ok(live.iter().map(live_session).chain(ended).collect())
        })
    }

    fn session<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<SessionStatus>> {
        Box::pin(async move {
            if let Some(session) = self.board.sessions().iter().find(|session| session.id == *id) {
                return Ok(Some(live_session(session)));
            }
            // PostgreSQL's text has no NUL.
            if id.0.contains('\0') {
                return Ok(None);
            }
            Ok(self.store.find_session(&id.0).await.map_err(unavailable)?.map(stored_session))
        })
    }

    fn is_elsewhere(&self, id: &SessionId) -> bool {
        self.elsewhere.is_some() && !self.board.sessions().iter().any(|session| session.id == *id)
    }
}

fn stream_status(stream: status::StreamStatus) -> StreamStatus {
    let running = stream.session.filter(|session| session.ended.is_none());
    StreamStatus {
        name: stream.name.to_string(),
        address: stream.address.to_string(),
        state: stream.state,
        reason: stream.reason.to_owned(),
        message: stream.message.to_string(),
        since: stream.since,
        next_try_at: stream.next_try_at,
        session_id: running.as_ref().map(|session| session.id.clone()),
        decoder: running.as_ref().and_then(|session| session.decoder.as_deref().map(str::to_owned)),
        frames: running.as_ref().map(|session| live_account(session.account)),
        latency_ms: running.map(|session| session.latency),
    }
}

fn live_account(account: FrameAccount) -> LiveAccount {
    LiveAccount { in_flight: account.in_flight(), account }
}

fn live_session(session: &SessionView) -> SessionStatus {
    SessionStatus {
        id: session.id.clone(),
        stream: session.stream.to_string(),
        started_at: session.started_at,
        ended_at: session.ended.as_ref().map(|(at, _)| *at),
        end_reason: session.ended.as_ref().map(|(_, reason)| reason.code().to_owned()),
        last_seq: session.last_seq,
        frames: Some(live_account(session.account)),
        latency_ms: Some(session.latency),
    }
}

fn stored_session(row: SessionRow) -> SessionStatus {
    // What is stored of one that runs elsewhere is the account of its beginning.
    let frames = row.end.as_ref().and_then(|end| stored_account(&row.account, &end.reason));
    SessionStatus {
        id: SessionId(row.id.into()),
        stream: row.stream,
        started_at: Timestamp(row.started_at_us),
        ended_at: row.end.as_ref().map(|end| Timestamp(end.at_us)),
        end_reason: row.end.map(|end| end.reason),
        last_seq: u64::try_from(row.last_seq).unwrap_or(0),
        frames,
        latency_ms: None,
    }
}

/// The account that a session ended with, if it was stored: the server of one that ended by a restart may have been lost
/// before.
fn stored_account(json: &str, end_reason: &str) -> Option<LiveAccount> {
    let account: Value = serde_json::from_str(json).ok()?;
    let mut counters = Vec::new();
    for name in ["received", "analyzed", "skipped"] {
        counters.push(account[name].as_u64()?);
    }
    // Reasons that did not occur are not named.
    let dropped = |reason: DropReason| account["dropped"][reason.name()].as_u64().unwrap_or(0);
    counters.extend(DropReason::ALL.map(dropped));
    let account = FrameAccount::from_counters(&counters);
    let is_of_its_beginning = end_reason == EndReason::Restart.code() && account.received == 0;
    (!is_of_its_beginning).then(|| live_account(account))
}

/// Whether the database answers.
pub(crate) struct DatabaseHealth(pub(crate) Store);

impl HealthCheck for DatabaseHealth {
    fn name(&self) -> &'static str {
        "database"
    }

    fn needed_for_ready(&self) -> bool {
        // Events wait in the journal while it is away; the server goes on.
        false
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.0.ping().await.map(drop).map_err(unavailable) })
    }
}

/// Whether threads were given up because they hang.
pub(crate) struct ThreadsHealth(pub(crate) Arc<StatusBoard>);

impl HealthCheck for ThreadsHealth {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn needed_for_ready(&self) -> bool {
        // The server goes on without them, until it ends itself.
        false
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.0.degraded().map_or(Ok(()), |words| Err(Unavailable(words))) })
    }
}

/// Whether the journal takes events.
pub(crate) struct JournalHealth(pub(crate) Arc<Journal>);

impl HealthCheck for JournalHealth {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn needed_for_ready(&self) -> bool {
        // What is there can be asked for and followed, and streams wait.
        false
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.0.trouble().map_or(Ok(()), |words| Err(Unavailable(words))) })
    }
}

/// What happens in the HTTP server, as log lines.
pub(crate) struct HttpLog(pub(crate) Logger);

impl Observer for HttpLog {
    fn notice(&self, event: HttpEvent<'_>) {
        match event {
            HttpEvent::RequestAnswered { request_id, method, endpoint, status, elapsed_us } => {
                let log = self.0.new(o!(
                    "request_id" => request_id.to_owned(), "method" => method.to_owned(),
                    "endpoint" => endpoint.to_owned(), "status" => status, "elapsed_us" => elapsed_us
                ));
                // Probes and scrapes come every few seconds for months; they are news when they fail.
                if PROBED.contains(&endpoint) && status < 400 {
                    debug!(log, "request answered");
                } else {
                    info!(log, "request answered");
                }
            }
            HttpEvent::ComponentUnavailable { component, error } => {
                let log = match current_request_id() {
                    Some(id) => self.0.new(o!("request_id" => id)),
                    None => self.0.clone(),
                };
                warn!(log, "component unavailable"; "component" => component, "error" => error);
            }
            HttpEvent::SubscriberLeft { user, reason, events, cut } => info!(
                self.0, "subscriber left"; "user" => user.0, "reason" => reason, "events" => events, "cut" => cut
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::SessionEnd;
    use crate::store::testing::store;

    #[test]
    fn a_session_that_is_over_is_told_with_the_account_that_it_ended_with() {
        let store = store();
        let account = json!({"received": 9, "analyzed": 6, "skipped": 1, "dropped": {"replaced": 2}});
        let beginning = json!({"received": 0, "analyzed": 0, "skipped": 0, "dropped": {}});
        for (id, reason, account) in [
            ("over", Some("stopped"), &account),
            ("closed by the next start", Some("restart"), &account),
            ("without a frame", Some("source_failed"), &beginning),
            ("lost", Some("restart"), &beginning),
            ("elsewhere", None, &beginning),
            ("without an account", Some("stopped"), &json!({})),
        ] {
            let row = SessionRow {
                id: id.into(),
                stream: "door".into(),
                started_at_us: 1,
                end: reason.map(|reason| SessionEnd { at_us: 2, reason: reason.into() }),
                provenance: "{}".into(),
                account: account.to_string(),
                last_seq: 1,
                epoch: 0,
            };
            store.wait(store.upsert_session(&row)).unwrap();
        }
        let view = LiveView { board: Arc::default(), store: store.clone(), elsewhere: None };
        let told = |id: &str| {
            let session = store.wait(view.session(&SessionId(id.into()))).unwrap().unwrap();
            serde_json::to_value(session).unwrap()["frames"].take()
        };
        let in_full =
            json!({"received": 9, "analyzed": 6, "skipped": 1, "dropped": {"replaced": 2}, "inFlight": 0});
        assert_eq!((told("over"), told("closed by the next start")), (in_full.clone(), in_full));
        assert_eq!(told("without a frame")["received"], 0);
        for unknown in ["lost", "elsewhere", "without an account"] {
            assert_eq!(told(unknown), Value::Null, "{unknown}");
        }
        let seen = StreamsSeen { only: None, hidden: vec!["door".into()] };
        assert!(store.wait(view.sessions(seen)).unwrap().is_empty(), "nobody asks for what they do not see");
    }
}
