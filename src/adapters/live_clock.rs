//! The clock of live sources that FFmpeg takes apart, and how stamps of `kinora-rtsp` become those of the pipeline.
//!
//! Transport streams and devices send no reports of a wall clock, so that arrival decides, by the same rules as for a
//! camera without reports: the least delay of the last minute, slewed, and not moved by the host's clock being set.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kinora_actors::domain::{CaptureTime, ClockSource};
use kinora_actors::ports::SourceStamp;
use kinora_rtsp::{HostClock, Stamp, StreamClock};

/// A step from frame to frame is no longer than this; beyond it the stream paused.
const LONGEST_STEP_US: i64 = 1_000_000;

/// Times the frames of one connection.
pub(super) struct LiveClock {
    clock: StreamClock,
    host: HostClock,
    /// Monotonic time counts from here.
    origin: Instant,
    /// The media time of the last frame.
    last_us: Option<i64>,
}

impl LiveClock {
    /// A clock for a source that was just opened.
    pub(super) fn new() -> Self {
        Self {
            clock: StreamClock::of_media_time(),
            host: HostClock::new(0, unix_us()),
            origin: Instant::now(),
            last_us: None,
        }
    }

    /// The stamp of a frame at `media_us` that comes out of the decoder now.
    pub(super) fn stamp(&mut self, media_us: i64) -> SourceStamp {
        let now_us = i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.stamp_at(media_us, now_us, unix_us())
    }

    fn stamp_at(&mut self, media_us: i64, now_us: i64, unix_us: i64) -> SourceStamp {
        self.host.observe(now_us, unix_us);
        let mut stamp = self.clock.frame_at(media_us, now_us, &self.host);
        // FFmpeg knows that a frame is whole when the next one begins: that delay all frames have alike.
        let step_us = self.last_us.replace(media_us).map_or(0, |last| media_us.saturating_sub(last));
        stamp.capture.uncertainty_us =
            stamp.capture.uncertainty_us.saturating_add(step_us.clamp(0, LONGEST_STEP_US));
        source_stamp(&stamp)
    }
}

/// A stamp as the pipeline has it.
pub(super) fn source_stamp(stamp: &Stamp) -> SourceStamp {
    let source = match stamp.capture.source {
        kinora_rtsp::ClockSource::Rtcp => ClockSource::Rtcp,
        kinora_rtsp::ClockSource::Arrival => ClockSource::Arrival,
    };
    // Rounded up: the true time lies within what is told.
    let uncertainty_ms = stamp.capture.uncertainty_us.max(0).saturating_add(999) / 1_000;
    let uncertainty_ms = u32::try_from(uncertainty_ms).unwrap_or(u32::MAX);
    let captured = CaptureTime { unix_us: stamp.capture.unix_us, source, uncertainty_ms };
    SourceStamp { captured, epoch: stamp.epoch }
}

fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    /// Stamps of frames each 40 ms; the host's wall clock is `step_us` ahead from frame 250 on.
    fn stamps(step_us: i64) -> Vec<SourceStamp> {
        let mut clock = LiveClock::new();
        let noon_us = unix_us();
        let stamp = |frame: i64| {
            let (media_us, now_us) = (-2_000_000 + frame * 40_000, frame * 40_000 + 5_000);
            let set_us = if frame < 250 { 0 } else { step_us };
            clock.stamp_at(media_us, now_us, noon_us + now_us + set_us)
        };
        (0..500).map(stamp).collect()
    }

    #[test]
    fn a_wall_clock_that_is_set_by_an_hour_moves_no_frame() {
        for step_us in [HOUR_US, -HOUR_US, 0] {
            let stamps = stamps(step_us);
            for pair in stamps.windows(2) {
                let passed_us = pair[1].captured.unix_us - pair[0].captured.unix_us;
                assert!((passed_us - 40_000).abs() <= 20, "{passed_us}");
            }
            assert!(stamps.iter().all(|stamp| stamp.epoch == 0));
        }
    }

    #[test]
    fn the_frame_that_ffmpeg_holds_is_in_the_uncertainty() {
        let last = stamps(0).pop().unwrap().captured;
        assert_eq!((last.source, last.uncertainty_ms), (ClockSource::Arrival, 40));
    }
}
