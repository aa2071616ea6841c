//! Streams that fail in every way they can, with scripted parts: states, fresh values, accounts, numbers.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, System};
use serde_json::Value;

use crate::backoff::BackoffPolicy;
use crate::decoder::Pace;
use crate::domain::{EncodedEvent, EventKind, Provenance, SessionId, StreamState};
use crate::family::{ConnectionParts, LaneChoice, SessionParts};
use crate::handoff::HandoffPolicy;
use crate::lanes::Lanes;
use crate::lifecycle::LifePolicy;
use crate::policy::FramePolicy;
use crate::ports::{EventSink, ModelOutput, NetworkId, PoseModel, SourceErrorKind};
use crate::registry::{AddStream, Command, ListStreams, Order, StopAll, StreamRegistry};
use crate::status::{StatusBoard, StreamNotice};
use crate::supervisor::StreamParts;
use crate::testing::{EmptySampler, HostClock, OneStepTracker, Plot, Take};

/// Calls of a shared part, and the call at which it fails.
type Fuse = Arc<AtomicU32>;

struct Stage {
    registry: Addr<StreamRegistry>,
    events: Arc<Mutex<Vec<Value>>>,
    notices: Arc<Mutex<Vec<StreamNotice>>>,
    lanes: Arc<Lanes>,
    fatal: Arc<AtomicU32>,
}

/// Keeps events; panics or is full at some of them.
struct MoodySink {
    events: Arc<Mutex<Vec<Value>>>,
    panic_at: u64,
    full: Fuse,
}

impl EventSink for MoodySink {
    fn append(&mut self, event: &EncodedEvent) -> std::io::Result<()> {
        assert!(event.seq != self.panic_at || event.kind != EventKind::FrameAnalyzed, "as the test asked");
        if self.full.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.events.lock().unwrap().push(serde_json::from_slice(&event.json).unwrap());
        Ok(())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn may_get_room(&self) -> bool {
        true
    }
}

/// Panics, or sleeps through its heartbeat, while the fuse burns.
struct FusedModel(Fuse, Option<Duration>);

impl PoseModel for FusedModel {
    fn infer(&mut self, _: NetworkId, _: &[f32]) -> Result<ModelOutput, String> {
        let burns =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok();
        match (burns, self.1) {
            (true, Some(hang)) => std::thread::sleep(hang),
            (true, None) => panic!("the model panics, as the test asked"),
            (false, _) => {}
        }
        Ok(ModelOutput::default())
    }
}

impl Stage {
    fn new(model: (u32, Option<Duration>)) -> Self {
        let clock = Arc::new(HostClock(Instant::now()));
        let fuse = Fuse::new(AtomicU32::new(model.0));
        let fatal = Arc::new(AtomicU32::new(0));
        let called = Arc::clone(&fatal);
        let lanes = Lanes::new(
            2,
            Arc::new(move || Box::new(FusedModel(Arc::clone(&fuse), model.1))),
            clock.clone(),
            Duration::from_millis(60),
            Box::new(move || {
                called.fetch_add(1, Ordering::AcqRel);
            }),
        );
        let notices: Arc<Mutex<Vec<StreamNotice>>> = Arc::default();
        let heard = Arc::clone(&notices);
        let board = StatusBoard::observed_by(Arc::new(move |notice| heard.lock().unwrap().push(notice)));
        let registry = StreamRegistry::new(Arc::new(board), Some(Arc::clone(&lanes)), clock).start();
        Self { registry, events: Arc::default(), notices, lanes, fatal }
    }

    fn stream(&self, plot: &Plot, looped: bool) -> StreamParts {
        let backoff = BackoffPolicy { retry_max: Duration::from_millis(5), ..BackoffPolicy::default() };
        let (events, plot) = (Arc::clone(&self.events), plot.clone());
        let (live, seat) = (plot.live, Arc::new(self.lanes.pin()));
        let mut sessions = 0;
        StreamParts {
            name: "cam".into(),
            address: "script:".into(),
            life: LifePolicy { live, looped, backoff },
            stall_after: Duration::from_millis(40),
            hang_after: Duration::from_millis(400),
            session: Box::new(move || {
                sessions += 1;
                SessionParts { id: SessionId(format!("s{sessions}").into()), provenance: provenance() }
            }),
            sink: Box::new(move |_| {
                let full = Fuse::default();
                Box::new(MoodySink { events: Arc::clone(&events), panic_at: 0, full })
            }),
            connection: Box::new(move || ConnectionParts {
                source: Box::new(plot.clone()),
                handoff: if live { HandoffPolicy::Latest } else { HandoffPolicy::Wait { depth: 2 } },
                pace: Pace::Max,
                looped,
                max_frames: None,
                policy: FramePolicy::new(NonZeroU32::MIN, None),
                sampler: Box::new(EmptySampler),
                tracker: Box::new(OneStepTracker),
                marks: None,
                lane: LaneChoice::Shared(Arc::clone(&seat)),
            }),
            clock: Arc::new(HostClock(Instant::now())),
        }
    }

    async fn add(&self, parts: StreamParts) {
        self.registry.send(AddStream { parts, enabled: true }).await.unwrap();
    }

    async fn order(&self, order: Order) {
        self.registry.send(Command { name: "cam".into(), order }).await.unwrap().unwrap();
    }

    /// Waits until the events satisfy `wanted`, for five seconds at most.
    async fn until(&self, wanted: impl Fn(&[Value]) -> bool) {
        let begun = Instant::now();
        while !wanted(&self.events.lock().unwrap()) {
            assert!(begun.elapsed() < Duration::from_secs(5), "{:#?}", self.states());
            actix::clock::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn stop(&self) {
        let left = self.registry.send(StopAll { within: Duration::from_secs(5) }).await.unwrap();
        assert!(left.is_empty(), "streams should stop in time: {left:?}");
    }

    /// The states that the observer of the board heard of, as `state reason`.
    fn noticed(&self) -> Vec<String> {
        let notices = self.notices.lock().unwrap();
        let state = |notice: &StreamNotice| match notice {
            StreamNotice::StateChanged(stream) => Some(format!("{} {}", stream.state.code(), stream.reason)),
            _ => None,
        };
        notices.iter().filter_map(state).collect()
    }

    fn states(&self) -> Vec<(String, String)> {
        let events = self.events.lock().unwrap();
        let states = events.iter().filter(|event| event["event"] == "streamState");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        states.map(|event| (text(&event["payload"]["state"]), text(&event["payload"]["reason"]))).collect()
    }

    fn assert_whole(&self) -> Value {
        let events = self.events.lock().unwrap();
        assert_eq!(events[0]["event"], "sessionStarted");
        for (event, seq) in events.iter().zip(1_u64..) {
            assert_eq!(event["payload"]["seq"], seq, "{event}");
        }
        let account = events.last().unwrap()["payload"]["frames"].clone();
        let dropped: u64 =
            account["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        let number = |name: &str| account[name].as_u64().unwrap();
        assert_eq!(number("received"), number("analyzed") + number("skipped") + dropped, "{account}");
        let analyzed = events.iter().filter(|event| event["event"] == "frameAnalyzed").count();
        assert_eq!(number("analyzed"), analyzed as u64);
        account
    }
}

fn provenance() -> Provenance {
    Provenance {
        model: "none".into(),
        model_files: Default::default(),
        device: "cpu".into(),
        configuration_revision: "0".into(),
        version: "0".into(),
    }
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["event"] == kind).count()
}

fn has_state(events: &[Value], state: &str) -> bool {
    events.iter().any(|event| event["payload"]["state"] == state)
}

fn play(model: (u32, Option<Duration>), scene: impl AsyncFnOnce(Stage)) {
    System::new().block_on(async { scene(Stage::new(model)).await });
}

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
        let told: Vec<_> = states.iter().map(|(state, reason)| format!("{state} {reason}")).collect();
        assert_eq!(stage.noticed(), told, "an observer hears of each state that subscribers are told of");
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
    play((3, Some(Duration::from_millis(900))), async |stage| {
        stage.add(stage.stream(&Plot::of(false, [Take::Frames(50)]), false)).await;
        stage.until(|events| count(events, "sessionEnded") == 1).await;
        let account = stage.assert_whole();
        assert_eq!(account["dropped"]["worker_restart"], 1);
        assert_eq!((stage.lanes.losses().1, stage.fatal.load(Ordering::Acquire)), (3, 1));
    });
}

#[test]
fn a_broadcaster_that_panics_is_replaced_and_numbering_goes_on() {
    play((0, None), async |stage| {
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(20), Take::Frames(20)]), false);
        let events = Arc::clone(&stage.events);
        let mut panic_at = 10;
        parts.sink = Box::new(move |_| {
            let panic_at = std::mem::take(&mut panic_at);
            Box::new(MoodySink { events: Arc::clone(&events), panic_at, full: Fuse::default() })
        });
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
            let full = Fuse::new(AtomicU32::new(4));
            Box::new(MoodySink { events: Arc::clone(&events), panic_at: 0, full })
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
