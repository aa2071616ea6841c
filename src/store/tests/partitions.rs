//! Partitions appear in time, take over what came too early, and go when they are too old or too much.

use super::super::testing::{at, store, text};
use super::super::*;

/// A day that no test's clock is near; 2024-10-04.
const DAY: i64 = 20_000;

const NO_LIMIT: Retention = Retention { max_age: None, max_bytes: None };

fn fill(store: &Store, session: &str, recorded_at_us: i64, count: i64) {
    // Random digits, so that compression does not make the test's rows small.
    let noise: Vec<String> = (0..150_u64)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ recorded_at_us as u64).to_string())
        .collect();
    let row = |seq| EventRow {
        session_id: session.into(),
        seq,
        timestamp_us: recorded_at_us,
        recorded_at_us: recorded_at_us + seq,
        event: "frameAnalyzed".into(),
        payload: format!("{{\"seq\":{seq},\"noise\":[{}]}}", noise.join(",")),
    };
    let batch: Vec<_> = (1..=count).map(row).collect();
    assert_eq!(store.wait(store.insert_events(&batch)).unwrap().inserted, count as u64);
}

fn partition_of(store: &Store, session: &str) -> String {
    text(
        store,
        &format!(
            "select string_agg(distinct tableoid::regclass::text, ',') from analysis_results
                where session_id = '{session}'"
        ),
    )
}

fn count(store: &Store) -> String {
    text(store, "select count(*) from analysis_results")
}

#[test]
fn rows_on_both_sides_of_midnight_go_to_their_days() {
    let store = store();
    let made = store.wait(store.ensure_partitions(at(DAY, 23, 59), 1)).unwrap();
    assert_eq!(made, ["analysis_results_p20241004", "analysis_results_p20241005"]);
    assert!(store.wait(store.ensure_partitions(at(DAY, 23, 59), 1)).unwrap().is_empty());
    fill(&store, "before", at(DAY + 1, 0, 0) - 1_000_000, 1);
    fill(&store, "after", at(DAY + 1, 0, 0), 1);
    assert_eq!(partition_of(&store, "before"), "analysis_results_p20241004");
    assert_eq!(partition_of(&store, "after"), "analysis_results_p20241005");
    let made = store.wait(store.ensure_partitions(at(DAY + 1, 0, 1), 1)).unwrap();
    assert_eq!(made, ["analysis_results_p20241006"]);
}

#[test]
fn rows_in_the_default_partition_move_to_their_day() {
    let store = store();
    fill(&store, "early", at(DAY, 12, 0), 30);
    fill(&store, "odd", at(DAY - 400, 12, 0), 5);
    assert_eq!(partition_of(&store, "early"), "analysis_results_default");
    let made = store.wait(store.ensure_partitions(at(DAY, 13, 0), 0)).unwrap();
    assert_eq!(made, ["analysis_results_p20230831", "analysis_results_p20241004"]);
    assert_eq!(partition_of(&store, "early"), "analysis_results_p20241004");
    assert_eq!(count(&store), "35");
    assert_eq!(text(&store, "select pg_relation_size('analysis_results_default')"), "0");
}

#[test]
fn partitions_keep_the_indexes_of_the_table() {
    let store = store();
    store.wait(store.ensure_partitions(at(DAY, 12, 0), 0)).unwrap();
    let of =
        |table: &str| text(&store, &format!("select count(*) from pg_indexes where tablename = '{table}'"));
    assert_eq!(of("analysis_results_p20241004"), of("analysis_results"));
    assert_eq!(of("analysis_results"), "6");
}

#[test]
fn retention_by_age_drops_whole_days_and_cleans_the_default() {
    let store = store();
    store.wait(store.ensure_partitions(at(DAY - 3, 0, 0), 3)).unwrap();
    (0..=3).for_each(|days| fill(&store, "s", at(DAY - days, 12, 0), 5));
    fill(&store, "lost", at(DAY - 90, 12, 0), 5);
    let keep = Retention { max_age: Some(Duration::from_secs(2 * 86_400)), ..NO_LIMIT };
    // At noon the day before yesterday is partly younger than two days: it stays.
    let outcome = store.wait(store.enforce_retention(at(DAY, 12, 0), keep)).unwrap();
    assert_eq!(outcome.dropped, ["analysis_results_p20241001"]);
    assert_eq!(outcome.deleted_rows, 5);
    assert_eq!(count(&store), "15");
    let outcome = store.wait(store.enforce_retention(at(DAY, 12, 0), NO_LIMIT)).unwrap();
    assert_eq!((outcome.dropped.len(), outcome.deleted_rows), (0, 0));
}

#[test]
fn retention_by_size_drops_the_oldest_first() {
    let store = store();
    store.wait(store.ensure_partitions(at(DAY - 3, 0, 0), 3)).unwrap();
    (0..=3).for_each(|days| fill(&store, "s", at(DAY - days, 12, 0), 300));
    let before = store.wait(store.enforce_retention(at(DAY, 12, 0), NO_LIMIT)).unwrap().bytes;
    let keep = Retention { max_bytes: Some(before * 6 / 10), ..NO_LIMIT };
    let outcome = store.wait(store.enforce_retention(at(DAY, 12, 0), keep)).unwrap();
    assert_eq!(outcome.dropped, ["analysis_results_p20241001", "analysis_results_p20241002"]);
    assert!(outcome.bytes <= before * 6 / 10);
    assert_eq!(count(&store), "600");
}

#[test]
fn a_day_larger_than_the_limit_is_split_and_its_past_dropped() {
    let store = store();
    store.wait(store.ensure_partitions(at(DAY, 0, 0), 0)).unwrap();
    let keep = Retention { max_bytes: Some(600_000), ..NO_LIMIT };
    fill(&store, "morning", at(DAY, 9, 0), 400);
    let outcome = store.wait(store.enforce_retention(at(DAY, 10, 0), keep)).unwrap();
    assert_eq!(outcome.split_off.as_deref(), Some("analysis_results_p20241004_100001"));
    assert_eq!(count(&store), "400", "what is current is never dropped");
    fill(&store, "noon", at(DAY, 12, 0), 10);
    assert_eq!(partition_of(&store, "noon"), "analysis_results_p20241004_100001");
    let outcome = store.wait(store.enforce_retention(at(DAY, 12, 1), keep)).unwrap();
    assert_eq!(outcome.dropped, ["analysis_results_p20241004"]);
    assert_eq!(count(&store), "10");
    assert!(store.wait(store.ensure_partitions(at(DAY, 12, 2), 0)).unwrap().is_empty());
}
