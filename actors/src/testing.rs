//! Scripted parts for this crate's tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::domain::{
    CaptureTime, ClockSource, Colour, ColourMatrix, ColourRange, EncodedEvent, FrameAccount, Picture,
    PixelLayout, Plane, Rotation, Size, SourceDescription, Timebase, VideoFrame,
};
use crate::ports::{
    Border, CancelToken, Clock, EventSink, FrameSource, ModelOutput, NetworkId, OpenSource, PoseModel,
    SampleRequest, Sampler, SourceError, SourceErrorKind, SourceFactory, SourceFrame, SourceItem, Tracker,
    TrackerStep,
};

/// A grey picture of one pixel.
pub(crate) struct GreyPixel;

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
pub(crate) fn frame(index: u64) -> Box<VideoFrame> {
    let media_us = i64::try_from(index).unwrap() * 20_000;
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
pub(crate) struct ScriptedSource {
    script: VecDeque<SourceItem>,
}

impl ScriptedSource {
    /// `frames` intact frames.
    pub(crate) fn frames(frames: u64) -> Vec<SourceItem> {
        (0..frames).map(|index| SourceItem::Frame(source_frame(index))).collect()
    }
}

/// Frame `index` as a source delivers it.
pub(crate) fn source_frame(index: u64) -> SourceFrame {
    let frame = frame(index);
    SourceFrame {
        picture: frame.picture,
        pts: frame.pts,
        timebase: frame.timebase,
        media_us: frame.media_us,
        corrupt: false,
        decode_us: frame.decode_us,
    }
}

impl FrameSource for ScriptedSource {
    fn next(&mut self) -> SourceItem {
        self.script.pop_front().unwrap_or(SourceItem::End(None))
    }
}

/// Opens a [`ScriptedSource`] once.
pub(crate) struct ScriptedFactory {
    pub(crate) script: Vec<SourceItem>,
    pub(crate) live: bool,
    pub(crate) claimed_frames: Option<u64>,
    /// Opening waits until it is cancelled, and then succeeds all the same.
    pub(crate) opens_late: bool,
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
            },
            created_unix_us: None,
            frames: Box::new(ScriptedSource { script: std::mem::take(&mut self.script).into() }),
        })
    }
}

/// Fills the input with nothing.
pub(crate) struct EmptySampler;

impl Sampler for EmptySampler {
    fn sample(&mut self, _: &dyn Picture, _: &SampleRequest, out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        Ok(())
    }
}

/// Asks for one inference a frame and finds nobody.
pub(crate) struct OneStepTracker;

impl Tracker for OneStepTracker {
    fn begin(&mut self, size: Size, _: i64) -> TrackerStep {
        let request = SampleRequest {
            centre_x: 0.0,
            centre_y: 0.0,
            side: f32::from(u16::try_from(size.width).unwrap()),
            angle: 0.0,
            size: 1,
            border: Border::Zero,
            range: (0.0, 1.0),
        };
        TrackerStep::Infer(NetworkId(0), request)
    }

    fn advance(&mut self, _: ModelOutput) -> TrackerStep {
        TrackerStep::Done(Vec::new())
    }

    fn reset(&mut self) {}
}

/// A model that counts its calls down to a misdeed.
pub(crate) struct MoodyModel {
    /// Calls left before it misbehaves; `None`: never.
    pub(crate) patience: Option<u32>,
    pub(crate) misdeed: Misdeed,
    /// Time that each call takes.
    pub(crate) takes: Duration,
}

/// What a [`MoodyModel`] does in the end.
#[derive(Clone, Copy)]
pub(crate) enum Misdeed {
    Panic,
    Refuse,
}

impl PoseModel for MoodyModel {
    fn infer(&mut self, _: NetworkId, _: &[f32]) -> Result<ModelOutput, String> {
        std::thread::sleep(self.takes);
        match (self.patience.as_mut(), self.misdeed) {
            (None, _) => {}
            (Some(0), Misdeed::Panic) => panic!("the model panics, as the test asked"),
            (Some(0), Misdeed::Refuse) => return Err("the model refuses, as the test asked".into()),
            (Some(left), _) => *left -= 1,
        }
        Ok(ModelOutput::default())
    }
}

/// Keeps events in memory.
#[derive(Clone, Default)]
pub(crate) struct MemorySink(pub(crate) Arc<Mutex<Vec<serde_json::Value>>>);

impl EventSink for MemorySink {
    fn append(&mut self, event: &EncodedEvent) -> std::io::Result<()> {
        self.0.lock().unwrap().push(serde_json::from_slice(&event.json).unwrap());
        Ok(())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The host's clock.
pub(crate) struct HostClock(pub(crate) Instant);

impl Clock for HostClock {
    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }

    fn unix_us(&self) -> i64 {
        1_800_000_000_000_000 + i64::try_from(self.monotonic_us()).unwrap()
    }
}

/// What one opening of a [`Plot`] comes to.
pub(crate) enum Take {
    /// It does not open.
    Refuse(SourceErrorKind),
    /// So many frames, then the end.
    Frames(u64),
    /// So many frames, then nothing until it is cancelled.
    Silence(u64),
    /// So many frames, then a panic.
    Panic(u64),
}

/// A source that comes to something else each time it is opened; when the plot is over, to silence.
#[derive(Clone, Default)]
pub(crate) struct Plot {
    pub(crate) takes: Arc<Mutex<VecDeque<Take>>>,
    pub(crate) live: bool,
}

impl Plot {
    pub(crate) fn of(live: bool, takes: impl IntoIterator<Item = Take>) -> Self {
        Self { takes: Arc::new(Mutex::new(takes.into_iter().collect())), live }
    }
}

impl SourceFactory for Plot {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let take = self.takes.lock().unwrap().pop_front().unwrap_or(Take::Silence(0));
        if let Take::Refuse(kind) = take {
            return Err(SourceError { kind, message: "refused, as the test asked".into() });
        }
        let mut factory =
            ScriptedFactory { script: Vec::new(), live: self.live, claimed_frames: None, opens_late: false };
        let frames = Box::new(PlayedTake { take, next: 0, cancel: cancel.clone() });
        Ok(OpenSource { frames, ..factory.open(cancel)? })
    }
}

struct PlayedTake {
    take: Take,
    next: u64,
    cancel: CancelToken,
}

impl FrameSource for PlayedTake {
    fn next(&mut self) -> SourceItem {
        let (Take::Frames(frames) | Take::Silence(frames) | Take::Panic(frames)) = self.take else {
            return SourceItem::End(None);
        };
        if self.next < frames {
            self.next += 1;
            return SourceItem::Frame(source_frame(self.next - 1));
        }
        match self.take {
            Take::Panic(_) => panic!("the source panics, as the test asked"),
            Take::Silence(_) => {
                // A read that blocks until it is interrupted.
                while !self.cancel.is_cancelled() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                SourceItem::End(None)
            }
            _ => SourceItem::End(None),
        }
    }
}
