//! A log and a store in memory, for the writer of rows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{EventFacts, EventKind, LoggedEvent, SessionId};
use crate::ports::{EventLog, EventLogFactory, EventStore, RefusedEvent, StoreError, StoreFuture};

/// A log of so many events, numbered from 1, whose commit outlives its readers.
#[derive(Clone)]
pub struct MemoryLog {
    events: u64,
    committed: Arc<Mutex<u64>>,
    at: u64,
}

impl MemoryLog {
    /// A factory of readers, each of which begins at the commit; and the commit.
    #[must_use]
    pub fn readers(events: u64) -> (EventLogFactory, Arc<Mutex<u64>>) {
        let committed = Arc::new(Mutex::new(0));
        let shared = Arc::clone(&committed);
        let factory = move || -> std::io::Result<Box<dyn EventLog>> {
            let at = *lock(&shared);
            Ok(Box::new(Self { events, committed: Arc::clone(&shared), at }))
        };
        (Arc::new(factory), committed)
    }
}

impl EventLog for MemoryLog {
    fn read(&mut self, most: usize) -> std::io::Result<Vec<LoggedEvent>> {
        let end = self.events.min(self.at + most as u64);
        let events = (self.at + 1..=end).map(event).collect();
        self.at = end;
        Ok(events)
    }

    fn commit(&mut self) -> std::io::Result<()> {
        *lock(&self.committed) = self.at;
        Ok(())
    }
}

fn event(seq: u64) -> LoggedEvent {
    LoggedEvent {
        session: SessionId("s".into()),
        stream: "cam".into(),
        seq,
        kind: EventKind::FrameAnalyzed,
        facts: EventFacts::default(),
        payload: Vec::new().into(),
    }
}

/// What one write of a [`MoodyStore`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMood {
    /// It is stored.
    Fine,
    /// The store is away: nothing is stored.
    Away,
    /// It is stored, and the word of that is lost.
    WordLost,
    /// It panics.
    Panic,
}

/// A store whose mood depends on the number of the call, from 1. It leaves alone what it has.
pub struct MoodyStore {
    rows: Mutex<Vec<u64>>,
    calls: Mutex<u64>,
    mood: fn(u64) -> StoreMood,
    refused: &'static [u64],
}

impl MoodyStore {
    /// An empty store of this mood, which will never take events with the numbers `refused`.
    #[must_use]
    pub fn new(mood: fn(u64) -> StoreMood, refused: &'static [u64]) -> Self {
        Self { rows: Mutex::default(), calls: Mutex::default(), mood, refused }
    }

    /// The numbers of its rows, in the order in which they came.
    #[must_use]
    pub fn rows(&self) -> Vec<u64> {
        lock(&self.rows).clone()
    }

    /// How often it was asked to write.
    #[must_use]
    pub fn calls(&self) -> u64 {
        *lock(&self.calls)
    }

    /// Takes a batch; gives what it refuses of it.
    fn store(&self, batch: &[LoggedEvent]) -> Vec<RefusedEvent> {
        let mut rows = lock(&self.rows);
        let last = rows.last().copied().unwrap_or(0);
        let (refused, taken): (Vec<_>, Vec<_>) =
            batch.iter().partition(|event| self.refused.contains(&event.seq));
        rows.extend(taken.iter().map(|event| event.seq).filter(|&seq| seq > last));
        let refused = refused.into_iter().map(|event| RefusedEvent {
            session: event.session.clone(),
            seq: event.seq,
            error: "it is refused, as the test asked".into(),
        });
        refused.collect()
    }

    fn answer(&self, batch: &[LoggedEvent]) -> Result<Vec<RefusedEvent>, StoreError> {
        let call = {
            let mut calls = lock(&self.calls);
            *calls += 1;
            *calls
        };
        let fails = || Err(StoreError("as the test asked".into()));
        match (self.mood)(call) {
            StoreMood::Panic => panic!("the store panics, as the test asked"),
            StoreMood::Away => fails(),
            StoreMood::Fine => Ok(self.store(batch)),
            StoreMood::WordLost => {
                self.store(batch);
                fails()
            }
        }
    }
}

impl EventStore for MoodyStore {
    fn write(&self, batch: Arc<[LoggedEvent]>) -> StoreFuture {
        let answer = self.answer(&batch);
        Box::pin(async move { answer })
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A store that panics on purpose does so with no lock held half-way through a change.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
