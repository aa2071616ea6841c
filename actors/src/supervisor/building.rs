//! How the supervisor builds a session and its connections. There may be no thread for a part of them: that is a try that
//! failed, and leads to another one.

use std::io;
use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::{Keeper, StreamOutcome, StreamSupervisor};
use crate::domain::{EndReason, SourceFields};
use crate::family::{Connection, Kin, Post, Session, SessionParts};
use crate::ledger::SessionLedger;
use crate::lifecycle::Happening;
use crate::ports::{SourceError, SourceErrorKind};

impl StreamSupervisor {
    /// Sees to a session that can be told things: begins one if there is none, as at a start and at the next try after one
    /// that could not be kept, and gives one a broadcaster that lost it.
    pub(super) fn ensure_session(&mut self, ctx: &mut Context<Self>) -> io::Result<()> {
        match &self.session {
            None => self.new_session(ctx),
            Some(session) if session.is_lost => self.replace_broadcaster(ctx),
            Some(_) => Ok(()),
        }
    }

    fn new_session(&mut self, ctx: &mut Context<Self>) -> io::Result<()> {
        let post = Post::hire(self.kin(ctx))?;
        let parts = (self.parts.session)();
        let (id, ledger) = (parts.id.clone(), Arc::new(SessionLedger::default()));
        self.begin_session(parts, Arc::clone(&ledger), post);
        if let Keeper::Stream(_, entry) = &self.keeper {
            entry.session_began(id, self.now(), ledger);
        }
        Ok(())
    }

    fn begin_session(&mut self, parts: SessionParts, ledger: Arc<SessionLedger>, post: Post) {
        let sink = (self.parts.sink)(&parts.id);
        let named =
            SourceFields::Named { address: self.parts.address.to_string(), live: self.parts.life.live };
        let stream = Arc::clone(&self.parts.name);
        self.session = Some(Session::build(parts, ledger, stream, named, sink, post));
    }

    /// Builds a connection if its session is ready for one.
    pub(super) fn connect(&mut self, ready: io::Result<()>, ctx: &mut Context<Self>) {
        if let Err(error) = ready.and_then(|()| self.build_connection(ctx)) {
            self.not_built(&error, ctx);
        }
    }

    fn build_connection(&mut self, ctx: &mut Context<Self>) -> io::Result<()> {
        let kin = self.kin(ctx);
        if let Some(session) = &self.session {
            let parts = (self.parts.connection)();
            self.connection = Some(Connection::build(parts, session, &kin)?);
        }
        Ok(())
    }

    /// There is no thread for a part: a try that failed.
    pub(super) fn not_built(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        let message = error.to_string();
        match self.keeper {
            Keeper::Once(_) => {
                let kind = SourceErrorKind::Unavailable;
                self.conclude(StreamOutcome::SourceFailed(SourceError { kind, message }), ctx);
            }
            Keeper::Stream(..) => {
                self.happen(Happening::Ended(EndReason::PipelineFailed(message), None), ctx);
            }
        }
    }

    pub(super) fn replace_broadcaster(&mut self, ctx: &mut Context<Self>) -> io::Result<()> {
        let Some(lost) = &self.session else { return Ok(()) };
        let parts = SessionParts { id: lost.id.clone(), provenance: lost.provenance.clone() };
        let ledger = Arc::clone(&lost.ledger);
        let post = Post::hire(self.kin(ctx))?;
        self.begin_session(parts, ledger, post);
        Ok(())
    }

    fn kin(&mut self, ctx: &mut Context<Self>) -> Kin {
        self.generation += 1;
        Kin {
            supervisor: ctx.address(),
            generation: self.generation,
            clock: Arc::clone(&self.parts.clock),
            arbiters: Arc::clone(&self.arbiters),
        }
    }
}
