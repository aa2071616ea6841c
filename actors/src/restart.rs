//! The end of sessions that a process left open: what the next process tells about them.
//!
//! After a kill nothing is missing and numbers go on. After a power loss, agents may have seen numbers that the
//! journal lost; so numbers go on a million later, which no session passes in the time between two syncs, and
//! the stretch between is told as a gap.

use serde::Serialize;

use crate::domain::{
    EncodedEvent, EndReason, EventFacts, EventKind, InterruptedSession, Numbering, SessionEnded, StreamState,
    StreamStateChanged, state_in_words,
};
use crate::encode::encode_event;
use crate::hub::GapReason;

/// Numbers left out after a power loss.
pub const NUMBERING_JUMP: u64 = 1_000_000;

#[derive(Serialize)]
struct Gap {
    from: u64,
    to: u64,
    reason: GapReason,
}

/// The last events of an interrupted session, to be appended in this order before any stream is started.
#[must_use]
pub fn closing_events(session: &InterruptedSession, lost_power: bool, now_unix_us: i64) -> Vec<EncodedEvent> {
    let mut closing = Closing { session, last_seq: session.last_seq, now_unix_us };
    let mut events = Vec::with_capacity(3);
    if lost_power {
        let (from, to) = (session.last_seq + 1, session.last_seq + NUMBERING_JUMP);
        let gap = Gap { from, to, reason: GapReason::Crash };
        events.push(closing.event(to, EventKind::Gap, gap));
    }
    let reason = EndReason::Restart;
    let change = StreamStateChanged {
        state: StreamState::Stopped,
        reason: reason.code(),
        message: state_in_words(reason.code()).into(),
        next_try_at: None,
    };
    events.push(closing.event(closing.last_seq + 1, EventKind::StreamState, change));
    let ended = SessionEnded { end: reason, frames: session.account };
    events.push(closing.event(closing.last_seq + 1, EventKind::SessionEnded, ended));
    events
}

struct Closing<'a> {
    session: &'a InterruptedSession,
    last_seq: u64,
    now_unix_us: i64,
}

impl Closing<'_> {
    fn event<B: Serialize>(&mut self, seq: u64, kind: EventKind, body: B) -> EncodedEvent {
        let prev_seq = std::mem::replace(&mut self.last_seq, seq);
        let facts = EventFacts {
            timestamp_us: self.now_unix_us,
            recorded_at_us: self.now_unix_us,
            epoch: self.session.epoch,
            account: self.session.account,
        };
        let numbering = Numbering { seq, prev_seq, stream: &self.session.stream };
        encode_event(&self.session.session, numbering, kind, facts, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FrameAccount, SessionId};

    fn told(lost_power: bool) -> Vec<serde_json::Value> {
        let session = InterruptedSession {
            session: SessionId("s".into()),
            stream: "cam".into(),
            last_seq: 41,
            epoch: 2,
            account: FrameAccount { received: 7, analyzed: 7, ..FrameAccount::default() },
        };
        let events = closing_events(&session, lost_power, 1_800_000_000_000_000);
        events.iter().map(|event| serde_json::from_slice(&event.json).unwrap()).collect()
    }

    #[test]
    fn a_killed_session_is_closed_with_the_next_numbers_and_its_last_account() {
        let events = told(false);
        let numbers: Vec<_> = events.iter().map(|event| event["payload"]["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [42, 43]);
        let end = &events[1];
        assert_eq!((&end["event"], &end["payload"]["reason"]), (&"sessionEnded".into(), &"restart".into()));
        assert_eq!(end["payload"]["frames"]["analyzed"], 7);
    }

    #[test]
    fn after_a_power_loss_a_gap_is_told_that_reaches_far_beyond_the_last_number() {
        let events = told(true);
        let gap = &events[0]["payload"];
        assert_eq!((gap["from"].as_u64(), gap["to"].as_u64()), (Some(42), Some(1_000_041)));
        assert_eq!((&gap["reason"], &gap["prevSeq"]), (&"crash".into(), &41.into()));
        assert_eq!(events[2]["payload"]["seq"], 1_000_043);
    }
}
