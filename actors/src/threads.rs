//! `ThreadWatch`: counts threads that were told to end and do not.
//!
//! A thread that hangs in foreign code cannot be killed. Who throws an actor away leaves the actor's sign of life
//! here; an actor that is still alive when its time is over was abandoned with its thread. Workers of lanes are
//! abandoned by their lanes, which know at once. When three of them hang at a time, the process has to end, for its
//! service manager; one that comes back late ends like any other, and counts no more.
//!
//! A process that stood still as a whole (stopped, paused with its container, swapped out) cannot tell which of its
//! threads hang: checks that come much too late show it, and that time counts for nothing. The rest counts all the same, so
//! that a hang is found in the end where many checks are late.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::ports::Clock;

/// Threads that hang at a time, at which a process gives up.
const HANGING_MAX: usize = 3;
/// Time between checks: a hang is seen within its limit and this.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(250);
/// Without a check for so long the process stood still.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// Called once when too many threads hang; the process should end with code 70.
pub type Fatal = Box<dyn Fn() + Send + Sync>;

/// A sign of life: it can be upgraded as long as its actor was not dropped.
pub type SignOfLife = Weak<dyn Any + Send + Sync>;

/// The watch. One for all threads of a server.
pub struct ThreadWatch {
    clock: Arc<dyn Clock>,
    limit_us: u64,
    fatal: Fatal,
    abandoned: AtomicU64,
    gave_up: AtomicBool,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    leaving: Vec<Leaving>,
    /// Those that were abandoned and have not ended since.
    hanging: Vec<SignOfLife>,
    /// When the last check was.
    checked_us: Option<u64>,
    /// When the process stood still; only what is of weight yet.
    stills: VecDeque<Still>,
}

/// A time in which no check came, although some were due.
struct Still {
    from_us: u64,
    to_us: u64,
}

impl Still {
    /// How much of it something went through that began at `since_us`.
    fn after_us(&self, since_us: u64) -> u64 {
        self.to_us.saturating_sub(self.from_us.max(since_us))
    }
}

struct Leaving {
    life: SignOfLife,
    told_us: u64,
}

impl Leaving {
    fn is_alive(&self) -> bool {
        self.life.strong_count() > 0
    }
}

impl Watched {
    fn stood_still(&self, now_us: u64) -> bool {
        self.checked_us.is_some_and(|checked_us| since(checked_us, now_us) > STOOD_STILL)
    }

    /// How long something that began at `since_us` takes by now, as far as checks came.
    fn taken_us(&self, since_us: u64, now_us: u64) -> u64 {
        let stood_still_us: u64 = self.stills.iter().map(|still| still.after_us(since_us)).sum();
        now_us.saturating_sub(since_us).saturating_sub(stood_still_us)
    }

    /// A check that comes too late counts like one in time; a small part of the limit, so that a still alone is never over it.
    fn checked(&mut self, now_us: u64, limit_us: u64) {
        if let Some(checked_us) = self.checked_us.filter(|_| self.stood_still(now_us)) {
            let counted_us = (limit_us / 8).min(micros(CHECK_EVERY));
            self.stills.push_back(Still { from_us: checked_us.saturating_add(counted_us), to_us: now_us });
        }
        self.checked_us = Some(now_us);
        // Whatever went through this one is overdue by the time after it.
        while self.stills.front().is_some_and(|still| self.taken_us(still.to_us, now_us) > limit_us) {
            self.stills.pop_front();
        }
    }

    fn hanging(&mut self) -> usize {
        self.hanging.retain(|life| life.strong_count() > 0);
        self.hanging.len()
    }
}

impl ThreadWatch {
    /// A watch that gives each thread `limit` to end.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limit: Duration, fatal: Fatal) -> Self {
        Self {
            clock,
            limit_us: micros(limit),
            fatal,
            abandoned: AtomicU64::new(0),
            gave_up: AtomicBool::new(false),
            watched: Mutex::default(),
        }
    }

    /// Whether something that began at `since_us` takes too long by now. Nothing does while nobody checks.
    #[must_use]
    pub fn is_overdue(&self, since_us: u64) -> bool {
        let now_us = self.clock.monotonic_us();
        let watched = self.watched();
        !watched.stood_still(now_us) && watched.taken_us(since_us, now_us) > self.limit_us
    }

    /// These were told to end just now.
    pub(crate) fn expect_end(&self, lives: impl IntoIterator<Item = SignOfLife>) {
        let told_us = self.clock.monotonic_us();
        let leaving = lives.into_iter().map(|life| Leaving { life, told_us });
        self.watched().leaving.extend(leaving);
    }

    /// Counts those that should have ended by now. To be called each quarter of a second.
    pub fn check(&self) {
        let now_us = self.clock.monotonic_us();
        let mut watched = self.watched();
        watched.checked(now_us, self.limit_us);
        let leaving = std::mem::take(&mut watched.leaving).into_iter().filter(Leaving::is_alive);
        let is_overdue = |one: &Leaving| watched.taken_us(one.told_us, now_us) > self.limit_us;
        let (overdue, leaving): (Vec<_>, Vec<_>) = leaving.partition(is_overdue);
        watched.leaving = leaving;
        drop(watched);
        overdue.into_iter().for_each(|one| self.abandon(one.life));
    }

    /// Counts one thread that hangs, and may do so until the process ends.
    pub(crate) fn abandon(&self, life: SignOfLife) {
        self.abandoned.fetch_add(1, Ordering::AcqRel);
        self.watched().hanging.push(life);
        if self.hanging() >= HANGING_MAX {
            self.give_up();
        }
    }

    /// The process is of no more use: too many threads hang, or what every stream needs will not work in it again.
    pub(crate) fn give_up(&self) {
        if !self.gave_up.swap(true, Ordering::AcqRel) {
            (self.fatal)();
        }
    }

    /// How many were abandoned in all.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Acquire)
    }

    /// How many of them hang now.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.watched().hanging()
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        // Plain fields: nothing in the lock can panic half-way through a change.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn since(before_us: u64, now_us: u64) -> Duration {
    Duration::from_micros(now_us.saturating_sub(before_us))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SimulatedClock;

    const LIMIT: Duration = Duration::from_secs(2);

    /// A watch, its clock, and how often it called for the end.
    fn watch() -> (ThreadWatch, Arc<SimulatedClock>, Arc<AtomicU64>) {
        let (clock, calls) = (Arc::new(SimulatedClock::default()), Arc::new(AtomicU64::new(0)));
        let called = Arc::clone(&calls);
        let fatal = Box::new(move || {
            called.fetch_add(1, Ordering::AcqRel);
        });
        let watch = ThreadWatch::new(clock.clone(), LIMIT, fatal);
        watch.check();
        (watch, clock, calls)
    }

    fn threads(count: usize) -> Vec<Arc<()>> {
        (0..count).map(|_| Arc::new(())).collect()
    }

    fn signs(threads: &[Arc<()>]) -> Vec<SignOfLife> {
        threads.iter().map(|thread| -> SignOfLife { Arc::<()>::downgrade(thread) }).collect()
    }

    /// Lets so much time pass, with all its checks.
    fn pass(watch: &ThreadWatch, clock: &SimulatedClock, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(CHECK_EVERY);
            clock.advance(step);
            watch.check();
            left -= step;
        }
    }

    #[test]
    fn the_third_thread_that_does_not_end_in_its_time_is_fatal_once() {
        let (watch, clock, calls) = watch();
        let mut threads = threads(5);
        watch.expect_end(signs(&threads));
        pass(&watch, &clock, LIMIT);
        assert_eq!(watch.abandoned(), 0, "their time is not over");
        // One ends in time.
        threads.pop();
        pass(&watch, &clock, LIMIT);
        assert_eq!((watch.abandoned(), watch.hanging(), calls.load(Ordering::Acquire)), (4, 4, 1));
    }

    #[test]
    fn threads_that_end_late_one_after_another_are_not_fatal_however_many_they_are() {
        let (watch, clock, calls) = watch();
        for number in 1..=10 {
            let late = threads(2);
            watch.expect_end(signs(&late));
            pass(&watch, &clock, 2 * LIMIT);
            assert_eq!((watch.abandoned(), watch.hanging()), (2 * number, 2));
            drop(late);
            assert_eq!(watch.hanging(), 0);
        }
        assert_eq!(calls.load(Ordering::Acquire), 0);
    }

    #[test]
    fn the_time_in_which_a_process_stood_still_counts_for_nothing_however_long_it_was() {
        for still_s in [2, 60, 86_400] {
            let (watch, clock, calls) = watch();
            let threads = threads(3);
            watch.expect_end(signs(&threads));
            let began_us = clock.monotonic_us();
            clock.advance(Duration::from_secs(still_s));
            assert!(!watch.is_overdue(began_us), "whoever asks before the next check");
            watch.check();
            assert!(!watch.is_overdue(began_us));
            // The check that was late counts like one in time.
            pass(&watch, &clock, LIMIT - CHECK_EVERY);
            assert_eq!((watch.abandoned(), watch.is_overdue(began_us)), (0, false), "their time is not over");
            pass(&watch, &clock, CHECK_EVERY);
            assert_eq!((watch.abandoned(), calls.load(Ordering::Acquire)), (3, 1), "these do hang");
            assert!(watch.is_overdue(began_us));
        }
    }

    #[test]
    fn a_thread_that_hangs_is_found_although_checks_are_late_again_and_again() {
        let (watch, clock, _) = watch();
        let threads = threads(1);
        watch.expect_end(signs(&threads));
        let began_us = clock.monotonic_us();
        let mut rounds = 0;
        while watch.abandoned() == 0 {
            assert!(!watch.is_overdue(began_us), "the watch agrees with itself");
            clock.advance(Duration::from_millis(1_500));
            watch.check();
            pass(&watch, &clock, Duration::from_millis(500));
            rounds += 1;
            assert!(rounds < 10, "it should be found");
        }
        // A round counts with its three checks.
        assert_eq!((rounds, watch.is_overdue(began_us)), (3, true));
        let recent_us = clock.monotonic_us();
        for _ in 0..100 {
            clock.advance(Duration::from_millis(1_500));
            watch.check();
        }
        assert!(watch.is_overdue(recent_us), "even if no check is in time");
        assert!(watch.watched().stills.len() <= 9, "what is of no weight is forgotten");
    }
}
