//! Jumps, wraps, reports: what a stream's clock makes of them.

use super::*;

const NOON: i64 = 1_800_000_000_000_000;
const RATE: u32 = 90_000;
/// Ticks and microseconds of a frame at 25 frames a second.
const STEP: u32 = 3_600;
const STEP_US: i64 = 40_000;

struct Bench {
    clock: StreamClock,
    host: HostClock,
    timestamp: u32,
    arrived_us: i64,
}

impl Bench {
    fn starting_at(timestamp: u32) -> Self {
        Self { clock: StreamClock::new(RATE), host: HostClock::new(0, NOON), timestamp, arrived_us: 0 }
    }

    fn run(&mut self, frames: u32) -> Stamp {
        let mut stamp = None;
        for _ in 0..frames {
            stamp = Some(self.clock.frame(self.timestamp, self.arrived_us, &self.host));
            self.timestamp = self.timestamp.wrapping_add(STEP);
            self.arrived_us += STEP_US;
        }
        stamp.unwrap()
    }

    fn report(&mut self, unix_us: i64) {
        let seconds = (unix_us / 1_000_000 + 2_208_988_800) as u64;
        let fraction = ((unix_us % 1_000_000) as u64) << 32;
        self.clock.report((seconds << 32) | (fraction / 1_000_000), self.timestamp);
    }
}

#[test]
fn a_wrap_is_no_jump() {
    let mut bench = Bench::starting_at(u32::MAX - 2 * STEP);
    let stamp = bench.run(10);
    assert_eq!((stamp.epoch, stamp.media_us), (0, 9 * STEP_US));
    assert_eq!(stamp.timestamp, i64::from(u32::MAX - 2 * STEP) + 9 * i64::from(STEP));
}

#[test]
fn a_jump_ahead_or_back_opens_an_epoch() {
    for jump in [10 * RATE, 0_u32.wrapping_sub(10 * RATE), 1 << 31] {
        let mut bench = Bench::starting_at(1_000_000_000);
        bench.run(50);
        bench.timestamp = bench.timestamp.wrapping_add(jump);
        let stamp = bench.run(1);
        assert_eq!((stamp.epoch, stamp.media_us), (1, 0), "{jump}");
        assert_eq!(bench.run(50).epoch, 1);
    }
}

#[test]
fn a_stalled_network_and_what_it_delivers_late_are_no_jump() {
    let mut bench = Bench::starting_at(0);
    bench.run(500);
    bench.arrived_us += 30_000_000;
    let late = bench.run(1);
    // The rest of the stall arrives at once, some of it was thrown away.
    bench.timestamp += 25 * 29 * STEP;
    let stamp = bench.run(100);
    assert_eq!(stamp.epoch, 0);
    let taken_us = NOON + bench.arrived_us - STEP_US;
    assert!((stamp.capture.unix_us - taken_us).abs() <= stamp.capture.uncertainty_us);
    assert!(late.capture.uncertainty_us >= 30_000_000, "a stall is told while it is in the window");
}

#[test]
fn a_clock_that_stood_still_opens_an_epoch_at_last() {
    let mut bench = Bench::starting_at(0);
    bench.run(500);
    bench.arrived_us += 30_000_000;
    let stamp = bench.run(25 * 70);
    assert_eq!(stamp.epoch, 1);
    assert!((stamp.capture.unix_us - (NOON + bench.arrived_us - STEP_US)).abs() <= 1_000);
}

#[test]
fn reordered_and_equal_timestamps_are_taken_as_they_are() {
    let mut bench = Bench::starting_at(90_000);
    bench.run(10);
    let at = |bench: &mut Bench, timestamp| bench.clock.frame(timestamp, 400_000, &bench.host.clone());
    let (ahead, back, same) = (at(&mut bench, 140_400), at(&mut bench, 133_200), at(&mut bench, 133_200));
    assert_eq!((ahead.epoch, back.epoch, same.epoch), (0, 0, 0));
    assert_eq!((ahead.media_us, back.media_us, same.media_us), (560_000, 480_000, 480_000));
}

#[test]
fn sender_reports_give_the_cameras_word() {
    let mut bench = Bench::starting_at(u32::MAX - 20 * STEP);
    bench.clock.set_round_trip(4_000);
    bench.run(10);
    bench.report(NOON + 7_000_000);
    let first = bench.run(1);
    assert_eq!((first.capture.source, first.capture.unix_us), (ClockSource::Rtcp, NOON + 7_000_000));
    assert_eq!(first.capture.uncertainty_us, 22_000);
    bench.run(124);
    bench.report(NOON + 12_000_300);
    let second = bench.run(1);
    assert!((second.capture.unix_us - (NOON + 12_000_300)).abs() <= 1, "over the wrap too");
    assert!((3_290..=3_310).contains(&second.capture.uncertainty_us), "{second:?}");
    assert_eq!(second.epoch, 0);
}

#[test]
fn a_camera_whose_clock_was_never_set_is_timed_by_arrival() {
    let mut bench = Bench::starting_at(0);
    bench.run(10);
    bench.report(946_684_800_000_000);
    let stamp = bench.run(1);
    assert_eq!(stamp.capture.source, ClockSource::Arrival);
    assert!(bench.clock.camera_off_us().unwrap() < -CAMERA_CLOCK_LIMIT_US);
}

#[test]
fn a_camera_that_sets_its_clock_opens_an_epoch_and_nonsense_is_ignored() {
    let mut bench = Bench::starting_at(0);
    bench.run(10);
    bench.report(NOON);
    bench.clock.report(0x1_0000_0000, bench.timestamp.wrapping_add(1 << 30));
    assert_eq!(bench.run(1).epoch, 0);
    bench.report(NOON + 3_600_000_000);
    assert_eq!(bench.run(1).epoch, 1);
}
