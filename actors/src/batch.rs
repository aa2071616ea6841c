//! `Batcher`: which requests of a lane go to the device together, and when.
//!
//! Pure: no actix, no device and no clock of its own. Requests for one network make a batch as soon as enough streams have
//! asked or nobody else is expected to, and at the latest when the oldest of them has waited for the deadline. Whom to
//! expect is told by [`Habits`]: a stream that stands still is waited for once, and then no more. Of each stream a batch has
//! one request at most. Under overload, streams that were served longest ago come first, so none waits for more turns than
//! there are others; of two networks the one with the oldest request has its turn.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::habits::Habits;
use crate::ports::NetworkId;

/// How a lane gathers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Requests of a batch, at most; 1 is no gathering.
    pub most: usize,
    /// How long a request waits for others, at most.
    pub deadline: Duration,
}

impl BatchPolicy {
    /// Each request by itself, at once: what a CPU does best.
    pub const ALONE: Self = Self { most: 1, deadline: Duration::ZERO };

    fn deadline_us(&self) -> u64 {
        u64::try_from(self.deadline.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Streams that are remembered; those served longest ago are forgotten beyond it.
const REMEMBERED: usize = 2_048;

/// Requests that wait, in the order in which they came.
#[derive(Debug)]
pub struct Batcher<R> {
    policy: BatchPolicy,
    waiting: Vec<Waiting<R>>,
    /// When streams ask.
    habits: Habits,
    /// For each stream, the number of its last request that was served; requests of a batch have different ones, or
    /// those that ask first would be preferred for ever.
    served: HashMap<u64, u64>,
    next: u64,
}

#[derive(Debug)]
struct Waiting<R> {
    stream: u64,
    network: NetworkId,
    since_us: u64,
    /// Everybody who could join has asked: waiting is of no use.
    is_urgent: bool,
    request: R,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub enum Due<R> {
    /// Run these.
    Now(NetworkId, Vec<R>),
    /// Nothing before this time, in monotonic microseconds.
    At(u64),
    /// Nothing waits.
    Idle,
}

impl<R> Batcher<R> {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(policy: BatchPolicy) -> Self {
        let habits = Habits::new(policy.deadline_us(), REMEMBERED);
        Self { policy, waiting: Vec::new(), habits, served: HashMap::new(), next: 0 }
    }

    /// Takes a request that `stream` made at `asked_us`.
    pub fn offer(&mut self, stream: u64, network: NetworkId, request: R, asked_us: u64) {
        self.habits.asked(stream, network, asked_us);
        self.waiting.push(Waiting { stream, network, since_us: asked_us, is_urgent: false, request });
    }

    /// What is to be done at `now_us` on a lane of so many streams. All requests that were made by then should have been
    /// offered: one that was not looks like a stream that is late.
    pub fn due(&mut self, now_us: u64, streams: usize) -> Due<R> {
        if self.distinct(None) >= streams.max(1) {
            self.waiting.iter_mut().for_each(|waiting| waiting.is_urgent = true);
        }
        let Some(oldest) = self.waiting.first() else { return Due::Idle };
        if oldest.is_urgent {
            return self.take(oldest.network);
        }
        let mut next = u64::MAX;
        for network in self.networks() {
            let until_us = self.waits_until(network, now_us);
            if until_us <= now_us {
                return self.take(network);
            }
            next = next.min(until_us);
        }
        Due::At(next)
    }

    /// The networks that are waited for, that of the oldest request first.
    fn networks(&self) -> Vec<NetworkId> {
        let mut networks = Vec::new();
        for waiting in &self.waiting {
            if !networks.contains(&waiting.network) {
                networks.push(waiting.network);
            }
        }
        networks
    }

    /// Until when a batch for `network` waits for more; `now_us` or before if it does not.
    fn waits_until(&self, network: NetworkId, now_us: u64) -> u64 {
        let oldest = self.waiting.iter().find(|waiting| waiting.network == network);
        if self.distinct(Some(network)) >= self.policy.most {
            return now_us;
        }
        let end_us =
            oldest.map_or(now_us, |oldest| oldest.since_us.saturating_add(self.policy.deadline_us()));
        // A stream with a request under way cannot make another.
        let is_free = |stream| !self.waiting.iter().any(|waiting| waiting.stream == stream);
        self.habits.expected_until(network, (now_us, end_us), is_free).unwrap_or(now_us)
    }

    /// Streams that wait for `network`, or for any.
    fn distinct(&self, network: Option<NetworkId>) -> usize {
        let meant = |waiting: &&Waiting<R>| network.is_none_or(|network| waiting.network == network);
        let streams = self.waiting.iter().filter(meant).map(|waiting| waiting.stream);
        streams.collect::<HashSet<_>>().len()
    }

    /// A batch for `network`: of each stream the oldest request, streams served longest ago first.
    fn take(&mut self, network: NetworkId) -> Due<R> {
        let mut chosen: Vec<usize> = Vec::new();
        for (index, waiting) in self.waiting.iter().enumerate() {
            let is_first = !chosen.iter().any(|other| self.waiting[*other].stream == waiting.stream);
            if waiting.network == network && is_first {
                chosen.push(index);
            }
        }
        // Stable: among those never served, the one that came first.
        chosen.sort_by_key(|index| {
            self.served.get(&self.waiting[*index].stream).map_or(0, |number| number + 1)
        });
        chosen.truncate(self.policy.most.max(1));
        for index in &chosen {
            self.served.insert(self.waiting[*index].stream, self.next);
            self.next += 1;
        }
        self.forget();
        let mut taken: Vec<(usize, R)> = Vec::with_capacity(chosen.len());
        chosen.sort_unstable();
        // From the back, so that places in front stay what they were.
        for index in chosen.into_iter().rev() {
            taken.push((index, self.waiting.remove(index).request));
        }
        taken.reverse();
        Due::Now(network, taken.into_iter().map(|(_, request)| request).collect())
    }

    fn forget(&mut self) {
        if self.served.len() > REMEMBERED {
            let first = self.next.saturating_sub(REMEMBERED as u64 / 2);
            self.served.retain(|_, number| *number >= first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Clock;
    use crate::testing::SimulatedClock;

    const DETECTOR: NetworkId = NetworkId(0);
    const LANDMARKS: NetworkId = NetworkId(1);
    const STREAMS: usize = 100;

    fn batcher() -> Batcher<u64> {
        Batcher::new(BatchPolicy { most: 8, deadline: Duration::from_millis(4) })
    }

    /// A batcher that expects these streams to ask `network` in the first millisecond of the clock's time and to be late after
    /// the fifth.
    fn expecting(streams: std::ops::RangeInclusive<u64>, network: NetworkId) -> Batcher<u64> {
        let mut batcher = batcher();
        for stream in streams {
            batcher.habits.asked(stream, network, 0);
            batcher.habits.asked(stream, network, 500);
        }
        batcher
    }

    fn batch<R>(due: Due<R>) -> Vec<R> {
        match due {
            Due::Now(_, batch) => batch,
            Due::At(_) | Due::Idle => panic!("a batch should be due"),
        }
    }

    #[test]
    fn a_request_waits_for_others_until_its_deadline_and_no_longer() {
        let (clock, mut batcher) = (SimulatedClock::default(), expecting(2..=3, LANDMARKS));
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::Idle);
        batcher.offer(1, LANDMARKS, 1, clock.monotonic_us());
        clock.advance(Duration::from_millis(3));
        batcher.offer(2, LANDMARKS, 2, clock.monotonic_us());
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::At(4_000));
        clock.advance(Duration::from_millis(1));
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::Now(LANDMARKS, vec![1, 2]));
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::Idle);
    }

    #[test]
    fn a_full_batch_does_not_wait() {
        let mut batcher = expecting(1..=20, LANDMARKS);
        batcher.habits.asked(21, DETECTOR, 0);
        batcher.habits.asked(21, DETECTOR, 500);
        (1..=7).for_each(|stream| batcher.offer(stream, LANDMARKS, stream, 500));
        batcher.offer(8, DETECTOR, 8, 500);
        assert_eq!(batcher.due(501, STREAMS), Due::At(4_500));
        batcher.offer(9, LANDMARKS, 9, 501);
        assert_eq!(batcher.due(501, STREAMS), Due::Now(LANDMARKS, vec![1, 2, 3, 4, 5, 6, 7, 9]));
        assert_eq!(batcher.due(4_500, STREAMS), Due::Now(DETECTOR, vec![8]));
    }

    #[test]
    fn nobody_waits_when_every_stream_of_the_lane_has_asked() {
        let mut batcher = expecting(1..=3, LANDMARKS);
        batcher.offer(1, LANDMARKS, 1, 500);
        assert_eq!(batcher.due(500, 2), Due::At(4_500));
        batcher.offer(2, DETECTOR, 2, 500);
        assert_eq!(batcher.due(500, 2), Due::Now(LANDMARKS, vec![1]));
        assert_eq!(batcher.due(500, 2), Due::Now(DETECTOR, vec![2]));
        batcher.offer(3, LANDMARKS, 3, 600);
        assert_eq!(batcher.due(600, 2), Due::At(4_600));
    }

    #[test]
    fn a_stream_that_stands_still_is_waited_for_once_and_then_no_more() {
        // Two streams at 60 frames a second whose frames come 1 ms apart; at a second the other one's camera goes.
        let (mut batcher, mut waited) = (batcher(), Vec::new());
        for frame in 0..120_u64 {
            let asked_us = frame * 16_667;
            batcher.offer(1, LANDMARKS, 1, asked_us);
            let mut due = batcher.due(asked_us, STREAMS);
            if frame < 60 && matches!(due, Due::At(_)) {
                batcher.offer(2, LANDMARKS, 2, asked_us + 1_000);
                due = batcher.due(asked_us + 1_000, STREAMS);
                assert_eq!(due, Due::Now(LANDMARKS, vec![1, 2]), "who was waited for has come");
                continue;
            }
            if frame < 60 {
                batcher.offer(2, LANDMARKS, 2, asked_us + 1_000);
                batch(batcher.due(asked_us + 1_000, STREAMS));
            }
            if let Due::At(until_us) = due {
                waited.push((frame, until_us - asked_us));
                due = batcher.due(until_us, STREAMS);
            }
            assert_eq!(due, Due::Now(LANDMARKS, vec![1]));
        }
        assert_eq!(waited, [(60, 4_000)], "the deadline of one frame, and of no other");
    }

    #[test]
    fn a_stream_whose_frame_is_far_away_is_not_waited_for() {
        // One at 60 frames a second, one at 5: they meet now and then, and only then one waits.
        let (mut batcher, mut waits) = (batcher(), 0);
        let mut ask = |stream: u64, now_us: u64| {
            batcher.offer(stream, LANDMARKS, stream, now_us);
            match batcher.due(now_us, STREAMS) {
                Due::At(until_us) => !batch(batcher.due(until_us, STREAMS)).is_empty(),
                due => batch(due).is_empty(),
            }
        };
        for millisecond in 0..2_000_u64 {
            if millisecond % 200 == 190 {
                ask(2, millisecond * 1_000);
            }
            if millisecond % 16 == 0 && ask(1, millisecond * 1_000) {
                waits += 1;
            }
        }
        assert!(waits <= 10, "{waits} of 125 frames waited for ten frames of the other");
    }

    #[test]
    fn many_streams_of_one_pace_still_go_together() {
        // Sixteen streams at 60 frames a second, one a millisecond: what comes within the deadline is a batch.
        let (mut batcher, mut batches) = (batcher(), Vec::new());
        for millisecond in 0..1_600_u64 {
            batcher.offer(millisecond % 16, LANDMARKS, millisecond, millisecond * 1_000);
            while let Due::Now(_, batch) = batcher.due(millisecond * 1_000, STREAMS) {
                batches.push(batch.len());
            }
        }
        let late = &batches[batches.len() / 2..];
        let mean = late.iter().sum::<usize>() as f64 / late.len() as f64;
        assert!(mean >= 4.0, "{mean} requests a batch");
    }

    #[test]
    fn a_batch_has_one_request_of_a_stream_however_many_it_sends() {
        let mut batcher = expecting(3..=3, LANDMARKS);
        (0..20).for_each(|request| batcher.offer(1, LANDMARKS, request, 0));
        batcher.offer(2, LANDMARKS, 100, 0);
        assert_eq!(batch(batcher.due(4_000, STREAMS)), [0, 100]);
        assert_eq!(batch(batcher.due(4_000, STREAMS)), [1]);
    }

    #[test]
    fn under_overload_every_stream_gets_its_turn() {
        // Thirty streams, four times what a batch holds, each asks anew as soon as it is answered; the even ones always
        // ask before the others.
        let (mut batcher, mut served) = (batcher(), [0; 30]);
        (0..30).for_each(|stream| batcher.offer(stream, LANDMARKS, stream, 0));
        for round in 1..=300 {
            let mut answered = batch(batcher.due(round * 10_000, STREAMS));
            assert_eq!(answered.len(), 8);
            answered.sort_by_key(|stream| (stream % 2, *stream));
            for stream in answered {
                served[stream as usize] += 1;
                batcher.offer(stream, LANDMARKS, stream, round * 10_000);
            }
        }
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        assert!(most - least <= 1, "{served:?}");
    }

    #[test]
    fn a_busy_network_does_not_keep_another_waiting() {
        let mut batcher = expecting(51..=51, DETECTOR);
        batcher.offer(50, DETECTOR, 50, 500);
        for round in 0..20_u64 {
            let now = 500 + round * 1_000;
            (0..8).for_each(|stream| batcher.offer(stream, LANDMARKS, stream, now));
            if let Due::Now(DETECTOR, batch) = batcher.due(now, STREAMS) {
                assert_eq!((batch, now), (vec![50], 4_500), "as soon as its deadline is over");
                return;
            }
        }
        panic!("the detector should have had its turn");
    }

    #[test]
    fn streams_that_are_long_gone_are_forgotten() {
        let mut batcher = batcher();
        for stream in 0..10_000 {
            batcher.offer(stream, LANDMARKS, stream, stream);
            batch(batcher.due(stream, 1));
        }
        assert!(batcher.served.len() <= REMEMBERED + 1);
    }
}
