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
use crate::ports::{CancelToken, Clock, FrameSource, SourceError, SourceFactory, SourceFrame, SourceItem};
use crate::preprocessor::{FrameReady, Preprocessor};

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
pub struct SourceFailed(pub SourceError);

/// Open the source and begin. Sent once, when everyone else of the family knows whom to talk to.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StartDecoding;

/// End the stream of frames; what was handed over is still analysed.
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
    /// Speed of files.
    pub pace: Pace,
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
    /// A frame that found no room.
    waiting: Option<Box<VideoFrame>>,
    stopped: bool,
    _guard: ExitGuard,
}

struct Open {
    frames: Box<dyn FrameSource>,
    capture: CaptureClock,
    epoch: u32,
    /// Media time of the session's first frame; capture times and pace count from it.
    first_media_us: Option<i64>,
    last_media_us: i64,
    started_us: u64,
    claimed_frames: Option<u64>,
}

impl Decoder {
    /// A decoder that waits for [`StartDecoding`].
    #[must_use]
    pub fn new(parts: DecoderParts, guard: ExitGuard) -> Self {
        Self {
            parts,
            open: None,
            received: 0,
            since: FrameAccount::default(),
            waiting: None,
            stopped: false,
            _guard: guard,
        }
    }

    fn open(&mut self, ctx: &mut Context<Self>) {
        match self.parts.factory.open(&self.parts.cancel) {
            Ok(source) => {
                let now = self.parts.clock.unix_us();
                let capture = if source.description.live {
                    CaptureClock::of_arrival()
                } else {
                    CaptureClock::of_file(source.created_unix_us, now)
                };
                self.open = Some(Open {
                    frames: source.frames,
                    capture,
                    epoch: 1,
                    first_media_us: None,
                    last_media_us: i64::MIN,
                    started_us: self.parts.clock.monotonic_us(),
                    claimed_frames: source.description.claimed_frames,
                });
                // The broadcaster's mailbox is empty, and this is the first message in it: frames can only
                // be published after it.
                let _ = self.parts.broadcaster.try_send(StartSession(source.description));
                ctx.notify(DecodeNext);
            }
            Err(error) => {
                // The supervisor's mailbox has room for each child's last word.
                let _ = self.parts.failed.try_send(SourceFailed(error));
            }
        }
    }

    fn decode_next(&mut self, ctx: &mut Context<Self>) {
        if self.stopped || self.waiting.is_some() {
            return;
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
                self.received += count;
                self.since.lose(count, DropReason::Corrupt);
                ctx.notify(DecodeNext);
            }
            SourceItem::End(error) => {
                let reason = self.end_reason(error);
                self.finish(reason);
            }
        }
    }

    /// Numbers and times a frame.
    fn admit(&mut self, frame: SourceFrame) -> Box<VideoFrame> {
        let open = self.open.as_mut().expect("a frame should come from an open source");
        if frame.media_us < open.last_media_us {
            open.epoch += 1;
            open.capture.reset();
        }
        open.last_media_us = frame.media_us;
        let since_first_us =
            frame.media_us.saturating_sub(*open.first_media_us.get_or_insert(frame.media_us));
        let index = self.received;
        self.received += 1;
        let mut account = std::mem::take(&mut self.since);
        account.received += 1;
        Box::new(VideoFrame {
            picture: frame.picture,
            index,
            pts: frame.pts,
            timebase: frame.timebase,
            media_us: frame.media_us,
            epoch: open.epoch,
            captured: open.capture.capture(since_first_us, self.parts.clock.unix_us()),
            corrupt: frame.corrupt,
            decode_us: frame.decode_us,
            decoded_at_us: self.parts.clock.monotonic_us(),
            account,
        })
    }

    fn hand_over_in_time(&mut self, mut frame: Box<VideoFrame>, ctx: &mut Context<Self>) {
        let wait_us = match (self.parts.pace, &self.open) {
            (Pace::Realtime, Some(open)) => {
                let since_first_us =
                    frame.media_us.saturating_sub(open.first_media_us.unwrap_or(frame.media_us));
                let due = open.started_us.saturating_add_signed(since_first_us);
                due.saturating_sub(self.parts.clock.monotonic_us())
            }
            _ => 0,
        };
        if wait_us == 0 {
            return self.hand_over(frame, ctx);
        }
        // The wait for the frame's moment is not latency of the pipeline.
        frame.decoded_at_us += wait_us;
        self.waiting = Some(frame);
        ctx.run_later(Duration::from_micros(wait_us), |actor, ctx| actor.retry(ctx));
    }

    fn hand_over(&mut self, frame: Box<VideoFrame>, ctx: &mut Context<Self>) {
        match self.parts.handoff.offer(frame) {
            Ok(()) => {
                self.call_consumer();
                ctx.notify(DecodeNext);
            }
            Err(frame) => self.waiting = Some(frame),
        }
    }

    fn retry(&mut self, ctx: &mut Context<Self>) {
        if let Some(frame) = self.waiting.take() {
            self.hand_over(frame, ctx);
        }
    }

    fn end_reason(&self, error: Option<SourceError>) -> EndReason {
        if self.parts.cancel.is_cancelled() {
            return EndReason::Stopped;
        }
        if let Some(error) = error {
            return EndReason::SourceFailed(error.message);
        }
        match self.open.as_ref().and_then(|open| open.claimed_frames) {
            Some(claimed) if self.received < claimed => EndReason::SourceFailed(format!(
                "the file ends early: it announces {claimed} frames and {} are there",
                self.received
            )),
            _ => EndReason::EndOfSource,
        }
    }

    fn finish(&mut self, reason: EndReason) {
        self.stopped = true;
        self.parts.handoff.finish(HandoffEnd { reason, account: std::mem::take(&mut self.since) });
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
        self.retry(ctx);
    }
}

impl Handler<StopDecoding> for Decoder {
    type Result = ();

    fn handle(&mut self, _: StopDecoding, _: &mut Self::Context) {
        if self.stopped {
            return;
        }
        if let Some(frame) = self.waiting.take() {
            // It found no room before the stop: it is counted with the frames that were never analysed.
            self.since.add(&frame.account);
            self.since.drop_received(1, DropReason::Stopped);
        }
        self.finish(EndReason::Stopped);
    }
}
