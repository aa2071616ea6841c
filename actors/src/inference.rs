//! `InferenceWorker`: runs the networks of a model on one lane, for the streams that are pinned to it.
//!
//! One worker has one thread and one model value; the weights behind it are shared. It keeps nothing between
//! requests: the memory of a stream is its Tracker. It answers by message, since the asker must stay free; a
//! request that is dropped without an answer, by a panic or with a mailbox, says so itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Actor, Context, Handler, Message, Recipient};

use crate::guard::ExitGuard;
use crate::ports::{Clock, ModelOutput, NetworkId, PoseModel};

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
    /// A request. `input` is as the sampler made it; it comes back with the answer, to be used again.
    #[must_use]
    pub fn new(ticket: u64, network: NetworkId, input: Vec<f32>, reply_to: Recipient<Inferred>) -> Self {
        let debt = Debt { ticket, input, reply_to: Some(reply_to), begun: false };
        Self { network, debt }
    }
}

/// The answer to [`Infer`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inferred {
    /// The request's ticket.
    pub ticket: u64,
    /// The request's input buffer.
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
    input: Vec<f32>,
    reply_to: Option<Recipient<Inferred>>,
    begun: bool,
}

impl Debt {
    fn pay(&mut self, output: Result<ModelOutput, InferenceError>, done_at_us: u64) {
        let Some(reply_to) = self.reply_to.take() else { return };
        // One request a stream is under way, so its mailbox has room; an asker that is gone needs no answer.
        let _ = reply_to.try_send(Inferred {
            ticket: self.ticket,
            input: std::mem::take(&mut self.input),
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
pub struct Pulse(AtomicU64);

impl Pulse {
    /// Since when it has been at one request, in monotonic microseconds; `None` when it is idle.
    #[must_use]
    pub fn busy_since_us(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|&since| since > 0)
    }

    /// Busy since `since_us`; idle when that is 0.
    pub(crate) fn set(&self, since_us: u64) {
        self.0.store(since_us, Ordering::Release);
    }
}

/// The actor.
pub struct InferenceWorker {
    model: Box<dyn PoseModel>,
    clock: Arc<dyn Clock>,
    pulse: Arc<Pulse>,
    _guard: Option<ExitGuard>,
}

impl InferenceWorker {
    /// A worker with a fresh model value.
    #[must_use]
    pub fn new(
        model: Box<dyn PoseModel>,
        clock: Arc<dyn Clock>,
        pulse: Arc<Pulse>,
        guard: Option<ExitGuard>,
    ) -> Self {
        Self { model, clock, pulse, _guard: guard }
    }

    fn infer(&mut self, Infer { network, mut debt }: Infer) {
        debt.begun = true;
        // Zero means idle; the first microsecond of the clock is as good as the second.
        self.pulse.set(self.clock.monotonic_us().max(1));
        let output = self.model.infer(network, &debt.input);
        self.pulse.set(0);
        debt.pay(output.map_err(InferenceError::Refused), self.clock.monotonic_us());
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

    fn handle(&mut self, request: Infer, _: &mut Self::Context) {
        self.infer(request);
    }
}
