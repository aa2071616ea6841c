//! What the supervisor hears, message by message; each handler dispatches to the method that does the work.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use super::{
    AwaitStopped, GetStatus, Keeper, MAILBOX, Retire, StartStream, StopStream, StreamSupervisor, TakeOver,
};
use crate::broadcaster::{FramesFlow, SessionClosed};
use crate::decoder::SourceFailed;
use crate::guard::{ChildExited, ExitKind};
use crate::lifecycle::Happening;
use crate::preprocessor::ConnectionEnded;
use crate::status::StreamStatus;

impl Actor for StreamSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        match self.keeper {
            Keeper::Once(_) => self.start(ctx),
            Keeper::Stream(..) => {
                let look_every = (self.parts.stall_after / 8).max(Duration::from_millis(1));
                ctx.run_interval(look_every, |actor, ctx| actor.look(ctx));
            }
        }
    }
}

impl Handler<StartStream> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: StartStream, ctx: &mut Self::Context) {
        self.start(ctx);
    }
}

impl Handler<TakeOver> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: TakeOver, ctx: &mut Self::Context) {
        if self.session.is_none() && !self.stopping {
            self.happen(Happening::SupervisorLost, ctx);
        }
    }
}

impl Handler<StopStream> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: StopStream, ctx: &mut Self::Context) {
        self.stop(ctx);
    }
}

impl Handler<Retire> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<AwaitStopped> for StreamSupervisor {
    type Result = actix::ResponseFuture<()>;

    fn handle(&mut self, _: AwaitStopped, _: &mut Self::Context) -> Self::Result {
        let (teller, stopped) = oneshot::channel();
        if self.session.is_some() {
            self.waiting.push(teller);
        }
        Box::pin(async move {
            // A teller that is gone means that nothing runs.
            let _ = stopped.await;
        })
    }
}

impl Handler<GetStatus> for StreamSupervisor {
    type Result = Option<StreamStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Self::Result {
        match &self.keeper {
            Keeper::Once(_) => None,
            Keeper::Stream(_, entry) => Some(entry.status()),
        }
    }
}

impl Handler<FramesFlow> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, flow: FramesFlow, ctx: &mut Self::Context) {
        // A late word of frames that were on their way when the connection was lost changes nothing.
        if self.connection.is_some() && self.is_current(flow.generation) {
            self.happen(Happening::Flowing, ctx);
        }
    }
}

impl Handler<SourceFailed> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, failed: SourceFailed, ctx: &mut Self::Context) {
        if self.is_current(failed.generation) {
            self.source_failed(failed.error, ctx);
        }
    }
}

impl Handler<ConnectionEnded> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, ended: ConnectionEnded, ctx: &mut Self::Context) {
        if self.is_current(ended.generation) {
            self.connection_ended(ended, ctx);
        }
    }
}

impl Handler<SessionClosed> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, closed: SessionClosed, ctx: &mut Self::Context) {
        self.session_closed(closed, ctx);
    }
}

impl Handler<ChildExited> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Self::Context) {
        if exited.how == ExitKind::Panicked && self.is_current(exited.generation) {
            self.child_panicked(exited.child, ctx);
        }
    }
}
