//! Words that come late, get lost, or come from a broadcaster that was given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, System};
use tokio::sync::oneshot;

use super::{AwaitStopped, StartStream, StopStream, StreamOutcome, StreamParts, StreamSupervisor};
use crate::broadcaster::{FramesFlow, SessionClosed};
use crate::crew::{arbiters, scarce_arbiters};
use crate::domain::{EncodedEvent, EndReason, EventKind, FrameAccount, StreamState, Timestamp};
use crate::ledger::SessionLedger;
use crate::lent::Lent;
use crate::ports::{
    CancelToken, Clock, EventSink, FrameSource, OpenSource, SourceError, SourceErrorKind, SourceFactory,
    SourceItem,
};
use crate::stage::{Stage, play};
use crate::status::StatusEntry;
use crate::supervisor::Keeper;
use crate::testing::{Gate, MemorySink, Plot, ScriptedFactory, SimulatedClock, Take, source_frame};

type Deed = dyn FnOnce(&mut StreamSupervisor, &mut Context<StreamSupervisor>) + Send;

/// Does something with the supervisor, between two messages.
#[derive(Message)]
#[rtype(result = "()")]
struct Do(Box<Deed>);

impl Handler<Do> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, Do(deed): Do, ctx: &mut Self::Context) {
        deed(self, ctx);
    }
}

/// A supervisor that no registry watches, and what is told of its stream.
async fn begin(stage: &Stage, parts: StreamParts) -> (Addr<StreamSupervisor>, Arc<StatusEntry>) {
    let names = (Arc::clone(&parts.address), parts.life.live);
    let entry = stage.board.enter(Arc::clone(&parts.name), names, Timestamp(0));
    let parts = Lent::for_good(parts);
    let supervisor = StreamSupervisor::of_stream(parts, Arc::clone(&entry), None, arbiters()).start();
    supervisor.send(StartStream).await.unwrap();
    (supervisor, entry)
}

/// One frame, and then nothing, cancelled or not, until the gate opens.
struct OneFrame {
    gate: Gate,
    is_given: bool,
}

impl SourceFactory for OneFrame {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let mut factory =
            ScriptedFactory { script: Vec::new(), live: false, claimed_frames: None, opens_late: false };
        let frames = Box::new(OneFrame { gate: self.gate.clone(), is_given: false });
        Ok(OpenSource { frames, ..factory.open(cancel)? })
    }
}

impl FrameSource for OneFrame {
    fn next(&mut self) -> SourceItem {
        if !std::mem::replace(&mut self.is_given, true) {
            return SourceItem::Frame(source_frame(0));
        }
        self.gate.pass();
        SourceItem::End(None)
    }
}

/// A sink that is at a frame until the gate opens, and cannot keep it then.
struct BrokenSink {
    gate: Gate,
    is_reached: Arc<AtomicBool>,
    kept: MemorySink,
}

impl EventSink for BrokenSink {
    fn append(&mut self, event: &EncodedEvent) -> std::io::Result<()> {
        if event.kind != EventKind::FrameAnalyzed {
            return self.kept.append(event);
        }
        self.is_reached.store(true, Ordering::Release);
        self.gate.pass();
        Err(std::io::Error::other("the disk is gone, as the test asked"))
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stop_that_was_answered_is_not_undone_by_a_session_that_could_not_be_kept() {
    play((0, None), async |stage| {
        let ((held_source, source), (held_sink, sink)) = (Gate::closed(), Gate::closed());
        let mut parts = stage.stream(&Plot::of(false, []), false);
        let mut connection = parts.connection;
        parts.connection = Box::new(move || {
            let mut parts = connection();
            parts.source = Box::new(OneFrame { gate: source.clone(), is_given: false });
            parts
        });
        let is_reached = Arc::new(AtomicBool::new(false));
        let (kept, reached) = (MemorySink(Arc::clone(&stage.events)), is_reached.clone());
        parts.sink = Box::new(move |_| {
            let (gate, is_reached, kept) = (sink.clone(), Arc::clone(&reached), kept.clone());
            Box::new(BrokenSink { gate, is_reached, kept })
        });
        let (supervisor, entry) = begin(&stage, parts).await;
        stage.until(|_| is_reached.load(Ordering::Acquire)).await;
        // The decoder does not hear the stop, so the session is still running when its sink fails.
        supervisor.send(StopStream).await.unwrap();
        drop(held_sink);
        supervisor.send(AwaitStopped).await.unwrap();
        assert_eq!((entry.status().state, entry.status().reason), (StreamState::Stopped, "stopped"));
        drop(held_source);
    });
}

#[test]
fn a_broadcaster_that_was_given_up_neither_ends_nor_begins_anything_when_it_comes_back() {
    play((0, None), async |stage| {
        let (supervisor, entry) =
            begin(&stage, stage.stream(&Plot::of(false, [Take::Silence(0)]), false)).await;
        supervisor.send(FramesFlow { generation: 0 }).await.unwrap();
        assert_eq!(entry.status().state, StreamState::Connecting);
        let closed = SessionClosed {
            reason: EndReason::Stopped,
            account: FrameAccount::default(),
            latency: SessionLedger::default().latency(),
            duration_us: 0,
            sink_error: Some(std::io::Error::other("it was late, as the test asked")),
            generation: 0,
        };
        supervisor.send(closed).await.unwrap();
        let status = entry.status();
        assert_eq!((status.state, status.session.unwrap().ended), (StreamState::Connecting, None));
        supervisor.send(StopStream).await.unwrap();
        supervisor.send(AwaitStopped).await.unwrap();
    });
}

#[test]
fn frames_whose_announcement_was_lost_are_seen_at_the_next_look() {
    for live in [false, true] {
        play((0, None), async |stage| {
            let clock = Arc::new(SimulatedClock::default());
            let mut parts = stage.stream(&Plot::of(live, [Take::Silence(0)]), false);
            parts.clock = clock.clone();
            let (supervisor, entry) = begin(&stage, parts).await;
            let seen = Arc::clone(&entry);
            let deed = move |actor: &mut StreamSupervisor, ctx: &mut Context<StreamSupervisor>| {
                let frame = FrameAccount { received: 1, analyzed: 1, ..FrameAccount::default() };
                let ledger = Arc::clone(&actor.session.as_ref().unwrap().ledger);
                ledger.publish(3, frame, Some(clock.monotonic_us()));
                clock.advance(Duration::from_millis(100));
                actor.look(ctx);
                assert_eq!(seen.status().state, StreamState::Connecting, "that was long ago");
                // As a decoder and a broadcaster write it.
                let ticket = ledger.open_connection(clock.monotonic_us());
                ledger.receive(ticket, 1, clock.monotonic_us());
                ledger.publish(4, frame, Some(clock.monotonic_us()));
                actor.look(ctx);
                assert_eq!(seen.status().state, StreamState::Running);
            };
            supervisor.send(Do(Box::new(deed))).await.unwrap();
            assert_eq!((entry.status().state, entry.status().reason), (StreamState::Running, "first_frame"));
            supervisor.send(StopStream).await.unwrap();
            supervisor.send(AwaitStopped).await.unwrap();
        });
    }
}

#[test]
fn a_frame_from_before_a_stall_does_not_say_that_it_is_over() {
    play((0, None), async |stage| {
        let clock = Arc::new(SimulatedClock::default());
        let mut parts = stage.stream(&Plot::of(true, [Take::Silence(0)]), false);
        parts.clock = clock.clone();
        let (supervisor, entry) = begin(&stage, parts).await;
        let deed = move |actor: &mut StreamSupervisor, ctx: &mut Context<StreamSupervisor>| {
            let ledger = Arc::clone(&actor.session.as_ref().unwrap().ledger);
            let ticket = ledger.open_connection(clock.monotonic_us());
            let pass = |millis| clock.advance(Duration::from_millis(millis));
            let publish = |seq, received| {
                let account = FrameAccount { received, analyzed: received, ..FrameAccount::default() };
                ledger.publish(seq, account, Some(clock.monotonic_us()));
            };
            let mut state = || {
                actor.look(ctx);
                entry.status().state
            };
            ledger.receive(ticket, 1, clock.monotonic_us());
            // It takes its time through the networks.
            pass(30);
            publish(3, 1);
            assert_eq!(state(), StreamState::Running);
            pass(10);
            assert_eq!(state(), StreamState::Stalled, "none came for 40 ms");
            pass(10);
            ledger.receive(ticket, 1, clock.monotonic_us());
            assert_eq!(state(), StreamState::Stalled, "what came may be damaged");
            publish(4, 2);
            assert_eq!(state(), StreamState::Running);
        };
        supervisor.send(Do(Box::new(deed))).await.unwrap();
        supervisor.send(StopStream).await.unwrap();
        supervisor.send(AwaitStopped).await.unwrap();
    });
}

#[test]
fn a_stream_whose_lane_has_no_thread_for_a_worker_for_long_says_so() {
    System::new().block_on(async {
        let stage = Stage::with_lane_arbiters(scarce_arbiters(|_| true));
        let clock = Arc::new(SimulatedClock::default());
        let mut parts = stage.stream(&Plot::of(false, [Take::Frames(3)]), false);
        parts.clock = clock.clone();
        let (supervisor, entry) = begin(&stage, parts).await;
        let tries = || {
            clock.advance(Duration::from_secs(1));
            entry.status().state == StreamState::Reconnecting
        };
        stage.until(|_| tries()).await;
        let words = "inference failed: no thread for the inference worker: none is left, as the test asked";
        assert_eq!((entry.status().reason, &*entry.status().message), ("part_failed", words));
        supervisor.send(StopStream).await.unwrap();
        supervisor.send(AwaitStopped).await.unwrap();
    });
}

#[test]
fn a_single_session_without_a_thread_says_so() {
    for refused in [1, 2, 3] {
        play((0, None), async |stage| {
            let parts = Lent::for_good(stage.stream(&Plot::of(false, [Take::Frames(3)]), false));
            let (teller, outcome) = oneshot::channel();
            let keeper = Keeper::Once(Some(teller));
            let scarce = scarce_arbiters(move |number| number == refused);
            StreamSupervisor::with_keeper(parts, keeper, scarce).start();
            let StreamOutcome::SourceFailed(error) = outcome.await.unwrap() else {
                panic!("the source should not be opened")
            };
            assert_eq!(error.kind, SourceErrorKind::Unavailable);
            assert!(error.message.starts_with("no thread for the "), "{error}");
        });
    }
}
