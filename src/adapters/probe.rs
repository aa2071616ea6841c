//! A look at a source: what is there, found by the way that a stream takes to it.
//!
//! What was learned before a fault is told beside the fault: a camera whose password is right and whose codec is not has
//! told its tracks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kinora_actors::capture::CaptureClock;
use kinora_actors::domain::{CaptureTime, ClockSource};
use kinora_actors::ports::{CancelToken, FrameSource, OpenSource, SourceItem};
use kinora_media::{DecodeOptions, FrameReader, OpenOptions, Scheme};
use kinora_rtsp::Description;
use serde::Serialize;

use super::fault::Fault;
use super::media_source;
use super::rtsp_source::{KEY_FRAME_PATIENCE, RtspSource};
use super::source_address::{SourceAddress, camera_options};
use crate::config::{Access, Decoder};

/// So many frames of a file say enough.
const FILE_FRAMES: u64 = 100;
/// A live source whose own clock is known needs no longer look than this at its rate.
const ENOUGH_US: i64 = 2_000_000;

/// How to look.
pub(crate) struct Look {
    /// Limits and threads.
    pub(crate) decoder: Decoder,
    /// How long the first key frame of a camera may take.
    pub(crate) patience: Duration,
    /// How long a live source is watched.
    pub(crate) watch: Duration,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Findings {
    /// The source without credentials; the place where a redirect led.
    pub(crate) source: String,
    /// What brings the picture here.
    pub(crate) transport: String,
    /// What a camera's server calls itself.
    pub(crate) server: Option<String>,
    /// The ways to authenticate that a camera offers; empty when it asks for none.
    pub(crate) authentication: Option<Vec<String>>,
    /// FFmpeg's name of the container.
    pub(crate) container: Option<String>,
    /// All that there is.
    pub(crate) tracks: Vec<Track>,
    /// Whether it goes on by itself.
    pub(crate) live: bool,
    /// The chosen track's pictures, once some were seen.
    pub(crate) video: Option<Video>,
    /// What stands in the way.
    pub(crate) fault: Option<Fault>,
}

/// One track.
#[derive(Debug, Serialize)]
pub(crate) struct Track {
    /// `video`, `audio`, ...
    pub(crate) kind: String,
    /// The name of its codec: a camera's or FFmpeg's.
    pub(crate) codec: String,
    /// Its profile, where it is told.
    pub(crate) profile: Option<String>,
    /// Whether it is the one that is decoded.
    pub(crate) chosen: bool,
}

/// What was seen of the pictures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Video {
    /// FFmpeg's name of the codec.
    pub(crate) codec: String,
    /// Pixels in a row, as displayed.
    pub(crate) width: u32,
    /// Rows, as displayed.
    pub(crate) height: u32,
    /// Frames a second by their timestamps; by the container where too few were seen.
    pub(crate) frame_rate: Option<f64>,
    /// From asking to the first picture.
    pub(crate) first_frame_ms: u64,
    /// Good pictures that were seen.
    pub(crate) frames: u64,
    /// Pictures that were lost or damaged.
    pub(crate) damaged: u64,
    /// Whose word capture times are, and how far to trust it.
    pub(crate) clock: Option<Clock>,
}

/// The clock of the last picture.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Clock {
    /// `rtcp`, `arrival`, `file` or `synthetic`.
    pub(crate) source: ClockSource,
    /// Half the width of the interval in which the true time lies.
    pub(crate) uncertainty_ms: u32,
}

/// Looks at a source. Blocks for as long as `look` says.
pub(crate) fn probe(address: &SourceAddress, access: &Access, look: &Look) -> Findings {
    let mut findings =
        Findings { source: address.to_string(), live: address.is_live(), ..Findings::default() };
    let begun = Instant::now();
    let opened = match address {
        SourceAddress::Rtsp(camera) => open_camera(camera, access, look, &mut findings),
        SourceAddress::Media(media) => open_media(media, look, &mut findings),
    };
    match opened {
        Ok(opened) => watch(opened, begun, look, &mut findings),
        Err(fault) => findings.fault = Some(fault),
    }
    findings
}

fn open_camera(
    camera: &kinora_rtsp::Address,
    access: &Access,
    look: &Look,
    findings: &mut Findings,
) -> Result<OpenSource, Fault> {
    let connection =
        if camera.is_secure() { "encrypted RTSP connection (TLS)" } else { "RTSP connection (TCP)" };
    findings.transport = format!("RTP inside the {connection}");
    let options = camera_options(access, &look.decoder);
    let has_credentials = options.credentials.is_some() || camera.credentials().is_some();
    let source = RtspSource {
        address: camera.clone(),
        options,
        threads: look.decoder.threads,
        patience: look.patience,
        gpu: look.decoder.gpu,
    };
    let cancel = CancelToken::default();
    let nobody_cancels = kinora_rtsp::CancelToken::default();
    // One connection for all: some cameras have room for no second one, and need a while to forget the first.
    let client = source.connect(&cancel).map_err(|error| {
        let is_unsupported = error.kind() == kinora_rtsp::ErrorKind::Unsupported;
        if is_unsupported
            && let Ok(described) = kinora_rtsp::describe(camera, &source.options, &nobody_cancels)
        {
            note(described, findings);
        }
        Fault::of_camera(&error, has_credentials)
    })?;
    note(client.description().clone(), findings);
    source.receive(client, &cancel).map_err(Fault::of_source)
}

fn note(description: Description, findings: &mut Findings) {
    let chosen = description.chosen;
    let track = |(place, track): (usize, kinora_rtsp::Track)| Track {
        kind: track.media,
        codec: track.encoding,
        profile: track.profile,
        chosen: chosen == Some(place),
    };
    findings.tracks = description.tracks.into_iter().enumerate().map(track).collect();
    findings.source = description.address;
    findings.server = description.server;
    findings.authentication = Some(description.authentication);
}

fn open_media(
    address: &kinora_media::Address,
    look: &Look,
    findings: &mut Findings,
) -> Result<OpenSource, Fault> {
    findings.transport = match address.scheme() {
        Scheme::File => "file",
        Scheme::Udp => "datagrams (UDP)",
        Scheme::Tcp => "TCP",
        Scheme::Srt => "SRT",
        Scheme::Http => "HTTP",
        Scheme::Https => "HTTP over TLS",
        Scheme::Device => "capture device",
        Scheme::Synthetic | Scheme::Received => "test source",
    }
    .to_owned();
    let limits = OpenOptions {
        open_timeout: look.decoder.open_timeout,
        read_timeout: look.decoder.read_timeout,
        ..OpenOptions::default()
    };
    let decode = DecodeOptions {
        threads: look.decoder.threads.unwrap_or(0),
        low_delay: Some(address.is_live()),
        gpu: look.decoder.gpu,
    };
    let reader =
        FrameReader::open(address, &limits, &decode).map_err(|error| Fault::of_media(&error, address))?;
    let track = |track: &kinora_media::TrackInfo| Track {
        kind: track.kind.to_owned(),
        codec: track.codec.clone(),
        profile: track.profile.clone(),
        chosen: track.is_chosen,
    };
    findings.tracks = reader.input().tracks().iter().map(track).collect();
    findings.container = Some(reader.input().video().container.clone());
    Ok(media_source::opened(reader, address.is_live()))
}

/// Watches the pictures for a while; the first one is what was waited for.
fn watch(mut opened: OpenSource, begun: Instant, look: &Look, findings: &mut Findings) {
    let file_clock = (!opened.description.live).then(|| {
        let now_us = unix_us();
        CaptureClock::of_file(opened.created_unix_us, now_us).capture(0, now_us)
    });
    let description = &opened.description;
    let told_rate =
        description.frame_rate.map(|(number, divisor)| f64::from(number) / f64::from(divisor.max(1)));
    let mut seen = Seen::default();
    let ended = seen.all(&mut *opened.frames, description.live, look.watch);
    let captured = seen.captured.or(file_clock);
    if let Some(first_at) = seen.first_at {
        findings.video = Some(Video {
            codec: description.codec.clone(),
            width: description.size.width,
            height: description.size.height,
            frame_rate: seen.rate().or(told_rate),
            first_frame_ms: u64::try_from(first_at.duration_since(begun).as_millis()).unwrap_or(u64::MAX),
            frames: seen.frames,
            damaged: seen.damaged,
            clock: captured.map(|time| Clock { source: time.source, uncertainty_ms: time.uncertainty_ms }),
        });
    }
    findings.fault = match ended {
        Err(fault) => Some(fault),
        Ok(()) if seen.first_at.is_none() => Some(Fault::of_nothing(&findings.source)),
        Ok(()) => None,
    };
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    first_at: Option<Instant>,
    frames: u64,
    damaged: u64,
    /// First and last media time and the steps between them, of the last epoch.
    span: Option<(i64, i64, u32)>,
    epoch: Option<u32>,
    captured: Option<CaptureTime>,
}

impl Seen {
    /// Looks until enough was seen, the time is over, no frame can be decoded for long, or the source ends.
    fn all(&mut self, frames: &mut dyn FrameSource, live: bool, time: Duration) -> Result<(), Fault> {
        let begun = Instant::now();
        loop {
            match frames.next() {
                SourceItem::Frame(frame) => {
                    self.first_at.get_or_insert_with(Instant::now);
                    self.take(frame.media_us, frame.stamp.map(|stamp| stamp.epoch), frame.corrupt);
                    self.captured = frame.stamp.map(|stamp| stamp.captured);
                }
                SourceItem::Decoder(_) => {}
                SourceItem::Lost(count) => self.damaged += count,
                SourceItem::End(None) => return Ok(()),
                SourceItem::End(Some(error)) => return Err(Fault::of_source(error)),
            }
            let is_over = live
                && self
                    .first_at
                    .map_or(begun.elapsed() >= KEY_FRAME_PATIENCE + time, |at| at.elapsed() >= time);
            let is_enough = if live { self.knows_the_clock() } else { self.frames >= FILE_FRAMES };
            if is_over || is_enough {
                return Ok(());
            }
        }
    }

    fn take(&mut self, media_us: i64, epoch: Option<u32>, is_corrupt: bool) {
        let count = if is_corrupt { &mut self.damaged } else { &mut self.frames };
        *count += 1;
        let goes_on = std::mem::replace(&mut self.epoch, epoch) == epoch;
        self.span = match self.span.filter(|_| goes_on) {
            Some((first, _, steps)) => Some((first, media_us, steps + 1)),
            None => Some((media_us, media_us, 0)),
        };
    }

    fn knows_the_clock(&self) -> bool {
        let is_reported = self.captured.is_some_and(|time| time.source == ClockSource::Rtcp);
        is_reported && self.span.is_some_and(|(first, last, _)| last.saturating_sub(first) >= ENOUGH_US)
    }

    #[expect(clippy::cast_precision_loss, reason = "a look takes seconds")]
    fn rate(&self) -> Option<f64> {
        let (first, last, steps) = self.span?;
        let span_s = last.saturating_sub(first) as f64 / 1e6;
        (steps > 1 && span_s > 0.0).then(|| (f64::from(steps) / span_s * 100.0).round() / 100.0)
    }
}

fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
