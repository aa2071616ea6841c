//! The whole family with scripted parts: accounts, order of events, endings.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, System};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::broadcaster::SessionClosed;
use crate::decoder::Pace;
use crate::domain::{DropReason, EndReason, Provenance, SessionId};
use crate::guard::ChildKind;
use crate::handoff::HandoffPolicy;
use crate::policy::FramePolicy;
use crate::ports::{SourceError, SourceErrorKind, SourceFrame, SourceItem};
use crate::supervisor::{FamilyParts, StopStream, StreamOutcome, StreamSupervisor};
use crate::testing::{
    EmptySampler, HostClock, MemorySink, Misdeed, MoodyModel, OneStepTracker, ScriptedFactory,
    ScriptedSource, source_frame,
};

struct Scene {
    factory: ScriptedFactory,
    model: (Option<u32>, Misdeed),
    max_frames: Option<u64>,
    every_nth: u32,
    pace: Pace,
    stop_after_events: Option<usize>,
    depth: usize,
    model_takes: Duration,
}

impl Scene {
    fn of(script: Vec<SourceItem>) -> Self {
        Self {
            factory: ScriptedFactory { script, live: false, claimed_frames: None, opens_late: false },
            model: (None, Misdeed::Panic),
            max_frames: None,
            every_nth: 1,
            pace: Pace::Max,
            stop_after_events: None,
            depth: 2,
            model_takes: Duration::ZERO,
        }
    }

    /// Plays the scene on a fresh actix System; returns the outcome and the events.
    fn play(self) -> (StreamOutcome, Vec<Value>) {
        let sink = MemorySink::default();
        let events = Arc::clone(&sink.0);
        let stop_after = self.stop_after_events;
        let mut parts = Some(self.into_parts(sink));
        let outcome = System::new().block_on(async {
            let (teller, outcome) = oneshot::channel();
            let factory = Box::new(move || parts.take().expect("one family should be built"));
            let supervisor = StreamSupervisor::new(factory, teller).start();
            if let Some(count) = stop_after {
                while events.lock().unwrap().len() < count {
                    tokio::task::yield_now().await;
                }
                supervisor.send(StopStream).await.unwrap();
            }
            outcome.await.expect("a supervisor should tell the outcome")
        });
        let events = std::mem::take(&mut *events.lock().unwrap());
        (outcome, events)
    }

    fn into_parts(self, sink: MemorySink) -> FamilyParts {
        let live = self.factory.live;
        let ((patience, misdeed), takes) = (self.model, self.model_takes);
        FamilyParts {
            stream: "test".into(),
            session: SessionId("session".into()),
            provenance: Provenance {
                model: "none".into(),
                model_files: Default::default(),
                device: "cpu".into(),
                configuration_revision: "0".into(),
                version: "0".into(),
                lease: None,
            },
            source: Box::new(self.factory),
            handoff: if live { HandoffPolicy::Latest } else { HandoffPolicy::Wait { depth: self.depth } },
            pace: self.pace,
            max_frames: self.max_frames,
            policy: FramePolicy::new(NonZeroU32::new(self.every_nth).unwrap(), None),
            sampler: Box::new(EmptySampler),
            tracker: Box::new(OneStepTracker),
            marks: None,
            model: Arc::new(move || Box::new(MoodyModel { patience, misdeed: misdeed.clone(), takes })),
            sink: Box::new(sink),
            clock: Arc::new(HostClock(Instant::now())),
        }
    }
}

fn closed(outcome: StreamOutcome) -> SessionClosed {
    match outcome {
        StreamOutcome::Closed(closed) => closed,
        other => panic!("the session should be closed, got {other:?}"),
    }
}

fn assert_gapless(events: &[Value]) {
    for (n, event) in events.iter().enumerate() {
        assert_eq!(
            (event["payload"]["seq"].as_u64(), event["payload"]["prevSeq"].as_u64()),
            (Some(n as u64 + 1), Some(n as u64))
        );
        assert_eq!(event.as_object().unwrap().len(), 4);
    }
}

#[test]
fn a_file_is_analysed_frame_by_frame_and_the_account_is_exact() {
    let (outcome, events) = Scene::of(ScriptedSource::frames(500)).play();
    let closed = closed(outcome);
    assert_eq!((closed.account.received, closed.account.analyzed), (500, 500));
    assert_eq!(closed.reason, EndReason::EndOfSource);
    assert_gapless(&events);
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[1], kinds[2]), ("sessionStarted", "streamState", "frameAnalyzed"));
    assert_eq!(kinds[kinds.len() - 1], "sessionEnded");
    for (n, event) in events[2..502].iter().enumerate() {
        assert_eq!(event["payload"]["frame"]["index"], n);
        assert_eq!(event["payload"]["frames"]["received"], n + 1, "the account should end at its frame");
    }
}

#[test]
fn losses_and_damage_are_counted_where_they_happen() {
    let mut damaged = source_frame(3);
    damaged.corrupt = true;
    let script = vec![
        SourceItem::Frame(source_frame(0)),
        SourceItem::Lost(2),
        SourceItem::Frame(damaged),
        SourceItem::Frame(source_frame(4)),
        SourceItem::Lost(5),
    ];
    let (outcome, events) = Scene::of(script).play();
    let account = closed(outcome).account;
    assert!(account.is_balanced());
    assert_eq!((account.received, account.analyzed, account.dropped_for(DropReason::Corrupt)), (10, 2, 8));
    let last = events.iter().rfind(|event| event["event"] == "frameAnalyzed").unwrap();
    assert_eq!(last["payload"]["frame"]["index"], 4, "lost units keep their numbers");
    assert_eq!(last["payload"]["frames"]["dropped"]["corrupt"], 3);
}

#[test]
fn a_frame_limit_ends_the_session_at_that_frame() {
    let (outcome, _) = Scene { max_frames: Some(7), ..Scene::of(ScriptedSource::frames(100)) }.play();
    let closed = closed(outcome);
    assert_eq!((closed.reason, closed.account.received), (EndReason::FrameLimit, 7));
}

#[test]
fn every_nth_skips_and_counts() {
    let (outcome, _) = Scene { every_nth: 4, ..Scene::of(ScriptedSource::frames(100)) }.play();
    let account = closed(outcome).account;
    assert_eq!((account.analyzed, account.skipped), (25, 75));
}

#[test]
fn a_file_that_claims_more_frames_than_it_shows_ends_in_order() {
    let mut scene = Scene::of(ScriptedSource::frames(10));
    scene.factory.claimed_frames = Some(60);
    let closed = closed(scene.play().0);
    assert_eq!((closed.reason, closed.account.analyzed), (EndReason::EndOfSource, 10));
}

#[test]
fn a_source_that_reports_its_damage_at_the_end_fails_the_session() {
    let mut script = ScriptedSource::frames(10);
    let message = "the file is cut short".to_owned();
    script.push(SourceItem::End(Some(SourceError { kind: SourceErrorKind::Damaged, message })));
    let closed = closed(Scene::of(script).play().0);
    assert_eq!(closed.reason, EndReason::SourceFailed("the file is cut short".into()));
    assert_eq!(closed.account.analyzed, 10);
}

#[test]
fn a_live_source_replaces_frames_and_still_balances() {
    let mut scene = Scene::of(ScriptedSource::frames(20_000));
    scene.factory.live = true;
    let (outcome, events) = scene.play();
    let account = closed(outcome).account;
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!(account.received, 20_000);
    assert!(account.analyzed >= 1);
    assert_gapless(&events);
}

#[test]
fn stop_ends_in_time_with_a_balanced_account() {
    let scene = Scene {
        pace: Pace::Realtime,
        stop_after_events: Some(5),
        ..Scene::of(ScriptedSource::frames(100_000))
    };
    let begun = Instant::now();
    let closed = closed(scene.play().0);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(closed.reason, EndReason::Stopped);
    assert!(closed.account.is_balanced() && closed.account.received < 100_000);
}

#[test]
fn a_panicking_model_is_told_and_does_not_hang_the_stream() {
    let scene = Scene { model: (Some(3), Misdeed::Panic), ..Scene::of(ScriptedSource::frames(100)) };
    let (outcome, _) = scene.play();
    assert!(matches!(outcome, StreamOutcome::Crashed(ChildKind::InferenceWorker)), "{outcome:?}");
}

#[test]
fn a_refusing_model_ends_the_session_with_its_words() {
    let scene = Scene { model: (Some(3), Misdeed::Refuse), ..Scene::of(ScriptedSource::frames(100)) };
    let closed = closed(scene.play().0);
    assert!(matches!(&closed.reason, EndReason::PipelineFailed(message) if message.contains("refuses")));
    assert!(closed.account.is_balanced());
}

#[test]
fn a_stop_far_behind_the_decoder_drops_what_waits_and_ends_in_time() {
    // The first file is read to its end long before the stop, the second one is not.
    for frames in [40, 100_000] {
        let scene = Scene {
            depth: 64,
            model_takes: Duration::from_millis(100),
            stop_after_events: Some(3),
            ..Scene::of(ScriptedSource::frames(frames))
        };
        let begun = Instant::now();
        let (outcome, events) = scene.play();
        assert!(begun.elapsed() < Duration::from_millis(1_000), "{:?}", begun.elapsed());
        let closed = closed(outcome);
        assert_eq!(closed.reason, EndReason::Stopped);
        assert!(closed.account.is_balanced(), "{:?}", closed.account);
        // One was analysed before the stop and one or two were in flight; a frame may wait for room besides the 64.
        assert!((1..=3).contains(&closed.account.analyzed));
        let dropped = closed.account.dropped_for(DropReason::Stopped);
        assert_eq!(dropped, closed.account.received - closed.account.analyzed);
        assert_eq!(closed.account.received.min(66), frames.min(66));
        assert_eq!(events.last().unwrap()["event"], "sessionEnded");
    }
}

#[test]
fn a_family_that_does_not_finish_in_time_still_writes_its_end() {
    let scene = Scene {
        model_takes: Duration::from_millis(4_000),
        stop_after_events: Some(1),
        ..Scene::of(ScriptedSource::frames(10))
    };
    let (outcome, events) = scene.play();
    let closed = closed(outcome);
    assert_eq!(closed.reason, EndReason::Stopped);
    assert!(closed.account.is_balanced());
    assert_eq!(events.last().unwrap()["event"], "sessionEnded");
    // The stop may come before the first frame; reasons without a frame are not told.
    let stopped = events.last().unwrap()["payload"]["frames"]["dropped"]["stopped"].as_u64();
    assert_eq!(stopped.unwrap_or_default(), closed.account.received);
}

#[test]
fn a_stop_before_the_source_is_open_writes_nothing() {
    let mut scene = Scene { stop_after_events: Some(0), ..Scene::of(ScriptedSource::frames(10)) };
    scene.factory.opens_late = true;
    let (outcome, events) = scene.play();
    assert!(
        matches!(&outcome, StreamOutcome::SourceFailed(error) if error.kind == SourceErrorKind::Cancelled),
        "{outcome:?}"
    );
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn a_failure_counts_the_frames_that_waited_behind_it() {
    let mut script = ScriptedSource::frames(100);
    script.insert(1, SourceItem::Lost(1));
    let scene = Scene {
        model: (Some(0), Misdeed::Refuse),
        model_takes: Duration::from_millis(100),
        ..Scene::of(script)
    };
    let account = closed(scene.play().0).account;
    // One in flight, one lost, two queued, one without room.
    let drops = (account.dropped_for(DropReason::WorkerRestart), account.dropped_for(DropReason::Corrupt));
    assert!(account.is_balanced());
    assert_eq!((account.received, drops), (5, (4, 1)));
}

/// Frames with these media times.
fn clocked(media_us: impl IntoIterator<Item = i64>) -> Vec<SourceItem> {
    let frame = |media_us| SourceItem::Frame(SourceFrame { media_us, ..source_frame(0) });
    media_us.into_iter().map(frame).collect()
}

#[test]
fn a_file_whose_clock_restarts_goes_on_in_time_and_pace() {
    let clock = (0..10).chain(0..10).map(|n| n * 20_000);
    let scene = Scene { pace: Pace::Realtime, ..Scene::of(clocked(clock)) };
    let begun = Instant::now();
    let (outcome, events) = scene.play();
    assert_eq!(closed(outcome).account.analyzed, 20);
    assert!(begun.elapsed() >= Duration::from_millis(380), "the second half has its time as well");
    let frames: Vec<_> = events.iter().filter(|event| event["event"] == "frameAnalyzed").collect();
    assert_eq!((&frames[9]["payload"]["epoch"], &frames[10]["payload"]["epoch"]), (&1.into(), &2.into()));
    let times: Vec<_> = frames.iter().map(|frame| frame["timestamp"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

#[test]
fn a_jump_of_the_clock_is_an_epoch_when_live_and_not_waited_out_in_a_file() {
    for live in [false, true] {
        let clock = [0, 20_000, 40_000, 60_000_000, 60_020_000];
        let mut scene = Scene { pace: Pace::Realtime, ..Scene::of(clocked(clock)) };
        scene.factory.live = live;
        let begun = Instant::now();
        let (_, events) = scene.play();
        assert!(begun.elapsed() < Duration::from_secs(5));
        let last = events.iter().rfind(|event| event["event"] == "frameAnalyzed").unwrap();
        assert_eq!(last["payload"]["epoch"], if live { 2 } else { 1 });
    }
}
