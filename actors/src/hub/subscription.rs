//! One subscriber's bounded queue.
//!
//! An event that finds no room empties the queue: everything that waited becomes a gap, one a session, and the
//! live edge goes on. So a slow reader is behind by no more than its queue, gaps need no room in it, and each
//! session's gap lies before all of its events that wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::{Filter, Hub, Published};
use crate::domain::SessionId;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBound {
    /// Events.
    pub events: usize,
    /// Bytes of their JSON.
    pub bytes: usize,
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The subscriber read too slowly; the events can be read again.
    Slow,
    /// They are older than what is kept.
    Retention,
    /// The machine lost power before they were on disk.
    Crash,
}

/// What a subscriber receives.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An event that matches the filter.
    Event(Arc<Published>),
    /// Events that matched and were not delivered.
    Gap {
        /// Of which session.
        session: SessionId,
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// Nothing follows: the server is shutting down.
    Ended,
}

/// A subscriber's end of its queue. Dropping it ends the subscription.
pub struct Subscription {
    pub(super) shared: Arc<Shared>,
    pub(super) hub: Weak<Hub>,
}

impl Subscription {
    /// Waits for the next delivery. May be dropped and called again without losing one. For one reader.
    pub async fn next(&self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_next() {
                return delivery;
            }
            // A call between the look and the wait is kept by `Notify` for one reader.
            self.shared.arrived.notified().await;
        }
    }

    /// The next delivery, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<Delivery> {
        self.shared.queue().pop()
    }

    /// Events that were told as gaps so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.queue().dropped
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.unsubscribe(&self.shared);
        }
    }
}

/// What the hub and the subscriber share.
pub(super) struct Shared {
    filter: Filter,
    bound: QueueBound,
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    gaps: BTreeMap<SessionId, (u64, u64)>,
    events: VecDeque<Arc<Published>>,
    bytes: usize,
    dropped: u64,
    ended: bool,
}

impl Shared {
    pub(super) fn new(filter: Filter, bound: QueueBound) -> Self {
        Self { filter, bound, queue: Mutex::default(), arrived: Notify::new() }
    }

    /// Puts the event if the filter wants it. The lock is held for a few instructions on either side.
    pub(super) fn offer(&self, event: &Arc<Published>) {
        if self.filter.matches(event) {
            self.queue().push(event, self.bound);
            self.arrived.notify_one();
        }
    }

    pub(super) fn end(&self) {
        self.queue().ended = true;
        self.arrived.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in the lock can panic half-way through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, event: &Arc<Published>, bound: QueueBound) {
        let size = event.json.len();
        if self.events.len() >= bound.events || self.bytes + size > bound.bytes {
            self.bytes = 0;
            for waiting in std::mem::take(&mut self.events) {
                self.miss(&waiting);
            }
            // An event that is larger than the whole queue never fits.
            if bound.events == 0 || size > bound.bytes {
                return self.miss(event);
            }
        }
        self.bytes += size;
        self.events.push_back(Arc::clone(event));
    }

    fn miss(&mut self, event: &Published) {
        self.dropped += 1;
        let gap = self.gaps.entry(event.session.clone()).or_insert((event.seq, event.seq));
        gap.1 = event.seq;
    }

    fn pop(&mut self) -> Option<Delivery> {
        if let Some((session, (from, to))) = self.gaps.pop_first() {
            return Some(Delivery::Gap { session, from, to, reason: GapReason::Slow });
        }
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.json.len();
            return Some(Delivery::Event(event));
        }
        self.ended.then_some(Delivery::Ended)
    }
}
