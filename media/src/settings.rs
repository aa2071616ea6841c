//! What an MP4 is to be made of, and whether that can be done.

use crate::error::{ErrorKind, MediaError};
use crate::info::AudioInfo;

/// How to encode the video: H.264, 4:2:0, 8 bit, BT.709, limited range, constant frame rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSettings {
    /// Pixels in a row: even, 2 to 16384.
    pub width: usize,
    /// Rows: even, 2 to 16384.
    pub height: usize,
    /// Frames a second, as (numerator, denominator), both above 0.
    pub frame_rate: (i32, i32),
    /// Constant rate factor: 0 (lossless) to 51; 18 is hard to tell from the original, 23 is x264's default.
    pub crf: u8,
    /// Speed against size.
    pub preset: Preset,
    /// Frames from one key frame to the next, at least 1.
    pub gop: u32,
    /// Threads of the encoder; 0 is what x264 finds best for the machine. The output depends on their number.
    pub threads: usize,
    /// When it was recorded, in microseconds since 1970; not written if `None`, so that equal input gives equal bytes.
    pub creation_time_us: Option<i64>,
}

impl VideoSettings {
    /// The usual: quality 20, preset `Veryfast`, a key frame every 2 seconds, 4 threads on any machine.
    pub fn new(width: usize, height: usize, frame_rate: (i32, i32)) -> Self {
        let gop = 2 * frame_rate.0.max(1).unsigned_abs() / frame_rate.1.max(1).unsigned_abs();
        let (crf, preset, threads, creation_time_us) = (20, Preset::Veryfast, 4, None);
        Self { width, height, frame_rate, crf, preset, gop: gop.max(1), threads, creation_time_us }
    }

    pub(crate) fn check(&self) -> Result<(), MediaError> {
        let size = |n: usize| (2..=16384).contains(&n) && n.is_multiple_of(2);
        if !size(self.width) || !size(self.height) {
            let (width, height) = (self.width, self.height);
            return Err(invalid(format!("{width}x{height} pixels; both must be even and from 2 to 16384")));
        }
        if self.frame_rate.0 <= 0 || self.frame_rate.1 <= 0 {
            let (num, den) = self.frame_rate;
            return Err(invalid(format!("a frame rate of {num}/{den}; both must be above 0")));
        }
        if self.crf > 51 || self.gop == 0 {
            let (crf, gop) = (self.crf, self.gop);
            return Err(invalid(format!("crf {crf} and gop {gop}; crf is 0 to 51, gop at least 1")));
        }
        Ok(())
    }
}

/// x264's presets, from the fastest to the smallest output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are x264's own and say what they are")]
pub enum Preset {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
}

impl Preset {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
        }
    }
}

/// The sound of an MP4.
#[derive(Debug, Clone)]
pub enum AudioTrack {
    /// Silent: no audio stream.
    None,
    /// Encoded to AAC from samples given to [`crate::Mp4Writer::write_audio`].
    Encode(AudioSettings),
    /// Copied from a source, packet by packet, by [`crate::Mp4Writer::write_packet`].
    Copy(AudioInfo),
}

/// How to encode sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSettings {
    /// Samples a second; one of AAC's rates, 48000 and 44100 for example.
    pub sample_rate: u32,
    /// 1 to 8.
    pub channels: u32,
    /// Bits a second, all channels together.
    pub bit_rate: u32,
}

impl AudioSettings {
    /// 64 kbit/s a channel.
    pub fn new(sample_rate: u32, channels: u32) -> Self {
        Self { sample_rate, channels, bit_rate: channels.saturating_mul(64_000) }
    }

    pub(crate) fn check(&self) -> Result<(), MediaError> {
        if !(1..=8).contains(&self.channels) || !(7_350..=96_000).contains(&self.sample_rate) {
            let (rate, channels) = (self.sample_rate, self.channels);
            return Err(invalid(format!(
                "{channels} channels at {rate} Hz; 1 to 8 at 7350 to 96000 Hz are possible"
            )));
        }
        Ok(())
    }
}

fn invalid(what: String) -> MediaError {
    MediaError::new(ErrorKind::InvalidSettings, format!("an MP4 cannot have {what}"))
}

/// `2026-11-22T05:11:05.123456Z` of microseconds since 1970.
pub(crate) fn iso_time(us: i64) -> String {
    let (days, rest) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000));
    // Gregorian date of a day number, in years that begin in March so that the leap day comes last.
    let from_march = days + 719_468;
    let (era, day) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (seconds, us) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        for (us, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_795_324_265_123_456, "2026-11-22T05:11:05.123456Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(iso_time(us), text);
        }
    }

    #[test]
    fn impossible_settings_are_refused_with_what_is_possible() {
        let good = VideoSettings::new(64, 48, (30, 1));
        assert!(good.check().is_ok());
        for bad in [
            VideoSettings { width: 63, ..good.clone() },
            VideoSettings { height: 0, ..good.clone() },
            VideoSettings { frame_rate: (30, 0), ..good.clone() },
            VideoSettings { crf: 52, ..good.clone() },
            VideoSettings { gop: 0, ..good.clone() },
        ] {
            assert_eq!(bad.check().unwrap_err().kind(), ErrorKind::InvalidSettings);
        }
        assert!(AudioSettings::new(48_000, 9).check().is_err());
    }
}
