//! Capture time out of arrival times: the quickest frame of the last minute is taken for one that nothing delayed.
//!
//! A minute, because clocks drift: were it the quickest frame ever, a camera whose clock is slow by 50 ppm would lag by
//! 4 s after a day. Steps of the estimate are spread out, since frames are equally far apart whatever the network does.

use std::collections::VecDeque;

/// Delays are remembered in buckets of this length,
const BUCKET_US: i64 = 5_000_000;
/// so many of them: one minute.
const BUCKETS: i64 = 12;
/// The estimate moves by at most so many microseconds a second: twenty times what a quartz drifts.
const SLEW_PPM: i64 = 1_000;
/// What is told until the first bucket is full, when too few frames were seen to know their spread: cameras and
/// their buffers rarely hold a picture back for longer than this.
const STARTING_UNCERTAINTY_US: i64 = 500_000;
/// A frame that is early by this much proves the estimate wrong: nothing arrives before it was taken.
const PROOF_US: i64 = 2_000_000;

/// The delays (arrival - media time) of the last minute, and the estimate of the least one.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrival {
    buckets: VecDeque<Bucket>,
    first_us: Option<i64>,
    last_us: i64,
    estimate_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    number: i64,
    least_us: i64,
    most_us: i64,
}

/// Where media time 0 lies in monotonic time, as far as arrivals can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) origin_us: i64,
    pub(super) uncertainty_us: i64,
    /// How far the least delay lies from the estimate: what is still to be made good.
    pub(super) error_us: i64,
}

impl Arrival {
    /// Takes a frame: its media time and when it arrived.
    pub(super) fn see(&mut self, media_us: i64, arrived_us: i64) -> Estimate {
        let delay_us = arrived_us.saturating_sub(media_us);
        self.remember(delay_us, arrived_us);
        let least_us = self.buckets.iter().map(|bucket| bucket.least_us).min().unwrap_or(delay_us);
        let most_us = self.buckets.iter().map(|bucket| bucket.most_us).max().unwrap_or(delay_us);
        let is_young = arrived_us.saturating_sub(*self.first_us.get_or_insert(arrived_us)) < BUCKET_US;
        let elapsed_us = arrived_us.saturating_sub(self.last_us).max(0);
        self.last_us = arrived_us;
        let room_us = match is_young || least_us < self.estimate_us.saturating_sub(PROOF_US) {
            // Nothing is known that would be worth keeping.
            true => i64::MAX,
            // Rounded up: frames that come a few microseconds apart move it too.
            false => elapsed_us.saturating_mul(SLEW_PPM) / 1_000_000 + 1,
        };
        let error_us = least_us.saturating_sub(self.estimate_us);
        self.estimate_us = self.estimate_us.saturating_add(error_us.clamp(-room_us, room_us));
        let error_us = least_us.saturating_sub(self.estimate_us);
        let spread_us = most_us.saturating_sub(least_us);
        let floor_us = if is_young { STARTING_UNCERTAINTY_US } else { 0 };
        Estimate {
            origin_us: self.estimate_us,
            uncertainty_us: spread_us.saturating_add(error_us.abs()).max(floor_us),
            error_us,
        }
    }

    /// The delay that is taken for the least one.
    pub(super) fn estimate_us(&self) -> i64 {
        self.estimate_us
    }

    fn remember(&mut self, delay_us: i64, arrived_us: i64) {
        let number = arrived_us.div_euclid(BUCKET_US);
        self.buckets.retain(|bucket| bucket.number > number - BUCKETS);
        match self.buckets.back_mut().filter(|bucket| bucket.number == number) {
            Some(bucket) => {
                bucket.least_us = bucket.least_us.min(delay_us);
                bucket.most_us = bucket.most_us.max(delay_us);
            }
            None => self.buckets.push_back(Bucket { number, least_us: delay_us, most_us: delay_us }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_sends_faster_than_time_goes_by_is_followed() {
        let mut arrival = Arrival::default();
        for frame in 0..10_000_i64 {
            let estimate = arrival.see(frame * 40_000, frame * 4_000);
            assert!(estimate.error_us.abs() <= PROOF_US, "{frame}: {estimate:?}");
        }
    }

    #[test]
    fn the_quickest_frame_counts_and_the_spread_is_told() {
        let mut arrival = Arrival::default();
        assert_eq!(arrival.see(0, 30_000).uncertainty_us, STARTING_UNCERTAINTY_US);
        assert_eq!(arrival.see(40_000, 45_000).origin_us, 5_000);
        let late = arrival.see(6_000_000, 6_105_000);
        assert_eq!((late.origin_us, late.uncertainty_us), (5_000, 100_000));
    }

    #[test]
    fn a_step_of_the_delay_is_spread_out_and_meanwhile_told() {
        let mut arrival = Arrival::default();
        // 25 frames a second; after ten seconds everything comes 20 ms earlier.
        let mut last = arrival.see(0, 50_000).origin_us;
        for frame in 1..2_500_i64 {
            let delay_us = if frame < 250 { 50_000 } else { 30_000 };
            let estimate = arrival.see(frame * 40_000, frame * 40_000 + delay_us);
            assert!(frame < 125 || (last - estimate.origin_us).abs() <= 41, "{frame}");
            assert!((estimate.origin_us - delay_us).abs() <= estimate.uncertainty_us);
            last = estimate.origin_us;
        }
        assert_eq!(last, 30_000);
    }
}
