//! `Timeline`: the media time of one opening of a source, joined over the epochs of its clock.
//!
//! A looped file begins again, two recordings joined into one restart their clock in the middle, and the clock of
//! a camera jumps. Capture times and pace must go on through all of that, so each epoch continues where the one
//! before it ended. It has no clock of its own and decides nothing: its owner says where an epoch begins.

/// A step forward beyond this is a jump: no camera that still counts as alive is silent for so long, and nobody
/// who watches a file at its own speed wants to wait for it.
const JUMP_US: i64 = 10_000_000;

/// Media time since the first frame.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Media time of earlier epochs.
    before_us: i64,
    /// First and last media time of this epoch.
    epoch: Option<(i64, i64)>,
    /// Time from one frame to the next, as seen last.
    step_us: i64,
    /// Media time that is not waited for: jumps.
    skipped_us: i64,
}

impl Timeline {
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
            self.before_us = self.since_first_us().saturating_add(self.step_us);
            self.epoch = None;
        }
    }

    /// The next frame is at `media_us`; playing waits for one step only.
    pub fn skip_to(&mut self, media_us: i64) {
        let Some((_, last_us)) = &mut self.epoch else { return };
        let gap_us = media_us.saturating_sub(*last_us).saturating_sub(self.step_us);
        self.skipped_us = self.skipped_us.saturating_add(gap_us);
        // The jump is no step: the frame after it follows as frames did before.
        *last_us = media_us.saturating_sub(self.step_us);
    }

    /// Takes the next frame; gives the media time since the first frame of the first epoch.
    pub fn advance(&mut self, media_us: i64) -> i64 {
        let (first_us, last_us) = self.epoch.unwrap_or((media_us, media_us));
        if self.epoch.is_some() {
            self.step_us = media_us.saturating_sub(last_us).max(0);
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
        let mut timeline = Timeline::default();
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
        let mut timeline = Timeline::default();
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
        let mut timeline = Timeline::default();
        timeline.begin_epoch();
        assert_eq!(run(&mut timeline, &[70, 90]), [0, 20]);
    }
}
