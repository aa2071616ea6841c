//! The source port on `kinora-media`: files, network streams and devices through FFmpeg.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kinora_actors::domain::{Size, SourceDescription, Timebase};
use kinora_actors::ports::{
    CancelToken, FrameSource, OpenSource, SourceError, SourceErrorKind, SourceFactory, SourceFrame,
    SourceItem,
};
use kinora_media::{
    Address, DecodeOptions, Decoding, ErrorKind, Frame, FrameMeta, FrameReader, Item, MediaError,
    OpenOptions, Reach, VideoInfo,
};
use kinora_rtsp::Unwrapper;

use super::live_clock::LiveClock;
use super::picture::MediaPicture;
use super::redirect;

/// Step of a frame without a time stamp whose stream tells no rate: 40 ms, 25 frames a second.
const DEFAULT_STEP_US: i64 = 40_000;

/// Timestamps of a transport stream wrap at so many bits, after 26.5 hours. FFmpeg follows the first wrap only.
const TRANSPORT_BITS: u32 = 33;

/// Redirects that are followed before they are taken for a circle; as many as FFmpeg follows.
const MOST_REDIRECTS: usize = 8;

/// Opens an address with FFmpeg.
pub(crate) struct MediaSource {
    /// What to open.
    pub(crate) address: Address,
    /// Decoding threads; `None`: FFmpeg's choice.
    pub(crate) threads: Option<usize>,
    /// The GPU whose decoder is tried.
    pub(crate) gpu: Option<u32>,
    /// Limit of opening.
    pub(crate) open_timeout: Duration,
    /// Limit of waiting for data.
    pub(crate) read_timeout: Duration,
    /// Which hosts may be connected to.
    pub(crate) reach: Reach,
}

impl SourceFactory for MediaSource {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let live = self.address.is_live();
        let decode =
            DecodeOptions { threads: self.threads.unwrap_or(0), low_delay: Some(live), gpu: self.gpu };
        let reader = self.follow(&decode, cancel)?;
        Ok(opened(reader, live))
    }
}

impl MediaSource {
    /// Opens the address. Within a limited reach FFmpeg follows no redirect: what it stops at is followed here, and each
    /// host is judged anew.
    fn follow(&self, decode: &DecodeOptions, cancel: &CancelToken) -> Result<FrameReader, SourceError> {
        let deadline = Instant::now() + self.open_timeout;
        let mut address = self.address.clone();
        let mut redirects = 0;
        loop {
            let open = OpenOptions {
                cancel: kinora_media::CancelToken::from(cancel.flag()),
                open_timeout: deadline.saturating_duration_since(Instant::now()),
                read_timeout: self.read_timeout,
                audio: false,
                reach: self.reach.clone(),
            };
            let error = match FrameReader::open(&address, &open, decode) {
                // What FFmpeg says of a redirect that it may not follow.
                Err(error) if self.reach.is_limited() && matches!(error.kind(), ErrorKind::Other(_)) => error,
                opened => return opened.map_err(source_error),
            };
            let Some(location) = redirect::asked(&address, &self.reach, deadline, cancel) else {
                return Err(source_error(error));
            };
            redirects += 1;
            if redirects > MOST_REDIRECTS {
                let message = format!("{}: it redirects more than {MOST_REDIRECTS} times", self.address);
                return Err(SourceError { kind: SourceErrorKind::Unavailable, message });
            }
            address = address.redirected(&location).map_err(source_error)?;
        }
    }
}

/// What is known of a source that FFmpeg takes apart, and its frames.
pub(super) fn opened(reader: FrameReader, live: bool) -> OpenSource {
    let info = reader.input().video();
    let description = SourceDescription {
        decoder: decoder_in_words(reader.decoding()),
        ..describe(reader.input().address(), info, live)
    };
    let created_unix_us = info.creation_time_us;
    let step_us = description
        .frame_rate
        .map_or(DEFAULT_STEP_US, |(num, den)| 1_000_000 * i64::from(den) / i64::from(num.max(1)));
    let unwrapper = (info.container == "mpegts").then(|| Unwrapper::new(TRANSPORT_BITS));
    let clock = live.then(LiveClock::new);
    let told = DecoderTold::of(reader.decoding());
    let frames = Box::new(MediaFrames { reader, told, unwrapper, clock, last_media_us: None, step_us });
    OpenSource { description, created_unix_us, frames }
}

/// Tells each change of who decodes, once.
pub(super) struct DecoderTold(Decoding);

impl DecoderTold {
    /// This is known.
    pub(super) fn of(decoding: &Decoding) -> Self {
        Self(decoding.clone())
    }

    /// The word for it, if it is another one now.
    pub(super) fn change(&mut self, now: &Decoding) -> Option<SourceItem> {
        let changed = self.0 != *now;
        changed.then(|| {
            self.0.clone_from(now);
            SourceItem::Decoder(now.to_string())
        })
    }
}

/// Who decodes, where a GPU was asked for.
pub(super) fn decoder_in_words(decoding: &Decoding) -> Option<String> {
    Some(decoding).filter(|&decoding| *decoding != Decoding::Cpu).map(Decoding::to_string)
}

fn describe(address: &Address, info: &VideoInfo, live: bool) -> SourceDescription {
    let pixels = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (width, height) = match info.rotation {
        90 | 270 => (info.height, info.width),
        _ => (info.width, info.height),
    };
    SourceDescription {
        address: address.to_string(),
        codec: info.codec.clone(),
        size: Size { width: pixels(width), height: pixels(height) }.into(),
        frame_rate: info.frame_rate,
        live,
        claimed_frames: info.frames,
        decoder: None,
    }
}

struct MediaFrames {
    reader: FrameReader,
    told: DecoderTold,
    /// For timestamps that wrap.
    unwrapper: Option<Unwrapper>,
    /// For sources that go on by themselves.
    clock: Option<LiveClock>,
    last_media_us: Option<i64>,
    step_us: i64,
}

impl MediaFrames {
    fn frame(&mut self, frame: Frame, meta: FrameMeta) -> SourceFrame {
        let (num, den) = frame.time_base();
        let timebase = Timebase { num, den: den.max(1) };
        let pts = frame.pts().map(|pts| match &mut self.unwrapper {
            Some(unwrapper) => unwrapper.unwrap(pts.cast_unsigned()),
            None => pts,
        });
        let media_us = pts.map_or_else(
            || self.last_media_us.map_or(0, |last| last + self.step_us),
            |pts| ticks_to_us(pts, timebase),
        );
        self.last_media_us = Some(media_us);
        SourceFrame {
            pts: pts.unwrap_or_else(|| us_to_ticks(media_us, timebase)),
            timebase,
            media_us,
            corrupt: meta.corrupt,
            decode_us: meta.decode_us,
            stamp: self.clock.as_mut().map(|clock| clock.stamp(media_us)),
            picture: Arc::new(MediaPicture::new(frame)),
        }
    }
}

impl FrameSource for MediaFrames {
    fn next(&mut self) -> SourceItem {
        if let Some(told) = self.told.change(self.reader.decoding()) {
            return told;
        }
        match self.reader.next_item() {
            Item::Frame(frame, meta) => SourceItem::Frame(self.frame(frame, meta)),
            Item::Lost(lost) => SourceItem::Lost(lost.count),
            Item::End { error } => SourceItem::End(error.map(source_error)),
        }
    }
}

fn ticks_to_us(ticks: i64, Timebase { num, den }: Timebase) -> i64 {
    let us = i128::from(ticks) * 1_000_000 * i128::from(num) / i128::from(den);
    i64::try_from(us).unwrap_or(if us < 0 { i64::MIN } else { i64::MAX })
}

fn us_to_ticks(us: i64, Timebase { num, den }: Timebase) -> i64 {
    let ticks = i128::from(us) * i128::from(den) / (1_000_000 * i128::from(num.max(1)));
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

pub(super) fn source_error(error: MediaError) -> SourceError {
    let kind = match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => SourceErrorKind::Unauthorized,
        ErrorKind::NotFoundRemote => SourceErrorKind::NotFound,
        ErrorKind::OutOfReach => SourceErrorKind::Forbidden,
        ErrorKind::Cancelled => SourceErrorKind::Cancelled,
        ErrorKind::Corrupt | ErrorKind::Truncated => SourceErrorKind::Damaged,
        ErrorKind::IsDirectory
        | ErrorKind::Empty
        | ErrorKind::NotMedia
        | ErrorKind::NoVideo
        | ErrorKind::UnsupportedCodec
        | ErrorKind::UnknownScheme
        | ErrorKind::BadAddress => SourceErrorKind::Unsupported,
        _ => SourceErrorKind::Unavailable,
    };
    SourceError { kind, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_decoder_is_told_once_and_back_again() {
        let mut told = DecoderTold::of(&Decoding::Gpu(0));
        let mut words = |now: &Decoding| match told.change(now) {
            Some(SourceItem::Decoder(words)) => Some(words),
            _ => None,
        };
        assert_eq!(words(&Decoding::Gpu(0)), None);
        let instead = Decoding::Instead("it is busy".into());
        assert_eq!(words(&instead), Some("cpu: it is busy".into()));
        assert_eq!(words(&instead), None);
        assert_eq!(words(&Decoding::Gpu(0)), Some("cuda:0".into()));
    }

    #[test]
    fn ticks_become_microseconds_without_drift_or_overflow() {
        let mpegts = Timebase { num: 1, den: 90_000 };
        assert_eq!(ticks_to_us(8_124_960, mpegts), 90_277_333);
        assert_eq!(ticks_to_us(i64::MAX, Timebase { num: 1, den: 1 }), i64::MAX);
        assert_eq!(ticks_to_us(-90_000, mpegts), -1_000_000);
        assert_eq!(us_to_ticks(ticks_to_us(90_000 * 7, mpegts), mpegts), 630_000);
    }
}
