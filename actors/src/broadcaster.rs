//! `SessionBroadcaster`: numbers the events of one session, serialises each once, and keeps them.
//!
//! What it appends to its sink is what everyone will be told: numbers rise by one from 1, the first event is
//! `sessionStarted` and the last is `sessionEnded`. It runs on an Arbiter of its own, since appending may block.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, Recipient};
use serde::Serialize;

use crate::domain::{
    EncodedEvent, EndReason, Event, EventFacts, EventKind, FrameAccount, FrameAnalyzed, Numbering,
    Provenance, SessionEnded, SessionId, SessionStarted, SourceDescription, StreamState, StreamStateChanged,
    Timestamp,
};
use crate::guard::ExitGuard;
use crate::ports::{Clock, EventSink};
use crate::stats::{LatencyStats, LatencySummary};

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
}

/// What a broadcaster is built from.
pub struct BroadcasterParts {
    /// The session's identity.
    pub session: SessionId,
    /// The stream's name.
    pub stream: Arc<str>,
    /// Told in the first event.
    pub provenance: Provenance,
    /// Keeps events.
    pub sink: Box<dyn EventSink>,
    /// Time.
    pub clock: Arc<dyn Clock>,
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
    latency: LatencyStats,
    running: bool,
    closed: bool,
    _guard: ExitGuard,
}

/// An event's payload: the numbering, then the body's members.
#[derive(Serialize)]
struct Payload<'a, B> {
    #[serde(flatten)]
    numbering: Numbering<'a>,
    #[serde(flatten)]
    body: B,
}

impl SessionBroadcaster {
    /// A broadcaster of a session that has not begun.
    #[must_use]
    pub fn new(parts: BroadcasterParts, guard: ExitGuard) -> Self {
        let started_us = parts.clock.monotonic_us();
        Self {
            parts,
            last_seq: 0,
            started_us,
            last_account: FrameAccount::default(),
            epoch: 0,
            latency: LatencyStats::default(),
            running: false,
            closed: false,
            _guard: guard,
        }
    }

    fn start(&mut self, source: SourceDescription) {
        self.started_us = self.parts.clock.monotonic_us();
        let started = SessionStarted { provenance: self.parts.provenance.clone(), source };
        self.emit_now(EventKind::SessionStarted, started);
    }

    fn publish(&mut self, PublishFrame { mut result, ready_us }: PublishFrame) {
        if !self.running {
            self.running = true;
            self.change_state(StreamState::Running, "first_frame");
        }
        result.latency.publish_us = self.parts.clock.monotonic_us().saturating_sub(ready_us);
        self.latency.record(&result.latency);
        self.last_account = result.account;
        self.epoch = result.epoch;
        let timestamp = Timestamp(result.captured.unix_us);
        self.emit(EventKind::FrameAnalyzed, timestamp, result);
    }

    fn end(&mut self, reason: EndReason, account: FrameAccount) {
        self.last_account = account;
        let (state, code) = final_state(&reason);
        self.change_state(state, code);
        self.emit_now(EventKind::SessionEnded, SessionEnded { end: reason.clone(), frames: account });
        let sink_error = self.parts.sink.finish().err();
        self.close(reason, account, sink_error);
    }

    fn change_state(&mut self, state: StreamState, reason: &'static str) {
        self.emit_now(EventKind::StreamState, StreamStateChanged { state, reason });
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
        if let Err(error) = self.parts.sink.append(&event) {
            let reason = EndReason::PipelineFailed(format!("an event could not be written: {error}"));
            self.close(reason, self.last_account, Some(error));
        }
    }

    fn encode<B: Serialize>(&mut self, kind: EventKind, timestamp: Timestamp, body: B) -> EncodedEvent {
        let prev_seq = self.last_seq;
        self.last_seq += 1;
        let seq = self.last_seq;
        let numbering = Numbering { seq, prev_seq, stream: &self.parts.stream };
        let event = Event {
            session_id: &self.parts.session,
            timestamp,
            event: kind,
            payload: Payload { numbering, body },
        };
        let json = serde_json::to_vec(&event).expect("an event should have only string keys and sane times");
        EncodedEvent {
            seq,
            kind,
            json: json.into(),
            facts: EventFacts {
                timestamp_us: timestamp.0,
                recorded_at_us: self.parts.clock.unix_us(),
                epoch: self.epoch,
                account: self.last_account,
            },
        }
    }

    fn close(&mut self, reason: EndReason, account: FrameAccount, sink_error: Option<std::io::Error>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let duration_us = self.parts.clock.monotonic_us().saturating_sub(self.started_us);
        let latency = self.latency.summary();
        // Sent once; the supervisor's mailbox has room for each child's last word.
        let _ =
            self.parts.closed.try_send(SessionClosed { reason, account, latency, duration_us, sink_error });
    }
}

/// The last state of a stream and its reason code.
fn final_state(reason: &EndReason) -> (StreamState, &'static str) {
    match reason {
        EndReason::EndOfSource => (StreamState::Stopped, "end_of_source"),
        EndReason::FrameLimit => (StreamState::Stopped, "frame_limit"),
        EndReason::Stopped => (StreamState::Stopped, "stopped"),
        EndReason::SourceFailed(_) => (StreamState::Failed, "source_failed"),
        EndReason::PipelineFailed(_) => (StreamState::Failed, "pipeline_failed"),
    }
}

impl Actor for SessionBroadcaster {
    type Context = Context<Self>;
}

impl Handler<StartSession> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, StartSession(source): StartSession, _: &mut Self::Context) {
        self.start(source);
    }
}

impl Handler<PublishFrame> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, message: PublishFrame, _: &mut Self::Context) {
        self.publish(message);
    }
}

impl Handler<EndSession> for SessionBroadcaster {
    type Result = ();

    fn handle(&mut self, EndSession { reason, account }: EndSession, _: &mut Self::Context) {
        self.end(reason, account);
    }
}
