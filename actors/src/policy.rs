//! Which frames a stream analyses at all: `every_nth` and `max_fps`, by frame number and media time only.

use std::num::NonZeroU32;

/// A stream's choice of frames. Pure: the same frames are chosen however fast they arrive.
#[derive(Clone, Debug)]
pub struct FramePolicy {
    every_nth: NonZeroU32,
    interval_us: Option<i64>,
    next_due_us: Option<i64>,
}

impl FramePolicy {
    /// Takes every `every_nth` frame, and at most `max_fps` frames of a second of media time (`None`: all).
    #[must_use]
    pub fn new(every_nth: NonZeroU32, max_fps: Option<NonZeroU32>) -> Self {
        let interval_us = max_fps.map(|fps| 1_000_000 / i64::from(fps.get()));
        Self { every_nth, interval_us, next_due_us: None }
    }

    /// Whether the frame with this number and media time is analysed.
    pub fn admits(&mut self, index: u64, media_us: i64) -> bool {
        if !index.is_multiple_of(u64::from(self.every_nth.get())) {
            return false;
        }
        let Some(interval) = self.interval_us else {
            return true;
        };
        let due = *self.next_due_us.get_or_insert(media_us);
        // Half a millisecond of grace: time stamps of 1/90000 and 1/1000 are rounded.
        if media_us + 500 < due {
            return false;
        }
        // Keep the rhythm, but never owe frames for a stretch in which none came.
        let next = if due + interval > media_us { due } else { media_us } + interval;
        self.next_due_us = Some(next);
        true
    }

    /// A new epoch: the media clock starts elsewhere.
    pub fn reset(&mut self) {
        self.next_due_us = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(every_nth: u32, max_fps: u32) -> FramePolicy {
        FramePolicy::new(NonZeroU32::new(every_nth).unwrap(), NonZeroU32::new(max_fps))
    }

    fn admitted(mut policy: FramePolicy, fps: i64, frames: i64) -> usize {
        (0..frames).filter(|&n| policy.admits(n as u64, n * 1_000_000 / fps)).count()
    }

    #[test]
    fn all_frames_pass_by_default() {
        assert_eq!(admitted(policy(1, 0), 60, 600), 600);
    }

    #[test]
    fn every_nth_counts_by_frame_number() {
        assert_eq!(admitted(policy(3, 0), 60, 600), 200);
    }

    #[test]
    fn max_fps_keeps_the_rate_also_when_rates_do_not_divide() {
        for max_fps in [1, 7, 25, 50, 59] {
            let got = admitted(policy(1, max_fps), 60, 600);
            assert!((max_fps as usize * 10).abs_diff(got) <= 1, "{max_fps} fps gave {got} in 10 s");
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut policy = policy(1, 10);
        assert!(policy.admits(0, 0));
        assert!(policy.admits(1, 10_000_000));
        assert!(!policy.admits(2, 10_016_000));
    }
}
