//! `InferenceWorker`: runs the networks of a model on one lane, for the streams that are pinned to it.
//!
//! One worker has one thread and one model value; the weights behind it are shared. It keeps nothing between
//! requests: the memory of a stream is its Tracker. It answers by message, since the asker must stay free.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, Recipient};

use crate::guard::ExitGuard;
use crate::ports::{Clock, ModelOutput, NetworkId, PoseModel};

/// Run a network.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Infer {
    /// Names the request in its answer.
    pub ticket: u64,
    /// Which network.
    pub network: NetworkId,
    /// Its input, as the sampler made it; it comes back with the answer, to be used again.
    pub input: Vec<f32>,
    /// Who is answered.
    pub reply_to: Recipient<Inferred>,
}

/// The answer to [`Infer`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inferred {
    /// The request's ticket.
    pub ticket: u64,
    /// The request's input buffer.
    pub input: Vec<f32>,
    /// What the network made of it, or why it could not.
    pub output: Result<ModelOutput, String>,
    /// When the network was done, in monotonic microseconds.
    pub done_at_us: u64,
}

/// The actor.
pub struct InferenceWorker {
    model: Box<dyn PoseModel>,
    clock: Arc<dyn Clock>,
    _guard: ExitGuard,
}

impl InferenceWorker {
    /// A worker with a fresh model value.
    #[must_use]
    pub fn new(model: Box<dyn PoseModel>, clock: Arc<dyn Clock>, guard: ExitGuard) -> Self {
        Self { model, clock, _guard: guard }
    }

    fn infer(&mut self, request: Infer) {
        let output = self.model.infer(request.network, &request.input);
        let answer = Inferred {
            ticket: request.ticket,
            input: request.input,
            output,
            done_at_us: self.clock.monotonic_us(),
        };
        // One request a stream is under way, so its mailbox has room; an asker that is gone needs no answer.
        let _ = request.reply_to.try_send(answer);
    }
}

impl Actor for InferenceWorker {
    type Context = Context<Self>;
}

impl Handler<Infer> for InferenceWorker {
    type Result = ();

    fn handle(&mut self, request: Infer, _: &mut Self::Context) {
        self.infer(request);
    }
}
