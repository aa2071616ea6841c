//! The test dancer as a source: `dancer:` with `?size=1280x720&fps=30&frames=300&seed=1`.

use std::sync::Arc;
use std::time::Instant;

use kinora_actors::domain::{Size, SourceDescription, Timebase};
use kinora_actors::ports::{
    CancelToken, FrameSource, OpenSource, SourceError, SourceFactory, SourceFrame, SourceItem,
};

use super::picture::DancerPicture;
use crate::dancer::Dancer;
use crate::dancer_options::DancerOptions;

/// Opens the dancer.
pub(crate) struct DancerSource(pub(crate) DancerOptions);

impl SourceFactory for DancerSource {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let DancerOptions { settings, frames } = self.0;
        let size = Size {
            width: u32::try_from(settings.width).unwrap_or(u32::MAX),
            height: u32::try_from(settings.height).unwrap_or(u32::MAX),
        };
        let (num, den) = settings.fps;
        let signed = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        Ok(OpenSource {
            description: SourceDescription {
                address: "dancer:".into(),
                codec: "rawvideo".into(),
                size: size.into(),
                frame_rate: Some((signed(num), signed(den))),
                live: false,
                claimed_frames: Some(frames),
                decoder: None,
            },
            created_unix_us: None,
            frames: Box::new(DancerFrames {
                dancer: Dancer::new(settings),
                next: 0,
                frames,
                timebase: Timebase { num: signed(den), den: signed(num) },
                cancel: cancel.clone(),
            }),
        })
    }
}

struct DancerFrames {
    dancer: Dancer,
    next: u64,
    frames: u64,
    timebase: Timebase,
    cancel: CancelToken,
}

impl FrameSource for DancerFrames {
    fn next(&mut self) -> SourceItem {
        if self.next >= self.frames || self.cancel.is_cancelled() {
            return SourceItem::End(None);
        }
        let begun = Instant::now();
        let picture = self.dancer.render(self.next);
        let pts = i64::try_from(self.next).unwrap_or(i64::MAX);
        self.next += 1;
        let Timebase { num, den } = self.timebase;
        SourceItem::Frame(SourceFrame {
            picture: Arc::new(DancerPicture(picture)),
            pts,
            timebase: self.timebase,
            media_us: pts.saturating_mul(1_000_000 * i64::from(num)) / i64::from(den.max(1)),
            corrupt: false,
            stamp: None,
            decode_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }
}
