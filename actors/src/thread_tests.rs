//! A process that has no thread or descriptor left for a part: a try that failed, and nothing worse.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix::System;

use crate::crew::scarce_arbiters;
use crate::domain::StreamState;
use crate::registry::Halt;
use crate::stage::{Stage, count};
use crate::supervisor::StreamParts;
use crate::testing::{Fuse, MoodySink, Plot, Take};

/// Plays streams that do not get the Arbiters of these numbers. A session takes one, for its broadcaster, and a connection asks
/// for two, for its preprocessor and its decoder.
fn play(refused: &'static [RangeInclusive<u32>], scene: impl AsyncFnOnce(Stage)) {
    let is_refused = |number| refused.iter().any(|numbers| numbers.contains(&number));
    System::new().block_on(async { scene(Stage::with_arbiters(scarce_arbiters(is_refused))).await });
}

/// A file whose first broadcaster panics at its fourth frame or so.
fn with_broadcaster_that_panics(stage: &Stage) -> StreamParts {
    let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20), Take::Frames(20)]), false);
    let (events, panics) = (Arc::clone(&stage.events), Fuse::of(1));
    parts.sink = Box::new(move |_| {
        let (events, panics) = (Arc::clone(&events), panics.clone());
        Box::new(MoodySink { events, panics, every: 6, ..MoodySink::default() })
    });
    parts
}

#[test]
fn a_stream_without_a_thread_for_a_part_is_tried_again_until_there_is_one() {
    // Twice the broadcaster's, then the preprocessor's (4, 5), then the decoder's (6, 7).
    play(&[1..=2, 4..=4, 7..=7], async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(20)]), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert_eq!(stage.assert_whole()["analyzed"], 20);
        let noticed = stage.noticed();
        let mut expected = vec!["connecting started"];
        expected.extend(["reconnecting part_failed"; 4]);
        assert_eq!(noticed[..5], expected);
        let events = stage.events.lock().unwrap();
        assert_eq!(count(&events, "sessionStarted"), 1, "they are tries of one session");
        assert_eq!(events[0]["sessionId"], "s1", "a session is named when it has a thread");
    });
}

#[test]
fn a_stream_without_a_thread_says_for_whom_it_has_none_and_can_be_stopped() {
    play(&[1..=u32::MAX], async |stage| {
        stage.add(stage.stream(&Plot::of(true, []), false)).await;
        let tried = |stage: &Stage| stage.noticed().len() > 3;
        stage.until(|_| tried(&stage)).await;
        let stream = stage.board.stream("cam").unwrap();
        assert_eq!((stream.state, stream.reason), (StreamState::Reconnecting, "part_failed"));
        let words = "no thread for the session broadcaster: none is left, as the test asked";
        assert_eq!(&*stream.message, words);
        stage.registry.send(Halt("cam".into())).await.unwrap();
        assert_eq!(stage.board.stream("cam").unwrap().state, StreamState::Stopped);
    });
}

#[test]
fn a_broadcaster_that_panics_gets_its_successor_when_there_is_a_thread_for_it() {
    // More often than a file is tried that comes no further.
    play(&[4..=12], async |stage| {
        let (mut parts, sinks) = (with_broadcaster_that_panics(&stage), Arc::new(AtomicU32::new(0)));
        let (mut sink, made) = (parts.sink, Arc::clone(&sinks));
        parts.sink = Box::new(move |session| {
            made.fetch_add(1, Ordering::AcqRel);
            sink(session)
        });
        stage.add(parts).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        stage.assert_whole();
        let events = stage.events.lock().unwrap();
        assert_eq!(count(&events, "sessionStarted"), 1, "numbers go on in one session");
        assert_eq!(events.last().unwrap()["payload"]["reason"], "end_of_source");
        // One that is made and dropped would end what is remembered of the session.
        assert_eq!(sinks.load(Ordering::Acquire), 2, "a try without a thread makes no sink");
    });
}

#[test]
fn a_frame_waits_for_a_lane_without_a_thread_for_its_worker_and_its_file_goes_on() {
    // More often than a file is tried that comes no further.
    let refused = scarce_arbiters(|number| number <= 6);
    System::new().block_on(async {
        let stage = Stage::with_lane_arbiters(refused);
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(20)]), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert_eq!(stage.assert_whole()["analyzed"], 20);
        let events = stage.events.lock().unwrap();
        assert_eq!(events.last().unwrap()["payload"]["reason"], "end_of_source");
        assert!(!stage.noticed().iter().any(|state| state.starts_with("reconnecting")), "it is one try");
    });
}

#[test]
fn a_stream_whose_frame_waits_for_a_worker_can_be_stopped() {
    System::new().block_on(async {
        let stage = Stage::with_lane_arbiters(scarce_arbiters(|_| true));
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(20)]), false)).await;
        let received = || stage.board.stream("cam").unwrap().session.map(|session| session.account.received);
        stage.until(|_| received() > Some(0)).await;
        stage.stop().await;
        assert_eq!(stage.assert_whole()["analyzed"], 0);
        assert_eq!(stage.board.stream("cam").unwrap().reason, "stopped");
    });
}

#[test]
fn a_session_whose_broadcaster_has_no_successor_can_be_stopped() {
    play(&[4..=u32::MAX], async |stage| {
        stage.add(with_broadcaster_that_panics(&stage)).await;
        let failed = |stage: &Stage| stage.noticed().iter().any(|state| state.ends_with("part_failed"));
        stage.until(|_| failed(&stage)).await;
        stage.stop().await;
        let stream = stage.board.stream("cam").unwrap();
        assert_eq!((stream.state, stream.reason), (StreamState::Stopped, "stopped"));
        assert!(stream.session.unwrap().ended.is_some(), "it is over, although nobody could write so");
        assert_eq!(count(&stage.events.lock().unwrap(), "sessionEnded"), 0);
    });
}
