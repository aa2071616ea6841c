//! `DbWriterKeeper`: owns the factory of the DbWriter, and builds a fresh one on a fresh thread when it panicked.

use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, ResponseFuture};

use crate::db_writer::{DbWriter, DbWriterParts, Drain};

/// Time between looks at the writer: what it left is in the journal meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// The actor.
pub struct DbWriterKeeper {
    parts: DbWriterParts,
    writer: Option<(Addr<DbWriter>, Arbiter)>,
}

impl DbWriterKeeper {
    /// A keeper that builds its writer when it is started.
    #[must_use]
    pub fn new(parts: DbWriterParts) -> Self {
        Self { parts, writer: None }
    }

    /// The writer, fresh if the last one is gone.
    fn writer(&mut self) -> Addr<DbWriter> {
        if let Some((writer, _)) = self.writer.as_ref().filter(|(writer, _)| writer.connected()) {
            return writer.clone();
        }
        let arbiter = Arbiter::new();
        let parts = self.parts.clone();
        let writer = DbWriter::start_in_arbiter(&arbiter.handle(), move |_| DbWriter::new(parts));
        self.writer = Some((writer.clone(), arbiter));
        writer
    }
}

impl Actor for DbWriterKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.writer();
        ctx.run_interval(LOOK, |actor, _| drop(actor.writer()));
    }
}

impl Handler<Drain> for DbWriterKeeper {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let writer = self.writer();
        Box::pin(async move {
            // A writer that fails meanwhile leaves its events in the journal, for the next start.
            let _ = writer.send(Drain).await;
        })
    }
}

impl Drop for DbWriterKeeper {
    fn drop(&mut self) {
        self.writer.iter().for_each(|(_, arbiter)| {
            arbiter.stop();
        });
    }
}
