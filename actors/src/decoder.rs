//! `Decoder`: opens the source of one stream and hands its frames over, ahead of inference.
//!
//! One decoder runs on an Arbiter of its own, because opening and reading block. It reads one frame a message to
//! itself, so that `StopDecoding` and `RoomMade` are heard in between; a read that blocks is ended through the
//! stream's [`CancelToken`]. It does not decide what is analysed: that is the Preprocessor's part.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Recipient};

use crate::broadcaster::{SessionBroadcaster, StartSession};
use crate::capture::CaptureClock;
use crate::domain::{DropReason, EndReason, FrameAccount, VideoFrame};
use crate::guard::ExitGuard;
use crate::handoff::{Handoff, HandoffEnd};
use crate::ledger::{ConnectionTicket, SessionLedger};
use crate::ports::{
    CancelToken, Clock, FrameSource, OpenSource, SourceError, SourceErrorKind, SourceFactory, SourceFrame,
    SourceItem,
};
use crate::preprocessor::{FrameReady, Preprocessor};
use crate::timeline::Timeline;

/// How fast a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it is analysed.
    Max,
    /// At the speed of its media time.
    Realtime,
}

/// The source could not be opened.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SourceFailed {
    /// Why.
    pub error: SourceError,
    /// Which build of the family tried.
    pub generation: u64,
}

/// Open the source and begin. Sent once, when everyone else of the family knows whom to talk to.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StartDecoding;

/// End the stream of frames. Before the source is open, that is a source that failed as cancelled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopDecoding;

/// The hand-off has room again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomMade;

#[derive(Message)]
#[rtype(result = "()")]
struct DecodeNext;

/// What a decoder is built from.
pub struct DecoderParts {
    /// Opens the source.
    pub factory: Box<dyn SourceFactory>,
    /// Ends blocking waits.
    pub cancel: CancelToken,
    /// Where frames go.
    pub handoff: Arc<Handoff>,
    /// Who takes them there.
    pub preprocessor: Addr<Preprocessor>,
    /// Who is told what was opened, before the first frame.
    pub broadcaster: Addr<SessionBroadcaster>,
    /// Who is told of a source that does not open.
    pub failed: Recipient<SourceFailed>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where received units are counted.
    pub ledger: Arc<SessionLedger>,
    /// With which they are.
    pub ticket: ConnectionTicket,
    /// Which build of the family this is.
    pub generation: u64,
    /// Speed of files.
    pub pace: Pace,
    /// A file begins again at its end.
    pub looped: bool,
    /// Frames after which the stream ends, lost ones included.
    pub max_frames: Option<u64>,
}

/// The actor.
pub struct Decoder {
    parts: DecoderParts,
    open: Option<Open>,
    /// Received units, lost ones included; the next frame's index.
    received: u64,
    /// What happened since the last frame that was handed over.
    since: FrameAccount,
    waiting: Waiting,
    stopped: bool,
    _guard: ExitGuard,
}

/// A frame that cannot be handed over yet.
///
/// Each wait has an end of its own: the hand-off may call for a wait that was over before the call, and such a
/// late [`RoomMade`] must not let a frame go ahead of its moment.
enum Waiting {
    Nothing,
    /// Until the hand-off has room.
    ForRoom(Box<VideoFrame>),
    /// Until its media time has come.
    ForMoment(Box<VideoFrame>),
}

impl Waiting {
    fn take(&mut self) -> Option<Box<VideoFrame>> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => None,
            Self::ForRoom(frame) | Self::ForMoment(frame) => Some(frame),
        }
    }

    /// The frame, if it is room that it waits for.
    fn take_for_room(&mut self) -> Option<Box<VideoFrame>> {
        if matches!(self, Self::ForRoom(_)) { self.take() } else { None }
    }

    /// The frame, if it is its moment that it waits for.
    fn take_for_moment(&mut self) -> Option<Box<VideoFrame>> {
        if matches!(self, Self::ForMoment(_)) { self.take() } else { None }
    }
}

struct Open {
    frames: Box<dyn FrameSource>,
    live: bool,
    capture: CaptureClock,
    epoch: u32,
    timeline: Timeline,
    started_us: u64,
    /// Frames of this round; lost units are none.
    frames_seen: u64,
    /// The epoch of the last frame by a source that counts them itself.
    source_epoch: Option<u32>,
}

impl Open {
    /// Whether this frame's media clock is another than the last one's: the source says so, or its time shows it.
    fn begins_epoch(&mut self, frame: &SourceFrame) -> bool {
        if let Some(stamp) = frame.stamp {
            return self.source_epoch.replace(stamp.epoch).is_some_and(|last| last != stamp.epoch);
        }
        let is_jump = self.timeline.jumps_to(frame.media_us);
        self.timeline.restarts_at(frame.media_us) || (is_jump && self.live)
    }
}

impl Decoder {
    /// A decoder that waits for [`StartDecoding`].
    #[must_use]
    pub fn new(parts: DecoderParts, guard: ExitGuard) -> Self {
        Self {
            open: None,
            received: parts.ledger.received(),
            since: FrameAccount::default(),
            waiting: Waiting::Nothing,
            stopped: false,
            parts,
            _guard: guard,
        }
    }

    fn open(&mut self, ctx: &mut Context<Self>) {
        let opened = self.parts.factory.open(&self.parts.cancel);
        if self.stopped || self.parts.cancel.is_cancelled() {
            return self.stop();
        }
        match opened {
            Ok(source) => {
                let description = source.description.clone();
                self.parts.ledger.decoded_by(description.decoder.as_deref().map(Arc::from));
                self.open = Some(self.first_round(source));
                // Frames can only be published after this message; a mailbox without room for it has had one.
                let _ = self.parts.broadcaster.try_send(StartSession(description));
                ctx.notify(DecodeNext);
            }
            Err(error) => self.fail_to_open(error),
        }
    }

    /// The one word of a source that never opened; nothing follows it.
    fn fail_to_open(&mut self, error: SourceError) {
        self.stopped = true;
        let generation = self.parts.generation;
        // The supervisor's mailbox has room for each child's last word.
        let _ = self.parts.failed.try_send(SourceFailed { error, generation });
    }

    fn stop(&mut self) {
        if self.stopped {
            return;
        }
        if self.open.is_none() {
            let message = "stopped before the source was open".to_owned();
            return self.fail_to_open(SourceError { kind: SourceErrorKind::Cancelled, message });
        }
        if let Some(frame) = self.waiting.take() {
            // It was not handed over before the stop: it is counted with the frames that were never analysed.
            self.since.add(&frame.account);
            self.since.drop_received(1, DropReason::Stopped);
        }
        self.finish(EndReason::Stopped);
    }

    fn first_round(&self, source: OpenSource) -> Open {
        let now = self.parts.clock.unix_us();
        let capture = if source.description.live {
            CaptureClock::of_arrival()
        } else {
            CaptureClock::of_file(source.created_unix_us, now)
        };
        Open {
            frames: source.frames,
            live: source.description.live,
            capture,
            epoch: self.parts.ledger.next_epoch(),
            timeline: Timeline::of_rate(source.description.frame_rate),
            started_us: self.parts.clock.monotonic_us(),
            frames_seen: 0,
            source_epoch: None,
        }
    }

    /// Opens a looped file again: a new epoch, whose capture times and pace go on where the last round ended.
    fn next_round(&mut self, ctx: &mut Context<Self>) {
        let source = match self.parts.factory.open(&self.parts.cancel) {
            Ok(source) => source,
            Err(error) => return self.finish_failed(error),
        };
        let Some(open) = self.open.as_mut() else { return };
        open.timeline.begin_epoch();
        open.frames = source.frames;
        open.epoch = self.parts.ledger.next_epoch();
        open.frames_seen = 0;
        ctx.notify(DecodeNext);
    }

    fn decode_next(&mut self, ctx: &mut Context<Self>) {
        if self.stopped || !matches!(self.waiting, Waiting::Nothing) {
            return;
        }
        if self.parts.cancel.is_cancelled() {
            return self.stop();
        }
        if self.parts.max_frames.is_some_and(|limit| self.received >= limit) {
            return self.finish(EndReason::FrameLimit);
        }
        let Some(open) = self.open.as_mut() else { return };
        match open.frames.next() {
            SourceItem::Frame(frame) => {
                let frame = self.admit(frame);
                self.hand_over_in_time(frame, ctx);
            }
            SourceItem::Lost(count) => {
                self.receive(count);
                self.since.lose(count, DropReason::Corrupt);
                ctx.notify(DecodeNext);
            }
            SourceItem::Decoder(decoder) => {
                self.parts.ledger.decoded_by(Some(decoder.into()));
                ctx.notify(DecodeNext);
            }
            SourceItem::End(error) => self.source_ended(error, ctx),
        }
    }

    fn receive(&mut self, units: u64) {
        self.received += units;
        let now_us = self.parts.clock.monotonic_us();
        self.parts.ledger.receive(self.parts.ticket, units, now_us);
    }

    /// Numbers and times a frame.
    fn admit(&mut self, frame: SourceFrame) -> Box<VideoFrame> {
        let open = self.open.as_mut().expect("a frame should come from an open source");
        open.frames_seen += 1;
        if open.begins_epoch(&frame) {
            open.timeline.begin_epoch();
            open.epoch = self.parts.ledger.next_epoch();
            open.capture.reset();
        } else if open.timeline.jumps_to(frame.media_us) && !open.live {
            open.timeline.skip_to(frame.media_us);
        }
        let since_first_us = open.timeline.advance(frame.media_us);
        let captured = match frame.stamp {
            Some(stamp) => stamp.captured,
            None => open.capture.capture(since_first_us, self.parts.clock.unix_us()),
        };
        let epoch = open.epoch;
        let index = self.received;
        self.receive(1);
        let mut account = std::mem::take(&mut self.since);
        account.received += 1;
        Box::new(VideoFrame {
            picture: frame.picture,
            index,
            pts: frame.pts,
            timebase: frame.timebase,
            media_us: frame.media_us,
            epoch,
            captured,
            corrupt: frame.corrupt,
            decode_us: frame.decode_us,
            decoded_at_us: self.parts.clock.monotonic_us(),
            account,
        })
    }

    fn hand_over_in_time(&mut self, mut frame: Box<VideoFrame>, ctx: &mut Context<Self>) {
        let wait_us = match (self.parts.pace, &self.open) {
            (Pace::Realtime, Some(open)) => {
                let due = open.started_us.saturating_add_signed(open.timeline.played_us());
                due.saturating_sub(self.parts.clock.monotonic_us())
            }
            _ => 0,
        };
        if wait_us == 0 {
            return self.hand_over(frame, ctx);
        }
        // The wait for the frame's moment is not latency of the pipeline.
        frame.decoded_at_us += wait_us;
        self.waiting = Waiting::ForMoment(frame);
        ctx.run_later(Duration::from_micros(wait_us), |actor, ctx| {
            let frame = actor.waiting.take_for_moment();
            actor.hand_over_at_last(frame, ctx);
        });
    }

    fn hand_over(&mut self, frame: Box<VideoFrame>, ctx: &mut Context<Self>) {
        match self.parts.handoff.offer(frame) {
            Ok(()) => {
                self.call_consumer();
                ctx.notify(DecodeNext);
            }
            Err(frame) => self.waiting = Waiting::ForRoom(frame),
        }
    }

    fn hand_over_at_last(&mut self, frame: Option<Box<VideoFrame>>, ctx: &mut Context<Self>) {
        if let Some(frame) = frame {
            self.hand_over(frame, ctx);
        }
    }

    fn source_ended(&mut self, error: Option<SourceError>, ctx: &mut Context<Self>) {
        if self.parts.cancel.is_cancelled() {
            return self.finish(EndReason::Stopped);
        }
        let Some(open) = &self.open else { return };
        match error {
            Some(error) => self.finish_failed(error),
            // Such a file would loop without a pause.
            None if self.parts.looped && open.frames_seen == 0 => self.finish_failed(no_frame_in_round()),
            None if self.parts.looped => self.next_round(ctx),
            // Fewer frames than the container claims are no damage: an edit list hides some and AVI guesses. A file
            // that was cut short is the source's to report.
            None => self.finish(EndReason::EndOfSource),
        }
    }

    fn finish_failed(&mut self, error: SourceError) {
        self.conclude(EndReason::SourceFailed(error.message), Some(error.kind));
    }

    fn finish(&mut self, reason: EndReason) {
        self.conclude(reason, None);
    }

    fn conclude(&mut self, reason: EndReason, failure: Option<SourceErrorKind>) {
        self.stopped = true;
        self.parts.handoff.finish(HandoffEnd { reason, failure, account: std::mem::take(&mut self.since) });
        self.call_consumer();
    }

    fn call_consumer(&self) {
        if self.parts.handoff.must_call_consumer() {
            // At most one call is under way, so the mailbox has room; a preprocessor that is gone is its
            // supervisor's concern.
            let _ = self.parts.preprocessor.try_send(FrameReady);
        }
    }
}

fn no_frame_in_round() -> SourceError {
    let message = "nothing in the file could be decoded".to_owned();
    SourceError { kind: SourceErrorKind::Damaged, message }
}

impl Actor for Decoder {
    type Context = Context<Self>;
}

impl Handler<StartDecoding> for Decoder {
    type Result = ();

    fn handle(&mut self, _: StartDecoding, ctx: &mut Self::Context) {
        self.open(ctx);
    }
}

impl Handler<DecodeNext> for Decoder {
    type Result = ();

    fn handle(&mut self, _: DecodeNext, ctx: &mut Self::Context) {
        self.decode_next(ctx);
    }
}

impl Handler<RoomMade> for Decoder {
    type Result = ();

    fn handle(&mut self, _: RoomMade, ctx: &mut Self::Context) {
        let frame = self.waiting.take_for_room();
        self.hand_over_at_last(frame, ctx);
    }
}

impl Handler<StopDecoding> for Decoder {
    type Result = ();

    fn handle(&mut self, _: StopDecoding, _: &mut Self::Context) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frame;

    #[test]
    fn a_late_call_for_room_does_not_release_a_frame_before_its_moment() {
        let mut waiting = Waiting::ForMoment(frame(7));
        assert!(waiting.take_for_room().is_none());
        assert_eq!(waiting.take_for_moment().map(|frame| frame.index), Some(7));
        waiting = Waiting::ForRoom(frame(8));
        assert!(waiting.take_for_moment().is_none());
        assert_eq!(waiting.take_for_room().map(|frame| frame.index), Some(8));
        assert!(waiting.take().is_none());
    }
}
