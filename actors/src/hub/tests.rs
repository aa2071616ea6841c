//! The hub's promises: order, bounds, gaps, replay.

use std::sync::Arc;

use super::{Delivery, Filter, Hub, Published, QueueBound, Recent, Subscription, Trail};
use crate::domain::{EncodedEvent, EventFacts, EventKind, SessionId};

const ROOMY: QueueBound = QueueBound { events: 1_000, bytes: 1 << 20 };

fn session(name: &str) -> SessionId {
    SessionId(name.into())
}

fn event(name: &str, seq: u64, kind: EventKind) -> Arc<Published> {
    let json = format!(r#"{{"payload":{{"seq":{seq},"prevSeq":{}}}}}"#, seq - 1);
    let encoded = EncodedEvent { seq, kind, json: json.into_bytes().into(), facts: EventFacts::default() };
    Arc::new(Published::new(session(name), "cam".into(), &encoded))
}

fn publish(hub: &Hub, name: &str, seqs: impl IntoIterator<Item = u64>) {
    seqs.into_iter().for_each(|seq| hub.publish(&event(name, seq, EventKind::FrameAnalyzed)));
}

fn seqs(subscription: &Subscription) -> Vec<u64> {
    std::iter::from_fn(|| subscription.try_next())
        .map(|delivery| match delivery {
            Delivery::Event(event) => event.seq,
            other => panic!("an event should come, got {other:?}"),
        })
        .collect()
}

#[test]
fn a_slow_subscriber_gets_one_gap_a_session_and_the_live_edge_and_disturbs_nobody() {
    let hub = Hub::new();
    let slow = hub.subscribe(Filter::default(), QueueBound { events: 10, bytes: 1 << 20 });
    let quick = hub.subscribe(Filter::default(), ROOMY);
    for seq in 1..=105 {
        publish(&hub, "a", [seq]);
        publish(&hub, "b", [seq]);
    }
    let told: Vec<_> = std::iter::from_fn(|| slow.try_next()).collect();
    let gaps: Vec<_> = told
        .iter()
        .filter_map(|delivery| match delivery {
            Delivery::Gap { session, from, to, .. } => Some((session.0.to_string(), *from, *to)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [("a".into(), 1, 100), ("b".into(), 1, 100)]);
    assert!(matches!(&told[2], Delivery::Event(event) if event.seq == 101));
    assert_eq!((told.len(), slow.dropped()), (12, 200));
    assert_eq!((seqs(&quick).len(), quick.dropped()), (210, 0));
}

#[test]
fn bytes_bound_the_queue_and_an_event_larger_than_it_is_a_gap() {
    let hub = Hub::new();
    let tiny = hub.subscribe(Filter::default(), QueueBound { events: 10, bytes: 4 });
    publish(&hub, "a", 1..=3);
    assert!(matches!(tiny.try_next(), Some(Delivery::Gap { from: 1, to: 3, .. })));
    assert!(tiny.try_next().is_none());
}

#[test]
fn a_dropped_subscription_is_forgotten() {
    let hub = Hub::new();
    let subscription = hub.subscribe(Filter::default(), ROOMY);
    assert_eq!(hub.subscriber_count(), 1);
    drop(subscription);
    assert_eq!(hub.subscriber_count(), 0);
}

#[test]
fn memory_answers_completely_or_says_where_it_begins() {
    let hub = Hub::with_memory(QueueBound { events: 10, bytes: 1 << 20 });
    publish(&hub, "a", 1..=25);
    let complete = |after| match hub.recent(&session("a"), after) {
        Recent::Complete(events) => events.iter().map(|event| event.seq).collect::<Vec<_>>(),
        other => panic!("memory should reach back, got {other:?}"),
    };
    assert_eq!(complete(15), (16..=25).collect::<Vec<_>>());
    assert!(complete(25).is_empty() && complete(u64::MAX).is_empty());
    assert!(matches!(hub.recent(&session("a"), 14), Recent::From { oldest: 16 }));
    assert!(matches!(hub.recent(&session("b"), 0), Recent::Unknown));
    assert_eq!(hub.last_seq(&session("a")), Some(25));
}

#[test]
fn a_jump_in_numbering_is_not_bridged_by_memory() {
    let hub = Hub::new();
    publish(&hub, "a", [1, 2, 1_000, 1_001]);
    assert!(matches!(hub.recent(&session("a"), 2), Recent::From { oldest: 1_000 }));
}

#[test]
fn ended_sessions_are_forgotten_in_time() {
    let hub = Hub::new();
    for n in 0..40 {
        hub.publish(&event(&n.to_string(), 1, EventKind::SessionEnded));
    }
    assert_eq!(hub.known_sessions().len(), super::ENDED_SESSIONS);
    assert_eq!(hub.last_seq(&session("39")), Some(1));
}

#[test]
fn a_session_whose_server_is_lost_is_forgotten_with_those_that_ended() {
    let hub = Hub::new();
    for name in ["runs", "lost"] {
        publish(&hub, name, 1..=3);
    }
    (0..3).for_each(|_| hub.retire(&session("lost")));
    hub.retire(&session("unknown"));
    assert_eq!(hub.last_seq(&session("lost")), Some(3), "an agent may still catch up");
    (0..super::ENDED_SESSIONS)
        .for_each(|number| hub.publish(&event(&format!("s{number}"), 1, EventKind::SessionEnded)));
    assert_eq!(hub.last_seq(&session("lost")), None);
    assert_eq!(hub.last_seq(&session("runs")), Some(3));
}

#[test]
fn a_session_that_was_given_up_too_early_is_taken_back_by_its_next_event() {
    let hub = Hub::new();
    publish(&hub, "a", 1..=3);
    hub.retire(&session("a"));
    publish(&hub, "a", 4..=4);
    (0..=super::ENDED_SESSIONS)
        .for_each(|number| hub.publish(&event(&format!("s{number}"), 1, EventKind::SessionEnded)));
    assert!(matches!(hub.recent(&session("a"), 0), Recent::Complete(events) if events.len() == 4));
}

#[test]
fn replay_and_live_meet_without_a_loss_or_a_repetition() {
    let hub = Hub::new();
    publish(&hub, "a", 1..=10_000);
    let publisher = {
        let hub = Arc::clone(&hub);
        std::thread::spawn(move || publish(&hub, "a", 10_001..=20_000))
    };
    let filter = Filter::default();
    let bound = QueueBound { events: 20_000, bytes: 1 << 24 };
    let subscription = hub.subscribe(filter, bound);
    let after = hub.last_seq(&session("a")).unwrap().saturating_sub(100);
    let Recent::Complete(replay) = hub.recent(&session("a"), after) else {
        panic!("memory should reach back 100 events")
    };
    publisher.join().unwrap();
    let mut trail = Trail::default();
    trail.skip_to(&session("a"), after);
    let mut last = after;
    let live = std::iter::from_fn(|| match subscription.try_next() {
        Some(Delivery::Event(event)) => Some(event),
        _ => None,
    });
    for event in replay.into_iter().chain(live) {
        let Some(prev) = trail.step(&event) else { continue };
        assert_eq!((prev, event.seq), (last, last + 1));
        last = event.seq;
    }
    assert_eq!(last, 20_000);
}

#[test]
fn prev_seq_follows_the_filter() {
    let hub = Hub::new();
    let filter = Filter { kinds: Some(vec![EventKind::StreamState]), ..Filter::default() };
    let subscription = hub.subscribe(filter, ROOMY);
    for seq in 1..=9 {
        let kind = if seq % 4 == 0 { EventKind::StreamState } else { EventKind::FrameAnalyzed };
        hub.publish(&event("a", seq, kind));
    }
    let mut trail = Trail::default();
    trail.skip_to(&session("a"), 2);
    let told: Vec<_> = std::iter::from_fn(|| subscription.try_next())
        .filter_map(|delivery| match delivery {
            Delivery::Event(event) => trail.step(&event).map(|prev| (prev, event.seq)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(2, 4), (4, 8)]);
}

#[test]
fn a_waiting_subscriber_is_woken_by_an_event_and_by_the_end() {
    actix::System::new().block_on(async {
        let hub = Hub::new();
        let subscription = hub.subscribe(Filter::default(), ROOMY);
        let publisher = {
            let hub = Arc::clone(&hub);
            std::thread::spawn(move || {
                publish(&hub, "a", 1..=500);
                hub.close();
            })
        };
        for seq in 1..=500 {
            assert!(matches!(subscription.next().await, Delivery::Event(event) if event.seq == seq));
        }
        assert!(matches!(subscription.next().await, Delivery::Ended));
        publisher.join().unwrap();
        let late = hub.subscribe(Filter::default(), ROOMY);
        assert!(matches!(late.next().await, Delivery::Ended));
    });
}
