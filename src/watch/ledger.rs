//! Which numbers of which session were printed, and what that means for an event that arrives. Pure.

use std::collections::HashMap;

use serde::Deserialize;

/// What is read of an event; the rest is printed as it came.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heading {
    /// The session.
    pub(super) session_id: String,
    /// What happened.
    pub(super) event: String,
    /// Its numbers.
    pub(super) payload: Numbers,
}

/// Numbers of an event: the first two of all but unnumbered gaps, the others of gaps.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbers {
    seq: Option<u64>,
    prev_seq: Option<u64>,
    to: Option<u64>,
    reason: Option<String>,
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is next.
    Print,
    /// It was printed.
    Leave,
    /// Others come before it: fetch what follows this number.
    FetchAfter(u64),
}

/// The ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<String, Place>);

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    last: u64,
    over: bool,
}

impl Ledger {
    /// Begins a session at a number, as if it and all before were printed.
    pub(super) fn begin(&mut self, session: &str, last: u64) {
        self.0.entry(session.to_owned()).or_insert(Place { last, over: false });
    }

    /// Where to resume a session of which the server has numbers up to `last_seq`, if something is missing.
    pub(super) fn missing(&mut self, session: &str, last_seq: u64) -> Option<u64> {
        let place = self.0.entry(session.to_owned()).or_default();
        (!place.over && place.last < last_seq).then_some(place.last)
    }

    /// The last number printed.
    pub(super) fn last(&self, session: &str) -> u64 {
        self.0.get(session).map_or(0, |place| place.last)
    }

    /// Whether the session's end was printed.
    pub(super) fn is_over(&self, session: &str) -> bool {
        self.0.get(session).is_some_and(|place| place.over)
    }

    /// The session is gone.
    pub(super) fn forget(&mut self, session: &str) {
        self.0.remove(session);
    }

    /// Judges an event of the live connection.
    pub(super) fn judge_live(&mut self, event: &Heading) -> Verdict {
        let place = self.0.entry(event.session_id.clone()).or_default();
        let (seq, prev) = match (&event.payload, event.payload.seq) {
            (numbers, Some(seq)) => (seq, numbers.prev_seq.unwrap_or(0)),
            // What slowness took can be fetched; anything else that is told without a number is lost.
            (numbers, None) if numbers.reason.as_deref() == Some("slow") => {
                let to = numbers.to.unwrap_or(0);
                return if to > place.last { Verdict::FetchAfter(place.last) } else { Verdict::Leave };
            }
            (numbers, None) => return place.skip_to(numbers.to.unwrap_or(0)),
        };
        if seq > place.last && prev > place.last {
            return Verdict::FetchAfter(place.last);
        }
        place.step(seq, &event.event)
    }

    /// Judges an event of a connection that resumed: the server tells there what cannot be had.
    pub(super) fn judge_resumed(&mut self, event: &Heading) -> Verdict {
        let place = self.0.entry(event.session_id.clone()).or_default();
        match (event.payload.seq, &event.payload) {
            (Some(seq), _) => place.step(seq, &event.event),
            (None, numbers) if numbers.reason.as_deref() == Some("slow") => Verdict::FetchAfter(place.last),
            (None, numbers) => place.skip_to(numbers.to.unwrap_or(0)),
        }
    }
}

impl Place {
    fn step(&mut self, seq: u64, event: &str) -> Verdict {
        if seq <= self.last {
            return Verdict::Leave;
        }
        self.last = seq;
        self.over |= event == "sessionEnded";
        Verdict::Print
    }

    fn skip_to(&mut self, to: u64) -> Verdict {
        let news = to > self.last;
        self.last = self.last.max(to);
        if news { Verdict::Print } else { Verdict::Leave }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &str) -> Heading {
        serde_json::from_str(&format!(r#"{{"sessionId":"s","event":"frameAnalyzed","payload":{payload}}}"#))
            .unwrap()
    }

    #[test]
    fn what_follows_is_printed_what_repeats_is_left_and_a_hole_is_fetched() {
        let mut ledger = Ledger::default();
        ledger.begin("s", 10);
        let live = |ledger: &mut Ledger, text: &str| ledger.judge_live(&event(text));
        assert_eq!(live(&mut ledger, r#"{"seq":10,"prevSeq":9}"#), Verdict::Leave);
        assert_eq!(live(&mut ledger, r#"{"seq":13,"prevSeq":12}"#), Verdict::FetchAfter(10));
        assert_eq!(live(&mut ledger, r#"{"seq":15,"prevSeq":10}"#), Verdict::Print);
        assert_eq!(live(&mut ledger, r#"{"from":16,"to":19,"reason":"slow"}"#), Verdict::FetchAfter(15));
        assert_eq!(
            ledger.judge_resumed(&event(r#"{"from":16,"to":17,"reason":"retention"}"#)),
            Verdict::Print
        );
        assert_eq!(ledger.judge_resumed(&event(r#"{"seq":18,"prevSeq":17}"#)), Verdict::Print);
        assert_eq!((ledger.missing("s", 18), ledger.missing("s", 20)), (None, Some(18)));
    }

    #[test]
    fn a_session_that_began_while_away_is_fetched_from_its_beginning() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.missing("new", 3), Some(0));
        assert_eq!(ledger.judge_live(&event(r#"{"seq":7,"prevSeq":6}"#)), Verdict::FetchAfter(0));
    }
}
