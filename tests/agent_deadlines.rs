//! Deadlines of agents' connections: pings, missed pongs, and agents that stop reading beside one that does not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::raw_socket::{Frame, RawSocket};
use crate::server_support::{Agent, Server, gapless, looping, seq};
use crate::support::wait_for;

#[test]
fn pings_are_seen_and_who_answers_stays_while_two_missed_pongs_end_the_other() {
    let server = Server::start("[websocket]\nping_every = \"1s\"\n");
    let open = || RawSocket::open(&server.address, "", server.token());
    let (mut good, mut silent) = (open(), open());
    for _ in 0..5 {
        assert_eq!(good.next(), Some(Frame::Ping));
        good.pong();
    }
    let seen: Vec<Frame> = std::iter::from_fn(|| silent.next()).collect();
    assert_eq!(seen, [Frame::Ping, Frame::Ping, Frame::Close(4408, "pong_missed".to_owned())]);
    assert_eq!(good.next(), Some(Frame::Ping), "the other's end is not this one's");
}

/// Events that overfill what the server and two kernels keep for an agent that does not read: 2 kB each, for two
/// small buffers, one batch of 64, and the queue.
const TOO_MANY: usize = 250;
/// The shortest queue that may be configured.
const SHORT_QUEUE: &str = "[websocket]\nqueue_events = 16\n";
/// An agent may stand still for 15 s, and its socket is shut down 2 s later; before that its buffers have to fill.
const END_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn agents_that_stop_reading_are_told_a_gap_or_ended_in_time_while_another_misses_nothing() {
    let streams = ["one", "two", "three"].map(looping).concat();
    let server = Server::start(&format!("{SHORT_QUEUE}{streams}"));
    let narrow = || RawSocket::open_narrow(&server.address, "events=frameAnalyzed", server.token());
    let (late, mut still) = (narrow(), narrow());
    let stopped = Instant::now();
    let mut agent = server.agent("");
    agent.until_more(TOO_MANY);
    reads_on(late);

    let left = wait_for("the end of the one that does not read", END_LIMIT, || {
        let ended = |line: &Value| line["message"] == "subscriber left" && line["reason"] == "too_slow";
        server.home.log().into_iter().find(ended)
    });
    assert_eq!(left["cut"], true, "a close frame finds no room, so the socket is shut down: {left}");
    println!("an agent that reads nothing was ended after {:.1} s", stopped.elapsed().as_secs_f64());
    while still.next().is_some() {}
    agent.until_more(30);
    misses_nothing(&agent);
}

/// Reads until a gap was told and an event behind it came; the numbers of the session have no other hole.
fn reads_on(mut late: RawSocket) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut missed = BTreeSet::new();
    loop {
        let event = late.event();
        let session = event["sessionId"].as_str().unwrap().to_owned();
        let payload = &event["payload"];
        if event["event"] == "gap" {
            assert_eq!(payload["reason"], "slow");
            let (from, to) = (payload["from"].as_u64().unwrap(), payload["to"].as_u64().unwrap());
            assert!(from <= to && last.get(&session).is_none_or(|last| from > *last), "{event}");
            missed.insert(session.clone());
            last.insert(session, to);
            continue;
        }
        let previous = last.insert(session.clone(), seq(&event));
        assert!(previous.is_none_or(|previous| payload["prevSeq"].as_u64() == Some(previous)), "{event}");
        if missed.contains(&session) {
            return;
        }
    }
}

fn misses_nothing(agent: &Agent) {
    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in agent.events() {
        sessions.entry(event["sessionId"].as_str().unwrap().to_owned()).or_default().push(event);
    }
    assert_eq!(sessions.len(), 3);
    for events in sessions.values() {
        gapless(events);
    }
}
