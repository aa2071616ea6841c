//! `StreamSupervisor`: builds the family of one stream, watches it, and tells how it ended.
//!
//! A family is one Decoder, Preprocessor, InferenceWorker and SessionBroadcaster, each on an Arbiter of its own,
//! built together from a [`FamilyFactory`] and stopped together. What failed is never used again. One session
//! is run for now; reconnection with states and backoff builds on the same factory and generation.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Arbiter, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;

use crate::broadcaster::{BroadcasterParts, SessionBroadcaster, SessionClosed};
use crate::decoder::{Decoder, DecoderParts, Pace, SourceFailed, StartDecoding, StopDecoding};
use crate::domain::{Provenance, SessionId};
use crate::guard::{ChildExited, ChildKind, ExitGuard, ExitKind};
use crate::handoff::{Handoff, HandoffPolicy};
use crate::inference::InferenceWorker;
use crate::policy::FramePolicy;
use crate::ports::{
    CancelToken, Clock, EventSink, MarkReader, ModelFactory, Sampler, SourceError, SourceFactory, Tracker,
};
use crate::preprocessor::{AttachDecoder, Preprocessor, PreprocessorParts};

/// Room for a child's last words beside each other: failure, close and one exit for each of four children.
const MAILBOX: usize = 16;
/// How long a family may take to finish what it holds after [`StopStream`].
const STOP_GRACE: Duration = Duration::from_millis(1_500);

/// End the stream; what was handed over is still analysed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopStream;

/// Everything a family is built from; fresh for each build.
pub struct FamilyParts {
    /// The stream's name.
    pub stream: Arc<str>,
    /// Identity of the session.
    pub session: SessionId,
    /// Told in the first event.
    pub provenance: Provenance,
    /// Opens the source.
    pub source: Box<dyn SourceFactory>,
    /// What a full hand-off does.
    pub handoff: HandoffPolicy,
    /// Speed of files.
    pub pace: Pace,
    /// Frames after which the stream ends.
    pub max_frames: Option<u64>,
    /// Which frames are analysed.
    pub policy: FramePolicy,
    /// Reads regions.
    pub sampler: Box<dyn Sampler>,
    /// The stream's memory.
    pub tracker: Box<dyn Tracker>,
    /// Reads drawn numbers.
    pub marks: Option<Box<dyn MarkReader>>,
    /// Builds the lane's model.
    pub model: ModelFactory,
    /// Keeps events.
    pub sink: Box<dyn EventSink>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Builds the parts of a family.
pub type FamilyFactory = Box<dyn FnMut() -> FamilyParts + Send>;

/// How a stream ended.
#[derive(Debug)]
pub enum StreamOutcome {
    /// A session was begun and closed.
    Closed(SessionClosed),
    /// The source never opened.
    SourceFailed(SourceError),
    /// A child panicked.
    Crashed(ChildKind),
    /// The family did not finish in time after it was told to stop.
    Hung,
}

/// The actor.
pub struct StreamSupervisor {
    factory: FamilyFactory,
    generation: u64,
    family: Option<Family>,
    outcome: Option<oneshot::Sender<StreamOutcome>>,
}

struct Family {
    cancel: CancelToken,
    decoder: Addr<Decoder>,
    arbiters: Vec<Arbiter>,
}

impl StreamSupervisor {
    /// A supervisor that builds its family when it is started and tells `outcome` once.
    #[must_use]
    pub fn new(factory: FamilyFactory, outcome: oneshot::Sender<StreamOutcome>) -> Self {
        Self { factory, generation: 0, family: None, outcome: Some(outcome) }
    }

    fn build_family(&mut self, ctx: &mut Context<Self>) {
        self.generation += 1;
        let parts = (self.factory)();
        self.family = Some(Family::build(parts, self.generation, &ctx.address()));
    }

    fn stop(&mut self, ctx: &mut Context<Self>) {
        let Some(family) = &self.family else { return };
        family.cancel.cancel();
        // A decoder whose mailbox is full or closed hears of the end through the token.
        let _ = family.decoder.try_send(StopDecoding);
        ctx.run_later(STOP_GRACE, |actor, ctx| actor.conclude(StreamOutcome::Hung, ctx));
    }

    /// Tells the outcome, once, and ends the family.
    fn conclude(&mut self, outcome: StreamOutcome, ctx: &mut Context<Self>) {
        if let Some(teller) = self.outcome.take() {
            // Nobody may be waiting any more.
            let _ = teller.send(outcome);
        }
        self.family = None;
        ctx.stop();
    }
}

impl Family {
    fn build(parts: FamilyParts, generation: u64, supervisor: &Addr<StreamSupervisor>) -> Self {
        let guard = |child| ExitGuard::new(child, generation, supervisor.clone().recipient());
        let arbiters: Vec<Arbiter> = std::iter::repeat_with(Arbiter::new).take(4).collect();
        let cancel = CancelToken::default();
        let handoff = Arc::new(Handoff::new(parts.handoff));

        let broadcaster = SessionBroadcaster::new(
            BroadcasterParts {
                session: parts.session,
                stream: parts.stream,
                provenance: parts.provenance,
                sink: parts.sink,
                clock: Arc::clone(&parts.clock),
                closed: supervisor.clone().recipient(),
            },
            guard(ChildKind::SessionBroadcaster),
        );
        let broadcaster = start(&arbiters[0], broadcaster);

        let worker = InferenceWorker::new(
            (parts.model)(),
            Arc::clone(&parts.clock),
            guard(ChildKind::InferenceWorker),
        );
        let worker = start(&arbiters[1], worker);

        let preprocessor = Preprocessor::new(
            PreprocessorParts {
                handoff: Arc::clone(&handoff),
                tracker: parts.tracker,
                sampler: parts.sampler,
                marks: parts.marks,
                policy: parts.policy,
                worker,
                broadcaster: broadcaster.clone(),
                clock: Arc::clone(&parts.clock),
            },
            guard(ChildKind::Preprocessor),
        );
        let preprocessor = start(&arbiters[2], preprocessor);

        let decoder = Decoder::new(
            DecoderParts {
                factory: parts.source,
                cancel: cancel.clone(),
                handoff,
                preprocessor: preprocessor.clone(),
                broadcaster,
                failed: supervisor.clone().recipient(),
                clock: parts.clock,
                pace: parts.pace,
                max_frames: parts.max_frames,
            },
            guard(ChildKind::Decoder),
        );
        let decoder = start(&arbiters[3], decoder);

        // Mailboxes are empty and their actors were just started: both messages find room.
        let _ = preprocessor.try_send(AttachDecoder(decoder.clone().recipient()));
        let _ = decoder.try_send(StartDecoding);
        Self { cancel, decoder, arbiters }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.cancel.cancel();
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

fn start<A>(arbiter: &Arbiter, actor: A) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Send,
{
    A::start_in_arbiter(&arbiter.handle(), move |_| actor)
}

impl Actor for StreamSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.build_family(ctx);
    }
}

impl Handler<StopStream> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: StopStream, ctx: &mut Self::Context) {
        self.stop(ctx);
    }
}

impl Handler<SourceFailed> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, SourceFailed(error): SourceFailed, ctx: &mut Self::Context) {
        self.conclude(StreamOutcome::SourceFailed(error), ctx);
    }
}

impl Handler<SessionClosed> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, closed: SessionClosed, ctx: &mut Self::Context) {
        self.conclude(StreamOutcome::Closed(closed), ctx);
    }
}

impl Handler<ChildExited> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Self::Context) {
        if exited.generation == self.generation && exited.how == ExitKind::Panicked {
            self.conclude(StreamOutcome::Crashed(exited.child), ctx);
        }
    }
}
