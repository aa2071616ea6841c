//! `LatestSlot`: room for the newest values, where newer ones take the place of older ones.
//!
//! Lock-free, one producer and one consumer. Two values that come together both find room: cameras and networks send in
//! bursts, and a burst is no overload. Who finds no room takes all older values back before it puts the new one, so that
//! lateness does not stay, and what was replaced can be counted in the very value that replaces it.

use crossbeam_queue::ArrayQueue;

/// Values that may wait.
const ROOM: usize = 2;

/// Room for the newest values.
#[derive(Debug)]
pub struct LatestSlot<T>(ArrayQueue<T>);

impl<T> Default for LatestSlot<T> {
    fn default() -> Self {
        Self(ArrayQueue::new(ROOM))
    }
}

impl<T> LatestSlot<T> {
    /// Whether another value would have to replace older ones.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Puts `value`; returns the oldest value if there was no room.
    ///
    /// With a single producer nothing is returned after it has emptied the slot.
    pub fn put(&self, value: T) -> Option<T> {
        self.0.force_push(value)
    }

    /// Takes the oldest value out.
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_values_wait_and_a_third_replaces_the_oldest() {
        let slot = LatestSlot::default();
        assert_eq!((slot.put(1), slot.is_full()), (None, false));
        assert_eq!((slot.put(2), slot.is_full()), (None, true));
        assert_eq!(slot.put(3), Some(1));
        assert_eq!((slot.take(), slot.take(), slot.take()), (Some(2), Some(3), None));
    }

    #[test]
    fn nothing_is_lost_between_two_threads() {
        let slot = LatestSlot::default();
        let (mut replaced, mut taken) = (0_u64, 0_u64);
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| (0..100_000_u64).filter(|&n| slot.put(n).is_some()).count() as u64);
            while !producer.is_finished() {
                taken += u64::from(slot.take().is_some());
            }
            replaced = producer.join().unwrap();
        });
        taken += std::iter::from_fn(|| slot.take()).count() as u64;
        assert_eq!(taken + replaced, 100_000);
    }
}
