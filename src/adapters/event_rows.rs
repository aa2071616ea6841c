//! The event store port on PostgreSQL: a batch of journalled events becomes rows, and sessions are kept up to date.

use std::sync::Arc;

use kinora_actors::domain::{EventKind, LoggedEvent, SessionId};
use kinora_actors::ports::{self, EventStore, RefusedEvent, StoreFuture};
use serde_json::Value;

use crate::store::{EventNotice, EventRow, SessionEnd, SessionRow, Store, StoreError};

/// Writes rows.
pub(crate) struct EventRows {
    /// Where.
    pub(crate) store: Store,
    /// As whom other servers are told of them, if there are others.
    pub(crate) tell_as: Option<Arc<str>>,
}

impl EventStore for EventRows {
    fn write(&self, batch: Arc<[LoggedEvent]>) -> StoreFuture {
        let (store, tell_as) = (self.store.clone(), self.tell_as.clone());
        Box::pin(async move {
            // Rows that can never be stored are set aside by the store; what is left of refusals is a fault of the database
            // that its operator mends, so the batch is offered again.
            let written = write(&store, &batch).await;
            let refused = written.map_err(|error| ports::StoreError(error.to_string()))?;
            if let Some(owner) = tell_as {
                // A hint: the rows are committed, and found without it some seconds later.
                let _ = store.tell_events(&notices(&owner, &batch)).await;
            }
            Ok(refused)
        })
    }
}

/// One notice a session, in the order in which the batch has them.
fn notices(owner: &str, batch: &[LoggedEvent]) -> Vec<EventNotice> {
    let mut notices: Vec<EventNotice> = Vec::new();
    for event in batch {
        match notices.iter_mut().find(|notice| *notice.session == *event.session.0) {
            Some(notice) => notice.last = event.seq,
            None => notices.push(EventNotice {
                owner: owner.to_owned(),
                session: event.session.0.to_string(),
                stream: event.stream.to_string(),
                first: event.seq,
                last: event.seq,
            }),
        }
    }
    notices
}

/// Sessions first, so that an event's session is known when the event is. Gives the events that will never be stored.
async fn write(store: &Store, batch: &[LoggedEvent]) -> Result<Vec<RefusedEvent>, StoreError> {
    for event in batch.iter().filter(|event| event.kind == EventKind::SessionStarted) {
        store.upsert_session(&session_row(event)).await?;
    }
    let rows: Vec<EventRow> = batch.iter().map(event_row).collect();
    let refused = store.insert_events(&rows).await?.refused;
    for event in batch.iter().filter(|event| event.kind == EventKind::SessionEnded) {
        let end = SessionEnd { at_us: event.facts.timestamp_us, reason: end_reason(event) };
        match store.close_session(&event.session.0, &end, &account(event), number(event.seq)).await {
            // A session that failed before its source was open has no beginning.
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let refused = refused.into_iter().map(|row| RefusedEvent {
        session: SessionId(row.session_id.into()),
        seq: u64::try_from(row.seq).unwrap_or(0),
        error: row.why,
    });
    Ok(refused.collect())
}

fn event_row(event: &LoggedEvent) -> EventRow {
    EventRow {
        session_id: event.session.0.to_string(),
        seq: number(event.seq),
        timestamp_us: event.facts.timestamp_us,
        recorded_at_us: event.facts.recorded_at_us,
        event: event.kind.name().to_owned(),
        payload: String::from_utf8_lossy(&event.payload).into_owned(),
    }
}

fn session_row(event: &LoggedEvent) -> SessionRow {
    let payload = payload(event);
    SessionRow {
        id: event.session.0.to_string(),
        stream: event.stream.to_string(),
        started_at_us: event.facts.timestamp_us,
        end: None,
        provenance: payload["provenance"].to_string(),
        account: account(event),
        last_seq: number(event.seq),
        epoch: i32::try_from(event.facts.epoch).unwrap_or(i32::MAX),
    }
}

fn end_reason(event: &LoggedEvent) -> String {
    payload(event)["reason"].as_str().unwrap_or("unknown").to_owned()
}

fn payload(event: &LoggedEvent) -> Value {
    // Our own JSON; one that cannot be read has no members.
    serde_json::from_slice(&event.payload).unwrap_or_default()
}

fn account(event: &LoggedEvent) -> String {
    serde_json::to_string(&event.facts.account).expect("an account should have only string keys")
}

/// Numbers of events are far below 2^63.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use kinora_actors::domain::EventFacts;

    use super::*;
    use crate::store::testing::{store, text};

    fn event(seq: u64, kind: EventKind, payload: &str) -> LoggedEvent {
        LoggedEvent {
            session: SessionId("s".into()),
            stream: "cam".into(),
            seq,
            kind,
            facts: EventFacts::default(),
            payload: payload.as_bytes().into(),
        }
    }

    #[test]
    fn events_that_the_database_refuses_are_told_and_all_others_of_the_batch_are_stored() {
        let store = store();
        let batch = [
            event(1, EventKind::SessionStarted, r#"{"provenance":{}}"#),
            event(2, EventKind::StreamState, r#"{"message":"words of a camera\u0000"}"#),
            event(3, EventKind::FrameAnalyzed, "cut of"),
            event(4, EventKind::SessionEnded, r#"{"reason":"stopped"}"#),
        ];
        let rows = EventRows { store: store.clone(), tell_as: None };
        let refused = store.wait(rows.write(batch.into())).unwrap();
        assert_eq!(
            refused.iter().map(|event| (&*event.session.0, event.seq)).collect::<Vec<_>>(),
            [("s", 3)]
        );
        assert!(refused[0].error.contains("SQLSTATE 22"), "{}", refused[0].error);
        let stored = "select string_agg(seq::text, ' ' order by seq) from analysis_results";
        assert_eq!(text(&store, stored), "1 2 4");
        let ended = store.wait(store.find_session("s")).unwrap().unwrap().end.unwrap();
        assert_eq!(ended.reason, "stopped", "a refused row does not keep a session open");
    }
}
