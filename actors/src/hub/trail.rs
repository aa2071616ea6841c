//! The last number that a subscriber saw in each session: what `prevSeq` tells it, and what it saw already.

use std::collections::HashMap;

use super::Published;
use crate::domain::SessionId;

/// One subscriber's trail through replay and live deliveries.
#[derive(Clone, Debug, Default)]
pub struct Trail(HashMap<SessionId, u64>);

impl Trail {
    /// The subscriber has, or was told that it misses, everything up to `seq`: where it resumed, or a gap's end.
    pub fn skip_to(&mut self, session: &SessionId, seq: u64) {
        let last = self.0.entry(session.clone()).or_default();
        *last = seq.max(*last);
    }

    /// The `prevSeq` with which `event` is delivered, or `None` if the subscriber has it already.
    ///
    /// The first event of a session on this trail has no predecessor that the subscriber could miss, so it
    /// keeps `seq - 1`.
    pub fn step(&mut self, event: &Published) -> Option<u64> {
        let before = self.0.insert(event.session.clone(), event.seq);
        match before {
            Some(last) if last >= event.seq => {
                self.0.insert(event.session.clone(), last);
                None
            }
            Some(last) => Some(last),
            None => Some(event.seq.saturating_sub(1)),
        }
    }
}
