//! The recent events of one session, bounded by number and by bytes: what a resume is served from first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Published, QueueBound};

/// What memory holds after a number.
#[derive(Debug)]
pub enum Recent {
    /// Every event after the number, in order; perhaps none.
    Complete(Vec<Arc<Published>>),
    /// Memory begins at `oldest`; what lies between the number and it has to be read from the store.
    From {
        /// The first number in memory.
        oldest: u64,
    },
    /// Nothing was published in this session since the server started, or it ended long ago.
    Unknown,
}

/// The ring. Numbers in it are contiguous: a jump (numbering after a crash) empties it first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Published>>,
    bytes: usize,
    last_seq: u64,
}

impl Ring {
    pub(super) fn push(&mut self, event: &Arc<Published>, bound: QueueBound) {
        if event.seq != self.last_seq + 1 {
            self.events.clear();
            self.bytes = 0;
        }
        self.last_seq = event.seq;
        self.bytes += event.json.len();
        self.events.push_back(Arc::clone(event));
        while self.events.len() > bound.events || self.bytes > bound.bytes {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.json.len();
        }
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub(super) fn after(&self, after: u64) -> Recent {
        let oldest = self.events.front().map_or(self.last_seq + 1, |event| event.seq);
        if after.saturating_add(1) < oldest {
            return Recent::From { oldest };
        }
        // Numbers are contiguous, so the number is also the place.
        let skip = usize::try_from(after.saturating_add(1) - oldest).unwrap_or(usize::MAX);
        Recent::Complete(self.events.iter().skip(skip).cloned().collect())
    }
}
