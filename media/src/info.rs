//! What is known of a source's streams before a packet is read.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use crate::codec::CodecParameters;
use crate::dict;
use crate::error::{ErrorKind, MediaError};
use crate::format::InputFormat;
use crate::frame::clockwise;
use crate::raw::{self, sys};

/// The chosen video stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VideoInfo {
    /// FFmpeg's name of the codec, `h264` for example.
    pub codec: String,
    /// Pixels in a row, before any rotation; 0 when a live stream has not told yet. A frame's own size is what counts.
    pub width: usize,
    /// Rows, before any rotation; 0 when a live stream has not told yet.
    pub height: usize,
    /// FFmpeg's name of the pixel format, `yuv420p` for example.
    pub pixel_format: String,
    /// Seconds a tick of the timestamps, as (numerator, denominator).
    pub time_base: (i32, i32),
    /// Average frames a second, as (numerator, denominator).
    pub frame_rate: Option<(i32, i32)>,
    /// Degrees clockwise by which frames are to be turned for display: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Duration in microseconds, as the container claims.
    pub duration_us: Option<i64>,
    /// Number of frames, as the container claims: for a progress bar and nothing else. MP4 counts samples that an edit
    /// list hides, AVI what its writer hoped for. Whether all came is told by the end: [`crate::ErrorKind::Truncated`].
    pub frames: Option<u64>,
    /// When it was recorded, as the container claims: microseconds since 1970 in UTC.
    pub creation_time_us: Option<i64>,
    /// First timestamp in ticks.
    pub start_pts: Option<i64>,
    /// FFmpeg's name of the container, `mov,mp4,m4a,3gp,3g2,mj2` or `mpegts` for example.
    pub container: String,
    pub(crate) parameters: Arc<CodecParameters>,
}

/// The best audio stream, which [`crate::Mp4Writer`] can copy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AudioInfo {
    /// FFmpeg's name of the codec, `aac` for example.
    pub codec: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Seconds a tick of the timestamps, as (numerator, denominator).
    pub time_base: (i32, i32),
    /// Where the video begins, in microseconds of the source's clock: a copy counts from there.
    pub origin_us: i64,
    pub(crate) parameters: Arc<CodecParameters>,
}

/// A stream of a source, chosen or not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackInfo {
    /// `video`, `audio`, `subtitle`, `data`, ...
    pub kind: &'static str,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// FFmpeg's name of the profile, if the codec has profiles and this one is known.
    pub profile: Option<String>,
    /// Whether it is the video that is decoded.
    pub is_chosen: bool,
}

/// The streams that were chosen.
pub(crate) struct Chosen {
    /// All of them, in the order of the container.
    pub(crate) tracks: Vec<TrackInfo>,
    pub(crate) video: (usize, VideoInfo),
    pub(crate) audio: Option<(usize, AudioInfo)>,
}

/// Chooses the streams of an open input: the video stream that is marked as default, else the largest; cover pictures
/// are none.
///
/// # Errors
/// `NoVideo` (naming what is there), `UnsupportedCodec`.
pub(crate) fn choose(input: &InputFormat, who: &str) -> Result<Chosen, MediaError> {
    let streams: Vec<Stream> = (0..input.streams()).filter_map(|index| Stream::of(input, index)).collect();
    let video = streams.iter().filter(|stream| stream.is_video()).max_by_key(|stream| stream.rank());
    let video = video.ok_or_else(|| no_video(&streams, who))?;
    let info = video.video_info(input)?;
    // SAFETY: any integer is allowed; only whether the result is null is looked at.
    if unsafe { raw::find_decoder(video.codec) }.is_null() {
        let message = format!("`{who}` holds {} video, for which this FFmpeg has no decoder", info.codec);
        return Err(MediaError::new(ErrorKind::UnsupportedCodec, message));
    }
    let origin_us = info.start_pts.and_then(|pts| raw::micros(pts, info.time_base)).unwrap_or(0);
    let audio = streams.iter().filter(|stream| stream.kind == AUDIO).max_by_key(|stream| stream.rank());
    let audio = audio.map(|stream| Ok((stream.index, stream.audio_info(origin_us)?))).transpose()?;
    let tracks = streams.iter().map(|stream| stream.track(stream.index == video.index)).collect();
    Ok(Chosen { tracks, video: (video.index, info), audio })
}

const VIDEO: c_int = sys::AVMediaType::AVMEDIA_TYPE_VIDEO as c_int;
const AUDIO: c_int = sys::AVMediaType::AVMEDIA_TYPE_AUDIO as c_int;
const SUBTITLE: c_int = sys::AVMediaType::AVMEDIA_TYPE_SUBTITLE as c_int;

/// A stream of an open input; the pointers live as long as the borrow of the input that made it.
struct Stream {
    index: usize,
    raw: *const sys::AVStream,
    parameters: *const sys::AVCodecParameters,
    kind: c_int,
    codec: c_int,
    disposition: c_int,
}

impl Stream {
    fn of(input: &InputFormat, index: usize) -> Option<Self> {
        let raw = input.stream(index)?.cast_const();
        // SAFETY: a stream of an open input is live and always has parameters; enumerations are read as integers.
        unsafe {
            let parameters = (*raw).codecpar.cast_const();
            let kind = raw::int(&raw const (*parameters).codec_type);
            let codec = raw::int(&raw const (*parameters).codec_id);
            Some(Self { index, raw, parameters, kind, codec, disposition: (*raw).disposition })
        }
    }

    fn is_video(&self) -> bool {
        let picture = sys::AV_DISPOSITION_ATTACHED_PIC | sys::AV_DISPOSITION_TIMED_THUMBNAILS;
        self.kind == VIDEO && self.disposition & picture == 0
    }

    /// (marked as default, pixels, first in the file), the greatest is the best.
    fn rank(&self) -> (bool, i64, std::cmp::Reverse<usize>) {
        let (width, height) = self.size();
        let default = self.disposition & sys::AV_DISPOSITION_DEFAULT != 0;
        (default, width as i64 * height as i64, std::cmp::Reverse(self.index))
    }

    fn size(&self) -> (usize, usize) {
        // SAFETY: the parameters are live; integers are read.
        let (width, height) = unsafe { ((*self.parameters).width, (*self.parameters).height) };
        (width.max(0) as usize, height.max(0) as usize)
    }

    fn video_info(&self, input: &InputFormat) -> Result<VideoInfo, MediaError> {
        let (width, height) = self.size();
        // SAFETY: stream, parameters and the context of the input are live; plain fields are read.
        let (stream, format, container_duration) = unsafe {
            let stream = &raw const *self.raw;
            let times = ((*stream).start_time, (*stream).duration, (*stream).nb_frames);
            let bases = (raw::pair((*stream).time_base), raw::pair((*stream).avg_frame_rate));
            ((times, bases), (*self.parameters).format, (*input.as_ptr()).duration)
        };
        let ((start, duration, frames), (time_base, frame_rate)) = stream;
        let own_duration = raw::timestamp(duration).and_then(|ticks| raw::micros(ticks, time_base));
        Ok(VideoInfo {
            codec: raw::codec_name(self.codec),
            width,
            height,
            pixel_format: raw::pixel_name(format),
            time_base,
            frame_rate: (frame_rate.0 > 0 && frame_rate.1 > 0).then_some(frame_rate),
            rotation: self.rotation(),
            duration_us: own_duration.or(raw::timestamp(container_duration)).filter(|&us| us > 0),
            frames: u64::try_from(frames).ok().filter(|&frames| frames > 0),
            creation_time_us: self.creation_time(input),
            start_pts: raw::timestamp(start),
            container: input.name(),
            parameters: self.copy_parameters()?,
        })
    }

    fn audio_info(&self, origin_us: i64) -> Result<AudioInfo, MediaError> {
        // SAFETY: stream and parameters are live; plain fields are read.
        let (rate, channels, time_base) = unsafe {
            let parameters = self.parameters;
            ((*parameters).sample_rate, (*parameters).ch_layout.nb_channels, raw::pair((*self.raw).time_base))
        };
        Ok(AudioInfo {
            codec: raw::codec_name(self.codec),
            sample_rate: rate.max(0) as u32,
            channels: channels.max(0) as u32,
            time_base,
            origin_us,
            parameters: self.copy_parameters()?,
        })
    }

    fn copy_parameters(&self) -> Result<Arc<CodecParameters>, MediaError> {
        // SAFETY: the parameters of the stream are live.
        unsafe { CodecParameters::copy_of(self.parameters) }.map(Arc::new)
    }

    fn rotation(&self) -> u16 {
        const MATRIX: sys::AVPacketSideDataType = sys::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
        // SAFETY: the stream is live; a display matrix has 9 integers, which is checked.
        unsafe {
            let mut size = 0;
            let matrix = sys::av_stream_get_side_data(self.raw, MATRIX, &mut size);
            if matrix.is_null() || size < 36 {
                0
            } else {
                clockwise(sys::av_display_rotation_get(matrix.cast()))
            }
        }
    }

    /// The container's time of creation, else the stream's.
    fn creation_time(&self, input: &InputFormat) -> Option<i64> {
        // SAFETY: both dictionaries belong to the open context and are only read.
        let text = unsafe {
            dict::value((*input.as_ptr()).metadata, "creation_time")
                .or_else(|| dict::value((*self.raw).metadata, "creation_time"))
        }?;
        parse_time(&text)
    }

    fn track(&self, is_chosen: bool) -> TrackInfo {
        // SAFETY: the parameters are live; an integer is read.
        let profile = unsafe { (*self.parameters).profile };
        TrackInfo {
            kind: match self.kind {
                VIDEO => "video",
                AUDIO => "audio",
                SUBTITLE => "subtitle",
                _ => "data",
            },
            codec: raw::codec_name(self.codec),
            profile: raw::profile_name(self.codec, profile),
            is_chosen,
        }
    }

    fn describe(&self) -> String {
        let codec = raw::codec_name(self.codec);
        match self.kind {
            VIDEO => format!("{codec} (cover picture)"),
            AUDIO => format!("{codec} (audio)"),
            _ => codec,
        }
    }
}

/// `2026-11-22T05:11:05.123456Z` and what else FFmpeg reads as a date, in microseconds since 1970.
fn parse_time(text: &str) -> Option<i64> {
    let text = std::ffi::CString::new(text).ok()?;
    let mut us = 0;
    // SAFETY: the text lives during the call, the result is written to a local.
    let code = unsafe { sys::av_parse_time(ptr::from_mut(&mut us), text.as_ptr(), 0) };
    // The epoch of QuickTime (1904) and 0 mean that nobody set it.
    (code >= 0 && us > 0).then_some(us)
}

fn no_video(streams: &[Stream], who: &str) -> MediaError {
    let found: Vec<String> = streams.iter().map(Stream::describe).collect();
    let found = if found.is_empty() { "no stream at all".to_owned() } else { found.join(", ") };
    MediaError::new(
        ErrorKind::NoVideo,
        format!("`{who}` holds no video; a video stream is needed, found: {found}"),
    )
}
