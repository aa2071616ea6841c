//! [`Mp4Writer`]: pictures and sound to H.264 and AAC in MP4.

use std::fs;
use std::path::{Path, PathBuf};

use crate::encoder::Encoder;
use crate::error::{ErrorKind, MediaError};
use crate::image::YuvImage;
use crate::info::AudioInfo;
use crate::layout;
use crate::muxer::Muxer;
use crate::packet::Packet;
use crate::raw_frame::RawFrame;
use crate::settings::{AudioSettings, AudioTrack, VideoSettings, iso_time};

/// Writes one MP4 file. It grows under its name with `.part` behind it and gets its own when it is whole; dropped before
/// [`Mp4Writer::finish`], it is removed. The same input and settings give the same bytes.
pub struct Mp4Writer {
    /// `None` when the file is finished.
    muxer: Option<Muxer>,
    video: Encoder,
    picture: RawFrame,
    size: (usize, usize),
    frames: i64,
    audio: Audio,
    path: PathBuf,
    part: PathBuf,
}

enum Audio {
    None,
    Encode(AudioEncoder),
    Copy { index: usize, info: AudioInfo },
}

struct AudioEncoder {
    encoder: Encoder,
    index: usize,
    settings: AudioSettings,
    /// Interleaved samples that do not fill a frame yet.
    waiting: Vec<f32>,
    /// Samples a channel that were encoded.
    samples: i64,
}

/// The video is the first stream.
const VIDEO: usize = 0;

impl Mp4Writer {
    /// Begins a file at `path`; one that is there is replaced when this one is finished.
    ///
    /// # Errors
    /// `InvalidSettings`, `UnsupportedCodec` (an audio codec that MP4 cannot hold), `NotFound` (no such folder),
    /// `PermissionDenied`.
    pub fn create(path: &Path, video: &VideoSettings, audio: AudioTrack) -> Result<Self, MediaError> {
        crate::init();
        let encoder = Encoder::video(video)?;
        let audio_encoder = match &audio {
            AudioTrack::Encode(settings) => Some(Encoder::audio(settings)?),
            _ => None,
        };
        let part = part_path(path);
        let mut muxer = Muxer::create(&part)?;
        if let Some(us) = video.creation_time_us {
            muxer.set_metadata("creation_time", &iso_time(us));
        }
        let begun = begin(&mut muxer, &encoder, audio, audio_encoder);
        let picture = RawFrame::with_picture(layout::YUV420P, video.width, video.height);
        let (audio, picture) = begun.and_then(|audio| Ok((audio, picture?))).inspect_err(|_| {
            // Nothing was written that is worth keeping.
            let _ = fs::remove_file(&part);
        })?;
        let size = (video.width, video.height);
        let path = path.to_owned();
        Ok(Self { muxer: Some(muxer), video: encoder, picture, size, frames: 0, audio, path, part })
    }

    /// Encodes the next picture, shown one frame's time after the previous.
    ///
    /// # Errors
    /// `InvalidSettings` if the picture has another size than the video.
    pub fn write_video(&mut self, image: &YuvImage) -> Result<(), MediaError> {
        if (image.width, image.height) != self.size {
            let ((width, height), (wide, high)) = ((image.width, image.height), self.size);
            let message = format!("a picture of {width}x{height} cannot go into a video of {wide}x{high}");
            return Err(MediaError::new(ErrorKind::InvalidSettings, message));
        }
        self.picture.make_writable()?;
        image.fill(&mut self.picture)?;
        self.picture.set_pts(self.frames);
        let muxer = self.muxer.as_mut().ok_or_else(finished)?;
        self.video.encode(Some(&self.picture), muxer, VIDEO)?;
        self.frames += 1;
        Ok(())
    }

    /// Encodes more sound: samples from -1 to 1, channels interleaved.
    ///
    /// # Errors
    /// `InvalidSettings` if the track is not one to encode, or the last group of channels is not complete.
    pub fn write_audio(&mut self, samples: &[f32]) -> Result<(), MediaError> {
        let Audio::Encode(audio) = &mut self.audio else {
            return Err(wrong_track("encodes no sound"));
        };
        if !samples.len().is_multiple_of(audio.channels()) {
            return Err(wrong_track("needs a sample for each channel"));
        }
        audio.waiting.extend_from_slice(samples);
        let muxer = self.muxer.as_mut().ok_or_else(finished)?;
        audio.encode_full_frames(muxer)
    }

    /// Copies a packet of sound. Its time is counted from the beginning of its source's video.
    ///
    /// # Errors
    /// `InvalidSettings` if the track is not one to copy.
    pub fn write_packet(&mut self, packet: &Packet) -> Result<(), MediaError> {
        let Audio::Copy { index, info } = &self.audio else {
            return Err(wrong_track("copies no sound"));
        };
        let mut copy = packet.share()?;
        let ticks = i128::from(info.origin_us) * i128::from(info.time_base.1);
        let ticks = ticks / (1_000_000 * i128::from(info.time_base.0.max(1)));
        copy.shift(-i64::try_from(ticks).unwrap_or(0));
        self.muxer.as_mut().ok_or_else(finished)?.write(&mut copy, *index, info.time_base)
    }

    /// Encodes what is left, writes the index and gives the file its name.
    ///
    /// # Errors
    /// What the file system says; the file under its name is then as before.
    pub fn finish(mut self) -> Result<(), MediaError> {
        let mut muxer = self.muxer.take().ok_or_else(finished)?;
        let written = self.flush(&mut muxer).and_then(|()| muxer.finish()).and_then(|()| {
            fs::rename(&self.part, &self.path).map_err(|error| {
                let code = error.raw_os_error().unwrap_or(0);
                let message = format!("cannot name `{}`: {error}", self.path.display());
                MediaError::new(ErrorKind::Other(-code), message)
            })
        });
        if written.is_err() {
            let _ = fs::remove_file(&self.part);
        }
        written
    }

    fn flush(&mut self, muxer: &mut Muxer) -> Result<(), MediaError> {
        self.video.encode(None, muxer, VIDEO)?;
        if let Audio::Encode(audio) = &mut self.audio {
            let rest = std::mem::take(&mut audio.waiting);
            if !rest.is_empty() {
                audio.encode_frame(&rest, muxer)?;
            }
            audio.encoder.encode(None, muxer, audio.index)?;
        }
        Ok(())
    }
}

impl Drop for Mp4Writer {
    fn drop(&mut self) {
        // Still there: it was not finished.
        if self.muxer.take().is_some() {
            let _ = fs::remove_file(&self.part);
        }
    }
}

impl AudioEncoder {
    fn channels(&self) -> usize {
        self.settings.channels as usize
    }

    fn encode_full_frames(&mut self, muxer: &mut Muxer) -> Result<(), MediaError> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut frames = waiting.chunks_exact(self.encoder.samples_a_frame() * self.channels());
        for frame in frames.by_ref() {
            self.encode_frame(frame, muxer)?;
        }
        self.waiting = frames.remainder().to_vec();
        Ok(())
    }

    fn encode_frame(&mut self, samples: &[f32], muxer: &mut Muxer) -> Result<(), MediaError> {
        let mut frame = RawFrame::with_samples(samples, self.settings.channels, self.settings.sample_rate)?;
        frame.set_pts(self.samples);
        self.samples += (samples.len() / self.channels()) as i64;
        self.encoder.encode(Some(&frame), muxer, self.index)
    }
}

fn begin(
    muxer: &mut Muxer,
    video: &Encoder,
    audio: AudioTrack,
    encoder: Option<Encoder>,
) -> Result<Audio, MediaError> {
    muxer.add_encoded(video.context())?;
    let audio = match (audio, encoder) {
        (AudioTrack::Encode(settings), Some(encoder)) => {
            let index = muxer.add_encoded(encoder.context())?;
            Audio::Encode(AudioEncoder { encoder, index, settings, waiting: Vec::new(), samples: 0 })
        }
        (AudioTrack::Copy(info), _) => {
            let index = muxer.add_copied(&info.parameters, info.time_base)?;
            Audio::Copy { index, info }
        }
        _ => Audio::None,
    };
    muxer.begin()?;
    Ok(audio)
}

fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn wrong_track(what: &str) -> MediaError {
    MediaError::new(ErrorKind::InvalidSettings, format!("the audio track of this MP4 {what}"))
}

fn finished() -> MediaError {
    MediaError::new(ErrorKind::InvalidSettings, "this MP4 is finished")
}
