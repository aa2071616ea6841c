//! A hundred subscribers on two streams of 60 events a second: nobody misses one, and how soon they come is printed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kinora_actors::domain::EventKind;
use kinora_actors::hub::Hub;

use super::client::{Socket, event};
use super::fakes::{Fixture, publish_one, quick};
use crate::http::WsSettings;

const STREAMS: [&str; 2] = ["one", "two"];
const EVENTS_A_SECOND: u32 = 60;
const READERS: usize = 90;
/// Subscribers that never read.
const SLEEPERS: usize = 10;
/// What an event with one person has in addition to its envelope, in bytes.
const PERSON: usize = 2_000;

/// When each event of a stream was broadcast, in order of the numbers.
type Broadcasts = Mutex<Vec<Instant>>;

/// Broadcasts `count` events of a stream, 60 a second.
fn play(hub: &Hub, stream: &str, count: u32, broadcasts: &Broadcasts) {
    let begun = Instant::now();
    for seq in 1..=count {
        let due = begun + Duration::from_secs(1) * (seq - 1) / EVENTS_A_SECOND;
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
        broadcasts.lock().unwrap().push(Instant::now());
        publish_one(hub, stream, u64::from(seq), EventKind::FrameAnalyzed, PERSON);
    }
}

/// Receives every event of both streams; gives the time from broadcast to receipt of each, in milliseconds.
async fn receive(mut socket: Socket, count: u32, broadcasts: &[Broadcasts; 2]) -> Vec<f64> {
    let (mut last, mut delays) = ([0; 2], Vec::new());
    while delays.len() < 2 * count as usize {
        let event = event(&mut socket).await;
        let received = Instant::now();
        let stream = STREAMS.iter().position(|name| event["sessionId"] == *name).unwrap();
        let seq = event["payload"]["seq"].as_u64().unwrap();
        assert_eq!((seq, &event["event"]), (last[stream] + 1, &"frameAnalyzed".into()), "nothing is missed");
        last[stream] = seq;
        let broadcast = broadcasts[stream].lock().unwrap()[seq as usize - 1];
        delays.push((received - broadcast).as_secs_f64() * 1e3);
    }
    delays
}

async fn fan_out(time: Duration) {
    let count = EVENTS_A_SECOND * time.as_secs() as u32;
    let ws = WsSettings { max_per_user: 200, ..quick() };
    let fixture = Fixture::with(ws, Duration::from_secs(900), Hub::new());
    let mut sleepers = Vec::new();
    for _ in 0..SLEEPERS {
        sleepers.push(fixture.subscribe("").await);
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(fixture.subscribe("").await);
    }
    let broadcasts: Arc<[Broadcasts; 2]> = Arc::default();
    let players: Vec<_> = (0..STREAMS.len())
        .map(|index| {
            let (hub, broadcasts) = (Arc::clone(&fixture.hub), Arc::clone(&broadcasts));
            std::thread::spawn(move || play(&hub, STREAMS[index], count, &broadcasts[index]))
        })
        .collect();
    let received = join_all(readers.into_iter().map(|socket| receive(socket, count, &broadcasts))).await;
    players.into_iter().for_each(|player| player.join().unwrap());
    let mut delays: Vec<f64> = received.into_iter().flatten().collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "from broadcast to receipt, {READERS} subscribers beside {SLEEPERS} that read nothing, 120 events/s: p50 \
         {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

#[actix_web::test]
async fn a_hundred_subscribers_of_two_streams_miss_nothing_and_ten_that_do_not_read_delay_nobody() {
    fan_out(Duration::from_secs(3)).await;
}

#[actix_web::test]
#[ignore = "the long form, for `make soak`"]
async fn soak_a_hundred_subscribers_of_two_streams_for_twenty_seconds() {
    fan_out(Duration::from_secs(20)).await;
}
