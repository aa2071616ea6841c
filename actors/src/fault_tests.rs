//! A panic or a hang in each part of a stream, three times each, beside streams that must not notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::System;
use serde_json::Value;

use crate::decoder::Pace;
use crate::registry::{Halt, Order};
use crate::stage::{Stage, play, sound_model};
use crate::supervisor::StreamParts;
use crate::testing::{Fuse, FusedModel, FusedSampler, Gate, MarkedSampler, Misdeed, MoodySink, Plot, Take};

/// Marks the input of the stream whose parts panic.
const VICTIM: f32 = 7.0;
/// Frames of a stream beside it, at 50 a second.
const BESIDE: u64 = 60;

/// A stream that must not notice, in the time of its clock.
fn bystander(stage: &Stage, name: &str) -> StreamParts {
    let parts = stage.stream(&Plot::of(false, [Take::Frames(BESIDE)]), false);
    paced(named(parts, name))
}

fn named(parts: StreamParts, name: &str) -> StreamParts {
    StreamParts { name: name.into(), ..parts }
}

fn paced(mut parts: StreamParts) -> StreamParts {
    let mut connection = parts.connection;
    parts.connection = Box::new(move || {
        let mut parts = connection();
        parts.pace = Pace::Realtime;
        parts
    });
    parts
}

fn of<'a>(events: &'a [Value], stream: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["payload"]["stream"] == stream).collect()
}

/// Asserts that a stream's events are numbered without a gap and that its account balances; gives the account.
fn whole(events: &[Value], stream: &str) -> Value {
    let events = of(events, stream);
    for (event, seq) in events.iter().zip(1_u64..) {
        assert_eq!(event["payload"]["seq"], seq, "{event}");
    }
    let last = events.last().unwrap();
    assert_eq!(last["event"], "sessionEnded");
    let account = last["payload"]["frames"].clone();
    let dropped: u64 = account["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let number = |name: &str| account[name].as_u64().unwrap();
    assert_eq!(number("received"), number("analyzed") + dropped, "{account}");
    account
}

/// Plays a stream whose part fails three times between two others, one of its lane and one of the other.
fn play_beside(model: &FusedModel, victim: impl FnOnce(&Stage) -> StreamParts) -> Vec<Value> {
    System::new().block_on(async {
        let stage = Stage::with_model(model);
        // Streams are pinned in this order: the first and the third share a lane.
        let (victim, other, same) =
            (victim(&stage), bystander(&stage, "other lane"), bystander(&stage, "same lane"));
        for parts in [victim, other, same] {
            stage.add(parts).await;
        }
        let ended = |events: &[Value]| events.iter().filter(|event| event["event"] == "sessionEnded").count();
        stage.until(|events| ended(events) == 3).await;
        stage.events.lock().unwrap().clone()
    })
}

/// What is promised after three panics, whoever panicked.
fn assert_healed(events: &[Value]) {
    let other = whole(events, "other lane");
    assert_eq!(other["analyzed"], BESIDE, "streams of other lanes lose nothing: {other}");
    let same = whole(events, "same lane");
    let lost = same["dropped"]["worker_restart"].as_u64().unwrap_or(0);
    assert!(lost <= 5, "100 ms are 5 frames: {same}");
    assert_eq!(same["analyzed"].as_u64().unwrap() + lost, BESIDE, "{same}");
    whole(events, "cam");
    let cam = of(events, "cam");
    let sessions = cam.iter().filter(|event| event["event"] == "sessionStarted").count();
    assert_eq!(sessions, 1, "a fresh part goes on in the session");
    assert_eq!(cam.last().unwrap()["payload"]["reason"], "end_of_source", "and comes to the end");
}

fn crashes(events: &[Value]) -> usize {
    of(events, "cam").iter().filter(|event| event["payload"]["reason"] == "part_failed").count()
}

#[test]
fn a_decoder_that_panics_three_times_is_replaced_and_nobody_else_notices() {
    let takes = [Take::Panic(3), Take::Panic(3), Take::Panic(3), Take::Frames(20)];
    let events = play_beside(&sound_model(), |stage| stage.stream(&Plot::of(false, takes), false));
    assert_healed(&events);
    assert_eq!(crashes(&events), 3);
}

#[test]
fn a_preprocessor_that_panics_three_times_is_replaced_and_nobody_else_notices() {
    let fuse = Fuse::of(3);
    let events = play_beside(&sound_model(), |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20); 4]), false);
        let mut connection = parts.connection;
        parts.connection = Box::new(move || {
            let sampler = FusedSampler { fuse: fuse.clone(), misdeed: Misdeed::Panic };
            let mut parts = connection();
            parts.sampler = Box::new(sampler);
            parts
        });
        parts
    });
    assert_healed(&events);
    assert_eq!(crashes(&events), 3);
}

#[test]
fn a_worker_that_panics_three_times_costs_its_frame_and_nobody_else_notices() {
    let model = FusedModel { fuse: Fuse::of(3), misdeed: Misdeed::Panic, only_at: Some(VICTIM) };
    let events = play_beside(&model, |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(BESIDE)]), false);
        let mut connection = parts.connection;
        parts.connection = Box::new(move || {
            let mut parts = connection();
            (parts.sampler, parts.pace) = (Box::new(MarkedSampler(VICTIM)), Pace::Realtime);
            parts
        });
        parts
    });
    assert_healed(&events);
    assert_eq!(model.fuse.left(), 0);
    let account = whole(&events, "cam");
    assert_eq!(account["dropped"]["worker_restart"], 1, "a frame that panics a worker twice is dropped");
}

#[test]
fn a_broadcaster_that_panics_three_times_is_replaced_and_nobody_else_notices() {
    let events = play_beside(&sound_model(), |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20); 4]), false);
        let (events, panics) = (Arc::clone(&stage.events), Fuse::of(3));
        parts.sink = Box::new(move |_| {
            let (events, panics) = (Arc::clone(&events), panics.clone());
            Box::new(MoodySink { events, panics, ..MoodySink::default() })
        });
        parts
    });
    assert_healed(&events);
    assert_eq!(crashes(&events), 3);
}

#[test]
fn a_broadcaster_that_hangs_is_waited_for_since_its_write_may_still_come_true_and_nobody_else_notices() {
    let stalls = (Fuse::of(3), Duration::from_millis(300));
    let left = stalls.0.clone();
    System::new().block_on(async {
        let stage = Stage::with_model(&sound_model());
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20)]), false);
        let events = Arc::clone(&stage.events);
        parts.sink = Box::new(move |_| {
            let (events, stalls) = (Arc::clone(&events), stalls.clone());
            Box::new(MoodySink { events, stalls, ..MoodySink::default() })
        });
        let others = [bystander(&stage, "other lane"), bystander(&stage, "same lane")];
        for parts in std::iter::once(parts).chain(others) {
            stage.add(parts).await;
        }
        let ended = |events: &[Value]| events.iter().filter(|event| event["event"] == "sessionEnded").count();
        stage.until(|events| ended(events) == 3).await;
        let events = stage.events.lock().unwrap().clone();
        assert_healed(&events);
        assert_eq!((left.left(), crashes(&events)), (0, 0), "nothing is built anew beside a write");
        assert_eq!(whole(&events, "cam")["analyzed"], 20, "a file waits, and loses nothing");
        assert_eq!((stage.board.hanging_threads(), stage.fatal.load(Ordering::Acquire)), (0, 0));
    });
}

#[test]
fn a_stream_whose_broadcaster_hangs_is_stopped_in_time_without_it() {
    play((0, None), async |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20)]), false);
        let (events, stalls) = (Arc::clone(&stage.events), (Fuse::of(1), Duration::from_secs(6)));
        parts.sink = Box::new(move |_| {
            let (events, stalls) = (Arc::clone(&events), stalls.clone());
            Box::new(MoodySink { events, stalls, ..MoodySink::default() })
        });
        stage.add(parts).await;
        stage.until(|events| !events.is_empty()).await;
        // Two graces of 1.5 s, for the frame in flight and for the session's end.
        stage.stop().await;
    });
}

/// Waits until the third abandoned thread was fatal; what the server says of itself by then.
async fn until_fatal(stage: &Stage) -> Option<String> {
    stage.until(|_| stage.fatal.load(Ordering::Acquire) > 0).await;
    assert_eq!((stage.fatal.load(Ordering::Acquire), stage.board.hanging_threads()), (1, 3));
    stage.board.degraded()
}

#[test]
fn a_decoder_that_hangs_is_abandoned_and_counted_and_the_third_is_fatal() {
    play((0, None), async |stage| {
        assert_eq!(stage.board.degraded(), None);
        let (closed, gate) = Gate::closed();
        let plot = Plot::of(true, [Take::Hang(1); 3]).held_by(gate);
        stage.add(stage.stream(&plot, false)).await;
        let degraded = until_fatal(&stage).await;
        drop(closed);
        assert!(degraded.is_some_and(|words| words.starts_with("3 threads hang")));
        stage.stop().await;
        stage.assert_whole();
    });
}

#[test]
fn a_preprocessor_that_hangs_is_replaced_and_counted_and_the_third_is_fatal() {
    play((0, None), async |stage| {
        let (fuse, (closed, gate)) = (Fuse::of(3), Gate::closed());
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20); 4]), false);
        let mut connection = parts.connection;
        parts.connection = Box::new(move || {
            let misdeed = Misdeed::Hang(gate.clone());
            let mut parts = connection();
            parts.sampler = Box::new(FusedSampler { fuse: fuse.clone(), misdeed });
            parts
        });
        stage.add(parts).await;
        stage.until(|events| events.iter().any(|event| event["event"] == "sessionEnded")).await;
        until_fatal(&stage).await;
        drop(closed);
        let hung = stage.states().into_iter().filter(|(_, reason)| reason == "part_hung").count();
        assert_eq!((hung, stage.assert_whole()["analyzed"].as_u64()), (3, Some(20)));
    });
}

#[test]
fn a_supervisor_that_panics_is_replaced_and_its_stream_goes_on_in_a_new_session() {
    play((0, None), async |stage| {
        let mut parts = stage.stream(&Plot::of(true, [Take::Frames(1), Take::Silence(1)]), false);
        let (mut connection, mut builds) = (parts.connection, 0);
        parts.connection = Box::new(move || {
            builds += 1;
            assert_ne!(builds, 2, "the supervisor panics, as the test asked");
            connection()
        });
        stage.add(parts).await;
        let is_analyzed = |event: &Value| event["sessionId"] == "s2" && event["event"] == "frameAnalyzed";
        stage.until(|events| events.iter().any(is_analyzed)).await;
        let noticed = stage.noticed();
        assert!(noticed.contains(&"reconnecting part_failed".to_owned()), "{noticed:?}");
        stage.stop().await;
        assert_eq!(stage.board.stream("cam").unwrap().reason, "stopped");
    });
}

#[test]
fn a_start_that_is_lost_with_its_supervisor_is_made_up_for() {
    play((0, None), async |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Silence(3), Take::Silence(3)]), false);
        let (mut session, fuse) = (parts.session, Fuse::default());
        let lit = fuse.clone();
        parts.session = Box::new(move || {
            assert!(!fuse.burns(), "the supervisor panics, as the test asked");
            session()
        });
        stage.add(parts).await;
        stage.until(|events| has_frames(events, 3)).await;
        // A start that comes before the supervisor knows that the session is closed finds it running.
        stage.registry.send(Halt("cam".into())).await.unwrap();
        lit.relight(1);
        stage.order(Order::Start).await;
        stage.until(|events| has_frames(events, 6)).await;
        stage.stop().await;
        assert_eq!((lit.left(), stage.board.stream("cam").unwrap().reason), (0, "stopped"));
    });
}

fn has_frames(events: &[Value], count: usize) -> bool {
    events.iter().filter(|event| event["event"] == "frameAnalyzed").count() == count
}
