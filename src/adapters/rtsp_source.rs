//! The source port on `kinora-rtsp`: a camera's access units, decoded by FFmpeg; times are the camera's own where it
//! sends reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kinora_actors::domain::{SourceDescription, Timebase};
use kinora_actors::ports::{
    CancelToken, FrameSource, OpenSource, SourceError, SourceErrorKind, SourceFactory, SourceFrame,
    SourceItem,
};
use kinora_media::{
    DecodeOptions, Decoded, ElementaryCodec, ElementaryDecoder, ElementaryUnit, Frame, FrameMeta,
    FrameReader, Input, MediaError, OpenOptions,
};
use kinora_rtsp::{AccessUnit, Address, Client, Codec, Error, ErrorKind, Options, Stamp, TransportReader};

use super::live_clock::source_stamp;
use super::media_source::{self, DecoderTold};
use super::picture::MediaPicture;

/// A camera whose first key frame takes longer sends none, as a rule.
pub(crate) const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(10);

/// Opens a camera.
pub(crate) struct RtspSource {
    /// Which.
    pub(crate) address: Address,
    /// How: credentials, trust, time-outs.
    pub(crate) options: Options,
    /// Decoding threads; `None`: FFmpeg's choice.
    pub(crate) threads: Option<usize>,
    /// How long the first key frame may take.
    pub(crate) patience: Duration,
    /// The GPU whose decoder is tried.
    pub(crate) gpu: Option<u32>,
}

impl SourceFactory for RtspSource {
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let client = self.connect(cancel).map_err(source_error)?;
        self.receive(client, cancel)
    }
}

impl RtspSource {
    /// Asks the camera to play.
    ///
    /// # Errors
    /// Those of [`Client::open`].
    pub(super) fn connect(&self, cancel: &CancelToken) -> Result<Client, Error> {
        let token = kinora_rtsp::CancelToken::from_flag(cancel.flag());
        Client::open(&self.address, &self.options, &token)
    }

    /// The frames of a camera that plays; waits for the first one.
    ///
    /// # Errors
    /// When none comes in time, or none can be decoded.
    pub(super) fn receive(&self, client: Client, cancel: &CancelToken) -> Result<OpenSource, SourceError> {
        let decode =
            DecodeOptions { threads: self.threads.unwrap_or(0), low_delay: Some(true), gpu: self.gpu };
        let codec = match client.codec() {
            Codec::H264 => ElementaryCodec::H264,
            Codec::H265 => ElementaryCodec::H265,
            Codec::MpegTs => return self.open_transport_stream(client, cancel, &decode),
        };
        self.open_elementary(client, codec, &decode)
    }

    /// Plays until there is a picture: its size is part of what was opened.
    fn open_elementary(
        &self,
        client: Client,
        codec: ElementaryCodec,
        decode: &DecodeOptions,
    ) -> Result<OpenSource, SourceError> {
        let name = self.address.to_string();
        let timebase = Timebase { num: 1, den: i32::try_from(client.track().clock_rate).unwrap_or(90_000) };
        let decoder = ElementaryDecoder::new(codec, (timebase.num, timebase.den), &name, decode)
            .map_err(media_source::source_error)?;
        let (patience, patient_until) = (self.patience, Instant::now() + self.patience);
        let told = DecoderTold::of(decoder.decoding());
        let mut frames = RtspFrames {
            client,
            decoder,
            told,
            timebase,
            is_synchronised: false,
            patience,
            patient_until,
            is_over: false,
            failed: None,
        };
        let (lost, first) = frames.first_picture(&name)?;
        let size = first.picture.displayed_size();
        let description = SourceDescription {
            address: name,
            codec: codec.name().to_owned(),
            size: size.into(),
            frame_rate: None,
            live: true,
            claimed_frames: None,
            decoder: media_source::decoder_in_words(frames.decoder.decoding()),
        };
        let frames = Box::new(WithFirst { lost, first: Some(first), rest: frames });
        Ok(OpenSource { description, created_unix_us: None, frames })
    }

    /// A transport stream is taken apart by FFmpeg, and has clocks of its own.
    fn open_transport_stream(
        &self,
        client: Client,
        cancel: &CancelToken,
        decode: &DecodeOptions,
    ) -> Result<OpenSource, SourceError> {
        let reader = TransportReader::new(client).map_err(source_error)?;
        let status = reader.status();
        let address = kinora_media::Address::received(&self.address.to_string());
        let options = OpenOptions {
            cancel: kinora_media::CancelToken::from(cancel.flag()),
            open_timeout: self.options.request_timeout,
            read_timeout: self.options.silence_timeout,
            ..OpenOptions::default()
        };
        let opened = Input::from_transport_stream(&address, Box::new(reader), &options)
            .and_then(|input| FrameReader::new(input, decode));
        // The demultiplexer only says that it could not read; the client knows why.
        let failed = |error| status.error().map_or_else(|| media_source::source_error(error), source_error);
        Ok(media_source::opened(opened.map_err(failed)?, true))
    }
}

/// Frames of a camera that plays.
struct RtspFrames {
    client: Client,
    decoder: ElementaryDecoder<Stamp>,
    told: DecoderTold,
    timebase: Timebase,
    /// A key frame has come: what is before it can be no picture, and is not offered to the decoder.
    is_synchronised: bool,
    /// How long the first key frame may take.
    patience: Duration,
    /// It has to come by then.
    patient_until: Instant,
    is_over: bool,
    /// Why it is over, once all that the decoder held is out.
    failed: Option<SourceError>,
}

impl RtspFrames {
    /// The first picture, and the units before it that became none.
    fn first_picture(&mut self, name: &str) -> Result<(u64, SourceFrame), SourceError> {
        let mut lost = 0;
        loop {
            match self.next() {
                SourceItem::Frame(frame) => return Ok((lost, frame)),
                // The description has the last word of it.
                SourceItem::Decoder(_) => {}
                SourceItem::Lost(count) if Instant::now() < self.patient_until => lost += count,
                SourceItem::Lost(_) => return Err(no_key_frame(name, self.patience)),
                SourceItem::End(Some(error)) => return Err(error),
                SourceItem::End(None) => {
                    let message = format!("{name}: it ended before there was a picture");
                    return Err(SourceError { kind: SourceErrorKind::Unavailable, message });
                }
            }
        }
    }

    /// Takes what the network brings until the decoder has something.
    fn receive(&mut self) -> Result<(), SourceError> {
        match self.client.next().map_err(source_error)? {
            Some(unit) if self.is_synchronised || unit.is_key => {
                self.is_synchronised = true;
                self.decode(&unit).map_err(media_source::source_error)
            }
            Some(_) if Instant::now() >= self.patient_until => {
                Err(no_key_frame(&self.client.description().address, self.patience))
            }
            Some(_) => Ok(()),
            None => {
                self.is_over = true;
                self.decoder.finish().map_err(media_source::source_error)
            }
        }
    }

    /// What the decoder holds comes out before the end is told, or is told as lost.
    fn fail(&mut self, error: SourceError) {
        (self.failed, self.is_over) = (Some(error), true);
        // Of two errors the first one is told.
        let _ = self.decoder.finish();
    }

    fn decode(&mut self, unit: &AccessUnit) -> Result<(), MediaError> {
        let is_damaged = unit.is_corrupt || unit.after_loss;
        let stamp = unit.stamp;
        let unit = ElementaryUnit { data: &unit.data, pts: stamp.timestamp, is_key: unit.is_key, is_damaged };
        self.decoder.push(&unit, stamp)
    }

    fn frame(&self, frame: Frame, meta: FrameMeta, stamp: &Stamp) -> SourceFrame {
        SourceFrame {
            pts: stamp.timestamp,
            timebase: self.timebase,
            media_us: stamp.media_us,
            corrupt: meta.corrupt,
            decode_us: meta.decode_us,
            stamp: Some(source_stamp(stamp)),
            picture: Arc::new(MediaPicture::new(frame)),
        }
    }
}

impl FrameSource for RtspFrames {
    fn next(&mut self) -> SourceItem {
        loop {
            if let Some(told) = self.told.change(self.decoder.decoding()) {
                return told;
            }
            match self.decoder.pop() {
                Some(Decoded::Frame(frame, meta, stamp)) => {
                    return SourceItem::Frame(self.frame(frame, meta, &stamp));
                }
                Some(Decoded::Lost(lost)) => return SourceItem::Lost(lost.count),
                None if self.is_over => return SourceItem::End(self.failed.take()),
                None => {
                    if let Err(error) = self.receive() {
                        self.fail(error);
                    }
                }
            }
        }
    }
}

/// Frames, the first of which was decoded while opening.
struct WithFirst {
    lost: u64,
    first: Option<SourceFrame>,
    rest: RtspFrames,
}

impl FrameSource for WithFirst {
    fn next(&mut self) -> SourceItem {
        match std::mem::take(&mut self.lost) {
            0 => self.first.take().map_or_else(|| self.rest.next(), SourceItem::Frame),
            lost => SourceItem::Lost(lost),
        }
    }
}

fn no_key_frame(name: &str, patience: Duration) -> SourceError {
    let seconds = patience.as_secs();
    let message = format!(
        "{name}: no key frame came in {seconds} s; the camera's key-frame interval should be a second or two"
    );
    SourceError { kind: SourceErrorKind::Unavailable, message }
}

fn source_error(error: Error) -> SourceError {
    let kind = match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Protocol => SourceErrorKind::Unavailable,
        ErrorKind::NotFound => SourceErrorKind::NotFound,
        ErrorKind::Unauthorized => SourceErrorKind::Unauthorized,
        ErrorKind::OutOfReach => SourceErrorKind::Forbidden,
        ErrorKind::Unsupported | ErrorKind::Invalid => SourceErrorKind::Unsupported,
        ErrorKind::Cancelled => SourceErrorKind::Cancelled,
    };
    SourceError { kind, message: error.to_string() }
}
