//! `DbWriterKeeper`: owns the factory of the DbWriter, and builds a fresh one on a fresh thread when it panicked.

use std::io;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, ResponseFuture};

use crate::crew::{ArbiterSource, Crew, arbiters};
use crate::db_writer::{DbWriter, DbWriterParts, Drain, StoreNews};

/// Time between looks at the writer: what it left is in the journal meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// The actor.
pub struct DbWriterKeeper {
    parts: DbWriterParts,
    writer: Option<(Addr<DbWriter>, Crew)>,
    arbiters: ArbiterSource,
    /// Whether it was told that there is no writer.
    is_told: bool,
}

impl DbWriterKeeper {
    /// A keeper that builds its writer when it is started.
    #[must_use]
    pub fn new(parts: DbWriterParts) -> Self {
        Self { parts, writer: None, arbiters: arbiters(), is_told: false }
    }

    /// The same with these Arbiters.
    #[cfg(test)]
    pub(crate) fn with_arbiters(self, arbiters: ArbiterSource) -> Self {
        Self { arbiters, ..self }
    }

    /// The writer, fresh if the last one is gone; `None` while there is no thread for one.
    fn writer(&mut self) -> Option<Addr<DbWriter>> {
        if let Some((writer, _)) = self.writer.as_ref().filter(|(writer, _)| writer.connected()) {
            return Some(writer.clone());
        }
        let built = self.build();
        if let Err(error) = &built {
            self.tell_once(error);
        }
        self.is_told = built.is_err();
        self.writer = built.ok();
        self.writer.as_ref().map(|(writer, _)| writer.clone())
    }

    fn build(&self) -> io::Result<(Addr<DbWriter>, Crew)> {
        let mut crew = Crew::default();
        let arbiter = crew.hire("writer of rows", &self.arbiters)?;
        let parts = self.parts.clone();
        Ok((DbWriter::start_in_arbiter(&arbiter, move |_| DbWriter::new(parts)), crew))
    }

    /// It is tried again at each look, and told once until it succeeds.
    fn tell_once(&self, error: &io::Error) {
        if !self.is_told {
            (self.parts.observer)(StoreNews::Failed(&error.to_string()));
        }
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
            // A writer that is missing or fails meanwhile leaves its events in the journal, for the next start.
            if let Some(writer) = writer {
                let _ = writer.send(Drain).await;
            }
        })
    }
}
