//! `StreamSupervisor`: owns the factories of one stream's actors, watches them, and builds fresh ones.
//!
//! A session has one SessionBroadcaster; each connection to the source has a Decoder and a Preprocessor, built and
//! thrown away together. A session outlives its connections: numbers and account go on in its ledger. What a
//! stream does about a failure is decided by [`crate::lifecycle`]; this actor does it. `kinora analyze` runs one
//! session without another try ([`StreamSupervisor::new`]).

mod building;
mod handlers;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, Message, WrapFuture};
use tokio::sync::oneshot;

use crate::broadcaster::{AnnounceState, EndSession, SessionClosed};
use crate::crew::{ArbiterSource, arbiters};
use crate::domain::{DropReason, EndReason, SessionId, StreamState, StreamStateChanged, Timestamp};
use crate::family::{Connection, ConnectionParts, Session, SessionParts};
use crate::guard::ChildKind;
use crate::lent::Lent;
use crate::lifecycle::{Act, Change, Happening, LifePolicy, Lifecycle};
use crate::ports::{Clock, EventSink, SourceError, SourceErrorKind};
use crate::preprocessor::ConnectionEnded;
use crate::status::{StatusEntry, StreamStatus};
use crate::threads::ThreadWatch;

pub use crate::once::{FamilyFactory, FamilyParts};

/// Room for the words of two families of children beside each other.
const MAILBOX: usize = 64;
/// How long a family may take to finish the frame in flight after [`StopStream`], and its session's end after that.
const STOP_GRACE: Duration = Duration::from_millis(1_500);

/// Begin the stream; one that runs goes on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StartStream;

/// Begin the stream again, after a wait: the supervisor before this one was lost.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakeOver;

/// End the stream: the frame in flight is still analysed, those that wait are dropped and counted.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopStream;

/// Nobody will ask anything of the stream any more: it has stopped, and the actor ends. Its timer would keep it for ever.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

/// How the stream is.
#[derive(Message)]
#[rtype(result = "Option<StreamStatus>")]
pub struct GetStatus;

/// Answered when no session runs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AwaitStopped;

/// How a single session ended.
#[derive(Debug)]
pub enum StreamOutcome {
    /// A session was begun and closed.
    Closed(SessionClosed),
    /// The source never opened, or there was no thread to open it.
    SourceFailed(SourceError),
    /// A child panicked.
    Crashed(ChildKind),
    /// The session's last event could not be kept in time after the stop.
    Hung,
}

/// Makes a sink for a session; called anew for each fresh broadcaster.
pub type SinkFactory = Box<dyn FnMut(&SessionId) -> Box<dyn EventSink> + Send>;

/// Everything a stream is made of.
pub struct StreamParts {
    /// Its name.
    pub name: Arc<str>,
    /// Its address without credentials.
    pub address: Arc<str>,
    /// What its life depends on.
    pub life: LifePolicy,
    /// Time without a frame after which a live stream is stalled.
    pub stall_after: Duration,
    /// Time without a frame, or without an open source, after which a live stream's connection is abandoned. Longer
    /// than the source's own time-outs, which end it in order.
    pub hang_after: Duration,
    /// Names each session.
    pub session: Box<dyn FnMut() -> SessionParts + Send>,
    /// Makes its sink.
    pub sink: SinkFactory,
    /// Makes what a connection is built from.
    pub connection: Box<dyn FnMut() -> ConnectionParts + Send>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The actor.
pub struct StreamSupervisor {
    /// They outlive this value, for a fresh one.
    parts: Lent<StreamParts>,
    keeper: Keeper,
    generation: u64,
    session: Option<Session>,
    connection: Option<Connection>,
    /// From [`StopStream`] to the next start.
    stopping: bool,
    /// Why, between `EndSession` and `SessionClosed`.
    ending: Option<EndReason>,
    waiting: Vec<oneshot::Sender<()>>,
    /// When a state began last in which no frames flow, in monotonic microseconds.
    unsettled_us: u64,
    /// Counts threads of connections that were thrown away and do not end.
    threads: Option<Arc<ThreadWatch>>,
    arbiters: ArbiterSource,
}

/// What is done when something ends.
enum Keeper {
    /// It is told, once, and that is all.
    Once(Option<oneshot::Sender<StreamOutcome>>),
    /// It is built again.
    Stream(Box<Lifecycle>, Arc<StatusEntry>),
}

impl StreamSupervisor {
    /// A supervisor of one session, which it begins when it is started, and whose end it tells once.
    #[must_use]
    pub fn new(factory: FamilyFactory, outcome: oneshot::Sender<StreamOutcome>) -> Self {
        let parts = Lent::for_good(crate::once::split(factory));
        Self::with_keeper(parts, Keeper::Once(Some(outcome)), arbiters())
    }

    /// A supervisor of a stream that waits for [`StartStream`].
    pub(crate) fn of_stream(
        parts: Lent<StreamParts>,
        entry: Arc<StatusEntry>,
        threads: Option<Arc<ThreadWatch>>,
        arbiters: ArbiterSource,
    ) -> Self {
        let life = Box::new(Lifecycle::new(parts.life));
        Self { threads, ..Self::with_keeper(parts, Keeper::Stream(life, entry), arbiters) }
    }

    fn with_keeper(parts: Lent<StreamParts>, keeper: Keeper, arbiters: ArbiterSource) -> Self {
        Self {
            parts,
            keeper,
            generation: 0,
            session: None,
            connection: None,
            stopping: false,
            ending: None,
            waiting: Vec::new(),
            unsettled_us: 0,
            threads: None,
            arbiters,
        }
    }

    fn start(&mut self, ctx: &mut Context<Self>) {
        if self.session.is_some() {
            return;
        }
        self.stopping = false;
        match self.keeper {
            Keeper::Once(_) => {
                let ready = self.ensure_session(ctx);
                self.connect(ready, ctx);
            }
            Keeper::Stream(..) => self.happen(Happening::Started, ctx),
        }
    }

    /// Lets the machine decide, tells the change, and acts.
    fn happen(&mut self, what: Happening, ctx: &mut Context<Self>) {
        let now_us = self.parts.clock.monotonic_us();
        let random = self.random();
        let is_told = matches!(what, Happening::Flowing);
        let reach = self.session.as_ref().and_then(|session| session.ledger.reach());
        let Keeper::Stream(life, _) = &mut self.keeper else { return };
        life.reached(reach);
        let (change, act) = life.on(what, now_us, random);
        if change.as_ref().is_some_and(|change| change.state != StreamState::Running) {
            self.unsettled_us = now_us;
        }
        // Before the change is told: a session that begins with it tells it.
        let ready = if act == Act::Connect { self.ensure_session(ctx) } else { Ok(()) };
        if let Some(change) = change {
            self.tell(change, is_told);
        }
        match act {
            Act::Nothing => {}
            Act::Connect => self.connect(ready, ctx),
            Act::Retry(wait) => self.retry_after(wait, ctx),
            Act::End(reason) => self.end_session(reason, ctx),
        }
    }

    fn tell(&self, change: Change, is_told: bool) {
        let now = self.now();
        let micros = |wait: Duration| i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let next_try_at = change.retry_in.map(|wait| Timestamp(now.0.saturating_add(micros(wait))));
        let Change { state, reason, message, .. } = change;
        let change = StreamStateChanged { state, reason, message, next_try_at };
        if let Keeper::Stream(_, entry) = &self.keeper {
            entry.change(change.clone(), now);
        }
        let Some(session) = self.session.as_ref().filter(|_| !is_told) else {
            return;
        };
        // A full mailbox means that the journal is full; then the state is told by the API alone.
        let _ = session.broadcaster.try_send(AnnounceState { change, at: now });
    }

    fn retry_after(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        self.drop_connection(false);
        self.session.iter().for_each(|session| session.ledger.forget_reach());
        let generation = self.generation;
        ctx.run_later(wait, move |actor, ctx| {
            if actor.generation == generation && actor.ending.is_none() {
                actor.happen(Happening::RetryDue, ctx);
            }
        });
    }

    /// Throws the connection away; what was in flight in it is dropped and counted.
    fn drop_connection(&mut self, broadcaster_lost: bool) {
        let reason = if self.stopping { DropReason::Stopped } else { DropReason::WorkerRestart };
        if let Some(session) = &self.session {
            session.ledger.close_connection(broadcaster_lost, reason);
        }
        // Last, since it cancels: what its parts still make of that is not heard any more.
        let lives = self.connection.take().map(|connection| connection.lives());
        if let (Some(threads), Some(lives)) = (&self.threads, lives) {
            threads.expect_end(lives);
        }
    }

    fn end_session(&mut self, reason: EndReason, ctx: &mut Context<Self>) {
        self.drop_connection(false);
        if self.session.is_some() && self.ensure_session(ctx).is_err() {
            // Nobody can write its end: a journal stays without it, as after `give_up_on_end`.
            return self.forget_session(reason);
        }
        let Some(session) = &self.session else { return };
        self.ending = Some(reason.clone());
        let account = session.ledger.settled_account();
        // `send` waits for room, so the end is never lost behind a full mailbox.
        let sent = session.broadcaster.send(EndSession { reason, account }).into_actor(self);
        ctx.spawn(sent.map(|_, _, _| ()));
    }

    fn stop(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.stopping, true) || self.ending.is_some() {
            return;
        }
        let Some(connection) = &self.connection else {
            return self.happen(Happening::StopAsked, ctx);
        };
        connection.stop();
        let generation = self.generation;
        ctx.run_later(STOP_GRACE, move |actor, ctx| {
            if actor.generation == generation {
                actor.stop_at_last(ctx);
            }
        });
    }

    /// The family has had its time: the session is ended without it.
    fn stop_at_last(&mut self, ctx: &mut Context<Self>) {
        if self.ending.is_some() {
            return self.give_up_on_end(ctx);
        }
        match self.keeper {
            Keeper::Once(_) if !self.is_open() => return self.conclude(not_opened_before_stop(), ctx),
            Keeper::Once(_) => self.end_session(EndReason::Stopped, ctx),
            Keeper::Stream(..) => self.happen(Happening::StopAsked, ctx),
        }
        let generation = self.generation;
        ctx.run_later(STOP_GRACE, move |actor, ctx| {
            if actor.generation == generation && actor.ending.is_some() {
                actor.give_up_on_end(ctx);
            }
        });
    }

    /// The end of the session finds no room. A journal stays without it; the next start of the server closes it.
    fn give_up_on_end(&mut self, ctx: &mut Context<Self>) {
        match self.keeper {
            Keeper::Once(_) => self.conclude(StreamOutcome::Hung, ctx),
            Keeper::Stream(..) => self.forget_session(EndReason::Stopped),
        }
    }

    /// Whether the session's first event is kept.
    fn is_open(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.ledger.last_seq() > 0)
    }

    fn forget_session(&mut self, reason: EndReason) {
        if let Keeper::Stream(_, entry) = &self.keeper {
            entry.session_ended(self.now(), reason);
        }
        self.session = None;
        self.connection = None;
        self.ending = None;
        for waiting in self.waiting.drain(..) {
            // Nobody may be waiting any more.
            let _ = waiting.send(());
        }
    }

    /// Tells the outcome of a single session, once, and ends.
    fn conclude(&mut self, outcome: StreamOutcome, ctx: &mut Context<Self>) {
        if let Keeper::Once(outcome_teller) = &mut self.keeper
            && let Some(teller) = outcome_teller.take()
        {
            // Nobody may be waiting any more.
            let _ = teller.send(outcome);
        }
        self.connection = None;
        self.session = None;
        ctx.stop();
    }

    fn source_failed(&mut self, error: SourceError, ctx: &mut Context<Self>) {
        match self.keeper {
            Keeper::Once(_) => self.conclude(StreamOutcome::SourceFailed(error), ctx),
            Keeper::Stream(..) if self.stopping || error.kind == SourceErrorKind::Cancelled => {
                self.happen(Happening::StopAsked, ctx);
            }
            Keeper::Stream(..) => self.happen(Happening::NotOpened(error.kind, error.message), ctx),
        }
    }

    fn connection_ended(&mut self, end: ConnectionEnded, ctx: &mut Context<Self>) {
        match self.keeper {
            Keeper::Once(_) => self.end_session(end.reason, ctx),
            Keeper::Stream(..) if self.stopping => self.happen(Happening::StopAsked, ctx),
            Keeper::Stream(..) => self.happen(Happening::Ended(end.reason, end.failure), ctx),
        }
    }

    fn child_panicked(&mut self, child: ChildKind, ctx: &mut Context<Self>) {
        if matches!(self.keeper, Keeper::Once(_)) {
            return self.conclude(StreamOutcome::Crashed(child), ctx);
        }
        let broadcaster_lost = child == ChildKind::SessionBroadcaster;
        self.drop_connection(broadcaster_lost);
        if broadcaster_lost {
            return self.broadcaster_panicked(ctx);
        }
        let what = if self.stopping { Happening::StopAsked } else { Happening::Crashed(child) };
        self.happen(what, ctx);
    }

    /// Without a thread for a fresh one now, the session gets it at the next try.
    fn broadcaster_panicked(&mut self, ctx: &mut Context<Self>) {
        if let Some(session) = &mut self.session {
            session.is_lost = true;
        }
        if let Some(reason) = self.ending.take() {
            // The lost one may not have heard of the end.
            return self.end_session(reason, ctx);
        }
        let replaced = self.replace_broadcaster(ctx);
        if self.stopping {
            return self.happen(Happening::StopAsked, ctx);
        }
        match replaced {
            Ok(()) => self.happen(Happening::Crashed(ChildKind::SessionBroadcaster), ctx),
            Err(error) => self.not_built(&error, ctx),
        }
    }

    /// Events that could not be kept end a session too; a new one is begun once the backoff says so, unless it was to stop.
    fn session_closed(&mut self, closed: SessionClosed, ctx: &mut Context<Self>) {
        if self.session.as_ref().is_none_or(|session| session.generation != closed.generation) {
            // One that was given up comes back late; it has nothing to do with the session of now.
            return;
        }
        let state = match &self.keeper {
            Keeper::Once(_) => return self.conclude(StreamOutcome::Closed(closed), ctx),
            Keeper::Stream(life, _) => life.state(),
        };
        let failed = closed.sink_error.is_some() && state != StreamState::Stopped;
        self.forget_session(closed.reason);
        if failed && self.stopping {
            self.happen(Happening::StopAsked, ctx);
        } else if failed {
            self.happen(Happening::Crashed(ChildKind::SessionBroadcaster), ctx);
        }
    }

    /// Whether the preprocessor does not come back from a frame.
    fn is_stuck(&self) -> bool {
        let since_us = self.connection.as_ref().and_then(Connection::preprocessing_since_us);
        since_us.zip(self.threads.as_ref()).is_some_and(|(since_us, threads)| threads.is_overdue(since_us))
    }

    /// Looks whether frames still arrive and are let go.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.is_stuck() && !self.stopping {
            return self.happen(Happening::Hung, ctx);
        }
        let (Some(session), Some(_)) = (&self.session, &self.connection) else { return };
        let now_us = self.parts.clock.monotonic_us();
        let since = |at_us: u64| Duration::from_micros(now_us.saturating_sub(at_us));
        let (stall_after, live) = (self.parts.stall_after, self.parts.life.live);
        let silence = since(session.ledger.last_frame_us());
        // A frame that was published before the stall says nothing of its end.
        let is_news = |at_us: u64| at_us > self.unsettled_us && since(at_us) < stall_after;
        let flows = session.ledger.flowed_us().is_some_and(is_news);
        if live && silence >= self.parts.hang_after && !self.stopping {
            self.happen(Happening::Hung, ctx);
        } else if live && silence >= stall_after {
            self.happen(Happening::Silent, ctx);
        } else if flows {
            // Known already, unless the word of it found no room.
            self.happen(Happening::Flowing, ctx);
        }
    }

    /// Whether a word comes from the children that are in force.
    fn is_current(&self, generation: u64) -> bool {
        let connection = self.connection.as_ref().map(|connection| connection.generation);
        let session = self.session.as_ref().map(|session| session.generation);
        [connection, session].contains(&Some(generation))
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.parts.clock.unix_us())
    }

    /// A number in 0..1 that differs from stream to stream: enough to keep their tries apart.
    fn random(&self) -> f64 {
        let micros = u32::try_from(self.parts.clock.unix_us().rem_euclid(1_000)).unwrap_or(0);
        f64::from(micros) / 1_000.0
    }
}

fn not_opened_before_stop() -> StreamOutcome {
    let message = "stopped before the source was open".to_owned();
    StreamOutcome::SourceFailed(SourceError { kind: SourceErrorKind::Cancelled, message })
}
