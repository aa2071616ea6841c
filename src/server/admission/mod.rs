//! Who may begin here: an order over HTTP is refused if the stream would make others too late, and among several servers one
//! that is full leaves free streams to others for a while.
//!
//! The [`judge`] is pure; here it is shown the lanes and the streams. Streams that run go on, whatever is measured, and so
//! does what a server starts with: it has measured nothing yet.

pub(super) mod judge;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kinora_actors::lanes::Lanes;
use kinora_actors::ports::Clock;
use kinora_actors::status::StatusBoard;
use prometheus::IntCounter;
use slog::{Logger, info, warn};

use crate::config::Scale;
use judge::{ASSUMED_FPS, Demand, Judge, LaneLook, Reason, Refusal, Reservation, StreamLook};

/// How long an order counts as forced. The look that follows it takes the stream at once, if it is free.
const FORCED_US: u64 = 60_000_000;

/// What it works with.
pub(super) struct AdmissionParts {
    pub(super) lanes: Arc<Lanes>,
    pub(super) board: Arc<StatusBoard>,
    pub(super) clock: Arc<dyn Clock>,
    /// Counts refusals.
    pub(super) refused: IntCounter,
    pub(super) log: Logger,
}

/// The door of one server.
pub(super) struct Admission {
    parts: AdmissionParts,
    /// Whether anybody is refused at all.
    is_guarded: bool,
    leave_free_us: u64,
    state: Mutex<State>,
}

struct State {
    judge: Judge,
    /// What streams are thought to ask for, by what they are made of.
    demands: HashMap<Arc<str>, Demand>,
    /// Since when free streams are left to others.
    left: BTreeMap<String, u64>,
    /// Streams that were forced upon this server, and when.
    forced: BTreeMap<String, u64>,
}

impl Admission {
    /// Nobody is known yet.
    pub(super) fn new(parts: AdmissionParts, settings: &Scale) -> Arc<Self> {
        let state = State {
            judge: Judge::new(settings.latency_budget.as_secs_f64() * 1e3),
            demands: HashMap::new(),
            left: BTreeMap::new(),
            forced: BTreeMap::new(),
        };
        Arc::new(Self {
            parts,
            is_guarded: settings.admission,
            leave_free_us: micros(settings.leave_free),
            state: Mutex::new(state),
        })
    }

    /// Measures; to be called each second.
    pub(super) fn look(&self) {
        let streams = self.running();
        let lanes = self.parts.lanes.names().into_iter().zip(self.parts.lanes.busy_us());
        let lanes = lanes.map(|(mut names, busy_us)| {
            // A stream that is built anew holds two seats for a moment.
            names.sort_unstable();
            names.dedup();
            LaneLook {
                busy_us,
                streams: names.iter().filter_map(|name| streams.get(name).cloned()).collect(),
            }
        });
        let lanes = lanes.collect();
        self.state().judge.see(self.parts.clock.monotonic_us(), lanes);
    }

    fn running(&self) -> HashMap<Arc<str>, StreamLook> {
        let looks = self.parts.board.streams().into_iter().filter_map(|stream| {
            let session = stream.session.filter(|session| session.ended.is_none())?;
            let account = session.account;
            let look = StreamLook {
                name: Arc::clone(&stream.name),
                session: session.id.0,
                analyzed: account.analyzed,
                demanded: account.received.saturating_sub(account.skipped),
                is_paced: stream.is_paced,
                p99_ms: session.recent_p99_ms,
            };
            Some((stream.name, look))
        });
        looks.collect()
    }

    /// A stream is made of something that asks for so much.
    pub(super) fn expect(&self, name: &str, demand: Demand) {
        let mut state = self.state();
        if state.demands.insert(name.into(), demand).is_some_and(|before| before != demand) {
            state.judge.unlearn(name);
        }
    }

    /// Lets a stream begin that somebody ordered, or says why not. One that runs already may go on, and takes no room. `made_of`
    /// is what it will ask for, if the order says it.
    ///
    /// # Errors
    /// The refusal; never with `force`.
    pub(super) fn order(
        &self,
        name: &str,
        made_of: Option<Demand>,
        force: bool,
    ) -> Result<Option<Reservation>, Refusal> {
        let stream = self.parts.board.stream(name);
        if stream.and_then(|stream| stream.session).is_some_and(|session| session.ended.is_none()) {
            return Ok(None);
        }
        let (now_us, seats) = (self.parts.clock.monotonic_us(), self.parts.lanes.names());
        let mut state = self.state();
        let name: Arc<str> = name.into();
        if made_of.is_some_and(|made_of| state.demands.get(&name) != Some(&made_of)) {
            state.judge.unlearn(&name);
        }
        let demand = made_of.or(state.demands.get(&name).copied()).unwrap_or(Demand::Paced(ASSUMED_FPS));
        if force || !self.is_guarded {
            return Ok(Some(state.judge.force(now_us, &name, demand, &seats)));
        }
        let admitted = state.judge.admit(now_us, (&name, demand), &seats);
        drop(state);
        admitted.map(Some).inspect_err(|refusal| self.tell(&name, refusal))
    }

    /// The stream of an order that was let in does not begin by it.
    pub(super) fn withdraw(&self, name: &str, reservation: Reservation) {
        self.state().judge.withdraw(name, reservation);
    }

    /// An order that is for all servers of a database: each takes what it has room for. One that is forced is for this one.
    pub(super) fn force_among_many(&self, name: &str) {
        self.state().forced.insert(name.to_owned(), self.parts.clock.monotonic_us());
    }

    /// Of the streams that no server runs, those that this one should run now. The others are left to servers with room, until
    /// that took too long: late results are better than none.
    pub(super) fn choose(&self, free: &[String]) -> Vec<String> {
        let (now_us, seats) = (self.parts.clock.monotonic_us(), self.parts.lanes.names());
        let mut state = self.state();
        state.left.retain(|name, _| free.contains(name));
        state.forced.retain(|_, at_us| now_us.saturating_sub(*at_us) < FORCED_US);
        let mut refused = Vec::new();
        let takes = |name: &&String| {
            let shared: Arc<str> = name.as_str().into();
            let demand = state.demands.get(&shared).copied().unwrap_or(Demand::Paced(ASSUMED_FPS));
            let refusal = match !self.is_guarded || state.forced.contains_key(*name) {
                true => None,
                false => state.judge.admit(now_us, (&shared, demand), &seats).err(),
            };
            let Some(refusal) = refusal else { return true };
            let is_new = !state.left.contains_key(*name);
            let since_us = *state.left.entry((*name).clone()).or_insert(now_us);
            let takes = now_us.saturating_sub(since_us) >= self.leave_free_us;
            if takes {
                state.judge.force(now_us, &shared, demand, &seats);
            }
            if is_new || takes {
                refused.push((shared, refusal, is_new, takes));
            }
            takes
        };
        let chosen = free.iter().filter(takes).cloned().collect();
        drop(state);
        for (name, refusal, is_new, takes) in refused {
            if is_new {
                self.tell(&name, &refusal);
            }
            if takes {
                warn!(self.parts.log, "a stream is run all the same: no other server took it"; "stream" => &*name);
            }
        }
        chosen
    }

    /// Another server was faster.
    pub(super) fn forget(&self, name: &str) {
        self.state().judge.forget(name);
    }

    /// A stream is not wanted here any more; if it is ordered again, it is judged again.
    pub(super) fn dismiss(&self, name: &str) {
        let mut state = self.state();
        state.judge.forget(name);
        state.forced.remove(name);
    }

    /// There is no such stream any more.
    pub(super) fn remove(&self, name: &str) {
        self.dismiss(name);
        let mut state = self.state();
        state.demands.remove(name);
        state.judge.unlearn(name);
    }

    fn tell(&self, name: &str, refusal: &Refusal) {
        self.parts.refused.inc();
        info!(self.parts.log, "a stream is refused"; "stream" => name, "why" => in_words(refusal));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain values: nothing in the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_words(Refusal { reason, load, p99_ms, budget_ms }: &Refusal) -> String {
    let load = load * 100.0;
    match reason {
        Reason::Late => format!("p99 {p99_ms:.0} ms is over the budget of {budget_ms:.0} ms"),
        Reason::Full => format!("its lane would be busy for {load:.0} % of its time"),
        Reason::WouldBeLate => {
            format!(
                "p99 is estimated at {p99_ms:.0} ms, over the budget of {budget_ms:.0} ms, at a load of {load:.0} %"
            )
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
