//! The writer of rows under a store that fails: nothing is lost, nothing is stored twice, nothing is out of order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, System};

use crate::backoff::BackoffPolicy;
use crate::db_writer::{DbWriterCounters, DbWriterParts, DbWriterPolicy, Drain};
use crate::db_writer_keeper::DbWriterKeeper;
use crate::domain::{EventFacts, EventKind, LoggedEvent, SessionId};
use crate::ports::{EventLog, EventStore, StoreError, StoreErrorKind, StoreFuture};

/// A log of so many events in memory, whose commit outlives its readers.
#[derive(Clone)]
struct MemoryLog {
    events: u64,
    committed: Arc<Mutex<u64>>,
    at: u64,
}

impl EventLog for MemoryLog {
    fn read(&mut self, most: usize) -> std::io::Result<Vec<LoggedEvent>> {
        let end = self.events.min(self.at + most as u64);
        let events = (self.at + 1..=end).map(event).collect();
        self.at = end;
        Ok(events)
    }

    fn commit(&mut self) -> std::io::Result<()> {
        *self.committed.lock().unwrap() = self.at;
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

/// Fails by the number of the call; refuses one event; leaves alone what it has.
#[derive(Default)]
struct MoodyStore {
    rows: Mutex<Vec<u64>>,
    calls: Mutex<u64>,
    refused: Option<u64>,
}

impl EventStore for MoodyStore {
    fn write(&self, batch: Arc<[LoggedEvent]>) -> StoreFuture {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        let fails = |kind| Err(StoreError { kind, message: "as the test asked".into() });
        assert!(call != 5, "the store panics, as the test asked");
        let result = if call % 3 == 0 {
            fails(StoreErrorKind::Away)
        } else if batch.iter().any(|event| Some(event.seq) == self.refused) {
            fails(StoreErrorKind::Refused)
        } else {
            let mut rows = self.rows.lock().unwrap();
            let last = rows.last().copied().unwrap_or(0);
            rows.extend(batch.iter().map(|event| event.seq).filter(|&seq| seq > last));
            // The word of every seventh write is lost: it is stored all the same.
            if call % 7 == 0 { fails(StoreErrorKind::Away) } else { Ok(()) }
        };
        Box::pin(async move { result })
    }
}

fn drain(store: MoodyStore) -> (Arc<MoodyStore>, Arc<DbWriterCounters>, u64) {
    let (store, counters) = (Arc::new(store), Arc::new(DbWriterCounters::default()));
    let committed = Arc::new(Mutex::new(0));
    let shared = Arc::clone(&committed);
    let wait = Duration::from_millis(1);
    let parts = DbWriterParts {
        log: Arc::new(move || {
            let at = *shared.lock().unwrap();
            Ok(Box::new(MemoryLog { events: 1_000, committed: Arc::clone(&shared), at }))
        }),
        store: store.clone(),
        policy: DbWriterPolicy {
            batch: 64,
            idle: wait,
            backoff: BackoffPolicy { retry_max: wait, ..DbWriterPolicy::default().backoff },
        },
        counters: Arc::clone(&counters),
        observer: Arc::new(|_| {}),
    };
    System::new().block_on(async {
        let keeper = DbWriterKeeper::new(parts).start();
        while *committed.lock().unwrap() < 1_000 {
            let _ = actix::clock::timeout(Duration::from_millis(200), keeper.send(Drain)).await;
        }
    });
    let committed = *committed.lock().unwrap();
    (store, counters, committed)
}

#[test]
fn a_store_that_fails_and_a_writer_that_panics_lose_and_double_nothing() {
    let (store, counters, committed) = drain(MoodyStore::default());
    assert_eq!(*store.rows.lock().unwrap(), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((committed, counters.read().refused), (1_000, 0));
    assert!(counters.read().failures > 3);
}

#[test]
fn one_event_that_is_refused_does_not_stop_the_others() {
    let (store, counters, _) = drain(MoodyStore { refused: Some(500), ..MoodyStore::default() });
    let expected: Vec<u64> = (1..=1_000).filter(|&seq| seq != 500).collect();
    assert_eq!(*store.rows.lock().unwrap(), expected);
    assert_eq!(counters.read().refused, 1);
}
