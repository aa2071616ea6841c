//! An event on its way to subscribers, and the filter by which a subscriber chooses.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::domain::{EncodedEvent, EventKind, SessionId};

/// The member whose number differs between subscribers. Its quotes cannot be part of a JSON string, where they
/// would be escaped, so the first place where it is found is the member itself.
const PREV_SEQ: &[u8] = b"\"prevSeq\":";

/// A numbered event that is in the journal, shared by all subscribers.
#[derive(Debug)]
pub struct Published {
    /// The session it belongs to.
    pub session: SessionId,
    /// The stream's name.
    pub stream: Arc<str>,
    /// Its number in the session.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// One line of JSON without the line end; its `prevSeq` is `seq - 1`.
    pub json: Arc<[u8]>,
    /// Where the digits of `prevSeq` lie in `json`.
    prev_seq: Range<usize>,
}

impl Published {
    /// The event of `stream` in `session` as it was encoded.
    #[must_use]
    pub fn new(session: SessionId, stream: Arc<str>, event: &EncodedEvent) -> Self {
        Self {
            session,
            stream,
            seq: event.seq,
            kind: event.kind,
            json: Arc::clone(&event.json),
            prev_seq: find_prev_seq(&event.json),
        }
    }

    /// The event as a subscriber reads it whose last number before it is `prev`.
    #[must_use]
    pub fn json_with_prev_seq(&self, prev: u64) -> Cow<'_, [u8]> {
        let digits = prev.to_string();
        if self.prev_seq.is_empty() || self.json[self.prev_seq.clone()] == *digits.as_bytes() {
            return Cow::Borrowed(&self.json);
        }
        let (before, after) = (&self.json[..self.prev_seq.start], &self.json[self.prev_seq.end..]);
        Cow::Owned([before, digits.as_bytes(), after].concat())
    }
}

/// The place of the digits; empty when the event has no such member.
fn find_prev_seq(json: &[u8]) -> Range<usize> {
    let member = json.windows(PREV_SEQ.len()).position(|window| window == PREV_SEQ);
    let Some(start) = member.map(|at| at + PREV_SEQ.len()) else {
        return 0..0;
    };
    let digits = json[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    start..start + digits
}

/// Which events a subscriber wants; `None` means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Names of streams.
    pub streams: Option<Vec<Arc<str>>>,
    /// Sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// Kinds of events.
    pub kinds: Option<Vec<EventKind>>,
    /// Names of streams of which nothing is delivered, whatever is asked for.
    pub hidden: Vec<Arc<str>>,
}

impl Filter {
    /// Whether all that is asked of an event holds for this one.
    #[must_use]
    pub fn matches(&self, event: &Published) -> bool {
        fn holds<T: PartialEq>(wanted: Option<&Vec<T>>, value: &T) -> bool {
            wanted.is_none_or(|wanted| wanted.contains(value))
        }
        // A gap is about everything: no choice of kinds hides it.
        (event.kind == EventKind::Gap || holds(self.kinds.as_ref(), &event.kind))
            && holds(self.streams.as_ref(), &event.stream)
            && holds(self.sessions.as_ref(), &event.session)
            && !self.hidden.contains(&event.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventFacts;

    fn published(json: &str) -> Published {
        let event = EncodedEvent {
            seq: 12,
            kind: EventKind::FrameAnalyzed,
            json: json.as_bytes().into(),
            facts: EventFacts::default(),
        };
        Published::new(SessionId("s".into()), "cam".into(), &event)
    }

    #[test]
    fn only_the_number_of_the_member_is_replaced() {
        let event =
            published(r#"{"payload":{"seq":12,"prevSeq":11,"stream":"a \"prevSeq\":5","x":{"prevSeq":1}}}"#);
        assert!(matches!(event.json_with_prev_seq(11), Cow::Borrowed(_)));
        let spliced = event.json_with_prev_seq(7);
        let text = std::str::from_utf8(&spliced).unwrap();
        assert_eq!(
            text,
            r#"{"payload":{"seq":12,"prevSeq":7,"stream":"a \"prevSeq\":5","x":{"prevSeq":1}}}"#
        );
    }

    #[test]
    fn an_event_without_the_member_is_left_alone() {
        assert!(matches!(published("{}").json_with_prev_seq(3), Cow::Borrowed(b"{}")));
    }

    #[test]
    fn a_filter_wants_all_that_it_names() {
        let event = published("{}");
        let mut filter = Filter::default();
        assert!(filter.matches(&event));
        filter.streams = Some(vec!["other".into(), "cam".into()]);
        assert!(filter.matches(&event));
        filter.hidden = vec!["third".into()];
        assert!(filter.matches(&event), "streams that nobody named are not hidden");
        filter.kinds = Some(vec![EventKind::StreamState]);
        assert!(!filter.matches(&event));
        let hidden = Filter { hidden: vec!["cam".into()], ..Filter::default() };
        assert!(!hidden.matches(&event));
    }
}
