//! `Timeline`: the media time of one opening of a source, joined over the epochs of its clock.
//!
//! A looped file begins again, two recordings joined into one restart their clock in the middle, and the clock of
//! a camera jumps. Capture times and pace must go on through all of that, so each epoch continues where the one
//! before it ended. It has no clock of its own and decides nothing: its owner says where an epoch begins.

/// A step forward beyond this is a jump: no camera that still counts as alive is silent for so long, and nobody
/// who watches a file at its own speed wants to wait for it.
const JUMP_US: i64 = 10_000_000;
/// What a frame takes where neither two frames nor the source tell it: that of a picture, for example.
const USUAL_STEP_US: i64 = 40_000;
/// A step below this is no rate of frames, but the tick of a clock that a container takes for one.
const LEAST_STEP_US: i64 = 1_000;

/// Media time since the first frame.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Media time of earlier epochs.
    before_us: i64,
    /// First and last media time of this epoch.
    epoch: Option<(i64, i64)>,
    /// Time from one frame to the next, as seen last; 0 before that.
    seen_step_us: i64,
    /// The same by the source's own word.
    usual_step_us: i64,
    /// Media time that is not waited for: jumps.
    skipped_us: i64,
}

impl Timeline {
    /// The timeline of a source that claims so many frames a second.
    #[must_use]
    pub fn of_rate(frame_rate: Option<(i32, i32)>) -> Self {
        let step = |(frames, seconds): (i32, i32)| {
            i64::from(seconds).saturating_mul(1_000_000).checked_div(i64::from(frames))
        };
        let usual_step_us = frame_rate.and_then(step).filter(|step| (LEAST_STEP_US..=JUMP_US).contains(step));
        Self {
            before_us: 0,
            epoch: None,
            seen_step_us: 0,
            usual_step_us: usual_step_us.unwrap_or(USUAL_STEP_US),
            skipped_us: 0,
        }
    }

    /// How long a frame is shown. Never nothing: a file of one frame would play its rounds without a pause.
    fn step_us(&self) -> i64 {
        if self.seen_step_us > 0 { self.seen_step_us } else { self.usual_step_us }
    }

    /// Whether `media_us` lies before the last frame: the clock was started again.
    #[must_use]
    pub fn restarts_at(&self, media_us: i64) -> bool {
        self.epoch.is_some_and(|(_, last_us)| media_us < last_us)
    }

    /// Whether `media_us` lies too far ahead of the last frame to be the next one.
    #[must_use]
    pub fn jumps_to(&self, media_us: i64) -> bool {
        self.epoch.is_some_and(|(_, last_us)| media_us.saturating_sub(last_us) > JUMP_US)
    }

    /// The next frame begins an epoch, one step after the last frame of this one.
    pub fn begin_epoch(&mut self) {
        if self.epoch.is_some() {
            self.before_us = self.since_first_us().saturating_add(self.step_us());
            self.epoch = None;
        }
    }

    /// The next frame is at `media_us`; playing waits for one step only.
    pub fn skip_to(&mut self, media_us: i64) {
        let step_us = self.step_us();
        let Some((_, last_us)) = &mut self.epoch else { return };
        let gap_us = media_us.saturating_sub(*last_us).saturating_sub(step_us);
        self.skipped_us = self.skipped_us.saturating_add(gap_us);
        // The jump is no step: the frame after it follows as frames did before.
        *last_us = media_us.saturating_sub(step_us);
    }

    /// Takes the next frame; gives the media time since the first frame of the first epoch.
    pub fn advance(&mut self, media_us: i64) -> i64 {
        let (first_us, last_us) = self.epoch.unwrap_or((media_us, media_us));
        if self.epoch.is_some() {
            self.seen_step_us = media_us.saturating_sub(last_us).max(0);
        }
        self.epoch = Some((first_us, media_us));
        self.since_first_us()
    }

    /// When the last frame is due, counted from the moment at which the first one was played.
    #[must_use]
    pub fn played_us(&self) -> i64 {
        self.since_first_us().saturating_sub(self.skipped_us)
    }

    fn since_first_us(&self) -> i64 {
        let in_epoch = self.epoch.map_or(0, |(first_us, last_us)| last_us.saturating_sub(first_us));
        self.before_us.saturating_add(in_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(timeline: &mut Timeline, media_us: &[i64]) -> Vec<i64> {
        media_us.iter().map(|&at| timeline.advance(at)).collect()
    }

    #[test]
    fn time_goes_on_one_step_after_the_last_frame_of_an_epoch() {
        let mut timeline = Timeline::of_rate(None);
        assert_eq!(run(&mut timeline, &[500, 520, 540]), [0, 20, 40]);
        assert!(timeline.restarts_at(500) && !timeline.restarts_at(560));
        timeline.begin_epoch();
        assert_eq!(run(&mut timeline, &[500, 520]), [60, 80]);
        timeline.begin_epoch();
        assert_eq!(run(&mut timeline, &[0]), [100]);
        assert_eq!(timeline.played_us(), 100);
    }

    #[test]
    fn a_jump_is_told_and_not_waited_for() {
        let mut timeline = Timeline::of_rate(None);
        run(&mut timeline, &[0, 20]);
        let far = 20 + JUMP_US + 1;
        assert!(timeline.jumps_to(far) && !timeline.jumps_to(far - 1));
        timeline.skip_to(far);
        assert_eq!(run(&mut timeline, &[far]), [far]);
        assert_eq!(timeline.played_us(), 40);
        run(&mut timeline, &[far + 20]);
        assert_eq!(timeline.played_us(), 60);
    }

    #[test]
    fn an_epoch_without_a_frame_takes_no_time() {
        let mut timeline = Timeline::of_rate(None);
        timeline.begin_epoch();
        assert_eq!(run(&mut timeline, &[70, 90]), [0, 20]);
    }

    #[test]
    fn a_file_of_one_frame_is_shown_for_as_long_as_a_frame_of_its_rate() {
        for (rate, step_us) in [
            (Some((5, 1)), 200_000),
            (Some((30_000, 1_001)), 33_366),
            (None, USUAL_STEP_US),
            (Some((90_000, 1)), USUAL_STEP_US),
            (Some((0, 1)), USUAL_STEP_US),
            (Some((-1, 1)), USUAL_STEP_US),
        ] {
            let mut timeline = Timeline::of_rate(rate);
            for round in 0..4 {
                assert_eq!(timeline.advance(0), round * step_us, "{rate:?}");
                assert_eq!(timeline.played_us(), round * step_us);
                timeline.begin_epoch();
            }
        }
    }

    #[test]
    fn two_pictures_that_are_far_apart_are_shown_for_as_long_as_frames() {
        let mut timeline = Timeline::of_rate(None);
        for round in 0..3 {
            timeline.advance(0);
            assert_eq!(timeline.played_us(), 2 * round * USUAL_STEP_US);
            timeline.skip_to(60_000_000);
            timeline.advance(60_000_000);
            assert_eq!(timeline.played_us(), (2 * round + 1) * USUAL_STEP_US);
            timeline.begin_epoch();
        }
    }
}
