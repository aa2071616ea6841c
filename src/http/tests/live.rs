//! Live events: order, filters, slow readers.

use super::client::{event, numbers};
use super::fakes::{Fixture, publish, publish_one, quick};
use kinora_actors::domain::EventKind;
use kinora_actors::hub::{Hub, QueueBound};
use std::sync::Arc;
use std::time::Duration;

fn chain(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, u64)> {
    range.map(|seq| (seq - 1, seq)).collect()
}

#[actix_web::test]
async fn a_subscriber_gets_what_is_published_from_the_upgrade_on() {
    let fixture = Fixture::start();
    publish(&fixture.hub, "s", 1..=10);
    let mut socket = fixture.subscribe("stream=cam").await;
    publish(&fixture.hub, "s", 11..=500);
    assert_eq!(numbers(&mut socket, 490).await, chain(11..=500));
}

#[actix_web::test]
async fn prev_seq_follows_each_subscribers_filter() {
    let fixture = Fixture::start();
    let mut states = fixture.subscribe("events=streamState").await;
    let mut all = fixture.subscribe("").await;
    publish(&fixture.hub, "s", 1..=20);
    assert_eq!(numbers(&mut states, 4).await, [(4, 5), (5, 10), (10, 15), (15, 20)]);
    assert_eq!(numbers(&mut all, 20).await, chain(1..=20));
}

#[actix_web::test]
async fn a_subscription_to_one_session_is_over_with_it() {
    let fixture = Fixture::start();
    publish(&fixture.hub, "s", 1..=3);
    let mut socket = fixture.subscribe("session=s&events=streamState").await;
    publish_one(&fixture.hub, "s", 4, EventKind::SessionEnded, 0);
    assert_eq!(super::client::close_code(&mut socket).await, Some(1000));
    let mut again = fixture.subscribe("session=s&after=4").await;
    assert_eq!(super::client::close_code(&mut again).await, Some(1000));
}

#[actix_web::test]
async fn a_client_that_reads_late_is_told_a_gap_and_gets_the_live_edge_while_another_misses_nothing() {
    let queue = QueueBound { events: 8, bytes: 16 << 20 };
    let ws = crate::http::WsSettings { queue, ..quick() };
    let fixture = Fixture::with(ws, Duration::from_secs(900), Hub::new());
    let mut slow = fixture.subscribe("").await;
    let mut reader = fixture.subscribe("").await;
    // Enough to fill both kernels' buffers, so that the server's actor stands still.
    for seq in 1..=400 {
        publish_one(&fixture.hub, "s", seq, EventKind::FrameAnalyzed, 64 * 1024);
        assert_eq!(numbers(&mut reader, 1).await, [(seq - 1, seq)]);
    }
    let (mut last, mut gaps) = (0, 0);
    while last < 400 {
        let event = event(&mut slow).await;
        let payload = &event["payload"];
        if event["event"] == "gap" {
            assert_eq!(payload["reason"], "slow");
            assert_eq!(payload["from"].as_u64(), Some(last + 1));
            last = payload["to"].as_u64().unwrap();
            gaps += 1;
            continue;
        }
        assert_eq!(payload["prevSeq"].as_u64(), Some(last));
        last = payload["seq"].as_u64().unwrap();
    }
    assert!(gaps > 0, "400 events of 64 kB should not fit into buffers");
}

#[actix_web::test]
async fn replay_meets_live_without_a_loss_or_a_repetition_while_events_are_published() {
    let fixture = Fixture::forgetful();
    for round in 0..40 {
        let (name, total) = (format!("s{round}"), 300);
        fixture.world.rows.lock().unwrap().clear();
        fixture.world.store(&name, 1..=total);
        publish(&fixture.hub, &name, 1..=50);
        let (hub, live) = (Arc::clone(&fixture.hub), name.clone());
        let publisher = std::thread::spawn(move || {
            for seq in 51..=total {
                publish(&hub, &live, [seq]);
                // The switch happens at another place in each round.
                (0..round * 50).for_each(|_| std::hint::spin_loop());
            }
        });
        let mut socket = fixture.subscribe(&format!("session={name}&after=20")).await;
        assert_eq!(numbers(&mut socket, 280).await, chain(21..=total), "round {round}");
        publisher.join().unwrap();
    }
}
