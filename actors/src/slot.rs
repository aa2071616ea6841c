//! `LatestSlot`: room for one value, where a newer one takes the place of an older one.
//!
//! Lock-free, one producer and one consumer. The producer takes the old value back before it puts the new one,
//! so that what was replaced can be counted in the very value that replaces it.

use crossbeam_queue::ArrayQueue;

/// Room for the newest value.
#[derive(Debug)]
pub struct LatestSlot<T>(ArrayQueue<T>);

impl<T> Default for LatestSlot<T> {
    fn default() -> Self {
        Self(ArrayQueue::new(1))
    }
}

impl<T> LatestSlot<T> {
    /// Puts `value`; returns a value that was still there.
    ///
    /// With a single producer nothing is returned after an immediately preceding [`LatestSlot::take`].
    pub fn put(&self, value: T) -> Option<T> {
        self.0.force_push(value)
    }

    /// Takes the value out.
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_replaces_the_older_one_and_gives_it_back() {
        let slot = LatestSlot::default();
        assert_eq!(slot.put(1), None);
        assert_eq!(slot.put(2), Some(1));
        assert_eq!(slot.take(), Some(2));
        assert_eq!(slot.take(), None);
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
        taken += u64::from(slot.take().is_some());
        assert_eq!(taken + replaced, 100_000);
    }
}
