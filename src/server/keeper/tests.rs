//! The book of streams and leases, with a clock that the tests move.

use std::collections::BTreeMap;
use std::time::Duration;

use super::book::{Act, Book, LeaseTimes, Wish};
use crate::store::Lease;

const SECOND: u64 = 1_000_000;
const TIMES: LeaseTimes = LeaseTimes { length: Duration::from_secs(6) };
const RUNS: Wish = Wish { revision: (1, 1), starts: 0, restarts: 0, runs: true };
const RESTS: Wish = Wish { runs: false, ..RUNS };

fn table<const N: usize>(wishes: [(&str, Wish); N]) -> BTreeMap<String, Wish> {
    wishes.into_iter().map(|(stream, wish)| (stream.to_owned(), wish)).collect()
}

fn lease(stream: &str, fence: i64) -> Lease {
    Lease { stream: stream.to_owned(), fence }
}

fn build(stream: &str, start: bool) -> Act {
    Act::Build { stream: stream.to_owned(), start }
}

fn start(stream: &str, fence: Option<i64>) -> Act {
    Act::Start { stream: stream.to_owned(), fence }
}

fn stop(stream: &str) -> Act {
    Act::Stop(stream.to_owned())
}

/// A book that runs `door` under fence 1 since time 0.
fn running() -> Book {
    let mut book = Book::new(Some(TIMES));
    assert_eq!(book.read(&table([("door", RUNS)])), [build("door", false)]);
    assert_eq!(book.wanted(), ["door"]);
    assert_eq!(book.acquired(&[lease("door", 1)], 0), [start("door", Some(1))]);
    assert_eq!(book.wanted(), Vec::<String>::new());
    book
}

/// A renewal in whose way nothing came.
fn renewed(book: &mut Book, named: &[Lease], sent_us: u64) -> Vec<Act> {
    let before = book.leases();
    book.renewed(&before, named, sent_us)
}

#[test]
fn alone_a_stream_runs_as_the_table_says_without_any_lease() {
    let mut book = Book::new(None);
    let acts = book.read(&table([("door", RUNS), ("yard", RESTS)]));
    assert_eq!(acts, [build("door", false), start("door", None), build("yard", false)]);
    assert_eq!((book.wanted(), book.leases()), (vec![], vec![]));
    assert_eq!(book.expire(u64::MAX), []);
    assert_eq!(book.read(&table([("door", RESTS), ("yard", RUNS)])), [stop("door"), start("yard", None)]);
    assert_eq!(book.stopped("door"), []);
    assert_eq!(book.read(&table([("yard", RUNS)])), [Act::Remove("door".into())]);
    assert_eq!(book.read(&table([])), [stop("yard")]);
    assert_eq!(book.stopped("yard"), [Act::Remove("yard".into())]);
}

#[test]
fn orders_and_changes_reach_a_stream_that_runs_once_each() {
    let mut book = running();
    for (wish, expected) in [
        (RUNS, vec![]),
        (Wish { starts: 1, ..RUNS }, vec![start("door", Some(1))]),
        (Wish { starts: 1, restarts: 1, ..RUNS }, vec![Act::Restart("door".into())]),
        (Wish { revision: (1, 2), starts: 1, restarts: 1, runs: true }, vec![build("door", true)]),
        (
            Wish { revision: (9, 1), starts: 1, restarts: 1, runs: false },
            vec![build("door", false), stop("door")],
        ),
    ] {
        assert_eq!(book.read(&table([("door", wish)])), expected, "{wish:?}");
    }
}

#[test]
fn a_stream_that_is_started_while_it_stops_begins_when_it_has_stopped() {
    let mut book = running();
    assert_eq!(book.read(&table([("door", RESTS)])), [stop("door")]);
    assert_eq!(book.read(&table([("door", Wish { starts: 1, ..RUNS })])), []);
    assert_eq!(book.stopped("door"), [start("door", Some(1))], "its lease was kept meanwhile");
}

#[test]
fn a_lease_is_given_back_when_the_stream_has_stopped_and_not_before() {
    let mut book = running();
    assert_eq!(book.read(&table([("door", RESTS)])), [stop("door")]);
    assert_eq!(renewed(&mut book, &[lease("door", 1)], 2 * SECOND), [], "it is renewed as long as it stops");
    assert_eq!(book.stopped("door"), [Act::Release(lease("door", 1))]);
    assert_eq!(book.leases(), []);
    let mut book = running();
    assert_eq!(book.read(&table([])), [stop("door")]);
    assert_eq!(book.stopped("door"), [Act::Release(lease("door", 1)), Act::Remove("door".into())]);
}

#[test]
fn a_stream_stops_a_margin_before_its_lease_could_be_over_counted_from_the_sending() {
    let mut book = running();
    assert_eq!(book.expire(5 * SECOND - 1), []);
    // The renewal was sent at 4 s; when it was answered does not matter.
    assert_eq!(renewed(&mut book, &[lease("door", 1)], 4 * SECOND), []);
    assert_eq!(book.expire(9 * SECOND - 1), []);
    assert_eq!(book.expire(9 * SECOND), [stop("door")]);
    assert_eq!(book.wanted(), Vec::<String>::new(), "not before it has stopped");
    assert_eq!(book.stopped("door"), []);
    assert_eq!(book.wanted(), ["door"]);
}

#[test]
fn what_a_renewal_does_not_name_is_stopped_at_once() {
    let mut book = running();
    book.read(&table([("door", RUNS), ("yard", RUNS)]));
    assert_eq!(book.acquired(&[lease("yard", 4)], SECOND), [start("yard", Some(4))]);
    assert_eq!(renewed(&mut book, &[lease("yard", 4)], 2 * SECOND), [stop("door")]);
    assert_eq!(book.stopped("door"), []);
    assert_eq!(book.acquired(&[lease("door", 3)], 8 * SECOND), [start("door", Some(3))]);
}

#[test]
fn a_lease_whose_answer_was_lost_is_found_by_the_renewal() {
    let mut book = Book::new(Some(TIMES));
    book.read(&table([("door", RUNS), ("yard", RESTS)]));
    let named = [lease("door", 7), lease("yard", 2), lease("unknown", 5)];
    let acts = renewed(&mut book, &named, 0);
    assert_eq!(
        acts,
        [start("door", Some(7)), Act::Release(lease("yard", 2)), Act::Release(lease("unknown", 5))]
    );
}

#[test]
fn a_lease_that_was_taken_while_a_renewal_was_under_way_is_kept() {
    let mut book = running();
    book.read(&table([("door", RUNS), ("yard", RUNS)]));
    let before = book.leases();
    assert_eq!(book.acquired(&[lease("yard", 4)], 3 * SECOND), [start("yard", Some(4))]);
    assert_eq!(book.renewed(&before, &[lease("door", 1)], 2 * SECOND), []);
    assert_eq!(book.leases(), [lease("door", 1), lease("yard", 4)]);
    // Had it heard of the new one, the later question would count.
    assert_eq!(book.renewed(&before, &[lease("door", 1), lease("yard", 4)], 2 * SECOND), []);
    assert_eq!(book.expire(8 * SECOND - 1), [stop("door")]);
    assert_eq!(book.expire(8 * SECOND), [stop("yard")]);
}

#[test]
fn a_lease_that_was_given_back_while_a_renewal_was_under_way_is_given_back_again_and_not_used() {
    let mut book = running();
    let before = book.leases();
    assert_eq!(book.read(&table([("door", RESTS)])), [stop("door")]);
    assert_eq!(book.stopped("door"), [Act::Release(lease("door", 1))]);
    assert_eq!(book.read(&table([("door", Wish { starts: 1, ..RUNS })])), []);
    let late = book.renewed(&before, &[lease("door", 1)], 2 * SECOND);
    assert_eq!(late, [Act::Release(lease("door", 1))]);
    assert_eq!(book.wanted(), ["door"]);
    assert_eq!(book.acquired(&[lease("door", 2)], 3 * SECOND), [start("door", Some(2))]);
    assert_eq!(book.renewed(&before, &[], 3 * SECOND), [], "the lease that it asked for is not this one");
}

#[test]
fn a_lease_of_a_removed_stream_is_not_used_by_another_one_of_its_name() {
    let mut book = running();
    let before = book.leases();
    book.read(&table([]));
    assert_eq!(book.stopped("door"), [Act::Release(lease("door", 1)), Act::Remove("door".into())]);
    let again = Wish { revision: (2, 1), ..RUNS };
    assert_eq!(book.read(&table([("door", again)])), [build("door", false)]);
    assert_eq!(book.renewed(&before, &[lease("door", 1)], SECOND), [Act::Release(lease("door", 1))]);
    assert_eq!(book.wanted(), ["door"]);
}

#[test]
fn a_renewal_that_comes_while_an_overdue_stream_stops_lets_it_begin_again() {
    let mut book = running();
    assert_eq!(book.expire(5 * SECOND), [stop("door")]);
    assert_eq!(renewed(&mut book, &[lease("door", 1)], 5 * SECOND), []);
    assert_eq!(book.stopped("door"), [start("door", Some(1))]);
}

#[test]
fn a_server_that_ends_begins_nothing_and_knows_what_to_give_back() {
    let mut book = running();
    book.close();
    assert_eq!(book.read(&table([("door", Wish { restarts: 1, ..RUNS }), ("yard", RUNS)])), []);
    assert_eq!(book.wanted(), Vec::<String>::new());
    assert_eq!(book.leases(), [lease("door", 1)]);
}
