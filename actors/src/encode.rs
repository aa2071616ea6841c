//! How an event becomes the bytes that everyone receives.

use serde::Serialize;

use crate::domain::{EncodedEvent, Event, EventFacts, EventKind, Numbering, SessionId, Timestamp};

/// An event's payload: the numbering, then the body's members.
#[derive(Serialize)]
struct Payload<'a, B> {
    #[serde(flatten)]
    numbering: Numbering<'a>,
    #[serde(flatten)]
    body: B,
}

/// Serialises an event, once for all.
pub(crate) fn encode_event<B: Serialize>(
    session: &SessionId,
    numbering: Numbering<'_>,
    kind: EventKind,
    facts: EventFacts,
    body: B,
) -> EncodedEvent {
    let event = Event {
        session_id: session,
        timestamp: Timestamp(facts.timestamp_us),
        event: kind,
        payload: Payload { numbering, body },
    };
    let json = serde_json::to_vec(&event).expect("an event should have only string keys and sane times");
    EncodedEvent { seq: numbering.seq, kind, json: json.into(), facts }
}
