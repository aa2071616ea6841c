//! Resuming: from memory, from the database, over what retention took.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kinora_actors::domain::EventKind;

use super::client::{close_code, event, numbers};
use super::fakes::{Fixture, publish, publish_one};

fn chain(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, u64)> {
    range.map(|seq| (seq - 1, seq)).collect()
}

#[actix_web::test]
async fn memory_alone_serves_a_short_absence() {
    let fixture = Fixture::start();
    fixture.world.database_away.store(true, Ordering::SeqCst);
    publish(&fixture.hub, "s", 1..=100);
    let mut socket = fixture.subscribe("session=s&after=40").await;
    assert_eq!(numbers(&mut socket, 60).await, chain(41..=100));
    publish(&fixture.hub, "s", 101..=110);
    assert_eq!(numbers(&mut socket, 10).await, chain(101..=110));
}

#[actix_web::test]
async fn the_database_serves_what_memory_forgot() {
    let fixture = Fixture::forgetful();
    fixture.world.store("s", 1..=95);
    publish(&fixture.hub, "s", 1..=100);
    let mut socket = fixture.subscribe("session=s&after=0").await;
    assert_eq!(numbers(&mut socket, 100).await, chain(1..=100));
}

#[actix_web::test]
async fn a_filtered_resume_has_previous_numbers_of_its_own_across_database_memory_and_live() {
    let fixture = Fixture::forgetful();
    fixture.world.store("s", 1..=95);
    publish(&fixture.hub, "s", 1..=100);
    let mut socket = fixture.subscribe("session=s&after=12&events=streamState").await;
    let expected: Vec<_> = (3..=20).map(|n| (if n == 3 { 12 } else { n * 5 - 5 }, n * 5)).collect();
    assert_eq!(numbers(&mut socket, 18).await, expected);
    publish(&fixture.hub, "s", 101..=105);
    assert_eq!(numbers(&mut socket, 1).await, [(100, 105)]);
}

#[actix_web::test]
async fn what_retention_took_is_told_as_a_gap() {
    let fixture = Fixture::forgetful();
    fixture.world.store("s", 31..=95);
    publish(&fixture.hub, "s", 1..=100);
    let mut socket = fixture.subscribe("session=s&after=4").await;
    let gap = event(&mut socket).await;
    assert_eq!(gap["event"], "gap");
    assert_eq!(gap["sessionId"], "s");
    assert_eq!(gap["payload"], serde_json::json!({"from": 5, "to": 30, "reason": "retention"}));
    assert_eq!(numbers(&mut socket, 70).await, chain(31..=100));
}

#[actix_web::test]
async fn a_recorded_gap_passes_every_filter_and_tells_its_own_hole() {
    let fixture = Fixture::forgetful();
    fixture.world.store("s", 1..=20);
    publish(&fixture.hub, "s", 1..=20);
    publish_one(&fixture.hub, "s", 1_000, EventKind::Gap, 0);
    let row = |seq, kind| {
        (super::fakes::session("s"), seq, kind, super::fakes::encoded("s", seq, kind, 0).json.to_vec())
    };
    fixture.world.rows.lock().unwrap().push(row(1_000, EventKind::Gap));
    publish(&fixture.hub, "s", 1_001..=1_020);
    let more = (1_001..=1_015).map(|seq| row(seq, super::fakes::kind_of(seq)));
    fixture.world.rows.lock().unwrap().extend(more);
    let mut socket = fixture.subscribe("session=s&after=18&events=streamState").await;
    let expected = [(18, 20), (20, 1_000), (1_000, 1_005), (1_005, 1_010), (1_010, 1_015), (1_015, 1_020)];
    assert_eq!(numbers(&mut socket, 6).await, expected);
}

#[actix_web::test]
async fn a_session_that_only_the_database_knows_is_replayed_and_then_over() {
    let fixture = Fixture::start();
    fixture.world.store("old", 1..=50);
    fixture.world.sessions.lock().unwrap().insert("old".to_owned(), (50, true));
    let mut socket = fixture.subscribe("session=old&after=10").await;
    assert_eq!(numbers(&mut socket, 40).await, chain(11..=50));
    assert_eq!(close_code(&mut socket).await, Some(1000));
}

#[actix_web::test]
async fn a_session_whose_rows_are_all_retired_is_told_as_one_gap() {
    let fixture = Fixture::start();
    fixture.world.sessions.lock().unwrap().insert("old".to_owned(), (50, true));
    let mut socket = fixture.subscribe("session=old&after=10").await;
    let gap = event(&mut socket).await;
    assert_eq!(gap["payload"], serde_json::json!({"from": 11, "to": 50, "reason": "retention"}));
    assert_eq!(close_code(&mut socket).await, Some(1000));
}

#[actix_web::test]
async fn a_resume_waits_for_rows_that_are_on_their_way() {
    let fixture = Fixture::forgetful();
    publish(&fixture.hub, "s", 1..=100);
    fixture.world.store("s", 1..=50);
    let mut socket = fixture.subscribe("session=s&after=0").await;
    assert_eq!(numbers(&mut socket, 50).await, chain(1..=50));
    fixture.world.store("s", 51..=92);
    assert_eq!(numbers(&mut socket, 50).await, chain(51..=100));
}

#[actix_web::test]
async fn a_resume_that_the_database_cannot_serve_ends_with_try_again_later() {
    let fixture = Fixture::forgetful();
    publish(&fixture.hub, "s", 1..=100);
    fixture.world.database_away.store(true, Ordering::SeqCst);
    let mut socket = fixture.subscribe("session=s&after=0").await;
    assert_eq!(close_code(&mut socket).await, Some(1013));
    fixture.stopper.stop(Duration::from_secs(2)).await;
    assert_eq!(*fixture.world.left.lock().unwrap(), [("history_unavailable", false)]);
}
