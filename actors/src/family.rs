//! What a stream's actors are built from, and the two groups that live and end together: a session and its
//! connections.

use std::io;
use std::sync::Arc;

use actix::{Actor, Addr, ArbiterHandle, Context};

use crate::broadcaster::{BroadcasterParts, SessionBroadcaster};
use crate::crew::{ArbiterSource, Crew};
use crate::decoder::{Decoder, DecoderParts, Pace, StartDecoding, StopDecoding};
use crate::domain::{Provenance, SessionId, SourceFields};
use crate::guard::{ChildKind, ExitGuard};
use crate::handoff::{Handoff, HandoffPolicy};
use crate::inference::{InferenceWorker, Pulse};
use crate::lanes::LaneSeat;
use crate::ledger::SessionLedger;
use crate::policy::FramePolicy;
use crate::ports::{
    CancelToken, Clock, EventSink, MarkReader, ModelFactory, Sampler, SourceFactory, Tracker,
};
use crate::preprocessor::{AttachDecoder, Lane, Preprocessor, PreprocessorParts};
use crate::supervisor::StreamSupervisor;
use crate::threads::SignOfLife;

/// What a session is: chosen anew whenever its stream is started.
pub struct SessionParts {
    /// Identity of the session.
    pub id: SessionId,
    /// Told in the first event.
    pub provenance: Provenance,
}

/// Everything a connection is built from; fresh for each build.
pub struct ConnectionParts {
    /// Opens the source.
    pub source: Box<dyn SourceFactory>,
    /// What a full hand-off does.
    pub handoff: HandoffPolicy,
    /// Speed of files.
    pub pace: Pace,
    /// A file begins again at its end.
    pub looped: bool,
    /// Frames of the session after which the stream ends.
    pub max_frames: Option<u64>,
    /// Which frames are analysed.
    pub policy: FramePolicy,
    /// Reads regions.
    pub sampler: Box<dyn Sampler>,
    /// The stream's memory.
    pub tracker: Box<dyn Tracker>,
    /// Reads drawn numbers.
    pub marks: Option<Box<dyn MarkReader>>,
    /// Runs networks.
    pub lane: LaneChoice,
}

/// Where a stream's networks run.
pub enum LaneChoice {
    /// On a thread of the stream's own.
    Own(ModelFactory),
    /// On a lane that others use too.
    Shared(Arc<LaneSeat>),
}

/// What every actor of a family is told.
pub(crate) struct Kin {
    pub(crate) supervisor: Addr<StreamSupervisor>,
    pub(crate) generation: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) arbiters: ArbiterSource,
}

impl Kin {
    fn guard(&self, child: ChildKind) -> ExitGuard {
        ExitGuard::new(child, self.generation, self.supervisor.clone().recipient())
    }
}

/// A session that runs: its ledger, and the broadcaster that writes it.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) provenance: Provenance,
    pub(crate) ledger: Arc<SessionLedger>,
    pub(crate) broadcaster: Addr<SessionBroadcaster>,
    /// Which build of the broadcaster this is.
    pub(crate) generation: u64,
    /// The broadcaster is gone, and there was no thread for a fresh one yet.
    pub(crate) is_lost: bool,
    _crew: Crew,
}

impl Session {
    /// Builds a broadcaster for a new session, or a fresh one for a session whose ledger goes on.
    pub(crate) fn build(
        parts: SessionParts,
        ledger: Arc<SessionLedger>,
        stream: Arc<str>,
        named: SourceFields,
        sink: Box<dyn EventSink>,
        Post { kin, crew, arbiter }: Post,
    ) -> Self {
        let parts = BroadcasterParts {
            session: parts.id.clone(),
            stream,
            provenance: parts.provenance.clone(),
            named,
            sink,
            ledger: Arc::clone(&ledger),
            clock: Arc::clone(&kin.clock),
            generation: kin.generation,
            flowing: kin.supervisor.clone().recipient(),
            closed: kin.supervisor.clone().recipient(),
        };
        let (id, provenance) = (parts.session.clone(), parts.provenance.clone());
        let guard = kin.guard(ChildKind::SessionBroadcaster);
        let broadcaster = start(&arbiter, SessionBroadcaster::new(parts, guard));
        let generation = kin.generation;
        Self { id, provenance, ledger, broadcaster, generation, is_lost: false, _crew: crew }
    }
}

/// A thread for a broadcaster. It comes first: a session without one should neither be named nor get a sink, which would
/// end what is remembered of it when it is dropped.
pub(crate) struct Post {
    kin: Kin,
    crew: Crew,
    arbiter: ArbiterHandle,
}

impl Post {
    /// A thread for the broadcaster that is to be built for `kin`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn hire(kin: Kin) -> io::Result<Self> {
        let mut crew = Crew::default();
        let arbiter = crew.hire(ChildKind::SessionBroadcaster, &kin.arbiters)?;
        Ok(Self { kin, crew, arbiter })
    }
}

/// One connection to the source.
pub(crate) struct Connection {
    pub(crate) generation: u64,
    cancel: CancelToken,
    decoder: Addr<Decoder>,
    preprocessing: Arc<Pulse>,
    lives: [SignOfLife; 2],
    _crew: Crew,
}

impl Connection {
    /// Builds the parts of a connection and lets them begin.
    ///
    /// # Errors
    /// When there is no thread for one of them; then none is left running.
    pub(crate) fn build(parts: ConnectionParts, session: &Session, kin: &Kin) -> io::Result<Self> {
        // A try without threads is one too: nothing has come of it.
        let ticket = session.ledger.open_connection(kin.clock.monotonic_us());
        let mut crew = Crew::default();
        let children = [ChildKind::Preprocessor, ChildKind::Decoder];
        let [for_preprocessor, for_decoder] = children.map(|child| crew.hire(child, &kin.arbiters));
        let (for_preprocessor, for_decoder) = (for_preprocessor?, for_decoder?);
        let lane = lane(parts.lane, kin, &mut crew)?;
        let cancel = CancelToken::default();
        let handoff = Arc::new(Handoff::new(parts.handoff));
        let preprocessing = Arc::new(Pulse::default());
        let guards = [kin.guard(ChildKind::Preprocessor), kin.guard(ChildKind::Decoder)];
        let lives = guards.each_ref().map(ExitGuard::sign_of_life);
        let [preprocessor_guard, decoder_guard] = guards;
        let preprocessor = PreprocessorParts {
            handoff: Arc::clone(&handoff),
            cancel: cancel.clone(),
            tracker: parts.tracker,
            sampler: parts.sampler,
            marks: parts.marks,
            policy: parts.policy,
            lane,
            broadcaster: session.broadcaster.clone(),
            ended: kin.supervisor.clone().recipient(),
            ledger: Arc::clone(&session.ledger),
            ticket,
            generation: kin.generation,
            pulse: Arc::clone(&preprocessing),
            clock: Arc::clone(&kin.clock),
        };
        let preprocessor = Preprocessor::new(preprocessor, preprocessor_guard);
        let preprocessor = start(&for_preprocessor, preprocessor);
        let decoder = DecoderParts {
            factory: parts.source,
            cancel: cancel.clone(),
            handoff,
            preprocessor: preprocessor.clone(),
            broadcaster: session.broadcaster.clone(),
            failed: kin.supervisor.clone().recipient(),
            clock: Arc::clone(&kin.clock),
            ledger: Arc::clone(&session.ledger),
            ticket,
            generation: kin.generation,
            pace: parts.pace,
            looped: parts.looped,
            max_frames: parts.max_frames,
        };
        let decoder = start(&for_decoder, Decoder::new(decoder, decoder_guard));
        // Mailboxes are empty and their actors were just started: both messages find room.
        let _ = preprocessor.try_send(AttachDecoder(decoder.clone().recipient()));
        let _ = decoder.try_send(StartDecoding);
        Ok(Self { generation: kin.generation, cancel, decoder, preprocessing, lives, _crew: crew })
    }

    /// Since when the preprocessor has been at one frame without waiting for anyone.
    pub(crate) fn preprocessing_since_us(&self) -> Option<u64> {
        self.preprocessing.busy_since_us()
    }

    /// Which of its threads still run can be told by these.
    pub(crate) fn lives(&self) -> [SignOfLife; 2] {
        self.lives.clone()
    }

    /// Ends the frames; the one in flight is still analysed.
    pub(crate) fn stop(&self) {
        self.cancel.cancel();
        // A decoder whose mailbox is full or closed hears of the end through the token.
        let _ = self.decoder.try_send(StopDecoding);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Its crew hears the end after this, when the fields are dropped.
        self.cancel.cancel();
    }
}

fn lane(choice: LaneChoice, kin: &Kin, crew: &mut Crew) -> io::Result<Lane> {
    match choice {
        LaneChoice::Shared(seat) => Ok(Lane::Shared(seat)),
        LaneChoice::Own(model) => {
            let arbiter = crew.hire(ChildKind::InferenceWorker, &kin.arbiters)?;
            let guard = kin.guard(ChildKind::InferenceWorker);
            let (clock, pulse) = (Arc::clone(&kin.clock), Arc::new(Pulse::default()));
            let worker = InferenceWorker::new(model(), clock, pulse, Some(guard));
            Ok(Lane::Own(start(&arbiter, worker)))
        }
    }
}

fn start<A>(arbiter: &ArbiterHandle, actor: A) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Send,
{
    A::start_in_arbiter(arbiter, move |_| actor)
}
