//! Events go in once and come out in order, equal as JSON.

use super::super::testing::{at, now_us, store, text};
use super::super::*;

/// A day that no test's clock is near.
const DAY: i64 = 20_000;

fn row(session: &str, seq: i64, payload: &str) -> EventRow {
    EventRow {
        session_id: session.into(),
        seq,
        timestamp_us: at(DAY, 11, 0) + seq * 16_667,
        recorded_at_us: at(DAY, 12, 0) + seq * 16_667 + 1,
        event: if seq % 10 == 0 { "streamState" } else { "frameAnalyzed" }.into(),
        payload: payload.into(),
    }
}

fn rows(session: &str, numbers: std::ops::RangeInclusive<i64>) -> Vec<EventRow> {
    numbers.map(|seq| row(session, seq, &format!("{{\"seq\":{seq}}}"))).collect()
}

#[test]
fn a_batch_written_twice_is_there_once() {
    let store = store();
    let batch = rows("s", 1..=300);
    assert_eq!(store.wait(store.insert_events(&batch)).unwrap().inserted, 300);
    let more = rows("s", 250..=350);
    assert_eq!(store.wait(store.insert_events(&more)).unwrap().inserted, 50);
    assert_eq!(text(&store, "select count(*) from analysis_results"), "350");
    assert_eq!(store.wait(store.insert_events(&[])).unwrap(), Inserted::default());
}

#[test]
fn a_batch_written_again_after_its_day_got_a_partition_is_there_once() {
    let store = store();
    let batch = rows("s", 1..=20);
    store.wait(store.insert_events(&batch)).unwrap();
    store.wait(store.ensure_partitions(at(DAY, 0, 0), 0)).unwrap();
    assert_eq!(store.wait(store.insert_events(&batch)).unwrap().inserted, 0);
}

#[test]
fn events_come_back_in_order_and_whole_after_a_number() {
    let store = store();
    let mut batch = rows("s", 1..=40);
    batch.extend(rows("other", 1..=40));
    batch.reverse();
    store.wait(store.insert_events(&batch)).unwrap();
    store.wait(store.ensure_partitions(at(DAY, 0, 0), 0)).unwrap();

    let read = store.wait(store.events_after("s", 10, 20, &[])).unwrap();
    let mut expected = rows("s", 11..=30);
    // `jsonb` writes a space after a colon.
    expected.iter_mut().for_each(|row| row.payload = row.payload.replace(':', ": "));
    assert_eq!(read, expected);

    let states = store.wait(store.events_after("s", 0, 100, &["streamState".into()])).unwrap();
    assert_eq!(states.iter().map(|row| row.seq).collect::<Vec<_>>(), [10, 20, 30, 40]);
    assert_eq!(store.wait(store.last_seq("s")).unwrap(), Some(40));
    assert_eq!(store.wait(store.oldest_seq("s")).unwrap(), Some(1));
    assert_eq!(store.wait(store.last_seq("nobody")).unwrap(), None);
}

#[test]
fn a_payload_comes_back_as_an_equal_json_value() {
    let store = store();
    let payload = r#"{"z":0.1000,"a":[100,1.0,90277.333],"big":9007199254740993,
        "huge":123456789012345678901234567890,
        "text":"\u00e9\"\\\n\ud83d\ude00","none":null,"deep":{"b":[[],{}],"a":true}}"#;
    store.wait(store.insert_events(&[row("s", 1, payload)])).unwrap();
    let read = store.wait(store.events_after("s", 0, 1, &[])).unwrap().remove(0).payload;
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&read), value(payload));
    // Digits that a parser to binary fractions would not miss.
    assert!(read.contains("0.1000") && read.contains("9007199254740993"), "{read}");
    assert!(read.contains("123456789012345678901234567890"), "{read}");
}

#[test]
fn a_row_that_postgresql_refuses_does_not_hold_up_its_batch() {
    let store = store();
    let mut batch = rows("s", 1..=5);
    batch[1].payload = "{\"nul\":\"\0\"}".into();
    batch[3].event = "x".repeat(33);
    let outcome = store.wait(store.insert_events(&batch)).unwrap();
    assert_eq!(outcome.inserted, 3);
    assert_eq!(outcome.refused.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn words_with_a_nul_are_stored_without_it_and_no_number_is_missing() {
    let store = store();
    let mut batch = rows("s", 1..=5);
    batch[1].payload = r#"{"words":"a\u0000b","path":"C:\\u0000"}"#.into();
    assert_eq!(
        store.wait(store.insert_events(&batch)).unwrap(),
        Inserted { inserted: 5, refused: Vec::new() }
    );
    assert_eq!(
        store.wait(store.insert_events(&batch)).unwrap(),
        Inserted::default(),
        "nothing is there twice"
    );
    let read = store.wait(store.events_after("s", 1, 1, &[])).unwrap().remove(0);
    let payload: serde_json::Value = serde_json::from_str(&read.payload).unwrap();
    assert_eq!(payload, serde_json::json!({"words": "a\u{fffd}b", "path": "C:\\u0000"}));

    batch = rows("other", 1..=3);
    batch[0].payload = r#"{"words":"\u0000"}"#.into();
    batch[2].event = "x".repeat(33);
    let outcome = store.wait(store.insert_events(&batch)).unwrap();
    assert_eq!((outcome.inserted, outcome.refused[0].seq), (2, 3), "one that is hopeless does not spoil it");
}

#[test]
fn rows_are_seen_in_the_order_of_their_own_numbers_though_one_batch_takes_longer() {
    let store = store();
    let dawdle = "create function dawdle() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.5); return null; end $$;
        create trigger dawdle after insert on analysis_results
            for each row when (new.session_id = 'slow') execute function dawdle()";
    text(&store, dawdle);
    let quick = async {
        // The slow row has its number by then, and is not committed.
        while !a_number_is_taken(&store).await {}
        store.insert_events(&rows("quick", 1..=1)).await.unwrap();
        store.last_seq("slow").await.unwrap()
    };
    let slow = rows("slow", 1..=1);
    let (slow, seen) = store.wait(async { tokio::join!(store.insert_events(&slow), quick) });
    assert_eq!(
        (slow.unwrap().inserted, seen),
        (1, Some(1)),
        "the row before is seen when the one after it is"
    );
}

async fn a_number_is_taken(store: &Store) -> bool {
    let ask = store.run(|client| async move {
        let query = "select is_called from analysis_results_id_seq";
        Ok(client.query_one(query, &[]).await?.try_get::<_, bool>(0)?)
    });
    ask.await.unwrap()
}

#[test]
fn two_hundred_realistic_rows_take_far_less_than_a_second() {
    let store = store();
    store.wait(store.ensure_partitions(now_us(), 1)).unwrap();
    let payload =
        format!("{{\"keypoints\":[{}[0.4561,0.333,-0.41,0.999]]}}", "[0.4561,0.333,-0.41,0.999],".repeat(70));
    let batch: Vec<_> =
        (1..=200).map(|seq| EventRow { recorded_at_us: now_us(), ..row("s", seq, &payload) }).collect();
    let begun = Instant::now();
    assert_eq!(store.wait(store.insert_events(&batch)).unwrap().inserted, 200);
    // Five times what a busy machine of two cores needs; the point is that it is one round trip.
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}
