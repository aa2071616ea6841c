//! A day of a stream on a simulated clock: quartz that drifts, a network that delays, a host whose clock is set.

use super::*;

const NOON: i64 = 1_800_000_000_000_000;
const FRAMES_PER_SECOND: i64 = 25;
const DAY_S: i64 = 86_400;

/// Pseudo-random numbers below `limit`; the same in each run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: i64) -> i64 {
        // A multiplicative generator with Knuth's constants; its upper bits are good enough for delays.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64).rem_euclid(limit)
    }
}

/// What was seen in an hour: frames, frames outside the uncertainty, and the worst error and uncertainty.
#[derive(Debug, Default)]
struct Hour {
    frames: u32,
    outside: u32,
    worst_error_us: i64,
    worst_uncertainty_us: i64,
}

/// Runs a day; the camera's clock gains `drift_ppm`. Frames of the last hour are checked; reports come each 5 s.
fn last_hour(drift_ppm: i64, with_reports: bool) -> Hour {
    let mut noise = Noise(7);
    let (mut clock, mut host) = (StreamClock::new(90_000), HostClock::new(0, NOON));
    let mut hour = Hour::default();
    // Begins shortly before a wrap, and wraps again after 13 hours.
    let first = u32::MAX - 450_000;
    for frame in 0..DAY_S * FRAMES_PER_SECOND {
        let taken_us = frame * 1_000_000 / FRAMES_PER_SECOND;
        let camera_us = taken_us + taken_us / 1_000_000 * drift_ppm;
        let ticks = first.wrapping_add((camera_us * 9 / 100) as u32);
        // Two milliseconds at least; one frame in fifty is held back by up to 80 ms more.
        let held_us = if noise.below(50) == 0 { noise.below(80_000) } else { noise.below(8_000) };
        let arrived_us = taken_us + 2_000 + held_us;
        host.observe(arrived_us, NOON + arrived_us);
        let stamp = clock.frame(ticks, arrived_us, &host);
        if with_reports && frame % (5 * FRAMES_PER_SECOND) == 0 {
            // The camera's wall clock is kept by NTP; a report is up to 500 us old when it is written.
            let written_us = NOON + taken_us + noise.below(500);
            let seconds = (written_us / 1_000_000 + 2_208_988_800) as u64;
            clock.report((seconds << 32) | (((written_us % 1_000_000) as u64) * 4_295), ticks);
        }
        assert_eq!(stamp.epoch, 0, "frame {frame}");
        if taken_us >= (DAY_S - 3_600) * 1_000_000 {
            let error_us = (stamp.capture.unix_us - NOON - taken_us).abs();
            hour.frames += 1;
            hour.outside += u32::from(error_us > stamp.capture.uncertainty_us);
            hour.worst_error_us = hour.worst_error_us.max(error_us);
            hour.worst_uncertainty_us = hour.worst_uncertainty_us.max(stamp.capture.uncertainty_us);
        }
    }
    hour
}

#[test]
fn arrival_does_not_drift_out_of_its_uncertainty_in_a_day() {
    for drift_ppm in [-50, 50] {
        let hour = last_hour(drift_ppm, false);
        assert_eq!((hour.frames, hour.outside), (90_000, 0), "{hour:?}");
        // Two milliseconds that no frame escapes, and the drift of a minute.
        assert!(hour.worst_error_us <= 2_000 + 60 * 50 + 1_000, "{hour:?}");
        assert!(hour.worst_uncertainty_us <= 100_000, "{hour:?}");
    }
}

#[test]
fn sender_reports_do_not_drift_in_a_day() {
    for drift_ppm in [-50, 50] {
        let hour = last_hour(drift_ppm, true);
        assert_eq!((hour.frames, hour.outside), (90_000, 0), "{hour:?}");
        assert!(hour.worst_error_us <= 1_500 && hour.worst_uncertainty_us <= 5_000, "{hour:?}");
    }
}

#[test]
fn a_host_clock_that_is_set_by_an_hour_moves_no_frame() {
    // The step is slewed by half a millisecond a second, so look at the frames around it.
    let mut host = HostClock::new(0, NOON);
    let mut clock = StreamClock::new(90_000);
    let mut last_us = None;
    for frame in 0..10_000_i64 {
        let arrived_us = frame * 40_000;
        let step_us = if frame >= 5_000 { 3_600_000_000 } else { 0 };
        host.observe(arrived_us, NOON + arrived_us + step_us);
        let at_us = clock.frame((frame * 3_600) as u32, arrived_us, &host).capture.unix_us;
        assert!(last_us.is_none_or(|last: i64| (at_us - last - 40_000).abs() <= 20), "frame {frame}");
        last_us = Some(at_us);
    }
}
