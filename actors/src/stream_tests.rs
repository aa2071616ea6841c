//! Streams that fail in every way they can, with scripted parts: states, fresh values, accounts, numbers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::System;

use crate::domain::{SessionId, StreamState};
use crate::family::SessionParts;
use crate::ports::SourceErrorKind;
use crate::registry::{Halt, ListStreams, Order};
use crate::stage::{Stage, count, has_state, play, provenance};
use crate::testing::{Fuse, FusedModel, Gate, Misdeed, MoodySink, Plot, Take};

#[test]
fn a_camera_that_is_absent_refuses_comes_goes_and_returns_is_one_session() {
    play((0, None), async |stage| {
        let takes =
            [Take::Refuse(SourceErrorKind::Unavailable), Take::Frames(5), Take::Panic(3), Take::Silence(2)];
        stage.add(stage.stream(&Plot::of(true, takes), false)).await;
        stage.until(|events| has_state(events, "stalled")).await;
        let streams = stage.registry.send(ListStreams).await.unwrap();
        assert_eq!((streams[0].state, streams[0].reason), (StreamState::Stalled, "no_frames"));
        assert_eq!(&*streams[0].message, "the source is open, but no frame arrives");
        stage.stop().await;
        let account = stage.assert_whole();
        assert_eq!(account["received"], 10);
        let states = stage.states();
        let reasons: Vec<_> = states.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(reasons[..4], ["started", "source_unavailable", "first_frame", "end_of_source"]);
        assert!(
            reasons.contains(&"part_failed") && reasons.ends_with(&["no_frames", "stopped"]),
            "{reasons:?}"
        );
        let events = stage.events.lock().unwrap();
        let last = events.iter().rfind(|event| event["event"] == "frameAnalyzed").unwrap();
        assert_eq!(last["payload"]["epoch"], 3, "each connection is an epoch");
        let lost = events.iter().find(|event| event["payload"]["reason"] == "end_of_source").unwrap();
        assert!(lost["payload"]["nextTryAt"].is_string());
        // A connection may be over before the supervisor hears that its frames flow; each other state is its own doing.
        let not_flowing = |state: &String| !state.starts_with("running");
        let told = states.iter().map(|(state, reason)| format!("{state} {reason}")).filter(not_flowing);
        let noticed: Vec<_> = stage.noticed().into_iter().filter(not_flowing).collect();
        assert_eq!(noticed, told.collect::<Vec<_>>(), "an observer hears of what subscribers are told of");
    });
}

#[test]
fn a_decoder_that_changes_in_the_middle_is_told_in_the_status_and_costs_no_frame() {
    play((0, None), async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Redecode(5)]), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert_eq!(stage.assert_whole()["analyzed"], 10);
        let session = stage.board.stream("cam").unwrap().session.unwrap();
        assert_eq!(session.decoder.as_deref(), Some("cpu: as the test asked"));
    });
}

#[test]
fn a_camera_that_hangs_is_abandoned_and_tried_again() {
    play((0, None), async |stage| {
        stage.add(stage.stream(&Plot::of(true, [Take::Silence(1), Take::Silence(1)]), false)).await;
        stage.until(|events| count(events, "frameAnalyzed") == 2).await;
        assert!(stage.states().iter().any(|(_, reason)| reason == "part_hung"));
        stage.stop().await;
        stage.assert_whole();
    });
}

#[test]
fn refused_credentials_and_unsupported_sources_have_states_of_their_own() {
    play((0, None), async |stage| {
        let refused = Plot::of(true, [Take::Refuse(SourceErrorKind::Unauthorized)]);
        stage.add(stage.stream(&refused, false)).await;
        stage.until(|events| has_state(events, "auth_failed")).await;
        stage.stop().await;
        stage.assert_whole();
        stage.events.lock().unwrap().clear();
        let unsupported = Plot::of(false, [Take::Refuse(SourceErrorKind::Unsupported)]);
        stage.add(stage.stream(&unsupported, false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert!(has_state(&stage.events.lock().unwrap(), "unsupported"));
        stage.assert_whole();
    });
}

#[test]
fn a_looped_file_goes_on_in_new_epochs_with_rising_time() {
    play((0, None), async |stage| {
        let plot = Plot::of(false, (0..20).map(|_| Take::Frames(10)));
        stage.add(stage.stream(&plot, true)).await;
        stage.until(|events| count(events, "frameAnalyzed") == 200).await;
        stage.stop().await;
        stage.assert_whole();
        let events = stage.events.lock().unwrap();
        let frames: Vec<_> = events.iter().filter(|event| event["event"] == "frameAnalyzed").collect();
        assert_eq!(frames[199]["payload"]["epoch"], 20);
        let times: Vec<_> = frames.iter().map(|frame| frame["timestamp"].as_str().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "time accumulates over rounds");
    });
}

#[test]
fn a_file_ends_and_a_restart_is_a_new_session() {
    play((0, None), async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(3), Take::Frames(3)]), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        stage.assert_whole();
        stage.order(Order::Restart).await;
        stage.until(|events| count(events, "sessionEnded") == 2).await;
        assert_eq!(stage.events.lock().unwrap().last().unwrap()["sessionId"], "s2");
    });
}

#[test]
fn a_worker_that_panics_once_costs_no_frame_and_twice_costs_that_frame() {
    for (panics, lost) in [(1, 0), (2, 1), (3, 1)] {
        play((panics, None), async |stage| {
            stage.add(stage.stream(&Plot::of(false, [Take::Frames(50)]), false)).await;
            stage.until(|events| count(events, "sessionEnded") == 1).await;
            let account = stage.assert_whole();
            let dropped = account["dropped"]["worker_restart"].as_u64().unwrap_or(0);
            assert_eq!((account["received"].as_u64(), dropped), (Some(50), lost));
            assert_eq!(stage.lanes.losses(), (u64::from(panics), 0));
        });
    }
}

#[test]
fn a_worker_that_hangs_is_abandoned_and_the_third_is_fatal() {
    System::new().block_on(async {
        let (closed, gate) = Gate::closed();
        let model = FusedModel { fuse: Fuse::of(3), misdeed: Misdeed::Hang(gate), only_at: None };
        let stage = Stage::with_model(&model);
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(50)]), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        let account = stage.assert_whole();
        assert_eq!(account["dropped"]["worker_restart"], 1);
        assert_eq!((stage.lanes.losses().1, stage.fatal.load(Ordering::Acquire)), (3, 1));
        drop(closed);
    });
}

#[test]
fn a_broadcaster_that_panics_is_replaced_and_numbering_goes_on() {
    play((0, None), async |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20), Take::Frames(20)]), false);
        let events = Arc::clone(&stage.events);
        let sink = MoodySink { events, panics: Fuse::of(1), every: 10, ..MoodySink::default() };
        parts.sink = Box::new(move |_| Box::new(sink.clone()));
        stage.add(parts).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        stage.assert_whole();
    });
}

#[test]
fn a_full_journal_makes_a_file_wait_and_loses_nothing() {
    play((0, None), async |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(100)]), false);
        let events = Arc::clone(&stage.events);
        parts.sink = Box::new(move |_| {
            Box::new(MoodySink { events: Arc::clone(&events), full: Fuse::of(4), ..MoodySink::default() })
        });
        stage.add(parts).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert_eq!(stage.assert_whole()["analyzed"], 100);
    });
}

#[test]
fn a_stream_that_is_replaced_has_ended_before_its_successor_begins() {
    // Inference takes its time, so that the old stream has a frame in flight when it is replaced.
    play((u32::MAX, Some(Duration::from_millis(20))), async |stage| {
        let endless = || Plot::of(false, [Take::Silence(100)]);
        stage.add(stage.stream(&endless(), false)).await;
        stage.until(|events| count(events, "frameAnalyzed") == 1).await;
        for name in ["middle", "last"] {
            let mut parts = stage.stream(&endless(), false);
            let id = SessionId(name.into());
            parts.session = Box::new(move || SessionParts { id: id.clone(), provenance: provenance() });
            stage.add(parts).await;
        }
        stage.until(|events| count(events, "sessionStarted") == 2).await;
        stage.stop().await;
        let events = stage.events.lock().unwrap();
        let sessions: Vec<_> = events.iter().map(|event| event["sessionId"].as_str().unwrap()).collect();
        let first_of_last = sessions.iter().position(|&session| session == "last").unwrap();
        assert!(sessions[..first_of_last].iter().all(|&session| session == "s1"), "{sessions:?}");
        assert!(sessions[first_of_last..].iter().all(|&session| session == "last"), "{sessions:?}");
        assert_eq!(events[first_of_last - 1]["event"], "sessionEnded");
    });
}

#[test]
fn a_stream_that_is_removed_while_it_waits_for_its_predecessor_never_begins() {
    play((u32::MAX, Some(Duration::from_millis(20))), async |stage| {
        let endless = || Plot::of(false, [Take::Silence(100)]);
        stage.add(stage.stream(&endless(), false)).await;
        stage.until(|events| count(events, "frameAnalyzed") == 1).await;
        stage.add(stage.stream(&endless(), false)).await;
        stage.order(Order::Remove).await;
        stage.stop().await;
        assert_eq!(count(&stage.events.lock().unwrap(), "sessionStarted"), 1);
        stage.assert_whole();
    });
}

#[test]
fn a_stop_takes_back_a_restart_and_a_removed_stream_leaves_its_lane() {
    play((u32::MAX, Some(Duration::from_millis(20))), async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Silence(100)]), false)).await;
        stage.until(|events| count(events, "frameAnalyzed") == 1).await;
        stage.order(Order::Restart).await;
        stage.order(Order::Stop).await;
        stage.registry.send(Halt("cam".into())).await.unwrap();
        let pinned = || stage.lanes.loads().iter().map(|(streams, _)| streams).sum::<usize>();
        assert_eq!(pinned(), 1);
        stage.order(Order::Remove).await;
        stage.until(|_| pinned() == 0).await;
        assert_eq!(count(&stage.events.lock().unwrap(), "sessionStarted"), 1);
        stage.assert_whole();
    });
}

#[test]
fn a_file_that_cannot_be_read_beyond_one_place_is_given_up_and_one_that_comes_further_is_not() {
    let fail = |frames| Take::Fail(frames, SourceErrorKind::Unavailable);
    play((0, None), async |stage| {
        let plot = Plot::of(false, [fail(5); 9]);
        stage.add(stage.stream(&plot, false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert_eq!((stage.assert_whole()["analyzed"].as_u64(), plot.left()), (Some(20), 5));
        let states = stage.states();
        assert_eq!(states.last().unwrap(), &("failed".into(), "source_failed".into()));
        let events = stage.events.lock().unwrap();
        let end = &events.last().unwrap()["payload"];
        let words = "no try came further than 5 frames: refused, as the test asked";
        assert_eq!((&end["reason"], &end["detail"]), (&"source_failed".into(), &words.into()));
    });
    play((0, None), async |stage| {
        let away = Take::Refuse(SourceErrorKind::NotFound);
        let takes = (1..=6).flat_map(|frames| [fail(frames), away, away]).chain([Take::Frames(7)]);
        stage.add(stage.stream(&Plot::of(false, takes), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        assert_eq!(stage.assert_whole()["analyzed"], 1 + 2 + 3 + 4 + 5 + 6 + 7);
        assert_eq!(stage.events.lock().unwrap().last().unwrap()["payload"]["reason"], "end_of_source");
    });
}

#[test]
fn a_looped_file_of_which_nothing_can_be_decoded_waits_between_its_rounds() {
    play((0, None), async |stage| {
        let damaged = [Take::Corrupt(0, 50), Take::Corrupt(0, 50)];
        let plot = Plot::of(false, [Take::Frames(3)].into_iter().chain(damaged).chain([Take::Frames(3)]));
        stage.add(stage.stream(&plot, true)).await;
        stage.until(|events| count(events, "frameAnalyzed") == 6).await;
        stage.stop().await;
        let account = stage.assert_whole();
        assert_eq!((&account["analyzed"], &account["dropped"]["corrupt"]), (&6.into(), &100.into()));
        let damaged = stage.states().iter().filter(|(_, reason)| reason == "source_damaged").count();
        assert_eq!(damaged, 2, "each of the two is a try that failed");
    });
}

#[test]
fn a_camera_that_is_odd_for_once_keeps_its_session() {
    play((0, None), async |stage| {
        let odd = Take::Refuse(SourceErrorKind::Unsupported);
        let mut parts = stage.stream(&Plot::of(true, [Take::Frames(3), odd, Take::Silence(4)]), false);
        parts.life.backoff.auth_wait = Duration::from_millis(5);
        stage.add(parts).await;
        stage.until(|events| events.iter().any(|event| event["payload"]["epoch"] == 2)).await;
        let states = stage.states();
        assert!(states.contains(&("reconnecting".into(), "unsupported_source".into())), "{states:?}");
        stage.stop().await;
        stage.assert_whole();
    });
}
