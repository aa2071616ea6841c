//! Leases: one owner at a time, fencing numbers that only grow, and what is over is lost.

use super::super::leases::Lease;
use super::super::testing::{store, text};
use super::super::*;

const LONG: Duration = Duration::from_secs(60);

fn acquire(store: &Store, stream: &str, owner: &str, time: Duration) -> Option<i64> {
    let lease = store.wait(store.acquire_leases(&[stream.to_owned()], owner, time)).unwrap().pop()?;
    assert_eq!(lease.stream, stream);
    Some(lease.fence)
}

fn renew(store: &Store, owner: &str) -> Vec<(String, i64)> {
    let leases = store.wait(store.renew_leases(owner, LONG)).unwrap();
    leases.into_iter().map(|lease| (lease.stream, lease.fence)).collect()
}

/// Lets the lease of a stream be over, as time would.
fn expire(store: &Store, stream: &str) {
    text(
        store,
        &format!("update stream_leases set lease_until = clock_timestamp() where stream = '{stream}'"),
    );
}

#[test]
fn a_stream_has_one_owner_until_its_lease_is_over_and_fences_only_grow() {
    let store = store();
    assert_eq!(acquire(&store, "door", "a", LONG), Some(1));
    assert_eq!(acquire(&store, "door", "b", LONG), None);
    assert_eq!(acquire(&store, "door", "a", LONG), None, "not even its owner takes it twice");
    assert_eq!(acquire(&store, "yard", "b", LONG), Some(1));
    expire(&store, "door");
    assert_eq!(acquire(&store, "door", "b", LONG), Some(2), "a dead server's stream is taken over");
    assert_eq!(renew(&store, "a"), []);
    assert_eq!(renew(&store, "b"), [("door".to_owned(), 2), ("yard".to_owned(), 1)]);
}

#[test]
fn a_lease_that_is_over_is_lost_even_if_nobody_took_it() {
    let store = store();
    acquire(&store, "door", "a", LONG);
    expire(&store, "door");
    assert_eq!(renew(&store, "a"), []);
    assert_eq!(acquire(&store, "door", "a", LONG), Some(2));
}

#[test]
fn only_the_owner_in_force_gives_a_lease_back() {
    let store = store();
    acquire(&store, "door", "a", LONG);
    expire(&store, "door");
    acquire(&store, "door", "b", LONG);
    let release = |fence, owner: &str| {
        let lease = Lease { stream: "door".into(), fence };
        store.wait(store.release_lease(&lease, owner)).unwrap()
    };
    assert!(!release(1, "a") && !release(1, "b") && !release(2, "a"));
    assert_eq!(acquire(&store, "door", "c", LONG), None);
    assert!(release(2, "b"));
    assert_eq!(acquire(&store, "door", "c", LONG), Some(3), "it need not wait for the time to be over");
}

#[test]
fn of_many_servers_that_want_a_stream_at_once_one_gets_it() {
    let store = store();
    for round in 1..=20 {
        let won = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..4)
                .map(|server| {
                    let store = &store;
                    scope.spawn(move || acquire(store, "door", &format!("server-{server}"), LONG))
                })
                .collect();
            tries.into_iter().filter_map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(won, [round]);
        expire(&store, "door");
    }
}

#[test]
fn servers_that_want_all_streams_in_another_order_share_them_without_a_deadlock() {
    let store = store();
    let names: Vec<String> = (0..20).map(|number| format!("cam-{number}")).collect();
    let taken = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|server| {
                let (store, mut names) = (&store, names.clone());
                names.rotate_left(server * 5);
                let owner = format!("server-{server}");
                scope.spawn(move || store.wait(store.acquire_leases(&names, &owner, LONG)).unwrap())
            })
            .collect();
        tries.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let mut streams: Vec<&str> = taken.iter().map(|lease| lease.stream.as_str()).collect();
    streams.sort_unstable();
    streams.dedup();
    assert_eq!((taken.len(), streams.len()), (20, 20));
    assert_eq!(store.wait(store.count_leases()).unwrap(), 20);
}

#[test]
fn the_migration_leaves_nothing_behind_when_it_is_taken_back() {
    let store = store();
    while store.wait(store.migrate_down()).unwrap().is_some_and(|undone| undone.version > 6) {}
    assert_eq!(text(&store, "select count(*) from pg_class where relname like 'stream_leases%'"), "0");
}
