//! [`Mp4Writer`]: pictures and sound to H.264 and AAC in MP4.

use std::path::Path;

use crate::encoder::Encoder;
use crate::error::{ErrorKind, MediaError};
use crate::image::YuvImage;
use crate::info::AudioInfo;
use crate::layout;
use crate::muxer::Muxer;
use crate::packet::Packet;
use crate::raw_frame::RawFrame;
use crate::settings::{AudioSettings, AudioTrack, VideoSettings, iso_time};
use crate::target::Target;

/// Writes one MP4 file. It grows beside its place under a name that ends in `.part` and gets its own when it is whole; dropped before
/// [`Mp4Writer::finish`], it is removed. The same input and settings give the same bytes.
pub struct Mp4Writer {
    muxer: Muxer,
    video: Encoder,
    picture: RawFrame,
    size: (usize, usize),
    times: Times,
    audio: Audio,
    /// After the muxer, which closes the file before this removes it.
    target: Target,
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
    /// Begins a file at `path`; one that is there is replaced when this one is finished, and a symbolic link stays and is
    /// followed.
    ///
    /// # Errors
    /// `InvalidSettings` (also for a `path` that is a device or a pipe), `IsDirectory`, `UnsupportedCodec` (an audio codec
    /// that MP4 cannot hold), `NotFound` (no such folder), `PermissionDenied`.
    pub fn create(path: &Path, video: &VideoSettings, audio: AudioTrack) -> Result<Self, MediaError> {
        crate::init();
        let target = Target::new(path)?;
        let encoder = Encoder::video(video)?;
        let audio_encoder = match &audio {
            AudioTrack::Encode(settings) => Some(Encoder::audio(settings)?),
            _ => None,
        };
        let mut muxer = Muxer::create(target.part(), target.path())?;
        if let Some(us) = video.creation_time_us {
            muxer.set_metadata("creation_time", &iso_time(us));
        }
        let audio = begin(&mut muxer, &encoder, audio, audio_encoder)?;
        let picture = RawFrame::with_picture(layout::YUV420P, video.width, video.height)?;
        let size = (video.width, video.height);
        let times = Times::new(encoder.time_base(), encoder.frame_ticks());
        Ok(Self { muxer, video: encoder, picture, size, times, audio, target })
    }

    /// Encodes the next picture, shown one frame's time after the previous.
    ///
    /// # Errors
    /// `InvalidSettings` if the picture has another size than the video.
    pub fn write_video(&mut self, image: &YuvImage) -> Result<(), MediaError> {
        let ticks = self.times.next();
        self.encode_at(image, ticks)
    }

    /// Encodes the next picture, shown at `pts_us` microseconds of its source's clock: the first picture begins the video,
    /// and the others come as long after it as they did in the source. So a copy keeps a variable frame rate. A time that
    /// is not after the previous picture's is put as little after it as MP4 can say (11 us or less).
    ///
    /// # Errors
    /// As [`Mp4Writer::write_video`].
    pub fn write_video_at(&mut self, image: &YuvImage, pts_us: i64) -> Result<(), MediaError> {
        let ticks = self.times.at(pts_us);
        self.encode_at(image, ticks)
    }

    fn encode_at(&mut self, image: &YuvImage, ticks: i64) -> Result<(), MediaError> {
        if (image.width, image.height) != self.size {
            let ((width, height), (wide, high)) = ((image.width, image.height), self.size);
            let message = format!("a picture of {width}x{height} cannot go into a video of {wide}x{high}");
            return Err(MediaError::new(ErrorKind::InvalidSettings, message));
        }
        self.picture.make_writable()?;
        image.fill(&mut self.picture)?;
        self.picture.set_pts(ticks);
        self.video.encode(Some(&self.picture), &mut self.muxer, VIDEO)?;
        self.times.used(ticks);
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
        audio.encode_full_frames(&mut self.muxer)
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
        self.muxer.write(&mut copy, *index, info.time_base)
    }

    /// Encodes what is left, writes the index and gives the file its name.
    ///
    /// # Errors
    /// What the file system says; the file under its name is then as before.
    pub fn finish(mut self) -> Result<(), MediaError> {
        self.video.encode(None, &mut self.muxer, VIDEO)?;
        if let Audio::Encode(audio) = &mut self.audio {
            audio.finish(&mut self.muxer)?;
        }
        self.muxer.finish()?;
        self.target.complete()
    }
}

/// When pictures are shown, in ticks of the encoder's clock.
#[derive(Debug)]
struct Times {
    time_base: (i32, i32),
    frame_ticks: i64,
    /// The first picture's time in its source, if it was told.
    origin_us: Option<i64>,
    last: Option<i64>,
}

impl Times {
    fn new(time_base: (i32, i32), frame_ticks: i64) -> Self {
        Self { time_base, frame_ticks, origin_us: None, last: None }
    }

    /// One frame's time after the previous.
    fn next(&self) -> i64 {
        self.last.map_or(0, |last| last + self.frame_ticks)
    }

    /// At `pts_us` of the source, but after the previous.
    fn at(&mut self, pts_us: i64) -> i64 {
        let origin = *self.origin_us.get_or_insert(pts_us);
        let (num, den) = (i128::from(self.time_base.0) * 1_000_000, i128::from(self.time_base.1));
        let since = i128::from(pts_us) - i128::from(origin);
        let ticks = (since * den + num / 2).div_euclid(num);
        let least = self.last.map_or(0, |last| last + 1);
        // Far below the end of the range, so that there is always a next one.
        i64::try_from(ticks).unwrap_or(i64::MAX).min(i64::MAX / 4).max(least)
    }

    fn used(&mut self, ticks: i64) {
        self.last = Some(ticks);
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

    fn finish(&mut self, muxer: &mut Muxer) -> Result<(), MediaError> {
        let rest = std::mem::take(&mut self.waiting);
        if !rest.is_empty() {
            self.encode_frame(&rest, muxer)?;
        }
        self.encoder.encode(None, muxer, self.index)
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

fn wrong_track(what: &str) -> MediaError {
    MediaError::new(ErrorKind::InvalidSettings, format!("the audio track of this MP4 {what}"))
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn times_count_from_the_first_and_always_go_on() {
        let mut times = Times::new((1, 90_000), 3_000);
        let mut at = |us| {
            let ticks = times.at(us);
            times.used(ticks);
            ticks
        };
        // A second is 90 000 ticks; repetitions and steps back give the next tick.
        let given = [5_000_000, 5_100_000, 5_100_000, 4_000_000, 6_000_000, i64::MAX];
        assert_eq!(given.map(&mut at)[..5], [0, 9_000, 9_001, 9_002, 90_000]);
        assert!(at(i64::MAX) > 90_000);
        assert_eq!(times.next(), times.last.unwrap() + 3_000);
    }
}
