//! `Batcher`: which requests of a lane go to the device together, and when.
//!
//! Pure: no actix, no device and no clock of its own. Requests for one network make a batch as soon as enough streams, or
//! all streams of the lane, have asked, and at the latest when the oldest of them has waited for the deadline. Of each
//! stream a batch has one request at most. Under overload, streams that were served longest ago come first, so none
//! waits for more turns than there are others; of two networks the one with the oldest request has its turn.

use std::collections::HashMap;
use std::time::Duration;

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
}

/// Streams that are remembered; those served longest ago are forgotten beyond it.
const REMEMBERED: usize = 2_048;

/// Requests that wait, in the order in which they came.
#[derive(Debug)]
pub struct Batcher<R> {
    policy: BatchPolicy,
    waiting: Vec<Waiting<R>>,
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
        Self { policy, waiting: Vec::new(), served: HashMap::new(), next: 0 }
    }

    /// Takes a request of `stream` at `now_us`.
    pub fn offer(&mut self, stream: u64, network: NetworkId, request: R, now_us: u64) {
        self.waiting.push(Waiting { stream, network, since_us: now_us, is_urgent: false, request });
    }

    /// What is to be done at `now_us` on a lane of so many streams.
    pub fn due(&mut self, now_us: u64, streams: usize) -> Due<R> {
        let deadline_us = u64::try_from(self.policy.deadline.as_micros()).unwrap_or(u64::MAX);
        if self.distinct(None) >= streams.max(1) {
            self.waiting.iter_mut().for_each(|waiting| waiting.is_urgent = true);
        }
        let Some(oldest) = self.waiting.first() else { return Due::Idle };
        let end_us = oldest.since_us.saturating_add(deadline_us);
        if now_us >= end_us || oldest.is_urgent {
            return self.take(oldest.network);
        }
        let full = self.waiting.iter().map(|waiting| waiting.network);
        let full = full.into_iter().find(|network| self.distinct(Some(*network)) >= self.policy.most);
        match full {
            Some(network) => self.take(network),
            None => Due::At(end_us),
        }
    }

    /// Streams that wait for `network`, or for any.
    fn distinct(&self, network: Option<NetworkId>) -> usize {
        let meant = |waiting: &&Waiting<R>| network.is_none_or(|network| waiting.network == network);
        let streams = self.waiting.iter().filter(meant).map(|waiting| waiting.stream);
        streams.collect::<std::collections::HashSet<_>>().len()
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

    fn batch<R>(due: Due<R>) -> Vec<R> {
        match due {
            Due::Now(_, batch) => batch,
            Due::At(_) | Due::Idle => panic!("a batch should be due"),
        }
    }

    #[test]
    fn a_request_waits_for_others_until_its_deadline_and_no_longer() {
        let (clock, mut batcher) = (SimulatedClock::default(), batcher());
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::Idle);
        clock.advance(Duration::from_millis(10));
        batcher.offer(1, LANDMARKS, 1, clock.monotonic_us());
        clock.advance(Duration::from_millis(3));
        batcher.offer(2, LANDMARKS, 2, clock.monotonic_us());
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::At(14_000));
        clock.advance(Duration::from_millis(1));
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::Now(LANDMARKS, vec![1, 2]));
        assert_eq!(batcher.due(clock.monotonic_us(), STREAMS), Due::Idle);
    }

    #[test]
    fn a_full_batch_does_not_wait() {
        let mut batcher = batcher();
        (1..=7).for_each(|stream| batcher.offer(stream, LANDMARKS, stream, 0));
        batcher.offer(8, DETECTOR, 8, 0);
        assert_eq!(batcher.due(1, STREAMS), Due::At(4_000));
        batcher.offer(9, LANDMARKS, 9, 1);
        assert_eq!(batcher.due(1, STREAMS), Due::Now(LANDMARKS, vec![1, 2, 3, 4, 5, 6, 7, 9]));
        assert_eq!(batcher.due(4_000, STREAMS), Due::Now(DETECTOR, vec![8]));
    }

    #[test]
    fn nobody_waits_when_every_stream_of_the_lane_has_asked() {
        let mut batcher = batcher();
        batcher.offer(1, LANDMARKS, 1, 0);
        assert_eq!(batcher.due(0, 2), Due::At(4_000));
        batcher.offer(2, DETECTOR, 2, 0);
        assert_eq!(batcher.due(0, 2), Due::Now(LANDMARKS, vec![1]));
        assert_eq!(batcher.due(0, 2), Due::Now(DETECTOR, vec![2]));
        batcher.offer(1, LANDMARKS, 1, 0);
        assert_eq!(batcher.due(0, 2), Due::At(4_000));
    }

    #[test]
    fn a_batch_has_one_request_of_a_stream_however_many_it_sends() {
        let mut batcher = batcher();
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
        let mut batcher = batcher();
        batcher.offer(50, DETECTOR, 50, 0);
        for round in 0..20_u64 {
            let now = round * 1_000;
            (0..8).for_each(|stream| batcher.offer(stream, LANDMARKS, stream, now));
            if let Due::Now(DETECTOR, batch) = batcher.due(now, STREAMS) {
                assert_eq!((batch, now), (vec![50], 4_000), "as soon as its deadline is over");
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
