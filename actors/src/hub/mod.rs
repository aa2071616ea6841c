//! `Hub`: fan-out of journalled events to subscribers, and the recent events of each session in memory.
//!
//! Broadcasters share one hub and publish into it after the journal has the event. Publishing never waits for a
//! subscriber: each has a bounded queue of its own ([`Subscription`]). To replay without a loss or a repetition,
//! subscribe first, then ask for [`Hub::recent`], and leave out deliveries up to the last number replayed.

mod published;
mod ring;
mod subscription;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use published::{Filter, Published};
pub use ring::Recent;
use ring::Ring;
use subscription::Shared;
pub use subscription::{Delivery, GapReason, QueueBound, Subscription};
pub use trail::Trail;

use crate::domain::{EventKind, SessionId};

/// Memory of a session: half a minute of 60 frames a second.
const MEMORY: QueueBound = QueueBound { events: 2_048, bytes: 8 << 20 };
/// Ended sessions that are remembered, so that an agent that was away when one ended finds its end quickly.
const ENDED_SESSIONS: usize = 16;

/// The hub.
pub struct Hub {
    memory: QueueBound,
    subscribers: RwLock<Vec<Arc<Shared>>>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    rings: HashMap<SessionId, Ring>,
    ended: VecDeque<SessionId>,
    closed: bool,
}

impl Hub {
    /// A hub with the usual memory.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_memory(MEMORY)
    }

    /// A hub that remembers so much of each session.
    #[must_use]
    pub fn with_memory(memory: QueueBound) -> Arc<Self> {
        Arc::new(Self { memory, subscribers: RwLock::default(), sessions: Mutex::default() })
    }

    /// Begins a subscription to what is published from now on.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, filter: Filter, bound: QueueBound) -> Subscription {
        let shared = Arc::new(Shared::new(filter, bound));
        let mut subscribers = self.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        subscribers.push(Arc::clone(&shared));
        // Read under the lock that `close` takes, so that one of the two tells the end.
        if self.sessions().closed {
            shared.end();
        }
        Subscription { shared, hub: Arc::downgrade(self) }
    }

    /// Remembers the event and offers it to every subscriber. Called in order of numbers within a session.
    pub fn publish(&self, event: &Arc<Published>) {
        // Memory first: whoever subscribes in between finds the event there.
        self.sessions().remember(event, self.memory);
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        subscribers.iter().for_each(|subscriber| subscriber.offer(event));
    }

    /// What memory holds of `session` after number `after`.
    #[must_use]
    pub fn recent(&self, session: &SessionId, after: u64) -> Recent {
        let sessions = self.sessions();
        sessions.rings.get(session).map_or(Recent::Unknown, |ring| ring.after(after))
    }

    /// The last number published in `session`, if the hub knows it.
    #[must_use]
    pub fn last_seq(&self, session: &SessionId) -> Option<u64> {
        self.sessions().rings.get(session).map(Ring::last_seq)
    }

    /// The sessions that the hub knows: all that run and the last ones that ended.
    #[must_use]
    pub fn known_sessions(&self) -> Vec<SessionId> {
        self.sessions().rings.keys().cloned().collect()
    }

    /// Counts a session as ended whose end nobody will publish: its server is lost, or its events could not be kept. Its memory
    /// goes with that of others, unless another event of it is published.
    pub fn retire(&self, session: &SessionId) {
        let mut sessions = self.sessions();
        if sessions.rings.contains_key(session) {
            sessions.end(session);
        }
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Tells every subscriber, after what waits for it, that nothing follows.
    pub fn close(&self) {
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        self.sessions().closed = true;
        subscribers.iter().for_each(|subscriber| subscriber.end());
    }

    fn unsubscribe(&self, leaver: &Arc<Shared>) {
        let mut subscribers = self.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| !Arc::ptr_eq(subscriber, leaver));
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Nothing in the lock can panic half-way through a change.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    fn remember(&mut self, event: &Arc<Published>, memory: QueueBound) {
        let ring = self.rings.entry(event.session.clone()).or_default();
        ring.push(event, memory);
        match event.kind {
            EventKind::SessionEnded => self.end(&event.session),
            // It was given up too early.
            _ => self.ended.retain(|ended| *ended != event.session),
        }
    }

    fn end(&mut self, session: &SessionId) {
        if !self.ended.contains(session) {
            self.ended.push_back(session.clone());
        }
        while self.ended.len() > ENDED_SESSIONS {
            let forgotten = self.ended.pop_front();
            forgotten.into_iter().for_each(|session| drop(self.rings.remove(&session)));
        }
    }
}
