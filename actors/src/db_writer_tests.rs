//! The writer of rows under a store that fails: nothing is lost, nothing is stored twice, nothing is out of order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, System};

use crate::backoff::BackoffPolicy;
use crate::crew::scarce_arbiters;
use crate::db_writer::{DbWriterCounters, DbWriterParts, DbWriterPolicy, Drain, StoreNews, StoreObserver};
use crate::db_writer_keeper::DbWriterKeeper;
use crate::ports::EventStore;
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
    let store = Arc::new(store);
    let (counters, committed) = drain_into(store.clone(), Arc::new(|_| {}));
    (store, counters, committed)
}

fn drain_into(store: Arc<dyn EventStore>, observer: StoreObserver) -> (Arc<DbWriterCounters>, u64) {
    let counters = Arc::new(DbWriterCounters::default());
    let (log, committed) = MemoryLog::readers(1_000);
    let wait = Duration::from_millis(1);
    let parts = DbWriterParts {
        log,
        store,
        policy: DbWriterPolicy {
            batch: 64,
            idle: wait,
            backoff: BackoffPolicy { retry_max: wait, ..DbWriterPolicy::default().backoff },
        },
        counters: Arc::clone(&counters),
        observer,
    };
    System::new().block_on(async {
        let keeper = DbWriterKeeper::new(parts).start();
        while *committed.lock().unwrap() < 1_000 {
            let _ = actix::clock::timeout(Duration::from_millis(200), keeper.send(Drain)).await;
        }
    });
    let committed = *committed.lock().unwrap();
    (counters, committed)
}

#[test]
fn a_store_that_fails_and_a_writer_that_panics_three_times_lose_and_double_nothing() {
    let (store, counters, committed) = drain(MoodyStore::new(moody, &[]));
    assert_eq!(store.rows(), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((committed, counters.read().refused), (1_000, 0));
    assert!(counters.read().failures > 3 && store.calls() > 17);
}

#[test]
fn a_store_that_is_away_for_two_hundred_writes_costs_no_row() {
    let away = |call| if call <= 200 { StoreMood::Away } else { StoreMood::Fine };
    let (store, counters, _) = drain(MoodyStore::new(away, &[]));
    assert_eq!(store.rows(), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((counters.read().failures, counters.read().store_away), (200, false));
}

#[test]
fn one_event_that_is_refused_does_not_stop_the_others() {
    let (store, counters, _) = drain(MoodyStore::new(moody, &[500]));
    let expected: Vec<u64> = (1..=1_000).filter(|&seq| seq != 500).collect();
    assert_eq!(store.rows(), expected);
    assert_eq!(counters.read().refused, 1);
}

#[test]
fn events_that_the_store_set_aside_are_counted_and_told_and_not_offered_again() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let observer = move |news: StoreNews<'_>| {
        let StoreNews::Refused(refused) = news else { panic!("{news:?}") };
        tell.lock().unwrap().push(refused.iter().map(|event| event.seq).collect::<Vec<_>>());
    };
    let store = MoodyStore::new(|_| StoreMood::Fine, &[3, 5, 500]);
    let (counters, committed) = drain_into(Arc::new(store), Arc::new(observer));
    let counts = counters.read();
    assert_eq!((committed, counts.written, counts.refused, counts.failures), (1_000, 997, 3, 0));
    assert_eq!(*told.lock().unwrap(), [vec![3, 5], vec![500]], "once for each batch");
}

#[test]
fn a_writer_without_a_thread_is_tried_again_and_told_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let store = Arc::new(MoodyStore::new(|_| StoreMood::Fine, &[]));
    let (log, committed) = MemoryLog::readers(1_000);
    let parts = DbWriterParts {
        log,
        store: store.clone(),
        policy: DbWriterPolicy::default(),
        counters: Arc::default(),
        observer: Arc::new(move |news| {
            let StoreNews::Failed(why) = news else { panic!("{news:?}") };
            tell.lock().unwrap().push(why.to_owned());
        }),
    };
    System::new().block_on(async {
        let keeper = DbWriterKeeper::new(parts).with_arbiters(scarce_arbiters(|number| number <= 3)).start();
        // Each is a look of the keeper as well; nobody waits for the writer that is not there.
        for _ in 0..4 {
            keeper.send(Drain).await.unwrap();
        }
    });
    assert_eq!((*committed.lock().unwrap(), store.rows().len()), (1_000, 1_000));
    let words = "no thread for the writer of rows: none is left, as the test asked";
    assert_eq!(*told.lock().unwrap(), [words]);
}
