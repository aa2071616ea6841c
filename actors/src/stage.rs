//! A server's streams with scripted parts, for tests that break them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, System};
use serde_json::Value;

use crate::backoff::BackoffPolicy;
use crate::batch::BatchPolicy;
use crate::crew::{ArbiterSource, arbiters};
use crate::decoder::Pace;
use crate::domain::{Provenance, SessionId};
use crate::family::{ConnectionParts, LaneChoice, SessionParts};
use crate::handoff::HandoffPolicy;
use crate::lanes::Lanes;
use crate::lifecycle::LifePolicy;
use crate::policy::FramePolicy;
use crate::registry::{AddStream, Command, Order, StopAll, StreamRegistry};
use crate::status::{StatusBoard, StreamNotice};
use crate::supervisor::StreamParts;
use crate::testing::{EmptySampler, Fuse, FusedModel, HostClock, Misdeed, MoodySink, OneStepTracker, Plot};

pub(crate) struct Stage {
    pub(crate) registry: Addr<StreamRegistry>,
    pub(crate) events: Arc<Mutex<Vec<Value>>>,
    notices: Arc<Mutex<Vec<StreamNotice>>>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) fatal: Arc<AtomicU32>,
    pub(crate) board: Arc<StatusBoard>,
    clock: Arc<HostClock>,
}

impl Stage {
    /// Two lanes whose models misbehave so often: they stall for so long, or panic.
    pub(crate) fn new(model: (u32, Option<Duration>)) -> Self {
        let misdeed = model.1.map_or(Misdeed::Panic, Misdeed::Stall);
        Self::with_model(&FusedModel { fuse: Fuse::of(model.0), misdeed, only_at: None })
    }

    /// Two lanes of such models, which share a fuse.
    pub(crate) fn with_model(model: &FusedModel) -> Self {
        Self::build(model, arbiters(), arbiters())
    }

    /// Two lanes of models that are sound, and streams whose parts get these Arbiters.
    pub(crate) fn with_arbiters(arbiters: ArbiterSource) -> Self {
        Self::build(&sound_model(), arbiters, crate::crew::arbiters())
    }

    /// Two lanes of models that are sound, whose workers get these Arbiters.
    pub(crate) fn with_lane_arbiters(for_lanes: ArbiterSource) -> Self {
        Self::build(&sound_model(), arbiters(), for_lanes)
    }

    fn build(model: &FusedModel, arbiters: ArbiterSource, for_lanes: ArbiterSource) -> Self {
        let clock = Arc::new(HostClock(Instant::now()));
        let model = model.clone();
        let fatal = Arc::new(AtomicU32::new(0));
        let called = Arc::clone(&fatal);
        let lanes = Lanes::with_arbiters(
            2,
            Arc::new(move || Box::new(model.clone())),
            BatchPolicy::ALONE,
            clock.clone(),
            Duration::from_millis(60),
            Box::new(move || {
                called.fetch_add(1, Ordering::AcqRel);
            }),
            for_lanes,
        );
        let notices: Arc<Mutex<Vec<StreamNotice>>> = Arc::default();
        let heard = Arc::clone(&notices);
        let board = StatusBoard::observed_by(Arc::new(move |notice| heard.lock().unwrap().push(notice)));
        let board = Arc::new(board);
        let registry = StreamRegistry::new(Arc::clone(&board), Some(Arc::clone(&lanes)), clock.clone());
        let registry = registry.with_arbiters(arbiters).start();
        Self { registry, events: Arc::default(), notices, lanes, fatal, board, clock }
    }

    pub(crate) fn stream(&self, plot: &Plot, looped: bool) -> StreamParts {
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
                Box::new(MoodySink { events: Arc::clone(&events), ..MoodySink::default() })
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
            clock: self.clock.clone(),
        }
    }

    pub(crate) async fn add(&self, parts: StreamParts) {
        self.registry.send(AddStream { parts, enabled: true }).await.unwrap();
    }

    pub(crate) async fn order(&self, order: Order) {
        self.registry.send(Command { name: "cam".into(), order }).await.unwrap().unwrap();
    }

    /// Waits until the events satisfy `wanted`, for five seconds at most.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Value]) -> bool) {
        let begun = Instant::now();
        while !wanted(&self.events.lock().unwrap()) {
            assert!(begun.elapsed() < Duration::from_secs(5), "{:#?}", self.states());
            actix::clock::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) async fn stop(&self) {
        let left = self.registry.send(StopAll { within: Duration::from_secs(5) }).await.unwrap();
        assert!(left.is_empty(), "streams should stop in time: {left:?}");
    }

    /// The states that the observer of the board heard of, as `state reason`.
    pub(crate) fn noticed(&self) -> Vec<String> {
        let notices = self.notices.lock().unwrap();
        let state = |notice: &StreamNotice| match notice {
            StreamNotice::StateChanged(stream) => Some(format!("{} {}", stream.state.code(), stream.reason)),
            _ => None,
        };
        notices.iter().filter_map(state).collect()
    }

    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let events = self.events.lock().unwrap();
        let states = events.iter().filter(|event| event["event"] == "streamState");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        states.map(|event| (text(&event["payload"]["state"]), text(&event["payload"]["reason"]))).collect()
    }

    pub(crate) fn assert_whole(&self) -> Value {
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

/// A model that does what it is asked.
pub(crate) fn sound_model() -> FusedModel {
    FusedModel { fuse: Fuse::default(), misdeed: Misdeed::Panic, only_at: None }
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        model: "none".into(),
        model_files: Default::default(),
        device: "cpu".into(),
        configuration_revision: "0".into(),
        version: "0".into(),
        lease: None,
    }
}

pub(crate) fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["event"] == kind).count()
}

pub(crate) fn has_state(events: &[Value], state: &str) -> bool {
    events.iter().any(|event| event["payload"]["state"] == state)
}

pub(crate) fn play(model: (u32, Option<Duration>), scene: impl AsyncFnOnce(Stage)) {
    System::new().block_on(async { scene(Stage::new(model)).await });
}
