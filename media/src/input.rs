//! Opening a source and reading its packets, with a deadline and a way out for each blocking call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Address, Scheme};
use crate::byte_stream::ByteStream;
use crate::cancel::{CancelToken, Interrupt, PAUSE};
use crate::error::{ErrorKind, MediaError};
use crate::format::InputFormat;
use crate::info::{self, AudioInfo, TrackInfo, VideoInfo};
use crate::packet::{Packet, PacketKind};
use crate::raw::{self, sys};
use crate::reach::Reach;
use crate::resolve;

mod open;
mod options;

/// How to open a source.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Ends each blocking call within about 100 ms when it is cancelled.
    pub cancel: CancelToken,
    /// Time until the streams are known, name look-up, connection and the first key frame included.
    pub open_timeout: Duration,
    /// Time until the next packet. An input that ran out of it is spent: drop it and open a new one.
    pub read_timeout: Duration,
    /// Whether packets of the best audio stream are read too.
    pub audio: bool,
    /// Which hosts may be connected to.
    pub reach: Reach,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cancel: CancelToken::new(),
            open_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(10),
            audio: false,
            reach: Reach::default(),
        }
    }
}

/// An open source.
pub struct Input {
    format: InputFormat,
    address: Address,
    tracks: Vec<TrackInfo>,
    video: (usize, VideoInfo),
    audio: Option<(usize, AudioInfo)>,
    with_audio: bool,
    read_timeout: Duration,
    /// Packets of the video stream that were read, those marked as discard included.
    video_packets: u64,
}

impl Input {
    /// Opens a source, which blocks until its streams are known.
    ///
    /// # Errors
    /// All kinds but those of the encoder. Files are looked at before FFmpeg is asked; a named pipe is refused
    /// (`BadAddress`), because opening it would wait for its writer beyond any deadline.
    pub fn open(address: &Address, options: &OpenOptions) -> Result<Self, MediaError> {
        crate::init();
        open::check_file(address)?;
        let interrupt = Interrupt::new(options.cancel.clone());
        interrupt.allow(options.open_timeout);
        let Some((host, port)) = address.remote() else {
            return Self::choose(open::format(address, interrupt, options)?, address, options);
        };
        let numbers = resolve::resolve(host, port, &interrupt)?;
        let format = match options.reach.is_limited() {
            true => open::within(address, host, &numbers, &interrupt, options)?,
            false => open::format(address, interrupt, options)?,
        };
        Self::choose(format, address, options)
    }

    /// Opens an MPEG transport stream whose bytes somebody else receives, as the payload of RTP for example. `address` is
    /// what it is called; nothing is opened there. `bytes` has to watch `options.cancel` and its own deadline while it waits:
    /// its end is the stream's, [`io::ErrorKind::TimedOut`] is `Timeout`, any other error `Disconnected`. Bytes that lead
    /// nowhere are read until `options` say that it is enough.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn from_transport_stream(
        address: &Address,
        bytes: Box<dyn io::Read + Send>,
        options: &OpenOptions,
    ) -> Result<Self, MediaError> {
        crate::init();
        let interrupt = Interrupt::new(options.cancel.clone());
        interrupt.allow(options.open_timeout);
        let what = format!("open `{address}`");
        crate::log::take();
        let fail = |code, interrupt: &Interrupt| match interrupt.error(&what, options.open_timeout) {
            Some(error) => error,
            None => {
                MediaError::from_code_and_log(code, &what, ErrorKind::NotMedia, |line| address.clean(line))
            }
        };
        let (bytes, dict) = (ByteStream::new(bytes, Arc::clone(&interrupt))?, options::of_bytes());
        let mut format = InputFormat::open_bytes(bytes, "mpegts", dict, Arc::clone(&interrupt))
            .map_err(|code| fail(code, &interrupt))?;
        let found = format.find_streams();
        // Interrupted, it may still report success with what it knows.
        if let Some(error) = interrupt.error(&what, options.open_timeout) {
            return Err(error);
        }
        found.map_err(|code| fail(code, &interrupt))?;
        Self::choose(format, address, options)
    }

    fn choose(mut format: InputFormat, address: &Address, options: &OpenOptions) -> Result<Self, MediaError> {
        let chosen = info::choose(&format, &address.to_string())?;
        let mut wanted = vec![chosen.video.0];
        wanted.extend(chosen.audio.iter().filter(|_| options.audio).map(|(index, _)| *index));
        format.keep_only(&wanted);
        Ok(Self {
            format,
            address: address.clone(),
            tracks: chosen.tracks,
            video: chosen.video,
            audio: chosen.audio,
            with_audio: options.audio,
            read_timeout: options.read_timeout,
            video_packets: 0,
        })
    }

    /// The address that it was opened with.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// All streams that are known, in the order of the container.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// The chosen video stream.
    pub fn video(&self) -> &VideoInfo {
        &self.video.1
    }

    /// The best audio stream, whether its packets are read or not.
    pub fn audio(&self) -> Option<&AudioInfo> {
        self.audio.as_ref().map(|(_, info)| info)
    }

    /// Reads the next packet of the video stream (and of the audio stream, if that was asked for). `None` is the end.
    ///
    /// # Errors
    /// `Timeout`, `Cancelled`, `Disconnected`; `Corrupt` for a part that cannot be read, after which reading may go on;
    /// `Truncated` in place of the end when an index told of more packets than came.
    pub fn read(&mut self) -> Result<Option<Packet>, MediaError> {
        self.format.interrupt().allow(self.read_timeout);
        let mut packet = Packet::new()?;
        loop {
            match self.format.read(&mut packet) {
                Ok(()) => match self.tagged(packet)? {
                    Tagged::Wanted(packet) => return Ok(Some(packet)),
                    Tagged::Other(blank) => packet = blank,
                },
                // A device without a picture, or a demuxer between two packets.
                Err(raw::AGAIN) => self.wait_a_little()?,
                Err(code) => return self.stopped(code).map(|()| None),
            }
        }
    }

    fn tagged(&mut self, mut packet: Packet) -> Result<Tagged, MediaError> {
        let index = packet.stream_index();
        if index == self.video.0 {
            self.video_packets += 1;
            packet.tag(PacketKind::Video, self.video.1.time_base);
            return Ok(Tagged::Wanted(packet));
        }
        match &self.audio {
            Some((audio, info)) if self.with_audio && *audio == index => {
                packet.tag(PacketKind::Audio, info.time_base);
                Ok(Tagged::Wanted(packet))
            }
            // A stream that appeared after the choice.
            _ => Packet::new().map(Tagged::Other),
        }
    }

    fn wait_a_little(&self) -> Result<(), MediaError> {
        let what = format!("read `{}`", self.address);
        match self.format.interrupt().error(&what, self.read_timeout) {
            Some(error) => Err(error),
            None => {
                // FFmpeg offers nothing to wait on here.
                std::thread::sleep(PAUSE);
                Ok(())
            }
        }
    }

    /// Whether the one who holds the token wants no more.
    pub(crate) fn cancelled(&self) -> Option<MediaError> {
        let interrupt = self.format.interrupt();
        (interrupt.fired() == Some(ErrorKind::Cancelled))
            .then(|| interrupt.error_after(&format!("read `{}`", self.address), self.read_timeout))
    }

    /// What an end of reading with `code` means.
    fn stopped(&self, code: i32) -> Result<(), MediaError> {
        let what = format!("read `{}`", self.address);
        if code == sys::AVERROR_EOF {
            return self.check_complete();
        }
        let interrupt = self.format.interrupt();
        match interrupt.error(&what, self.read_timeout) {
            Some(error) => Err(error),
            None if code == sys::AVERROR_EXIT => Err(interrupt.error_after(&what, self.read_timeout)),
            None if code == raw::IO_ERROR && self.has_no_length() => Ok(()),
            None => Err(MediaError::from_code_and_log(code, &what, ErrorKind::Corrupt, |line| {
                self.address.clean(line)
            })),
        }
    }

    /// Whether it is an HTTP body that ends where it ends. FFmpeg 5.1 takes that end for an error.
    fn has_no_length(&self) -> bool {
        matches!(self.address.scheme(), Scheme::Http | Scheme::Https) && !self.format.has_length()
    }

    /// An MP4 that was cut ends as silently as a whole one; only its index knows. The index is FFmpeg's, after edit lists:
    /// the header's own count has samples that an edit list hides, and AVI's is a guess of whoever wrote it.
    fn check_complete(&self) -> Result<(), MediaError> {
        let expected = self.format.indexed(self.video.0);
        if !self.video.1.container.starts_with("mov,") || self.video_packets >= expected {
            return Ok(());
        }
        let message = format!(
            "`{}` is cut: its index announces {expected} frames and {} are there",
            self.address, self.video_packets
        );
        Err(MediaError::new(ErrorKind::Truncated, message))
    }
}

enum Tagged {
    Wanted(Packet),
    Other(Packet),
}

/// The demuxer that a scheme fixes; `None` lets FFmpeg find it.
fn demuxer_of(scheme: Scheme) -> Option<&'static str> {
    match scheme {
        Scheme::Device => Some("video4linux2"),
        Scheme::Synthetic => Some("lavfi"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_decoder_is_not_taken_for_one_of_the_next_read() {
        let address = Address::parse("device:lavfi:color=size=64x64").unwrap();
        let mut input = Input::open(&address, &OpenOptions::default()).unwrap();
        let line = c"a decoder said: should be 18446744073709551615";
        // SAFETY: no class is needed; the text is a C string without a conversion.
        unsafe { sys::av_log(std::ptr::null_mut(), sys::AV_LOG_ERROR, line.as_ptr()) };
        input.read().unwrap();
        assert_eq!(crate::log::take(), None);
    }
}
