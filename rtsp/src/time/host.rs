//! The host's clocks: monotonic time, and where it lies on the wall clock.
//!
//! The two are joined once and then only slewed, so a step of the wall clock, or a change of summer time done wrong,
//! moves no frame. Corrections that the network's time service makes are followed at a bounded rate.

/// At most so many microseconds a second are made good. A well-kept wall clock drifts less; a step does not get through.
const SLEW_PPM: i64 = 500;

/// Places monotonic time on the wall clock.
#[derive(Clone, Debug)]
pub struct HostClock {
    /// Wall clock minus monotonic time, as used.
    offset_us: i64,
    seen_us: i64,
}

impl HostClock {
    /// The two clocks, read at the same moment.
    #[must_use]
    pub fn new(monotonic_us: i64, unix_us: i64) -> Self {
        Self { offset_us: unix_us.saturating_sub(monotonic_us), seen_us: monotonic_us }
    }

    /// Takes another reading of both clocks and moves towards it.
    pub fn observe(&mut self, monotonic_us: i64, unix_us: i64) {
        let elapsed_us = monotonic_us.saturating_sub(self.seen_us).max(0);
        let room_us = elapsed_us.saturating_mul(SLEW_PPM) / 1_000_000;
        // Readings in quick succession leave no room; they must not eat the time that a later one may use.
        if room_us == 0 {
            return;
        }
        self.seen_us = monotonic_us;
        let error_us = unix_us.saturating_sub(monotonic_us).saturating_sub(self.offset_us);
        self.offset_us = self.offset_us.saturating_add(error_us.clamp(-room_us, room_us));
    }

    /// The wall clock at a monotonic time.
    #[must_use]
    pub fn unix_us(&self, monotonic_us: i64) -> i64 {
        monotonic_us.saturating_add(self.offset_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_800_000_000_000_000;

    #[test]
    fn a_step_of_the_wall_clock_moves_no_frame() {
        let mut clock = HostClock::new(0, NOON);
        clock.observe(1_000_000, NOON + 1_000_000 + 3_600_000_000);
        assert_eq!(clock.unix_us(1_000_000), NOON + 1_000_000 + SLEW_PPM);
    }

    #[test]
    fn a_slow_correction_is_followed() {
        let mut clock = HostClock::new(0, NOON);
        for tick in 1..=36_000 {
            let monotonic_us = tick * 100_000;
            clock.observe(monotonic_us, NOON + monotonic_us + monotonic_us / 10_000);
        }
        let drift_us = 3_600_000_000 / 10_000;
        assert!((clock.unix_us(3_600_000_000) - NOON - 3_600_000_000 - drift_us).abs() <= 100);
    }
}
