//! `SessionBroadcaster`: numbers the events of one session, serialises each once, and keeps them.
//!
//! What it appends to its sink is what everyone will be told: numbers rise by one from 1, the first event is
//! `sessionStarted` and the last is `sessionEnded`. It runs on an Arbiter of its own, since appending may block.
//! A sink without room makes it wait, and with it the stream: live frames are then replaced and counted where
//! frames meet, and files wait. Numbers and account outlive it in the session's ledger.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use serde::Serialize;

use crate::domain::{
    EncodedEvent, EndReason, EventFacts, EventKind, FrameAccount, FrameAnalyzed, Numbering, Provenance,
    SessionEnded, SessionId, SessionStarted, SourceDescription, SourceFields, StreamState,
    StreamStateChanged, Timestamp, state_in_words,
};
use crate::encode::encode_event;
use crate::guard::ExitGuard;
use crate::ledger::SessionLedger;
use crate::ports::{Clock, EventSink};
use crate::stats::LatencySummary;

/// Time between tries of a sink without room.
const ROOM_RETRY: Duration = Duration::from_millis(50);

/// The source is open: the session begins.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StartSession(pub SourceDescription);

/// A frame's result.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PublishFrame {
    /// The result; its publish latency is filled in here.
    pub result: FrameAnalyzed,
    /// When the keypoints were ready, in monotonic microseconds.
    pub ready_us: u64,
}

/// The stream is in another state.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AnnounceState {
    /// The state.
    pub change: StreamStateChanged,
    /// When it began.
    pub at: Timestamp,
}

/// Frames arrive, for the first time or again. Told after the event.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FramesFlow {
    /// Which build of the broadcaster says so.
    pub generation: u64,
}

/// Nothing follows in this session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndSession {
    /// Why.
    pub reason: EndReason,
    /// The final account.
    pub account: FrameAccount,
}

/// The session is closed and its events are kept, or could not be.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct SessionClosed {
    /// Why it ended.
    pub reason: EndReason,
    /// The balanced account.
    pub account: FrameAccount,
    /// Latency percentiles.
    pub latency: LatencySummary,
    /// From the source being open to the end, in microseconds.
    pub duration_us: u64,
    /// What went wrong with keeping events.
    pub sink_error: Option<std::io::Error>,
    /// Which build of the broadcaster it was: one that was given up may come back late.
    pub generation: u64,
}

/// What a broadcaster is built from.
pub struct BroadcasterParts {
    /// The session's identity.
    pub session: SessionId,
    /// The stream's name.
    pub stream: Arc<str>,
    /// Told in the first event.
    pub provenance: Provenance,
    /// What is told of a source that could not be opened yet.
    pub named: SourceFields,
    /// Keeps events.
    pub sink: Box<dyn EventSink>,
    /// What outlives this value.
    pub ledger: Arc<SessionLedger>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which build of the family this is.
    pub generation: u64,
    /// Who is told that frames arrive.
    pub flowing: Recipient<FramesFlow>,
    /// Who is told of the end.
    pub closed: Recipient<SessionClosed>,
}

/// The actor.
pub struct SessionBroadcaster {
    parts: BroadcasterParts,
    last_seq: u64,
    started_us: u64,
    last_account: FrameAccount,
    epoch: u32,
    /// The state told last.
    state: Option<StreamState>,
    /// States before the session's first event, which tells what was opened.
    early: Vec<AnnounceState>,
    /// Numbered events that found no room in the sink.
    pending: VecDeque<EncodedEvent>,
    ending: Option<EndReason>,
    closed: bool,
    _guard: ExitGuard,
}

impl SessionBroadcaster {
    /// A broadcaster that goes on where the ledger stands: before the first event, or after the last one.
    #[must_use]
    pub fn new(parts: BroadcasterParts, guard: ExitGuard) -> Self {
        Self {
            last_seq: parts.ledger.last_seq(),
            started_us: parts.clock.monotonic_us(),
            last_account: parts.ledger.published_account(),
            epoch: parts.ledger.epoch(),
            parts,
            state: None,
            early: Vec::new(),
            pending: VecDeque::new(),
            ending: None,
            closed: false,
            _guard: guard,
        }
    }

    /// The session's first event; a source that is opened again needs none.
    fn start(&mut self, source: SourceFields) {
        if self.last_seq > 0 {
            return;
        }
        self.started_us = self.parts.clock.monotonic_us();
        let started = SessionStarted { provenance: self.parts.provenance.clone(), source };
        self.emit_now(EventKind::SessionStarted, started);
        for announcement in std::mem::take(&mut self.early) {
            self.announce(announcement);
        }
    }

    fn announce(&mut self, announcement: AnnounceState) {
        if self.last_seq == 0 {
            let is_first = announcement.change.state == StreamState::Connecting;
            if is_first {
                return self.early.push(announcement);
            }
            self.start(self.parts.named.clone());
        }
        let AnnounceState { change, at } = announcement;
        self.state = Some(change.state);
        self.emit(EventKind::StreamState, at, change);
    }

    fn publish(&mut self, PublishFrame { mut result, ready_us }: PublishFrame) {
        if self.state != Some(StreamState::Running) {
            let reason = "first_frame";
            self.change_state(StreamState::Running, reason, state_in_words(reason).into());
            // The supervisor's mailbox has room for a change of state; should it not, its next look finds frames.
            let _ = self.parts.flowing.try_send(FramesFlow { generation: self.parts.generation });
        }
        result.latency.publish_us = self.parts.clock.monotonic_us().saturating_sub(ready_us);
        self.parts.ledger.record(&result.latency);
        self.last_account = result.account;
        self.epoch = result.epoch;
        let timestamp = Timestamp(result.captured.unix_us);
        self.emit(EventKind::FrameAnalyzed, timestamp, result);
    }

    fn end(&mut self, reason: EndReason, account: FrameAccount) {
        self.start(self.parts.named.clone());
        self.last_account = account;
        let (state, message) = final_state(&reason);
        if !matches!(self.state, Some(StreamState::Stopped | StreamState::Failed | StreamState::Unsupported))
        {
            self.change_state(state, reason.code(), message);
        }
        self.ending = Some(reason.clone());
        let ended = SessionEnded { end: reason, frames: account };
        self.emit_now(EventKind::SessionEnded, ended);
    }

    fn change_state(&mut self, state: StreamState, reason: &'static str, message: Arc<str>) {
        self.state = Some(state);
        let change = StreamStateChanged { state, reason, message, next_try_at: None };
        self.emit_now(EventKind::StreamState, change);
    }

    fn emit_now<B: Serialize>(&mut self, kind: EventKind, body: B) {
        let timestamp = Timestamp(self.parts.clock.unix_us());
        self.emit(kind, timestamp, body);
    }

    /// Numbers, serialises and keeps one event. After a failure of the sink nothing more is numbered.
    fn emit<B: Serialize>(&mut self, kind: EventKind, timestamp: Timestamp, body: B) {
        if self.closed {
            return;
        }
        let event = self.encode(kind, timestamp, body);
        self.pending.push_back(event);
        self.flush();
    }

    /// Keeps what is numbered, as far as the sink has room.
    fn flush(&mut self) {
        while let Some(event) = self.pending.front() {
            match self.parts.sink.append(event) {
                Ok(()) => {
                    let is_frame = event.kind == EventKind::FrameAnalyzed;
                    let frame_at_us = is_frame.then(|| self.parts.clock.monotonic_us());
                    self.parts.ledger.publish(event.seq, event.facts.account, frame_at_us);
                    let kept = self.pending.pop_front();
                    if kept.is_some_and(|event| event.kind == EventKind::SessionEnded) {
                        self.finish();
                    }
                }
                Err(error) if error.kind() == ErrorKind::StorageFull && self.parts.sink.may_get_room() => {
                    return;
                }
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Handles no message before everything numbered is kept.
    fn wait_for_room(&mut self, ctx: &mut Context<Self>) {
        if self.pending.is_empty() || self.closed {
            return;
        }
        let retried = actix::clock::sleep(ROOM_RETRY).into_actor(self).map(|(), actor, ctx| {
            actor.flush();
            actor.wait_for_room(ctx);
        });
        ctx.wait(retried);
    }

    fn finish(&mut self) {
        let sink_error = self.parts.sink.finish().err();
        if let Some(reason) = self.ending.take() {
            self.close(reason, self.last_account, sink_error);
        }
    }

    fn fail(&mut self, error: std::io::Error) {
        self.pending.clear();
        let reason = EndReason::PipelineFailed(format!("an event could not be written: {error}"));
        self.close(reason, self.last_account, Some(error));
    }

    fn encode<B: Serialize>(&mut self, kind: EventKind, timestamp: Timestamp, body: B) -> EncodedEvent {
        let prev_seq = self.last_seq;
        self.last_seq += 1;
        let facts = EventFacts {
            timestamp_us: timestamp.0,
            recorded_at_us: self.parts.clock.unix_us(),
            epoch: self.epoch,
            account: self.last_account,
        };
        let numbering = Numbering { seq: self.last_seq, prev_seq, stream: &self.parts.stream };
        encode_event(&self.parts.session, numbering, kind, facts, body)
    }

    fn close(&mut self, reason: EndReason, account: FrameAccount, sink_error: Option<std::io::Error>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let duration_us = self.parts.clock.monotonic_us().saturating_sub(self.started_us);
        let (latency, generation) = (self.parts.ledger.latency(), self.parts.generation);
        let closed = SessionClosed { reason, account, latency, duration_us, sink_error, generation };
        // Sent once; the supervisor's mailbox has room for each child's last word.
        let _ = self.parts.closed.try_send(closed);
    }
}

/// The last state of a stream and its reason code.
fn final_state(reason: &EndReason) -> (StreamState, Arc<str>) {
    match reason {
        EndReason::SourceFailed(said) | EndReason::PipelineFailed(said) => {
            (StreamState::Failed, said.as_str().into())
        }
        EndReason::EndOfSource | EndReason::FrameLimit | EndReason::Stopped | EndReason::Restart => {
            (StreamState::Stopped, state_in_words(reason.code()).into())
        }
    }
}

impl Actor for SessionBroadcaster {
    type Context = Context<Self>;
}

impl Handler<StartSession> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, StartSession(source): StartSession, ctx: &mut Self::Context) {
        self.start(SourceFields::Opened(source));
        self.wait_for_room(ctx);
    }
}

impl Handler<AnnounceState> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, announcement: AnnounceState, ctx: &mut Self::Context) {
        self.announce(announcement);
        self.wait_for_room(ctx);
    }
}

impl Handler<PublishFrame> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, message: PublishFrame, ctx: &mut Self::Context) {
        self.publish(message);
        self.wait_for_room(ctx);
    }
}

impl Handler<EndSession> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, EndSession { reason, account }: EndSession, ctx: &mut Self::Context) {
        self.end(reason, account);
        self.wait_for_room(ctx);
    }
}
