//! `ThreadWatch`: counts threads that were told to end and do not.
//!
//! A thread that hangs in foreign code cannot be killed. Who throws an actor away leaves the actor's sign of life
//! here; an actor that is still alive when its time is over was abandoned with its thread. Workers of lanes are
//! abandoned by their lanes, which know at once. At the third the process has to end, for its service manager.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::ports::Clock;

/// Abandoned threads that a process bears.
const ABANDONED_MAX: u64 = 3;

/// Called once when too many threads were abandoned; the process should end with code 70.
pub type Fatal = Box<dyn Fn() + Send + Sync>;

/// A sign of life: it can be upgraded as long as its actor was not dropped.
pub type SignOfLife = Weak<()>;

/// The watch. One for all threads of a server.
pub struct ThreadWatch {
    clock: Arc<dyn Clock>,
    limit_us: u64,
    fatal: Fatal,
    abandoned: AtomicU64,
    gave_up: AtomicBool,
    leaving: Mutex<Vec<Leaving>>,
}

struct Leaving {
    life: SignOfLife,
    told_us: u64,
}

impl ThreadWatch {
    /// A watch that gives each thread `limit` to end.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limit: Duration, fatal: Fatal) -> Self {
        let limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Self {
            clock,
            limit_us,
            fatal,
            abandoned: AtomicU64::new(0),
            gave_up: AtomicBool::new(false),
            leaving: Mutex::default(),
        }
    }

    /// Whether something that began at `since_us` takes too long by now.
    #[must_use]
    pub fn is_overdue(&self, since_us: u64) -> bool {
        self.clock.monotonic_us().saturating_sub(since_us) > self.limit_us
    }

    /// These were told to end just now.
    pub(crate) fn expect_end(&self, lives: impl IntoIterator<Item = SignOfLife>) {
        let told_us = self.clock.monotonic_us();
        let leaving = lives.into_iter().map(|life| Leaving { life, told_us });
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).extend(leaving);
    }

    /// Counts those that should have ended by now. To be called a few times a second.
    pub fn check(&self) {
        let mut overdue = 0;
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|one| {
            let is_alive = one.life.strong_count() > 0;
            let is_overdue = is_alive && self.is_overdue(one.told_us);
            overdue += u32::from(is_overdue);
            is_alive && !is_overdue
        });
        drop(leaving);
        (0..overdue).for_each(|_| self.abandon());
    }

    /// Counts one thread that is lost until the process ends.
    pub(crate) fn abandon(&self) {
        if self.abandoned.fetch_add(1, Ordering::AcqRel) + 1 == ABANDONED_MAX {
            (self.fatal)();
        }
    }

    /// Something that every stream needs will not work in this process again.
    pub(crate) fn give_up(&self) {
        if !self.gave_up.swap(true, Ordering::AcqRel) {
            (self.fatal)();
        }
    }

    /// How many were abandoned.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SimulatedClock;

    #[test]
    fn the_third_thread_that_does_not_end_in_its_time_is_fatal_once() {
        let (clock, calls) = (Arc::new(SimulatedClock::default()), Arc::new(AtomicU64::new(0)));
        let called = Arc::clone(&calls);
        let fatal = Box::new(move || {
            called.fetch_add(1, Ordering::AcqRel);
        });
        let watch = ThreadWatch::new(clock.clone(), Duration::from_secs(2), fatal);
        let threads: Vec<_> = (0..5).map(|_| Arc::new(())).collect();
        watch.expect_end(threads.iter().map(Arc::downgrade));
        watch.check();
        assert_eq!(watch.abandoned(), 0, "their time is not over");
        // One ends in time.
        let mut threads = threads;
        threads.pop();
        clock.advance(Duration::from_secs(3));
        watch.check();
        watch.check();
        assert_eq!((watch.abandoned(), calls.load(Ordering::Acquire)), (4, 1));
    }
}
