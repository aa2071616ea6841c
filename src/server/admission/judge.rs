//! Whether one more stream would make those that run too late. Pure: it is shown what was measured, and told the time.
//!
//! What a frame costs a lane is measured: the time in which the lane worked, by the frames that it finished. The load of a
//! lane is that cost times the frames that its paced streams ask for in a second; streams that are read as fast as they can
//! be (files) take only what is left. The 99th percentile is thought to grow as waiting does in a queue, by
//! (1 - load before) / (1 - load after). On a GPU frames become cheaper as batches grow, so the estimate is on the safe side there;
//! each stream that was let in corrects it. Without evidence nobody is refused.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What costs are measured over; before that there is no evidence.
const WINDOW_US: u64 = 30_000_000;
/// What the rate of a stream is measured over.
const RATE_US: u64 = 5_000_000;
/// How long a stream that was let in counts as if it ran. Its camera may take its time, and may never come.
const RESERVED_US: u64 = 30_000_000;
/// Frames of a lane below which they prove nothing.
const LEAST_FRAMES: u64 = 100;
/// Streams whose rates are remembered; beyond that all are learnt anew.
const REMEMBERED: usize = 4_096;
/// The rate of a stream that nobody has seen: the fastest that requirement A1 names.
pub(crate) const ASSUMED_FPS: f64 = 60.0;

/// What a stream asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Demand {
    /// So many frames a second, whatever happens: others are dropped.
    Paced(f64),
    /// As many as are taken: a file that is read to its end.
    Elastic,
}

impl Demand {
    /// What is asked for by a stream of which one frame of `every_nth`, and at most `max_fps` of a second, is analysed.
    pub(crate) fn assumed(is_paced: bool, every_nth: u32, max_fps: Option<u32>) -> Self {
        let most = max_fps.map_or(f64::INFINITY, f64::from);
        if is_paced {
            Self::Paced((ASSUMED_FPS / f64::from(every_nth.max(1))).min(most))
        } else {
            Self::Elastic
        }
    }
}

/// Why a stream is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Results of streams that run come too late already.
    Late,
    /// The lane would have more to do than it can.
    Full,
    /// Results would come too late.
    WouldBeLate,
}

/// A refusal with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// How much of its time the lane would be busy; more than 1 cannot be.
    pub(crate) load: f64,
    /// What the 99th percentile of the others is thought to become, in milliseconds, infinite at a load of 1; what it is if it
    /// is late already.
    pub(crate) p99_ms: f64,
    pub(crate) budget_ms: f64,
}

/// A session that runs, as it is seen at one time.
#[derive(Clone, Debug)]
pub(crate) struct StreamLook {
    pub(crate) name: Arc<str>,
    /// Its counters begin anew with another one.
    pub(crate) session: Arc<str>,
    /// Frames with a result so far.
    pub(crate) analyzed: u64,
    /// Frames of which a result was wanted so far, those that were dropped included.
    pub(crate) demanded: u64,
    pub(crate) is_paced: bool,
    /// The 99th percentile of its recent frames, in milliseconds; 0 before the first.
    pub(crate) p99_ms: f64,
}

/// A lane at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneLook {
    /// How long its worker has worked in all.
    pub(crate) busy_us: u64,
    /// Those of its streams that run.
    pub(crate) streams: Vec<StreamLook>,
}

/// What was measured, and who was let in.
#[derive(Debug)]
pub(crate) struct Judge {
    budget_ms: f64,
    /// Work and finished frames of each lane, summed up, over the window.
    work: VecDeque<(u64, Vec<Work>)>,
    last: Vec<LaneLook>,
    /// Frames demanded, with their times, of each stream that runs.
    demands: HashMap<Arc<str>, VecDeque<(u64, u64)>>,
    /// The rates that streams had when they ran.
    known: HashMap<Arc<str>, f64>,
    reserved: Vec<Reserved>,
    /// How many reservations there have been.
    reservations: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Work {
    busy_us: u64,
    frames: u64,
}

/// The room that was kept for a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Reservation {
    number: u64,
    /// What was kept for it before.
    replaced: Option<Reserved>,
}

#[derive(Debug, PartialEq)]
struct Reserved {
    number: u64,
    name: Arc<str>,
    lane: usize,
    fps: f64,
    until_us: u64,
}

impl Judge {
    /// Nothing is known yet.
    pub(crate) fn new(budget_ms: f64) -> Self {
        Self {
            budget_ms,
            work: VecDeque::new(),
            last: Vec::new(),
            demands: HashMap::new(),
            known: HashMap::new(),
            reserved: Vec::new(),
            reservations: 0,
        }
    }

    /// Takes a look at all lanes, later than those before.
    pub(crate) fn see(&mut self, at_us: u64, lanes: Vec<LaneLook>) {
        let before = self.work.back().map(|(_, work)| work.clone()).unwrap_or_default();
        let added = lanes.iter().enumerate().map(|(index, lane)| {
            let work = before.get(index).copied().unwrap_or_default();
            let last = self.last.get(index);
            // A worker that was replaced counts from 0 again.
            let busy_us = grown(lane.busy_us, last.map_or(lane.busy_us, |last| last.busy_us));
            let frames: u64 = lane.streams.iter().map(|stream| self.finished(stream)).sum();
            Work { busy_us: work.busy_us + busy_us, frames: work.frames + frames }
        });
        let work = added.collect();
        self.work.push_back((at_us, work));
        while self.work.get(1).is_some_and(|(second_us, _)| second_us + WINDOW_US <= at_us) {
            self.work.pop_front();
        }
        self.last = lanes;
        self.note_demands(at_us);
        self.reserved.retain(|reserved| reserved.until_us > at_us);
    }

    /// Frames that a stream finished since the last look; none if it was not seen then.
    fn finished(&self, stream: &StreamLook) -> u64 {
        let before = self.runs(&stream.name).filter(|before| before.session == stream.session);
        before.map_or(0, |before| stream.analyzed.saturating_sub(before.analyzed))
    }

    fn note_demands(&mut self, at_us: u64) {
        let running =
            |name: &Arc<str>| self.last.iter().flat_map(|lane| &lane.streams).any(|s| s.name == *name);
        self.demands.retain(|name, _| running(name));
        for stream in self.last.iter().flat_map(|lane| &lane.streams) {
            let demands = self.demands.entry(Arc::clone(&stream.name)).or_default();
            // Another session counts from 0.
            if demands.back().is_some_and(|(_, demanded)| *demanded > stream.demanded) {
                demands.clear();
            }
            demands.push_back((at_us, stream.demanded));
            while demands.get(1).is_some_and(|(second_us, _)| second_us + RATE_US <= at_us) {
                demands.pop_front();
            }
            // One whose camera is away asks for nothing now, and for as much as before when it is back.
            if let Some(fps) = rate(demands).filter(|fps| stream.is_paced && *fps > 0.0) {
                if self.known.len() >= REMEMBERED {
                    self.known.clear();
                }
                self.known.insert(Arc::clone(&stream.name), fps);
                // From here on it is measured.
                self.reserved.retain(|reserved| reserved.name != stream.name);
            }
        }
    }

    /// Lets a stream in, or says why not. It counts from then on. `seats` are the streams of each lane, whether they run or
    /// not; one without a seat takes one on the lane with the fewest.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn admit(
        &mut self,
        now_us: u64,
        (name, demand): (&Arc<str>, Demand),
        seats: &[Vec<Arc<str>>],
    ) -> Result<Reservation, Refusal> {
        let lane = self.lane_of(name, seats);
        let demand = match (demand, self.known.get(name)) {
            (Demand::Paced(most), Some(fps)) => Demand::Paced(fps.min(most)),
            (demand, _) => demand,
        };
        self.judge(lane, name, demand)?;
        Ok(self.reserve(now_us, name, lane, demand))
    }

    /// Lets a stream in without asking.
    pub(crate) fn force(
        &mut self,
        now_us: u64,
        name: &Arc<str>,
        demand: Demand,
        seats: &[Vec<Arc<str>>],
    ) -> Reservation {
        self.reserve(now_us, name, self.lane_of(name, seats), demand)
    }

    /// A stream that was let in does not come: all is as before, unless it was let in again since.
    pub(crate) fn withdraw(&mut self, name: &str, Reservation { number, replaced }: Reservation) {
        if !self.reserved.iter().any(|reserved| &*reserved.name == name && reserved.number != number) {
            self.forget(name);
            self.reserved.extend(replaced);
        }
    }

    /// A stream is made of something else now: what it asked for before says nothing.
    pub(crate) fn unlearn(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// A stream that was let in did not come.
    pub(crate) fn forget(&mut self, name: &str) {
        self.reserved.retain(|reserved| &*reserved.name != name);
    }

    fn reserve(&mut self, now_us: u64, name: &Arc<str>, lane: usize, demand: Demand) -> Reservation {
        let before = self.reserved.iter().position(|reserved| reserved.name == *name);
        let replaced = before.map(|index| self.reserved.swap_remove(index));
        self.reservations += 1;
        let number = self.reservations;
        if let Demand::Paced(fps) = demand {
            let until_us = now_us.saturating_add(RESERVED_US);
            self.reserved.push(Reserved { number, name: Arc::clone(name), lane, fps, until_us });
        }
        Reservation { number, replaced }
    }

    fn lane_of(&self, name: &Arc<str>, seats: &[Vec<Arc<str>>]) -> usize {
        let has_seat = |name: &Arc<str>| seats.iter().position(|lane| lane.contains(name));
        let coming = |lane: usize| {
            self.reserved.iter().filter(|other| other.lane == lane && has_seat(&other.name).is_none()).count()
        };
        let loads = seats.iter().enumerate().map(|(lane, streams)| (lane, streams.len() + coming(lane)));
        has_seat(name).or_else(|| loads.min_by_key(|(_, load)| *load).map(|(lane, _)| lane)).unwrap_or(0)
    }

    fn judge(&self, lane: usize, name: &Arc<str>, demand: Demand) -> Result<(), Refusal> {
        let Some(cost_s) = self.cost_s(lane) else { return Ok(()) };
        let streams = self.last.get(lane).map_or(&[][..], |look| &look.streams);
        let others: Vec<&StreamLook> = streams.iter().filter(|s| s.is_paced && s.name != *name).collect();
        let coming = self.reserved.iter().filter(|reserved| reserved.lane == lane && reserved.name != *name);
        let coming_fps: f64 = coming.map(|reserved| reserved.fps).sum();
        if others.is_empty() && coming_fps == 0.0 {
            // It can make nobody late but itself.
            return Ok(());
        }
        // A percentile is of frames and may be old: only those speak that have some now.
        let has_frames = |stream: &&&StreamLook| self.rate_of(&stream.name).is_some_and(|fps| fps > 0.0);
        let p99_ms = others.iter().filter(has_frames).map(|stream| stream.p99_ms).fold(0.0, f64::max);
        let running_fps: f64 = others.iter().map(|stream| self.asks(&stream.name)).sum();
        let before = cost_s * (running_fps + coming_fps);
        let (after, then_ms) = match demand {
            Demand::Paced(fps) => {
                let after = cost_s * fps + before;
                let grows = if after < 1.0 { (1.0 - before) / (1.0 - after) } else { f64::INFINITY };
                (after, if p99_ms > 0.0 { p99_ms * grows } else { 0.0 })
            }
            // One more request may always be in front.
            Demand::Elastic => (before, p99_ms + cost_s * 1e3),
        };
        let reason = match () {
            () if p99_ms > self.budget_ms => Reason::Late,
            () if after >= 1.0 && demand != Demand::Elastic => Reason::Full,
            () if then_ms > self.budget_ms => Reason::WouldBeLate,
            () => return Ok(()),
        };
        let told_ms = if reason == Reason::Late { p99_ms } else { then_ms };
        Err(Refusal { reason, load: after, p99_ms: told_ms, budget_ms: self.budget_ms })
    }

    fn rate_of(&self, name: &str) -> Option<f64> {
        self.demands.get(name).and_then(rate)
    }

    /// Frames a second that a stream which runs asks for: as measured, or as before while it has none. One that counts as
    /// coming is not counted twice.
    fn asks(&self, name: &str) -> f64 {
        let is_coming = || self.reserved.iter().any(|reserved| &*reserved.name == name);
        let before = || self.known.get(name).copied().filter(|_| !is_coming());
        self.rate_of(name).filter(|fps| *fps > 0.0).or_else(before).unwrap_or(0.0)
    }

    /// What a frame costs a lane, in seconds: measured there, or on all lanes if it had too few.
    fn cost_s(&self, lane: usize) -> Option<f64> {
        let ((begin_us, first), (end_us, last)) = (self.work.front()?, self.work.back()?);
        if end_us - begin_us < WINDOW_US {
            return None;
        }
        let done = last.iter().enumerate().map(|(index, work)| {
            let first = first.get(index).copied().unwrap_or_default();
            Work { busy_us: work.busy_us - first.busy_us, frames: work.frames - first.frames }
        });
        let done: Vec<Work> = done.collect();
        let enough = |work: &Work| work.frames >= LEAST_FRAMES;
        let all = done.iter().fold(Work::default(), |sum, work| Work {
            busy_us: sum.busy_us + work.busy_us,
            frames: sum.frames + work.frames,
        });
        let work = done.get(lane).copied().filter(enough).or(Some(all).filter(enough))?;
        Some(work.busy_us as f64 / 1e6 / work.frames as f64)
    }

    fn runs(&self, name: &Arc<str>) -> Option<&StreamLook> {
        self.last.iter().flat_map(|lane| &lane.streams).find(|stream| stream.name == *name)
    }
}

/// How much a counter grew that may have begun anew.
fn grown(now: u64, before: u64) -> u64 {
    if now >= before { now - before } else { now }
}

/// Frames a second, once they were counted for long enough.
fn rate(demands: &VecDeque<(u64, u64)>) -> Option<f64> {
    let ((begin_us, first), (end_us, last)) = (demands.front()?, demands.back()?);
    (end_us - begin_us >= RATE_US).then(|| (last - first) as f64 * 1e6 / (end_us - begin_us) as f64)
}

#[cfg(test)]
mod tests;
