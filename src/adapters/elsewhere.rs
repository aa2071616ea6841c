//! How streams are that other servers run, as their events tell it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kinora_actors::domain::{EventKind, SessionId, StreamState, Timestamp};
use kinora_actors::hub::Published;
use serde::Deserialize;

use crate::http::ports::StreamStatus;

/// The last word of each stream.
#[derive(Default)]
pub(crate) struct Elsewhere(Mutex<BTreeMap<String, Told>>);

/// What a stream's server said last.
struct Told {
    session: SessionId,
    state: StreamState,
    reason: String,
    message: String,
    since: Timestamp,
    next_try_at: Option<Timestamp>,
}

/// A `streamState` event, as far as it is shown.
#[derive(Deserialize)]
struct Line {
    timestamp: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    state: String,
    reason: String,
    message: String,
    next_try_at: Option<String>,
}

impl Elsewhere {
    /// Takes note of an event of another server.
    pub(crate) fn note(&self, event: &Published) {
        let mut streams = self.streams();
        let known = streams.get(&*event.stream);
        // Ids of sessions sort by their beginning: the last words of an old one come late when its server was killed.
        if known.is_some_and(|told| told.session > event.session) {
            return;
        }
        match event.kind {
            EventKind::SessionEnded => drop(streams.remove(&*event.stream)),
            EventKind::StreamState => {
                if let Some(told) = told(event) {
                    streams.insert(event.stream.to_string(), told);
                }
            }
            _ => {}
        }
    }

    /// Forgets the words of all sessions but these: the others ended without one.
    pub(crate) fn keep(&self, is_open: impl Fn(&SessionId) -> bool) {
        self.streams().retain(|_, told| is_open(&told.session));
    }

    /// Shows a stream that does not run here as the server shows it that runs it, if one does.
    pub(crate) fn show(&self, shown: StreamStatus) -> StreamStatus {
        let streams = self.streams();
        match streams.get(&shown.name) {
            Some(told) if shown.session_id.is_none() => StreamStatus {
                state: told.state,
                reason: told.reason.clone(),
                message: told.message.clone(),
                since: told.since,
                next_try_at: told.next_try_at,
                session_id: Some(told.session.clone()),
                ..shown
            },
            _ => shown,
        }
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, Told>> {
        // Nothing in the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A later version may know states that this one does not: such a word is not shown.
fn told(event: &Published) -> Option<Told> {
    let Line { timestamp, payload } = serde_json::from_slice(&event.json).ok()?;
    Some(Told {
        session: event.session.clone(),
        state: StreamState::from_code(&payload.state)?,
        reason: payload.reason,
        message: payload.message,
        since: time(&timestamp)?,
        next_try_at: payload.next_try_at.and_then(|next| time(&next)),
    })
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(|time: jiff::Timestamp| Timestamp(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use kinora_actors::domain::{EncodedEvent, EventFacts};

    use super::*;

    fn event(session: &str, kind: EventKind, state: &str) -> Published {
        let json = format!(
            r#"{{"timestamp":"2026-11-22T05:11:05.123456Z","payload":{{"state":"{state}","reason":"why","message":"words","nextTryAt":"2026-11-22T05:11:06Z"}}}}"#
        );
        let encoded =
            EncodedEvent { seq: 1, kind, json: json.into_bytes().into(), facts: EventFacts::default() };
        Published::new(SessionId(session.into()), "door".into(), &encoded)
    }

    fn here(session: Option<&str>) -> StreamStatus {
        StreamStatus {
            name: "door".to_owned(),
            address: "rtsp://camera".to_owned(),
            state: StreamState::Stopped,
            reason: "not_started".to_owned(),
            message: String::new(),
            since: Timestamp(0),
            next_try_at: None,
            session_id: session.map(|session| SessionId(session.into())),
            decoder: None,
            frames: None,
            latency_ms: None,
        }
    }

    fn shown(elsewhere: &Elsewhere, session: Option<&str>) -> (StreamState, Option<String>) {
        let shown = elsewhere.show(here(session));
        (shown.state, shown.session_id.map(|session| session.0.to_string()))
    }

    #[test]
    fn a_stream_is_shown_as_its_server_tells_it_until_its_session_ends() {
        let elsewhere = Elsewhere::default();
        assert_eq!(shown(&elsewhere, None), (StreamState::Stopped, None));
        elsewhere.note(&event("s1", EventKind::StreamState, "reconnecting"));
        assert_eq!(shown(&elsewhere, None), (StreamState::Reconnecting, Some("s1".into())));
        let told = elsewhere.show(here(None));
        assert_eq!((told.reason.as_str(), told.message.as_str()), ("why", "words"));
        assert_eq!(told.since.0 % 1_000_000, 123_456);
        assert_eq!(told.next_try_at.map(|next| next.0 - told.since.0), Some(876_544));
        assert_eq!(shown(&elsewhere, Some("mine")), (StreamState::Stopped, Some("mine".into())));
        elsewhere.note(&event("s1", EventKind::StreamState, "of a later version"));
        assert_eq!(shown(&elsewhere, None).0, StreamState::Reconnecting);
        elsewhere.note(&event("s1", EventKind::SessionEnded, "stopped"));
        assert_eq!(shown(&elsewhere, None), (StreamState::Stopped, None));
    }

    #[test]
    fn the_last_words_of_an_old_session_change_nothing() {
        let elsewhere = Elsewhere::default();
        elsewhere.note(&event("s2", EventKind::StreamState, "running"));
        elsewhere.note(&event("s1", EventKind::StreamState, "stopped"));
        elsewhere.note(&event("s1", EventKind::SessionEnded, "stopped"));
        elsewhere.keep(|session| &*session.0 == "s2");
        assert_eq!(shown(&elsewhere, None), (StreamState::Running, Some("s2".into())));
        elsewhere.keep(|_| false);
        assert_eq!(shown(&elsewhere, None), (StreamState::Stopped, None));
    }
}
