//! `InferenceWorker`: runs the networks of a model on one lane, for the streams that are pinned to it.
//!
//! One worker has one thread and one model value; the weights behind it are shared. It keeps nothing between
//! requests: the memory of a stream is its Tracker. It answers by message, since the asker must stay free; a
//! request that is dropped without an answer, by a panic or with a mailbox, says so itself. On a device that is faster
//! with several images it gathers requests by the rules of [`Batcher`], which it asks only when its mailbox is empty. A worker whose device failed ends: its lane
//! builds a fresh one, or learns that none will work again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};

use crate::batch::{BatchPolicy, Batcher, Due};
use crate::domain::Picture;
use crate::guard::ExitGuard;
use crate::ports::{Clock, ModelHealth, ModelInput, ModelOutput, NetworkId, PoseModel, SampleRequest};

/// Each stream of a lane has one request under way; so many streams fit on a lane.
const MAILBOX: usize = 1_024;

/// Run a network.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Infer {
    network: NetworkId,
    debt: Debt,
}

impl Infer {
    /// A request made at `asked_us`, in monotonic microseconds. A sampled input comes back with the answer, to be used again.
    #[must_use]
    pub fn new(
        (ticket, asked_us): (u64, u64),
        network: NetworkId,
        input: InferInput,
        reply_to: Recipient<Inferred>,
    ) -> Self {
        let debt = Debt { ticket, asked_us, input, reply_to: Some(reply_to), begun: false };
        Self { network, debt }
    }
}

/// What a network is to be run on.
pub enum InferInput {
    /// As the sampler made it.
    Sampled(Vec<f32>),
    /// What the model samples itself. The picture stays until the answer.
    Region(Arc<dyn Picture>, SampleRequest),
}

impl InferInput {
    fn lend(&self) -> ModelInput<'_> {
        match self {
            Self::Sampled(input) => ModelInput::Sampled(input),
            Self::Region(picture, request) => ModelInput::Region(&**picture, request),
        }
    }

    fn into_buffer(self) -> Vec<f32> {
        match self {
            Self::Sampled(input) => input,
            Self::Region(..) => Vec::new(),
        }
    }
}

/// The answer to [`Infer`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inferred {
    /// The request's ticket.
    pub ticket: u64,
    /// The request's input buffer; empty if it had none.
    pub input: Vec<f32>,
    /// What the network made of it, or why it did not.
    pub output: Result<ModelOutput, InferenceError>,
    /// When the network was done, in monotonic microseconds; 0 when it was not.
    pub done_at_us: u64,
}

/// Why there is no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InferenceError {
    /// The model says why.
    Refused(String),
    /// The worker is gone.
    WorkerLost {
        /// Whether it was working on this very request, which may then be the cause.
        begun: bool,
    },
}

/// The promise of an answer, kept in any case.
struct Debt {
    ticket: u64,
    asked_us: u64,
    input: InferInput,
    reply_to: Option<Recipient<Inferred>>,
    begun: bool,
}

impl Debt {
    /// A number that tells who asks; the asker itself is not kept, it has to be able to end.
    fn stream(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.reply_to.hash(&mut hasher);
        hasher.finish()
    }

    fn pay(&mut self, output: Result<ModelOutput, InferenceError>, done_at_us: u64) {
        let Some(reply_to) = self.reply_to.take() else { return };
        // One request a stream is under way, so its mailbox has room; an asker that is gone needs no answer.
        let _ = reply_to.try_send(Inferred {
            ticket: self.ticket,
            input: std::mem::replace(&mut self.input, InferInput::Sampled(Vec::new())).into_buffer(),
            output,
            done_at_us,
        });
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.pay(Err(InferenceError::WorkerLost { begun: self.begun }), 0);
    }
}

/// Since when a part has been busy with one piece of work: its heartbeat, for whoever watches it.
#[derive(Debug, Default)]
pub struct Pulse {
    since_us: AtomicU64,
    busy_us: AtomicU64,
    is_lost: AtomicBool,
}

impl Pulse {
    /// Since when it has been at one request, in monotonic microseconds; `None` when it is idle.
    #[must_use]
    pub fn busy_since_us(&self) -> Option<u64> {
        Some(self.since_us.load(Ordering::Acquire)).filter(|&since| since > 0)
    }

    /// Busy since `since_us`; idle when that is 0.
    pub(crate) fn set(&self, since_us: u64) {
        self.since_us.store(since_us, Ordering::Release);
    }

    /// How long it has been busy in all, with what is done.
    #[must_use]
    pub fn busy_us(&self) -> u64 {
        self.busy_us.load(Ordering::Acquire)
    }

    /// Whether its device will not do anything in this process again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }
}

/// Told by the worker to itself: all requests that were made so far are offered.
#[derive(Message)]
#[rtype(result = "()")]
struct RunDue;

/// The actor.
pub struct InferenceWorker {
    model: Box<dyn PoseModel>,
    clock: Arc<dyn Clock>,
    pulse: Arc<Pulse>,
    batcher: Batcher<Debt>,
    /// Streams of the lane, of which each may have a request.
    streams: Arc<AtomicUsize>,
    alarm: Option<SpawnHandle>,
    /// Whether [`RunDue`] is on its way.
    is_called: bool,
    _guard: Option<ExitGuard>,
}

impl InferenceWorker {
    /// A worker with a fresh model value, which takes each request by itself.
    #[must_use]
    pub fn new(
        model: Box<dyn PoseModel>,
        clock: Arc<dyn Clock>,
        pulse: Arc<Pulse>,
        guard: Option<ExitGuard>,
    ) -> Self {
        let batcher = Batcher::new(BatchPolicy::ALONE);
        Self {
            model,
            clock,
            pulse,
            batcher,
            streams: Arc::default(),
            alarm: None,
            is_called: false,
            _guard: guard,
        }
    }

    /// The same for a lane of so many streams, whose requests are gathered.
    #[must_use]
    pub fn gathering(self, policy: BatchPolicy, streams: Arc<AtomicUsize>) -> Self {
        Self { batcher: Batcher::new(policy), streams, ..self }
    }

    /// Runs what is due, one batch at most, and comes back when something else is.
    fn run_due(&mut self, ctx: &mut Context<Self>) {
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        let now_us = self.clock.monotonic_us();
        match self.batcher.due(now_us, self.streams.load(Ordering::Acquire)) {
            Due::Now(network, debts) => {
                if !self.infer(network, debts) {
                    // What still waits says itself that the worker is lost.
                    return ctx.stop();
                }
                self.call(ctx);
            }
            Due::At(time_us) => {
                let wait = Duration::from_micros(time_us.saturating_sub(now_us));
                self.alarm = Some(ctx.run_later(wait, |worker, ctx| worker.run_due(ctx)));
            }
            Due::Idle => {}
        }
    }

    /// Has the batcher asked once the mailbox is empty. While a batch ran, others asked: actix empties the mailbox before it
    /// looks at what an actor tells itself.
    fn call(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.is_called, true) {
            ctx.notify(RunDue);
        }
    }

    /// Pays these debts; false when this worker is of no more use.
    fn infer(&mut self, network: NetworkId, mut debts: Vec<Debt>) -> bool {
        debts.iter_mut().for_each(|debt| debt.begun = true);
        // Zero means idle; the first microsecond of the clock is as good as the second.
        let begun_at_us = self.clock.monotonic_us();
        self.pulse.set(begun_at_us.max(1));
        let outputs = self.run(network, &debts);
        self.pulse.set(0);
        let done_at_us = self.clock.monotonic_us();
        self.pulse.busy_us.fetch_add(done_at_us.saturating_sub(begun_at_us), Ordering::AcqRel);
        match outputs {
            Ok(outputs) => {
                for (debt, output) in debts.iter_mut().zip(outputs) {
                    debt.pay(Ok(output), done_at_us);
                }
                true
            }
            Err(message) => self.refuse(&mut debts, &message, done_at_us),
        }
    }

    fn run(&mut self, network: NetworkId, debts: &[Debt]) -> Result<Vec<ModelOutput>, String> {
        let inputs: Vec<ModelInput<'_>> = debts.iter().map(|debt| debt.input.lend()).collect();
        let sampled = inputs.iter().map(|input| match input {
            ModelInput::Sampled(input) => Some(*input),
            ModelInput::Region(..) => None,
        });
        match sampled.collect::<Option<Vec<&[f32]>>>().as_deref() {
            None => self.model.infer_regions(network, &inputs),
            Some([input]) => self.model.infer(network, input).map(|output| vec![output]),
            Some(inputs) => self.model.infer_batch(network, inputs),
        }
    }

    /// A model that is sound has refused; otherwise the debts say that they are lost.
    fn refuse(&mut self, debts: &mut [Debt], message: &str, done_at_us: u64) -> bool {
        match self.model.health() {
            ModelHealth::Sound => {
                let error = || Err(InferenceError::Refused(message.to_owned()));
                debts.iter_mut().for_each(|debt| debt.pay(error(), done_at_us));
                true
            }
            ModelHealth::Broken => false,
            ModelHealth::Lost => {
                self.pulse.is_lost.store(true, Ordering::Release);
                false
            }
        }
    }
}

impl Actor for InferenceWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Infer> for InferenceWorker {
    type Result = ();

    fn handle(&mut self, Infer { network, debt }: Infer, ctx: &mut Self::Context) {
        let (stream, asked_us) = (debt.stream(), debt.asked_us);
        self.batcher.offer(stream, network, debt, asked_us);
        self.call(ctx);
    }
}

impl Handler<RunDue> for InferenceWorker {
    type Result = ();

    fn handle(&mut self, _: RunDue, ctx: &mut Self::Context) {
        self.is_called = false;
        self.run_due(ctx);
    }
}
