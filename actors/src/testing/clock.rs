//! Clocks: the host's, and one that moves when the test says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::ports::Clock;

/// Wall time at monotonic zero of both clocks: 2027-01-15, 08:00 UTC, in microseconds.
const BEGIN_UNIX_US: i64 = 1_800_000_000_000_000;

/// The host's clock since an instant; its wall time is made up.
pub struct HostClock(pub Instant);

impl Clock for HostClock {
    fn monotonic_us(&self) -> u64 {
        self.0.elapsed().as_micros().try_into().unwrap_or(u64::MAX)
    }

    fn unix_us(&self) -> i64 {
        BEGIN_UNIX_US.saturating_add_unsigned(self.monotonic_us())
    }
}

/// A clock that stands still between calls of [`SimulatedClock::advance`]; a day passes in no time.
///
/// It moves what is read from the port. Timers of actix run by the host's clock all the same.
#[derive(Debug, Default)]
pub struct SimulatedClock(AtomicU64);

impl SimulatedClock {
    /// Lets so much time pass.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_micros().try_into().unwrap_or(u64::MAX), Ordering::AcqRel);
    }
}

impl Clock for SimulatedClock {
    fn monotonic_us(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn unix_us(&self) -> i64 {
        BEGIN_UNIX_US.saturating_add_unsigned(self.monotonic_us())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_day_passes_when_the_test_says_so() {
        let clock = SimulatedClock::default();
        let before = (clock.monotonic_us(), clock.unix_us());
        assert_eq!((clock.monotonic_us(), clock.unix_us()), before);
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(clock.monotonic_us() - before.0, 86_400_000_000);
        assert_eq!(clock.unix_us() - before.1, 86_400_000_000);
    }
}
