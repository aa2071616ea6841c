//! A hundred subscribers, ten of which stop reading: the others miss nothing, and how soon they are told is printed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::raw_socket::RawSocket;
use crate::server_support::{Server, looping, seq};

const READERS: usize = 90;
const SLEEPERS: usize = 10;
/// How long they listen.
const TIME: Duration = Duration::from_secs(20);
const QUERY: &str = "stream=one&stream=two";

/// An event by its session and number, and when it was received.
type Receipts = Vec<(String, u64, Instant)>;

/// Receives until `over`; each session's numbers must follow one another.
fn receive(mut socket: RawSocket, over: &AtomicBool) -> Receipts {
    let (mut receipts, mut last) = (Receipts::new(), BTreeMap::new());
    while !over.load(Ordering::Acquire) {
        let event = socket.event();
        let received_at = Instant::now();
        assert_ne!(event["event"], "gap", "a subscriber that reads misses nothing: {event}");
        let (session, number) = (event["sessionId"].as_str().unwrap().to_owned(), seq(&event));
        if let Some(before) = last.insert(session.clone(), number) {
            assert_eq!(number, before + 1);
        }
        receipts.push((session, number, received_at));
    }
    receipts
}

/// Milliseconds from the first receipt of an event anywhere to each other one, in order.
fn delays(all: &[Receipts]) -> Vec<f64> {
    let mut first: BTreeMap<(&str, u64), Instant> = BTreeMap::new();
    for (session, number, at) in all.iter().flatten() {
        let earliest = first.entry((session, *number)).or_insert(*at);
        *earliest = (*earliest).min(*at);
    }
    let since = |(session, number, at): &(String, u64, Instant)| {
        at.duration_since(first[&(session.as_str(), *number)]).as_secs_f64() * 1e3
    };
    let mut delays: Vec<f64> = all.iter().flatten().map(since).collect();
    delays.sort_by(f64::total_cmp);
    delays
}

#[test]
#[ignore = "a measurement, for `make soak`"]
fn soak_a_hundred_subscribers_miss_nothing_and_ten_that_stop_reading_delay_nobody() {
    let limits = "[websocket]\nmax_per_user = 200\n";
    let server = Server::start(&format!("{limits}{}{}", looping("one"), looping("two")));
    server.until_state("one", "running");
    server.until_state("two", "running");
    let open = || RawSocket::open(&server.address, QUERY, server.token());
    let _sleepers: Vec<RawSocket> =
        (0..SLEEPERS).map(|_| RawSocket::open_narrow(&server.address, QUERY, server.token())).collect();
    let over = AtomicBool::new(false);
    let all: Vec<Receipts> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (socket, over) = (open(), &over);
                scope.spawn(move || receive(socket, over))
            })
            .collect();
        std::thread::park_timeout(TIME);
        over.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let delays = delays(&all);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "{READERS} subscribers beside {SLEEPERS} that read nothing: {:.0} events/s each; from the first receipt of an \
         event to the others p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        all[0].len() as f64 / TIME.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert!(all.iter().all(|receipts| receipts.len() > 20), "each of them received something");
    server.stop();
}
