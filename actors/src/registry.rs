//! `StreamRegistry`: knows the streams of the server, starts and stops them, and watches the lanes.
//!
//! It holds the supervisors, and builds a fresh one where one panicked; what a stream is made of comes with [`AddStream`].
//! It keeps no configuration and no history: those are the store's.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::clock::Instant;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};

use crate::crew::{ArbiterSource, arbiters};
use crate::domain::{EndReason, StreamState, StreamStateChanged, Timestamp, state_in_words};
use crate::lanes::Lanes;
use crate::lent::Home;
use crate::ports::Clock;
use crate::status::{SessionView, StatusBoard, StatusEntry, StreamStatus};
use crate::supervisor::{
    AwaitStopped, Retire, StartStream, StopStream, StreamParts, StreamSupervisor, TakeOver,
};
use crate::threads::CHECK_EVERY;

/// Adds a stream, and starts it if it is enabled. One of the same name is stopped and replaced; the new one starts
/// when the old one has stopped, since they may share a camera and do share a name.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddStream {
    /// What it is made of.
    pub parts: StreamParts,
    /// Whether it is started.
    pub enabled: bool,
}

/// Asks something of a stream by its name.
#[derive(Message)]
#[rtype(result = "Result<(), UnknownStream>")]
pub struct Command {
    /// Whose.
    pub name: Arc<str>,
    /// What.
    pub order: Order,
}

/// What can be asked of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin; a stream that runs goes on.
    Start,
    /// End in order.
    Stop,
    /// End in order, then begin a new session.
    Restart,
    /// End in order, then forget the stream.
    Remove,
}

/// Ends whatever runs under a name. Answered when nothing of it runs any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Halt(pub Arc<str>);

/// There is no stream of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no stream is named {0}")]
pub struct UnknownStream(pub Arc<str>);

/// All streams as they are.
#[derive(Message)]
#[rtype(result = "Vec<StreamStatus>")]
pub struct ListStreams;

/// The sessions that run, and the last one of each stream that is stopped.
#[derive(Message)]
#[rtype(result = "Vec<SessionView>")]
pub struct ListSessions;

/// One stream as it is.
#[derive(Message)]
#[rtype(result = "Option<StreamStatus>")]
pub struct GetStream(pub Arc<str>);

/// Ends all streams. Answered when none runs any more, or the time is over: then with the names of those that do.
#[derive(Message)]
#[rtype(result = "Vec<Arc<str>>")]
pub struct StopAll {
    /// The time.
    pub within: Duration,
}

/// The actor.
pub struct StreamRegistry {
    streams: BTreeMap<Arc<str>, Stream>,
    /// Streams that were replaced or removed and still stop, by name.
    leaving: BTreeMap<Arc<str>, Vec<Addr<StreamSupervisor>>>,
    /// Streams to be started as soon as nobody of their name is leaving.
    due: BTreeSet<Arc<str>>,
    /// Streams that stop in order to start again. Whoever asks for a stop takes that back.
    restarting: BTreeSet<Arc<str>>,
    board: Arc<StatusBoard>,
    lanes: Option<Arc<Lanes>>,
    clock: Arc<dyn Clock>,
    arbiters: ArbiterSource,
}

/// A stream that can be asked for.
struct Stream {
    supervisor: Addr<StreamSupervisor>,
    /// What it is made of, when its supervisor is gone.
    parts: Home<StreamParts>,
    entry: Arc<StatusEntry>,
    /// Whether a start was asked for last, and not a stop.
    is_wanted: bool,
    /// How often its state had changed when a start was asked for last.
    started_at_change: u64,
}

impl Stream {
    /// Whether it runs, or was asked to since its state is what it is. One that came to its end by itself does not go on.
    fn goes_on(&self) -> bool {
        self.is_wanted && (!self.entry.is_over() || self.entry.changes() == self.started_at_change)
    }
}

impl StreamRegistry {
    /// A registry without streams. `lanes` are watched for hangs as long as it lives.
    #[must_use]
    pub fn new(board: Arc<StatusBoard>, lanes: Option<Arc<Lanes>>, clock: Arc<dyn Clock>) -> Self {
        if let Some(lanes) = &lanes {
            board.watch(lanes.threads());
        }
        Self {
            streams: BTreeMap::new(),
            leaving: BTreeMap::new(),
            due: BTreeSet::new(),
            restarting: BTreeSet::new(),
            board,
            lanes,
            clock,
            arbiters: arbiters(),
        }
    }

    /// The same with these Arbiters.
    #[cfg(test)]
    pub(crate) fn with_arbiters(self, arbiters: ArbiterSource) -> Self {
        Self { arbiters, ..self }
    }

    fn add(&mut self, AddStream { parts, enabled }: AddStream, ctx: &mut Context<Self>) {
        let name = Arc::clone(&parts.name);
        self.retire(&name, ctx);
        let since = Timestamp(self.clock.unix_us());
        let is_paced = parts.life.live || parts.life.looped;
        let entry = self.board.enter(Arc::clone(&name), (Arc::clone(&parts.address), is_paced), since);
        let parts = Home::of(parts);
        if let Some(supervisor) = self.supervise(&parts, &entry) {
            let stream = Stream { supervisor, parts, entry, is_wanted: false, started_at_change: 0 };
            self.streams.insert(Arc::clone(&name), stream);
        }
        if enabled {
            self.start_when_alone(&name);
        }
    }

    /// A supervisor for a stream that has none; one that has keeps its parts.
    fn supervise(
        &self,
        parts: &Home<StreamParts>,
        entry: &Arc<StatusEntry>,
    ) -> Option<Addr<StreamSupervisor>> {
        let (parts, entry) = (parts.lend()?, Arc::clone(entry));
        let threads = self.lanes.as_ref().map(|lanes| lanes.threads());
        Some(StreamSupervisor::of_stream(parts, entry, threads, Arc::clone(&self.arbiters)).start())
    }

    /// A supervisor has no guard that tells of a panic: it is missed.
    fn replace_lost_supervisors(&mut self) {
        let is_lost = |(_, stream): &(&Arc<str>, &Stream)| !stream.supervisor.connected();
        let lost: Vec<_> = self.streams.iter().filter(is_lost).map(|(name, _)| Arc::clone(name)).collect();
        lost.iter().for_each(|name| self.replace_supervisor(name));
    }

    fn replace_supervisor(&mut self, name: &Arc<str>) {
        let Some(stream) = self.streams.get(name) else { return };
        let Some(supervisor) = self.supervise(&stream.parts, &stream.entry) else { return };
        let now = Timestamp(self.clock.unix_us());
        stream.entry.session_lost(now);
        if stream.goes_on() {
            let fresh = supervisor.clone();
            actix::spawn(async move { fresh.send(TakeOver).await });
        } else if !stream.entry.is_over() {
            // The lost one was to stop it, and cannot tell that any more.
            stream.entry.change(stopped(), now);
        }
        if let Some(stream) = self.streams.get_mut(name) {
            stream.supervisor = supervisor;
        }
    }

    /// Stops a stream, which nobody can ask anything of any more.
    fn retire(&mut self, name: &Arc<str>, ctx: &mut Context<Self>) {
        self.stays_stopped(name);
        let Some(Stream { supervisor: stream, .. }) = self.streams.remove(name) else { return };
        self.leaving.entry(Arc::clone(name)).or_default().push(stream.clone());
        let name = Arc::clone(name);
        let stopped = stop_and_wait(stream.clone()).into_actor(self);
        ctx.spawn(stopped.map(move |(), actor, _| actor.left(&name, &stream)));
    }

    /// A stream that was retired has stopped.
    fn left(&mut self, name: &Arc<str>, stream: &Addr<StreamSupervisor>) {
        let retired = stream.clone();
        actix::spawn(async move { retired.send(Retire).await });
        let Some(leaving) = self.leaving.get_mut(name) else { return };
        leaving.retain(|other| other != stream);
        if leaving.is_empty() {
            self.leaving.remove(name);
            if self.due.remove(name) {
                self.start_when_alone(name);
            }
        }
    }

    /// No start that waits for a stop is to come any more.
    fn stays_stopped(&mut self, name: &Arc<str>) {
        self.due.remove(name);
        self.restarting.remove(name);
        if let Some(stream) = self.streams.get_mut(name) {
            stream.is_wanted = false;
        }
    }

    fn restart(&mut self, name: &Arc<str>, stream: Addr<StreamSupervisor>, ctx: &mut Context<Self>) {
        self.restarting.insert(Arc::clone(name));
        let name = Arc::clone(name);
        let stopped = stop_and_wait(stream).into_actor(self);
        ctx.spawn(stopped.map(move |(), actor, _| {
            if actor.restarting.remove(&name) {
                actor.start_when_alone(&name);
            }
        }));
    }

    fn start_when_alone(&mut self, name: &Arc<str>) {
        if self.leaving.contains_key(name) {
            self.due.insert(Arc::clone(name));
        } else if let Some(stream) = self.streams.get_mut(name) {
            (stream.is_wanted, stream.started_at_change) = (true, stream.entry.changes());
            let stream = stream.supervisor.clone();
            // A mailbox without room is that of a stream in trouble; `send` in a task waits for it.
            actix::spawn(async move { stream.send(StartStream).await });
        }
    }

    fn command(
        &mut self,
        name: &Arc<str>,
        order: Order,
        ctx: &mut Context<Self>,
    ) -> Result<(), UnknownStream> {
        let stream =
            self.streams.get(name).ok_or_else(|| UnknownStream(Arc::clone(name)))?.supervisor.clone();
        match order {
            Order::Start => self.start_when_alone(name),
            Order::Stop => {
                self.stays_stopped(name);
                actix::spawn(async move { stream.send(StopStream).await });
            }
            // It does not run yet, and its start is its restart.
            Order::Restart if self.leaving.contains_key(name) => self.start_when_alone(name),
            Order::Restart => self.restart(name, stream, ctx),
            Order::Remove => {
                self.board.leave(name);
                self.retire(name, ctx);
            }
        }
        Ok(())
    }
}

fn stopped() -> StreamStateChanged {
    let reason = EndReason::Stopped.code();
    let message = state_in_words(reason).into();
    StreamStateChanged { state: StreamState::Stopped, reason, message, next_try_at: None }
}

async fn stop_and_wait(stream: Addr<StreamSupervisor>) {
    // A supervisor that is gone has nothing left to stop.
    let _ = stream.send(StopStream).await;
    let _ = stream.send(AwaitStopped).await;
}

async fn stop_all(streams: Vec<(Arc<str>, Addr<StreamSupervisor>)>, within: Duration) -> Vec<Arc<str>> {
    let stops: Vec<_> =
        streams.into_iter().map(|(name, stream)| (name, actix::spawn(stop_and_wait(stream)))).collect();
    let deadline = Instant::now() + within;
    let mut left = Vec::new();
    for (name, stop) in stops {
        if actix::clock::timeout(deadline.saturating_duration_since(Instant::now()), stop).await.is_err() {
            left.push(name);
        }
    }
    left
}

impl Actor for StreamRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(CHECK_EVERY, |actor, _| {
            actor.lanes.iter().for_each(|lanes| lanes.check());
            actor.replace_lost_supervisors();
        });
    }
}

impl Handler<AddStream> for StreamRegistry {
    type Result = ();

    fn handle(&mut self, message: AddStream, ctx: &mut Self::Context) {
        self.add(message, ctx);
    }
}

impl Handler<Command> for StreamRegistry {
    type Result = Result<(), UnknownStream>;

    fn handle(&mut self, Command { name, order }: Command, ctx: &mut Self::Context) -> Self::Result {
        self.command(&name, order, ctx)
    }
}

impl Handler<Halt> for StreamRegistry {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Halt(name): Halt, _: &mut Self::Context) -> Self::Result {
        self.stays_stopped(&name);
        let leaving = self.leaving.get(&name).into_iter().flatten();
        let stream = self.streams.get(&name).map(|stream| &stream.supervisor);
        let streams: Vec<_> = stream.into_iter().chain(leaving).cloned().collect();
        Box::pin(async move {
            for stream in streams {
                stop_and_wait(stream).await;
            }
        })
    }
}

impl Handler<ListStreams> for StreamRegistry {
    type Result = Vec<StreamStatus>;

    fn handle(&mut self, _: ListStreams, _: &mut Self::Context) -> Self::Result {
        self.board.streams()
    }
}

impl Handler<ListSessions> for StreamRegistry {
    type Result = Vec<SessionView>;

    fn handle(&mut self, _: ListSessions, _: &mut Self::Context) -> Self::Result {
        self.board.sessions()
    }
}

impl Handler<GetStream> for StreamRegistry {
    type Result = Option<StreamStatus>;

    fn handle(&mut self, GetStream(name): GetStream, _: &mut Self::Context) -> Self::Result {
        self.board.stream(&name)
    }
}

impl Handler<StopAll> for StreamRegistry {
    type Result = ResponseFuture<Vec<Arc<str>>>;

    fn handle(&mut self, StopAll { within }: StopAll, _: &mut Self::Context) -> Self::Result {
        self.due.clear();
        self.restarting.clear();
        self.streams.values_mut().for_each(|stream| stream.is_wanted = false);
        let leaving =
            self.leaving.iter().flat_map(|(name, streams)| streams.iter().map(move |one| (name, one)));
        let streams = self.streams.iter().map(|(name, stream)| (name, &stream.supervisor)).chain(leaving);
        let streams = streams.map(|(name, stream)| (Arc::clone(name), stream.clone())).collect();
        Box::pin(stop_all(streams, within))
    }
}
