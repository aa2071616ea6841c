//! `Lanes`: the inference workers of a device, apart from the streams that are pinned to them.
//!
//! A stream asks its [`LaneSeat`] for the worker at each request, so a worker that panicked is replaced by a fresh
//! one at the next request, and its streams hear of the loss by the request that came back. A worker that hangs
//! cannot be killed: [`Lanes::check`] abandons it, thread and all, and when three threads hang the process has to end.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr};

use crate::batch::BatchPolicy;
use crate::crew::{ArbiterSource, Crew, arbiters};
use crate::guard::ChildKind;
use crate::inference::{InferenceWorker, Pulse};
use crate::ports::{Clock, ModelFactory};
use crate::threads::ThreadWatch;

pub use crate::threads::Fatal;

/// A request that takes longer than this means a hung worker.
pub const HANG_AFTER: Duration = Duration::from_secs(2);

/// The lanes of one device.
pub struct Lanes {
    lanes: Vec<Mutex<Lane>>,
    model: ModelFactory,
    clock: Arc<dyn Clock>,
    threads: Arc<ThreadWatch>,
    replaced: AtomicU64,
    policy: BatchPolicy,
    arbiters: ArbiterSource,
}

#[derive(Default)]
struct Lane {
    worker: Option<Running>,
    generation: u64,
    /// How many are pinned to it; its worker looks, too.
    streams: Arc<AtomicUsize>,
    /// Their names, as far as they have any.
    names: Vec<Arc<str>>,
}

struct Running {
    addr: Addr<InferenceWorker>,
    pulse: Arc<Pulse>,
    _crew: Crew,
}

impl Lanes {
    /// `count` lanes without workers; each gets one at its first request.
    ///
    /// A worker that is at one request for longer than `hang_after` is abandoned, and so is any other thread of the
    /// server's streams that does not end in so long a time; `fatal` is called when three of them hang.
    #[must_use]
    pub fn new(
        count: usize,
        model: ModelFactory,
        clock: Arc<dyn Clock>,
        hang_after: Duration,
        fatal: Fatal,
    ) -> Arc<Self> {
        Self::gathering(count, model, BatchPolicy::ALONE, clock, hang_after, fatal)
    }

    /// As `new`; workers gather the requests of their streams by `policy`.
    #[must_use]
    pub fn gathering(
        count: usize,
        model: ModelFactory,
        policy: BatchPolicy,
        clock: Arc<dyn Clock>,
        hang_after: Duration,
        fatal: Fatal,
    ) -> Arc<Self> {
        Self::with_arbiters(count, model, policy, clock, hang_after, fatal, arbiters())
    }

    pub(crate) fn with_arbiters(
        count: usize,
        model: ModelFactory,
        policy: BatchPolicy,
        clock: Arc<dyn Clock>,
        hang_after: Duration,
        fatal: Fatal,
        arbiters: ArbiterSource,
    ) -> Arc<Self> {
        let threads = Arc::new(ThreadWatch::new(Arc::clone(&clock), hang_after, fatal));
        Arc::new(Self {
            lanes: (0..count.max(1)).map(|_| Mutex::default()).collect(),
            model,
            clock,
            threads,
            replaced: AtomicU64::new(0),
            policy,
            arbiters,
        })
    }

    /// Pins the stream of this name to the lane with the fewest streams.
    #[must_use]
    pub fn pin_as(self: &Arc<Self>, name: Arc<str>) -> LaneSeat {
        let seat = self.pin();
        lock(&self.lanes[seat.index]).names.push(Arc::clone(&name));
        seat.named(name)
    }

    /// Pins a stream without a name.
    #[must_use]
    pub fn pin(self: &Arc<Self>) -> LaneSeat {
        let loads = self.lanes.iter().map(|lane| lock(lane).streams.load(Ordering::Acquire)).enumerate();
        let index = loads.min_by_key(|&(_, load)| load).map_or(0, |(index, _)| index);
        lock(&self.lanes[index]).streams.fetch_add(1, Ordering::AcqRel);
        LaneSeat { lanes: Arc::clone(self), index, name: None }
    }

    /// The watch over the threads of these lanes and of the streams that use them.
    #[must_use]
    pub fn threads(&self) -> Arc<ThreadWatch> {
        Arc::clone(&self.threads)
    }

    /// Abandons workers that hang, and counts other threads that do. To be called a few times a second, from outside the lanes.
    pub fn check(&self) {
        self.threads.check();
        for lane in &self.lanes {
            let mut lane = lock(lane);
            if lane.worker.as_ref().is_some_and(|worker| worker.pulse.is_lost()) {
                self.threads.give_up();
            }
            let Some(hung) = lane.worker.take_if(|worker| self.hangs(worker)) else { continue };
            lane.generation += 1;
            drop(lane);
            // Its pulse goes with it, if it comes back at all.
            let life = Arc::<Pulse>::downgrade(&hung.pulse);
            drop(hung);
            self.threads.abandon(life);
        }
    }

    /// One that panicked left its pulse as it was, and has no thread that could hang.
    fn hangs(&self, worker: &Running) -> bool {
        let busy_since_us = worker.pulse.busy_since_us().filter(|_| worker.addr.connected());
        busy_since_us.is_some_and(|since_us| self.threads.is_overdue(since_us))
    }

    /// Workers that were replaced after a panic, and threads that were abandoned, those of streams included.
    #[must_use]
    pub fn losses(&self) -> (u64, u64) {
        (self.replaced.load(Ordering::Acquire), self.threads.abandoned())
    }

    /// Of each lane, the streams that are pinned to it and whether its worker is at a request.
    #[must_use]
    pub fn loads(&self) -> Vec<(usize, bool)> {
        let load = |lane: &Lane| {
            let busy = lane.worker.as_ref().is_some_and(|worker| worker.pulse.busy_since_us().is_some());
            (lane.streams.load(Ordering::Acquire), busy)
        };
        self.lanes.iter().map(|lane| load(&lock(lane))).collect()
    }

    /// How many lanes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// How long the worker of now of each lane has been busy in all, in microseconds: a second of a second at most.
    #[must_use]
    pub fn busy_us(&self) -> Vec<u64> {
        let busy = |lane: &Mutex<Lane>| lock(lane).worker.as_ref().map_or(0, |worker| worker.pulse.busy_us());
        self.lanes.iter().map(busy).collect()
    }

    /// The names of the streams of each lane, whether they run or not.
    #[must_use]
    pub fn names(&self) -> Vec<Vec<Arc<str>>> {
        self.lanes.iter().map(|lane| lock(lane).names.clone()).collect()
    }

    fn build(&self, streams: &Arc<AtomicUsize>) -> io::Result<Running> {
        let mut crew = Crew::default();
        let arbiter = crew.hire(ChildKind::InferenceWorker, &self.arbiters)?;
        let pulse = Arc::new(Pulse::default());
        let worker = InferenceWorker::new((self.model)(), Arc::clone(&self.clock), Arc::clone(&pulse), None);
        let worker = worker.gathering(self.policy, Arc::clone(streams));
        let addr = InferenceWorker::start_in_arbiter(&arbiter, move |_| worker);
        Ok(Running { addr, pulse, _crew: crew })
    }
}

/// A stream's place on a lane; dropping it leaves the lane.
pub struct LaneSeat {
    lanes: Arc<Lanes>,
    index: usize,
    name: Option<Arc<str>>,
}

impl LaneSeat {
    fn named(mut self, name: Arc<str>) -> Self {
        self.name = Some(name);
        self
    }

    /// The lane's worker, built anew if the last one is gone, and which build it is.
    ///
    /// # Errors
    /// When there is no thread for a fresh one.
    pub fn worker(&self) -> io::Result<(Addr<InferenceWorker>, u64)> {
        let mut lane = lock(&self.lanes.lanes[self.index]);
        if let Some(worker) = lane.worker.as_ref().filter(|worker| worker.addr.connected()) {
            return Ok((worker.addr.clone(), lane.generation));
        }
        if let Some(worker) = lane.worker.take() {
            self.lanes.replaced.fetch_add(1, Ordering::AcqRel);
            // Seen here too, since the worker that knew is about to be forgotten.
            if worker.pulse.is_lost() {
                self.lanes.threads.give_up();
            }
        }
        lane.generation += 1;
        let worker = self.lanes.build(&lane.streams)?;
        let addr = worker.addr.clone();
        lane.worker = Some(worker);
        Ok((addr, lane.generation))
    }

    /// Which build of the lane's worker is in force. Another one than at the request means that no answer comes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        lock(&self.lanes.lanes[self.index]).generation
    }
}

impl Drop for LaneSeat {
    fn drop(&mut self) {
        let mut lane = lock(&self.lanes.lanes[self.index]);
        lane.streams.fetch_sub(1, Ordering::AcqRel);
        // A stream that is built anew holds two seats for a moment.
        let place = self.name.as_ref().and_then(|name| lane.names.iter().position(|other| other == name));
        if let Some(place) = place {
            lane.names.swap_remove(place);
        }
    }
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    // A model factory that panics leaves the lane without a worker, which is a state like any other.
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}
