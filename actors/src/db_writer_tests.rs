//! The writer of rows under a store that fails: nothing is lost, nothing is stored twice, nothing is out of order.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, System};

use crate::backoff::BackoffPolicy;
use crate::db_writer::{DbWriterCounters, DbWriterParts, DbWriterPolicy, Drain};
use crate::db_writer_keeper::DbWriterKeeper;
use crate::testing::{MemoryLog, MoodyStore, StoreMood};

/// Panics three times, is away every third time, and loses the word of every seventh write.
fn moody(call: u64) -> StoreMood {
    match call {
        5 | 11 | 17 => StoreMood::Panic,
        _ if call.is_multiple_of(3) => StoreMood::Away,
        _ if call.is_multiple_of(7) => StoreMood::WordLost,
        _ => StoreMood::Fine,
    }
}

fn drain(store: MoodyStore) -> (Arc<MoodyStore>, Arc<DbWriterCounters>, u64) {
    let (store, counters) = (Arc::new(store), Arc::new(DbWriterCounters::default()));
    let (log, committed) = MemoryLog::readers(1_000);
    let wait = Duration::from_millis(1);
    let parts = DbWriterParts {
        log,
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
fn a_store_that_fails_and_a_writer_that_panics_three_times_lose_and_double_nothing() {
    let (store, counters, committed) = drain(MoodyStore::new(moody, None));
    assert_eq!(store.rows(), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((committed, counters.read().refused), (1_000, 0));
    assert!(counters.read().failures > 3 && store.calls() > 17);
}

#[test]
fn a_store_that_is_away_for_two_hundred_writes_costs_no_row() {
    let away = |call| if call <= 200 { StoreMood::Away } else { StoreMood::Fine };
    let (store, counters, _) = drain(MoodyStore::new(away, None));
    assert_eq!(store.rows(), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((counters.read().failures, counters.read().store_away), (200, false));
}

#[test]
fn one_event_that_is_refused_does_not_stop_the_others() {
    let (store, counters, _) = drain(MoodyStore::new(moody, Some(500)));
    let expected: Vec<u64> = (1..=1_000).filter(|&seq| seq != 500).collect();
    assert_eq!(store.rows(), expected);
    assert_eq!(counters.read().refused, 1);
}
