//! The capture clock: when a frame was taken, by the best clock at hand, with an honest uncertainty.
//!
//! Files carry their creation time or nothing; live sources are timed by arrival, assuming that the quickest
//! frame of the last minute was not delayed. A minute, because clocks drift: were it the quickest frame ever, a
//! camera whose clock is slow by 50 ppm would lag by 4 s after a day. Sender reports of cameras are a later strategy beside these.

use std::collections::VecDeque;

use crate::domain::{CaptureTime, ClockSource};

/// 2000-01-01; an earlier creation time is a camera's clock that was never set.
const EARLIEST_SANE_UNIX_US: i64 = 946_684_800_000_000;
/// A creation time this far ahead of the host is not believed.
const FUTURE_GRACE_US: i64 = 24 * 3_600 * 1_000_000;
/// Containers store whole seconds, so the true time lies within the second.
const CREATION_UNCERTAINTY_MS: u32 = 1_000;

/// Arrival is remembered in buckets of this length,
const BUCKET_US: i64 = 5_000_000;
/// so many of them: one minute.
const BUCKETS: i64 = 12;
/// What is told until the first bucket is full, when too few frames were seen to know their spread: cameras and
/// their buffers rarely hold a picture back for longer than this.
const STARTING_UNCERTAINTY_MS: u32 = 500;

/// Maps media time to capture time for one session.
#[derive(Clone, Debug)]
pub enum CaptureClock {
    /// A fixed base plus media time.
    Based {
        /// Microseconds since the Unix epoch of media time 0.
        base_unix_us: i64,
        /// Whether the base is the container's word or the session's start.
        source: ClockSource,
    },
    /// Arrival times with the least delay seen of late in this epoch.
    Arrival(ArrivalWindow),
}

/// The delays (arrival - media time) of the last minute.
#[derive(Clone, Debug, Default)]
pub struct ArrivalWindow {
    buckets: VecDeque<Bucket>,
    /// When the first frame arrived.
    since_unix_us: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    number: i64,
    least_us: i64,
    most_us: i64,
}

impl ArrivalWindow {
    /// Takes a frame's delay; gives the least and the largest one in the window.
    fn see(&mut self, delay_us: i64, arrived_unix_us: i64) -> (i64, i64) {
        self.since_unix_us.get_or_insert(arrived_unix_us);
        let number = arrived_unix_us.div_euclid(BUCKET_US);
        // A host clock that was set back leaves buckets of a time to come; they are as wrong as old ones.
        self.buckets.retain(|bucket| (number - BUCKETS + 1..=number).contains(&bucket.number));
        match self.buckets.back_mut().filter(|bucket| bucket.number == number) {
            Some(bucket) => {
                (bucket.least_us, bucket.most_us) =
                    (bucket.least_us.min(delay_us), bucket.most_us.max(delay_us));
            }
            None => self.buckets.push_back(Bucket { number, least_us: delay_us, most_us: delay_us }),
        }
        let folded = |(least, most): (i64, i64), bucket: &Bucket| {
            (least.min(bucket.least_us), most.max(bucket.most_us))
        };
        self.buckets.iter().fold((delay_us, delay_us), folded)
    }

    fn is_young(&self, arrived_unix_us: i64) -> bool {
        self.since_unix_us.is_none_or(|since| arrived_unix_us.saturating_sub(since) < BUCKET_US)
    }
}

impl CaptureClock {
    /// The clock of a file: its creation time if that is sane, else the session's start.
    #[must_use]
    pub fn of_file(created_unix_us: Option<i64>, now_unix_us: i64) -> Self {
        let sane = EARLIEST_SANE_UNIX_US..=now_unix_us + FUTURE_GRACE_US;
        match created_unix_us.filter(|created| sane.contains(created)) {
            Some(base_unix_us) => Self::Based { base_unix_us, source: ClockSource::File },
            None => Self::Based { base_unix_us: now_unix_us, source: ClockSource::Synthetic },
        }
    }

    /// The clock of a live source without one of its own.
    #[must_use]
    pub fn of_arrival() -> Self {
        Self::Arrival(ArrivalWindow::default())
    }

    /// The capture time of a frame at `media_us` that arrived at `arrived_unix_us`.
    pub fn capture(&mut self, media_us: i64, arrived_unix_us: i64) -> CaptureTime {
        match self {
            Self::Based { base_unix_us, source } => CaptureTime {
                unix_us: base_unix_us.saturating_add(media_us),
                source: *source,
                // A synthetic base is exact by definition: it stands for nothing but itself.
                uncertainty_ms: if *source == ClockSource::File { CREATION_UNCERTAINTY_MS } else { 0 },
            },
            Self::Arrival(window) => {
                let delay_us = arrived_unix_us.saturating_sub(media_us);
                let (least_us, most_us) = window.see(delay_us, arrived_unix_us);
                let spread_ms = u32::try_from(most_us.saturating_sub(least_us) / 1_000).unwrap_or(u32::MAX);
                let floor_ms = if window.is_young(arrived_unix_us) { STARTING_UNCERTAINTY_MS } else { 0 };
                CaptureTime {
                    unix_us: least_us.saturating_add(media_us),
                    source: ClockSource::Arrival,
                    uncertainty_ms: spread_ms.max(floor_ms),
                }
            }
        }
    }

    /// A new epoch: arrival is learned anew.
    pub fn reset(&mut self) {
        if let Self::Arrival(window) = self {
            *window = ArrivalWindow::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000;

    #[test]
    fn a_file_is_timed_by_its_creation_time_only_if_that_is_sane() {
        let source = |created| CaptureClock::of_file(created, NOW).capture(0, NOW).source;
        assert_eq!(source(Some(NOW - 5_000_000)), ClockSource::File);
        assert_eq!(source(Some(0)), ClockSource::Synthetic);
        assert_eq!(source(Some(NOW + 2 * FUTURE_GRACE_US)), ClockSource::Synthetic);
        assert_eq!(source(None), ClockSource::Synthetic);
    }

    #[test]
    fn arrival_follows_the_least_delay_and_tells_the_spread() {
        let mut clock = CaptureClock::of_arrival();
        let first = clock.capture(0, NOW + 30_000);
        assert_eq!(first.uncertainty_ms, STARTING_UNCERTAINTY_MS, "one frame knows nothing of the spread");
        let quick = clock.capture(40_000, NOW + 45_000);
        assert_eq!(quick.unix_us, NOW + 45_000);
        let late = clock.capture(6_000_000, NOW + 6_105_000);
        assert_eq!((late.unix_us, late.uncertainty_ms), (NOW + 6_005_000, 100));
    }

    #[test]
    fn a_camera_whose_clock_is_slow_does_not_lag_without_bound() {
        let mut clock = CaptureClock::of_arrival();
        // One frame a second for a day; the camera's second is 50 us too short.
        let mut last = clock.capture(0, NOW);
        for second in 1..86_400_i64 {
            last = clock.capture(second * 999_950, NOW + second * 1_000_000);
        }
        let lag_us = NOW + 86_399 * 1_000_000 - last.unix_us;
        assert!((0..=60 * 50).contains(&lag_us), "{lag_us}");
        assert!(last.uncertainty_ms <= 3);
    }

    #[test]
    fn a_host_clock_that_is_set_back_is_followed() {
        let mut clock = CaptureClock::of_arrival();
        clock.capture(0, NOW);
        let after = clock.capture(1_000_000, NOW - 3_600_000_000);
        assert_eq!(after.unix_us, NOW - 3_600_000_000);
    }
}
