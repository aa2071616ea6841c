//! Sources that play a script, or come to something else each time they are opened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{
    CaptureTime, ClockSource, Colour, ColourMatrix, ColourRange, FrameAccount, Picture, PixelLayout, Plane,
    Rotation, Size, SourceDescription, Timebase, VideoFrame,
};
use crate::ports::{
    CancelToken, FrameSource, OpenSource, SourceError, SourceErrorKind, SourceFactory, SourceFrame,
    SourceItem,
};
use crate::testing::Gate;

/// A grey picture of one pixel.
pub struct GreyPixel;

impl Picture for GreyPixel {
    fn stored_size(&self) -> Size {
        Size { width: 1, height: 1 }
    }

    fn layout(&self) -> PixelLayout {
        PixelLayout::Gray8
    }

    fn colour(&self) -> Colour {
        Colour { matrix: ColourMatrix::Bt709, range: ColourRange::Full }
    }

    fn rotation(&self) -> Rotation {
        Rotation::Deg0
    }

    fn plane(&self, index: usize) -> Option<Plane<'_>> {
        (index == 0).then_some(Plane { data: &[128], stride: 1 })
    }
}

/// Frame `index` of an undisturbed stream of 50 frames a second.
pub fn frame(index: u64) -> Box<VideoFrame> {
    let media_us = 20_000_i64.saturating_mul(index.cast_signed());
    Box::new(VideoFrame {
        picture: Arc::new(GreyPixel),
        index,
        pts: media_us,
        timebase: Timebase { num: 1, den: 1_000_000 },
        media_us,
        epoch: 1,
        captured: CaptureTime { unix_us: media_us, source: ClockSource::Synthetic, uncertainty_ms: 0 },
        corrupt: false,
        decode_us: 100,
        decoded_at_us: 0,
        account: FrameAccount { received: 1, ..FrameAccount::default() },
    })
}

/// A source that plays a script, then ends or fails.
pub struct ScriptedSource {
    script: VecDeque<SourceItem>,
}

impl ScriptedSource {
    /// `frames` intact frames.
    pub fn frames(frames: u64) -> Vec<SourceItem> {
        (0..frames).map(|index| SourceItem::Frame(source_frame(index))).collect()
    }
}

/// Frame `index` as a source delivers it.
pub fn source_frame(index: u64) -> SourceFrame {
    let frame = frame(index);
    SourceFrame {
        picture: frame.picture,
        pts: frame.pts,
        timebase: frame.timebase,
        media_us: frame.media_us,
        corrupt: false,
        decode_us: frame.decode_us,
        stamp: None,
    }
}

impl FrameSource for ScriptedSource {
    fn next(&mut self) -> SourceItem {
        self.script.pop_front().unwrap_or(SourceItem::End(None))
    }
}

/// Opens a [`ScriptedSource`] once.
pub struct ScriptedFactory {
    /// What comes; it is played by the first opening.
    pub script: Vec<SourceItem>,
    /// Whether it is a live source.
    pub live: bool,
    /// Frames that its container claims.
    pub claimed_frames: Option<u64>,
    /// Opening waits until it is cancelled, and then succeeds all the same.
    pub opens_late: bool,
}

impl SourceFactory for ScriptedFactory {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        while self.opens_late && !cancel.is_cancelled() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let size = Size { width: 1, height: 1 };
        Ok(OpenSource {
            description: SourceDescription {
                address: "script:".into(),
                codec: "none".into(),
                size: size.into(),
                frame_rate: Some((50, 1)),
                live: self.live,
                claimed_frames: self.claimed_frames,
                decoder: None,
            },
            created_unix_us: None,
            frames: Box::new(ScriptedSource { script: std::mem::take(&mut self.script).into() }),
        })
    }
}

/// What one opening of a [`Plot`] comes to. Numbers are those of the frames that come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It does not open.
    Refuse(SourceErrorKind),
    /// Frames, then the end.
    Frames(u64),
    /// Frames, then an error.
    Fail(u64, SourceErrorKind),
    /// Frames, then nothing until it is cancelled.
    Silence(u64),
    /// Frames, then nothing until the gate of its plot opens, cancelled or not: a thread that nobody can end.
    Hang(u64),
    /// Frames, then a panic.
    Panic(u64),
    /// As many frames as anyone takes, until it is cancelled.
    Flood,
    /// Frames, each second one damaged, then a loss of so many units, then the end.
    Corrupt(u64, u64),
    /// Frames, then the word that another decoder decodes, then as many again.
    Redecode(u64),
}

/// A source that comes to something else each time it is opened; when the plot is over, to silence.
#[derive(Clone, Default)]
pub struct Plot {
    takes: Arc<Mutex<VecDeque<Take>>>,
    /// Whether it is a live source.
    pub live: bool,
    /// What [`Take::Hang`] waits for.
    gate: Option<Gate>,
}

impl Plot {
    /// A plot of these takes.
    #[must_use]
    pub fn of(live: bool, takes: impl IntoIterator<Item = Take>) -> Self {
        Self { takes: Arc::new(Mutex::new(takes.into_iter().collect())), live, gate: None }
    }

    /// The same with this gate.
    #[must_use]
    pub fn held_by(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// How many takes were not played yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.takes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl SourceFactory for Plot {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let next = self.takes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let take = next.unwrap_or(Take::Silence(0));
        if let Take::Refuse(kind) = take {
            return Err(refusal(kind));
        }
        let mut factory =
            ScriptedFactory { script: Vec::new(), live: self.live, claimed_frames: None, opens_late: false };
        let frames = Box::new(PlayedTake { take, next: 0, cancel: cancel.clone(), gate: self.gate.clone() });
        Ok(OpenSource { frames, ..factory.open(cancel)? })
    }
}

fn refusal(kind: SourceErrorKind) -> SourceError {
    SourceError { kind, message: "refused, as the test asked".into() }
}

struct PlayedTake {
    take: Take,
    next: u64,
    cancel: CancelToken,
    gate: Option<Gate>,
}

impl PlayedTake {
    /// Frames that come before something else does.
    fn frames(&self) -> u64 {
        match self.take {
            Take::Refuse(_) => 0,
            Take::Flood => u64::MAX,
            Take::Frames(frames)
            | Take::Fail(frames, _)
            | Take::Silence(frames)
            | Take::Hang(frames)
            | Take::Panic(frames)
            | Take::Redecode(frames)
            | Take::Corrupt(frames, _) => frames,
        }
    }

    fn frame(&mut self) -> SourceItem {
        let mut frame = source_frame(self.next);
        frame.corrupt = matches!(self.take, Take::Corrupt(..)) && self.next % 2 == 1;
        self.next += 1;
        SourceItem::Frame(frame)
    }
}

impl FrameSource for PlayedTake {
    fn next(&mut self) -> SourceItem {
        if self.next < self.frames() {
            return self.frame();
        }
        match self.take {
            Take::Panic(_) => panic!("the source panics, as the test asked"),
            Take::Fail(_, kind) => return SourceItem::End(Some(refusal(kind))),
            Take::Corrupt(_, lost) if lost > 0 => {
                self.take = Take::Frames(0);
                return SourceItem::Lost(lost);
            }
            Take::Redecode(frames) => {
                self.take = Take::Frames(2 * frames);
                return SourceItem::Decoder("cpu: as the test asked".into());
            }
            Take::Hang(_) => self.gate.iter().for_each(Gate::pass),
            // A read that blocks until it is interrupted.
            Take::Silence(_) => {
                while !self.cancel.is_cancelled() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            _ => {}
        }
        SourceItem::End(None)
    }
}
