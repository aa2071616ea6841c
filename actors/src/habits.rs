//! `Habits`: when each stream of a lane is likely to ask next, learnt from when it asked before.
//!
//! Pure. A stream asks a network about once a frame, so it is expected one gap after it asked last, where the gap is the time
//! between the last two requests. One that is later than a grace stands still (no camera, a reconnection, a slower pace) and is
//! expected no more until it asks again. A guess that is wrong costs a few milliseconds of waiting, or a smaller batch;
//! a result never.

use std::collections::HashMap;

use crate::ports::NetworkId;

/// When streams ask for each network.
#[derive(Debug)]
pub(crate) struct Habits {
    /// How much later than expected a request may come.
    grace_us: u64,
    /// Habits that are kept before those of streams that stand still are forgotten.
    remembered: usize,
    known: HashMap<(u64, NetworkId), Habit>,
}

#[derive(Clone, Copy, Debug)]
struct Habit {
    asked_us: u64,
    /// Time between the last two requests; nothing is expected after one alone.
    gap_us: Option<u64>,
}

impl Habit {
    fn next_us(&self) -> Option<u64> {
        self.gap_us.map(|gap_us| self.asked_us.saturating_add(gap_us))
    }
}

impl Habits {
    /// Nobody asked yet.
    pub(crate) fn new(grace_us: u64, remembered: usize) -> Self {
        Self { grace_us, remembered, known: HashMap::new() }
    }

    /// `stream` asked for `network` at `asked_us`.
    pub(crate) fn asked(&mut self, stream: u64, network: NetworkId, asked_us: u64) {
        let before = self.known.get(&(stream, network)).map(|habit| habit.asked_us);
        let gap_us = before.map(|before| asked_us.saturating_sub(before));
        self.known.insert((stream, network), Habit { asked_us, gap_us });
        if self.known.len() > self.remembered {
            self.forget(asked_us);
        }
    }

    /// The latest time up to which a request for `network` may still come from a stream that `may_ask`, if one is expected
    /// before the end of `(now, end)`; not after that end.
    pub(crate) fn expected_until(
        &self,
        network: NetworkId,
        (now_us, end_us): (u64, u64),
        may_ask: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let asks = self.known.iter().filter(|((stream, asked), _)| *asked == network && may_ask(*stream));
        let next = asks.filter_map(|(_, habit)| habit.next_us()).filter(|next_us| *next_us <= end_us);
        let until =
            next.map(|next_us| next_us.saturating_add(self.grace_us)).filter(|until_us| *until_us > now_us);
        until.max().map(|until_us| until_us.min(end_us))
    }

    /// Streams that stand still are forgotten; if all are at work, everything is, and is learnt anew within two frames.
    fn forget(&mut self, now_us: u64) {
        let grace_us = self.grace_us;
        let is_awaited =
            |habit: &Habit| habit.next_us().is_some_and(|next_us| next_us.saturating_add(grace_us) > now_us);
        self.known.retain(|_, habit| is_awaited(habit));
        if self.known.len() > self.remembered / 2 {
            self.known.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECTOR: NetworkId = NetworkId(0);
    const LANDMARKS: NetworkId = NetworkId(1);
    const GRACE_US: u64 = 4_000;

    fn habits(asked: &[(u64, NetworkId, u64)]) -> Habits {
        let mut habits = Habits::new(GRACE_US, 8);
        asked.iter().for_each(|(stream, network, at_us)| habits.asked(*stream, *network, *at_us));
        habits
    }

    #[test]
    fn a_stream_is_expected_one_gap_after_it_asked_and_no_longer_than_the_grace() {
        let habits = habits(&[(1, LANDMARKS, 0), (1, LANDMARKS, 16_000)]);
        let expected = |now_us| habits.expected_until(LANDMARKS, (now_us, now_us + 4_000), |_| true);
        assert_eq!(expected(20_000), None, "its next request is at 32 ms");
        assert_eq!(expected(28_000), Some(32_000), "not longer than the batch waits");
        assert_eq!(expected(33_000), Some(36_000), "it is late, within the grace");
        assert_eq!(expected(36_000), None, "it stands still");
    }

    #[test]
    fn one_request_tells_no_habit_and_networks_have_habits_of_their_own() {
        let habits = habits(&[(1, LANDMARKS, 0), (2, DETECTOR, 0), (2, DETECTOR, 2_000)]);
        let expected = |network| habits.expected_until(network, (2_000, 6_000), |_| true);
        assert_eq!(expected(LANDMARKS), None);
        assert_eq!(expected(DETECTOR), Some(6_000));
    }

    #[test]
    fn who_may_not_ask_is_not_expected() {
        let habits = habits(&[(1, LANDMARKS, 0), (1, LANDMARKS, 2_000)]);
        assert_eq!(habits.expected_until(LANDMARKS, (3_000, 7_000), |stream| stream != 1), None);
    }

    #[test]
    fn no_more_habits_are_kept_than_fit() {
        let mut habits = Habits::new(GRACE_US, 8);
        for stream in 0..100 {
            habits.asked(stream, LANDMARKS, stream);
            habits.asked(stream, LANDMARKS, stream + 1_000_000);
            assert!(habits.known.len() <= 9);
        }
    }
}
