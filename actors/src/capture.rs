//! The capture clock: when a frame was taken, by the best clock at hand, with an honest uncertainty.
//!
//! Files carry their creation time or nothing; live sources are timed by arrival, assuming that the quickest
//! frame so far was not delayed. Sender reports of cameras are a later strategy beside these.

use crate::domain::{CaptureTime, ClockSource};

/// 2000-01-01; an earlier creation time is a camera's clock that was never set.
const EARLIEST_SANE_UNIX_US: i64 = 946_684_800_000_000;
/// A creation time this far ahead of the host is not believed.
const FUTURE_GRACE_US: i64 = 24 * 3_600 * 1_000_000;
/// Containers store whole seconds, so the true time lies within the second.
const CREATION_UNCERTAINTY_MS: u32 = 1_000;

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
    /// Arrival times with the least delay seen in this epoch.
    Arrival {
        /// Smallest and largest (arrival - media time) so far.
        spread_us: Option<(i64, i64)>,
    },
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
        Self::Arrival { spread_us: None }
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
            Self::Arrival { spread_us } => {
                let delay = arrived_unix_us.saturating_sub(media_us);
                let (least, most) = spread_us.map_or((delay, delay), |(a, b)| (a.min(delay), b.max(delay)));
                *spread_us = Some((least, most));
                let uncertainty_ms = u32::try_from(most.saturating_sub(least) / 1_000).unwrap_or(u32::MAX);
                CaptureTime {
                    unix_us: least.saturating_add(media_us),
                    source: ClockSource::Arrival,
                    uncertainty_ms,
                }
            }
        }
    }

    /// A new epoch: arrival is learned anew.
    pub fn reset(&mut self) {
        if let Self::Arrival { spread_us } = self {
            *spread_us = None;
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
        clock.capture(0, NOW + 30_000);
        let quick = clock.capture(40_000, NOW + 45_000);
        assert_eq!((quick.unix_us, quick.uncertainty_ms), (NOW + 45_000, 25));
        let late = clock.capture(80_000, NOW + 185_000);
        assert_eq!((late.unix_us, late.uncertainty_ms), (NOW + 85_000, 100));
    }
}
