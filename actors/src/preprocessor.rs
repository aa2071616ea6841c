//! `Preprocessor`: takes frames from the hand-off and leads each through sampling, inference and tracking.
//!
//! The region of a frame comes from the landmarks of the frame before it, so one frame is in flight: sample,
//! `Infer`, `Inferred`, perhaps again for a second network, then `PublishFrame`. It owns the stream's Tracker
//! and the running frame account. It never blocks: it waits for `FrameReady` or `Inferred`.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::SendError;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};

use crate::broadcaster::{PublishFrame, SessionBroadcaster};
use crate::decoder::RoomMade;
use crate::domain::{DropReason, EndReason, FrameAccount, FrameAnalyzed, Pose, StageLatency, VideoFrame};
use crate::guard::ExitGuard;
use crate::handoff::{Handed, Handoff, HandoffEnd};
use crate::inference::{Infer, InferInput, InferenceError, InferenceWorker, Inferred, Pulse};
use crate::lanes::LaneSeat;
use crate::ledger::{ConnectionTicket, SessionLedger};
use crate::policy::FramePolicy;
use crate::ports::{
    CancelToken, Clock, MarkReader, NetworkId, SampleRequest, Sampler, SourceErrorKind, Tracker, TrackerStep,
};

/// Time between looks at a shared lane whose worker may have been abandoned.
const LANE_LOOK: Duration = Duration::from_millis(250);
/// How long a frame waits for a lane that gets no thread for a worker, before the stream says so.
const WORKER_WAIT: Duration = Duration::from_secs(5);
/// Workers that one frame may take down before it is dropped.
const WORKERS_A_FRAME: u32 = 2;

/// The hand-off holds something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FrameReady;

/// Tells the preprocessor whom to call when it has made room in the hand-off. Sent once, before any frame.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AttachDecoder(pub Recipient<RoomMade>);

/// Every frame of the connection was led to its end, and its events are on their way.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ConnectionEnded {
    /// Why.
    pub reason: EndReason,
    /// What kind of failure it was, when the source failed.
    pub failure: Option<SourceErrorKind>,
    /// Which build of the family it was.
    pub generation: u64,
}

/// Who runs a stream's networks.
pub enum Lane {
    /// A worker of the stream's own, which fails together with it.
    Own(Addr<InferenceWorker>),
    /// A worker that outlives the stream and that others use too.
    Shared(Arc<LaneSeat>),
}

/// What a preprocessor is built from.
pub struct PreprocessorParts {
    /// Where frames come from.
    pub handoff: Arc<Handoff>,
    /// Says that the stream is to end: frames that wait are then dropped and counted.
    pub cancel: CancelToken,
    /// The stream's memory.
    pub tracker: Box<dyn Tracker>,
    /// Reads regions out of pictures.
    pub sampler: Box<dyn Sampler>,
    /// Reads drawn numbers, if the stream asks for them.
    pub marks: Option<Box<dyn MarkReader>>,
    /// Which frames are analysed.
    pub policy: FramePolicy,
    /// The lane that the stream is pinned to.
    pub lane: Lane,
    /// Who publishes.
    pub broadcaster: Addr<SessionBroadcaster>,
    /// Who is told when nothing follows.
    pub ended: Recipient<ConnectionEnded>,
    /// Where the account is kept.
    pub ledger: Arc<SessionLedger>,
    /// With which it may be written.
    pub ticket: ConnectionTicket,
    /// Which build of the family this is.
    pub generation: u64,
    /// Shows that it is at work, so that a hang in it is seen.
    pub pulse: Arc<Pulse>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The actor.
pub struct Preprocessor {
    parts: PreprocessorParts,
    decoder: Option<Recipient<RoomMade>>,
    account: FrameAccount,
    epoch: u32,
    in_flight: Option<InFlight>,
    /// The network input, lent to the worker and given back with its answer.
    buffer: Vec<f32>,
    next_ticket: u64,
    state: Flow,
    _guard: ExitGuard,
}

/// Whether the preprocessor may begin another frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// The broadcaster has no room; its answer opens the flow again.
    Publishing,
    Ended,
}

struct InFlight {
    frame: Box<VideoFrame>,
    ticket: u64,
    /// What was asked last, to be asked again of a fresh worker.
    question: Option<(NetworkId, SampleRequest)>,
    /// Which build of a shared worker was asked; `None`: there was no thread for one.
    worker: Option<u64>,
    /// Workers that were lost while they worked on this frame.
    workers_lost: u32,
    begun_us: u64,
    asked_us: u64,
    inference_us: u64,
}

impl Preprocessor {
    /// A preprocessor that waits for frames.
    #[must_use]
    pub fn new(parts: PreprocessorParts, guard: ExitGuard) -> Self {
        Self {
            account: parts.ledger.settled_account(),
            parts,
            decoder: None,
            epoch: 0,
            in_flight: None,
            buffer: Vec::new(),
            next_ticket: 0,
            state: Flow::Open,
            _guard: guard,
        }
    }

    /// Begins frames until one is in flight or there is none. Once the stream is to end, none is begun any more.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        while self.state == Flow::Open && self.in_flight.is_none() {
            if self.parts.cancel.is_cancelled() {
                return self.wind_up(ctx);
            }
            let (handed, decoder_waits) = self.parts.handoff.take();
            if let (true, Some(decoder)) = (decoder_waits, &self.decoder) {
                // One call a wait, so the mailbox has room.
                let _ = decoder.try_send(RoomMade);
            }
            match handed {
                Handed::Frame(frame) => {
                    self.work(|actor| actor.begin(frame, ctx));
                    self.settle();
                }
                Handed::End(end) => self.end(end, ctx),
                Handed::Empty => return,
            }
        }
    }

    /// Does one piece of work under the eyes of who watches the pulse.
    fn work(&mut self, piece: impl FnOnce(&mut Self)) {
        self.parts.pulse.set(self.parts.clock.monotonic_us().max(1));
        piece(self);
        self.parts.pulse.set(0);
    }

    /// Drops what waits, and ends if that was all.
    fn wind_up(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut end) = self.drop_queued(DropReason::Stopped) {
            // A file that was read to its end but not analysed to its end was stopped.
            if self.account.dropped_for(DropReason::Stopped) > 0 && end.failure.is_none() {
                end.reason = EndReason::Stopped;
            }
            self.end(end, ctx);
        }
    }

    /// Drops the frames that wait in the hand-off, each with the account it carries; gives the end if it is there.
    fn drop_queued(&mut self, reason: DropReason) -> Option<HandoffEnd> {
        let end = loop {
            match self.parts.handoff.take().0 {
                Handed::Frame(frame) => {
                    self.account.add(&frame.account);
                    self.account.drop_received(1, reason);
                }
                Handed::End(end) => break Some(end),
                Handed::Empty => break None,
            }
        };
        self.settle();
        end
    }

    fn begin(&mut self, frame: Box<VideoFrame>, ctx: &mut Context<Self>) {
        self.account.add(&frame.account);
        if frame.epoch != self.epoch {
            self.epoch = frame.epoch;
            self.parts.tracker.reset();
            self.parts.policy.reset();
        }
        if frame.corrupt {
            self.account.drop_received(1, DropReason::Corrupt);
            return;
        }
        if !self.parts.policy.admits(frame.index, frame.media_us) {
            self.account.skipped += 1;
            return;
        }
        let begun_us = self.parts.clock.monotonic_us();
        let step = self.parts.tracker.begin(frame.picture.displayed_size(), frame.media_us);
        self.in_flight = Some(InFlight {
            frame,
            ticket: 0,
            question: None,
            worker: None,
            workers_lost: 0,
            begun_us,
            asked_us: 0,
            inference_us: 0,
        });
        self.follow(step, ctx);
    }

    fn follow(&mut self, step: TrackerStep, ctx: &mut Context<Self>) {
        match step {
            TrackerStep::Infer(network, request) => self.ask(network, &request, ctx),
            TrackerStep::Done(poses) => self.complete(poses, ctx),
        }
    }

    fn ask(&mut self, network: NetworkId, request: &SampleRequest, ctx: &mut Context<Self>) {
        let Some(flight) = self.in_flight.as_mut() else {
            return;
        };
        self.next_ticket += 1;
        flight.ticket = self.next_ticket;
        flight.question = Some((network, *request));
        let worker = match &self.parts.lane {
            Lane::Own(worker) => Ok((worker.clone(), 0)),
            Lane::Shared(seat) => seat.worker(),
        };
        flight.worker = worker.as_ref().ok().map(|&(_, generation)| generation);
        let worker = match worker {
            Ok((worker, _)) => worker,
            Err(error) => return self.wait_for_worker(&error, ctx),
        };
        let picture = &flight.frame.picture;
        let input = if self.parts.sampler.leaves_to_model(&**picture, request) {
            InferInput::Region(Arc::clone(picture), *request)
        } else {
            let mut input = std::mem::take(&mut self.buffer);
            if let Err(message) = self.parts.sampler.sample(&**picture, request, &mut input) {
                self.buffer = input;
                return self.fail(format!("preprocessing failed: {message}"), ctx);
            }
            InferInput::Sampled(input)
        };
        flight.asked_us = self.parts.clock.monotonic_us();
        let infer = Infer::new((flight.ticket, flight.asked_us), network, input, ctx.address().recipient());
        // A request that is not taken is dropped and answers itself: the worker is lost.
        let _ = worker.try_send(infer);
    }

    /// The lane has no thread for a worker: the next look asks again, for a while.
    fn wait_for_worker(&mut self, error: &std::io::Error, ctx: &mut Context<Self>) {
        let begun_us = self.in_flight.as_ref().map_or(0, |flight| flight.begun_us);
        let waited_us = self.parts.clock.monotonic_us().saturating_sub(begun_us);
        if Duration::from_micros(waited_us) >= WORKER_WAIT {
            self.fail(format!("inference failed: {error}"), ctx);
        }
    }

    /// No answer will come. A frame is tried with a fresh worker unless it has taken down too many.
    fn worker_lost(&mut self, begun: bool, ctx: &mut Context<Self>) {
        if matches!(self.parts.lane, Lane::Own(_)) {
            // The supervisor hears of it too, and replaces this value as well.
            return;
        }
        let Some(flight) = self.in_flight.as_mut() else {
            return;
        };
        flight.workers_lost += u32::from(begun);
        match flight.question.take() {
            Some((network, request)) if flight.workers_lost < WORKERS_A_FRAME => {
                self.ask(network, &request, ctx)
            }
            _ => self.lose_in_flight(),
        }
    }

    /// A worker that hangs is replaced without a word from it, and one that could not be built is built at last.
    fn look_at_lane(&mut self, ctx: &mut Context<Self>) {
        let (Lane::Shared(seat), Some(flight)) = (&self.parts.lane, &self.in_flight) else { return };
        match flight.worker {
            None if self.parts.cancel.is_cancelled() => self.lose_in_flight(),
            None => self.worker_lost(false, ctx),
            Some(asked) if asked != seat.generation() => self.worker_lost(true, ctx),
            Some(_) => return,
        }
        self.pump(ctx);
    }

    /// Writes the account down; false when this connection was thrown away.
    fn settle(&self) -> bool {
        self.parts.ledger.settle(self.parts.ticket, self.account)
    }

    fn inferred(&mut self, answer: Inferred, ctx: &mut Context<Self>) {
        if !answer.input.is_empty() {
            self.buffer = answer.input;
        }
        let Some(flight) = self.in_flight.as_mut().filter(|flight| flight.ticket == answer.ticket) else {
            return;
        };
        if let Err(InferenceError::WorkerLost { begun }) = answer.output {
            return self.worker_lost(begun, ctx);
        }
        flight.inference_us += answer.done_at_us.saturating_sub(flight.asked_us);
        match answer.output {
            Ok(output) => {
                let step = self.parts.tracker.advance(output);
                self.follow(step, ctx);
            }
            Err(InferenceError::Refused(message)) => self.fail(format!("inference failed: {message}"), ctx),
            Err(InferenceError::WorkerLost { .. }) => {}
        }
    }

    fn complete(&mut self, poses: Vec<Pose>, ctx: &mut Context<Self>) {
        let Some(flight) = self.in_flight.take() else {
            return;
        };
        self.account.analyzed += 1;
        let ready_us = self.parts.clock.monotonic_us();
        let mark = self.parts.marks.as_mut().and_then(|marks| marks.read(&*flight.frame.picture));
        if !self.settle() {
            return;
        }
        let result = analyzed(&flight, poses, mark, ready_us, self.account);
        self.publish(PublishFrame { result, ready_us }, ctx);
    }

    fn publish(&mut self, message: PublishFrame, ctx: &mut Context<Self>) {
        match self.parts.broadcaster.try_send(message) {
            // A broadcaster that is gone is the supervisor's concern.
            Ok(()) | Err(SendError::Closed(_)) => {}
            Err(SendError::Full(message)) => {
                self.state = Flow::Publishing;
                let sent = self.parts.broadcaster.send(message).into_actor(self).map(|_, actor, ctx| {
                    actor.state = Flow::Open;
                    actor.pump(ctx);
                });
                ctx.spawn(sent);
            }
        }
    }

    /// A frame whose worker is gone or full is dropped; the tracker must not remember half a frame.
    fn lose_in_flight(&mut self) {
        if self.in_flight.take().is_some() {
            self.account.drop_received(1, DropReason::WorkerRestart);
            self.parts.tracker.reset();
            self.settle();
        }
    }

    fn fail(&mut self, message: String, ctx: &mut Context<Self>) {
        self.lose_in_flight();
        // A frame that waits for room with the decoder is counted with its connection.
        let account = self.drop_queued(DropReason::WorkerRestart).map(|end| end.account).unwrap_or_default();
        let reason = EndReason::PipelineFailed(message);
        self.end(HandoffEnd { reason, failure: None, account }, ctx);
    }

    fn end(&mut self, end: HandoffEnd, ctx: &mut Context<Self>) {
        self.state = Flow::Ended;
        self.account.add(&end.account);
        self.settle();
        let message =
            ConnectionEnded { reason: end.reason, failure: end.failure, generation: self.parts.generation };
        // `send` waits for room, so the end is never lost behind a full mailbox.
        let sent = self.parts.ended.send(message).into_actor(self);
        ctx.spawn(sent.map(|_, _, _| ()));
    }
}

fn analyzed(
    flight: &InFlight,
    poses: Vec<Pose>,
    mark: Option<u32>,
    ready_us: u64,
    account: FrameAccount,
) -> FrameAnalyzed {
    let frame = &flight.frame;
    let extraction_us = ready_us.saturating_sub(flight.begun_us);
    FrameAnalyzed {
        epoch: frame.epoch,
        index: frame.index,
        pts: frame.pts,
        timebase: frame.timebase,
        media_us: frame.media_us,
        size: frame.picture.displayed_size(),
        mark,
        captured: frame.captured,
        poses,
        latency: StageLatency {
            decode_us: frame.decode_us,
            queue_us: flight.begun_us.saturating_sub(frame.decoded_at_us),
            preprocess_us: extraction_us.saturating_sub(flight.inference_us),
            inference_us: flight.inference_us,
            publish_us: 0,
        },
        account,
    }
}

impl Actor for Preprocessor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if matches!(self.parts.lane, Lane::Shared(_)) {
            ctx.run_interval(LANE_LOOK, |actor, ctx| actor.look_at_lane(ctx));
        }
    }
}

impl Handler<AttachDecoder> for Preprocessor {
    type Result = ();

    fn handle(&mut self, attach: AttachDecoder, _: &mut Self::Context) {
        self.decoder = Some(attach.0);
    }
}

impl Handler<FrameReady> for Preprocessor {
    type Result = ();

    fn handle(&mut self, _: FrameReady, ctx: &mut Self::Context) {
        self.parts.handoff.listen();
        self.pump(ctx);
    }
}

impl Handler<Inferred> for Preprocessor {
    type Result = ();

    fn handle(&mut self, answer: Inferred, ctx: &mut Self::Context) {
        self.work(|actor| actor.inferred(answer, ctx));
        self.pump(ctx);
    }
}
