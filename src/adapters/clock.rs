//! The host's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kinora_actors::ports::Clock;

/// Monotonic time since this value was made, and the host's wall clock.
pub(crate) struct SystemClock(Instant);

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn unix_us(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
    }
}
