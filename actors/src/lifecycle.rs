//! The life of a stream as a pure state machine: what happened goes in, a change of state and the next act come
//! out. It has no clock and no actor; the supervisor does what it says.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::{Backoff, BackoffPolicy};
use crate::domain::{EndReason, StreamState, state_in_words};
use crate::guard::ChildKind;
use crate::ports::SourceErrorKind;
use crate::vain::{Fault, VainTries};

/// What happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was started, by an operator or at boot.
    Started,
    /// Frames arrive.
    Flowing,
    /// None arrived for `stall_after`.
    Silent,
    /// The source did not open.
    NotOpened(SourceErrorKind, String),
    /// Its connection ended; the kind when the source failed.
    Ended(EndReason, Option<SourceErrorKind>),
    /// A part of it panicked.
    Crashed(ChildKind),
    /// A part of it did not answer for too long and was abandoned.
    Hung,
    /// The wait is over.
    RetryDue,
    /// Somebody asked for its end.
    StopAsked,
    /// Its supervisor was lost, and this is a fresh one.
    SupervisorLost,
}

/// A new state, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state.
    pub state: StreamState,
    /// Why, as a stable code.
    pub reason: &'static str,
    /// The same in plain words; what the source said, if it was the source.
    pub message: Arc<str>,
    /// Time until the next try, if one is planned.
    pub retry_in: Option<Duration>,
}

/// What the supervisor has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Build a connection.
    Connect,
    /// Throw the connection away and build another one after a time.
    Retry(Duration),
    /// Throw the connection away and end the session.
    End(EndReason),
}

/// What a stream is, as far as its life depends on it.
#[derive(Clone, Copy, Debug)]
pub struct LifePolicy {
    /// An end is a loss of the connection, and not the end of the stream.
    pub live: bool,
    /// A file begins again at its end.
    pub looped: bool,
    /// Waits.
    pub backoff: BackoffPolicy,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    policy: LifePolicy,
    backoff: Backoff,
    state: StreamState,
    /// When frames began to arrive, in monotonic microseconds.
    healthy_since_us: Option<u64>,
    /// When the last try began, likewise.
    tried_at_us: u64,
    /// Whether frames came since the start.
    has_flowed: bool,
    /// How many units the last connection led to their end, if it received any.
    reach: Option<u64>,
    /// The tries of a file.
    vain_tries: VainTries,
}

impl Lifecycle {
    /// A stream that was not started.
    #[must_use]
    pub fn new(policy: LifePolicy) -> Self {
        Self {
            policy,
            backoff: Backoff::new(policy.backoff),
            state: StreamState::Stopped,
            healthy_since_us: None,
            tried_at_us: 0,
            has_flowed: false,
            reach: None,
            vain_tries: VainTries::default(),
        }
    }

    /// The state in force.
    #[must_use]
    pub fn state(&self) -> StreamState {
        self.state
    }

    /// How many units the connection of now, or the last one, led to their end; `None` if it received none.
    pub fn reached(&mut self, reach: Option<u64>) {
        // A connection may be over before anyone heard that its frames flow.
        self.has_flowed |= reach > Some(0);
        self.reach = reach;
    }

    /// Takes what happened at `now_us`; `random` in 0..1 shortens waits.
    pub fn on(&mut self, what: Happening, now_us: u64, random: f64) -> (Option<Change>, Act) {
        use StreamState::{Connecting, Failed, Reconnecting, Running, Stalled, Stopped};
        let is_begin = matches!(what, Happening::Started | Happening::SupervisorLost);
        if self.is_over() && !is_begin {
            return (None, Act::Nothing);
        }
        match what {
            Happening::Started => {
                *self = Self { state: self.state, tried_at_us: now_us, ..Self::new(self.policy) };
                self.enter(Told::of(Connecting, "started"), None, Act::Connect)
            }
            Happening::RetryDue => {
                self.tried_at_us = now_us;
                (None, Act::Connect)
            }
            Happening::Flowing => {
                self.healthy_since_us.get_or_insert(now_us);
                self.has_flowed = true;
                self.enter(Told::of(Running, "first_frame"), None, Act::Nothing)
            }
            Happening::Silent if self.state == Running => {
                self.note_health(now_us);
                self.enter(Told::of(Stalled, "no_frames"), None, Act::Nothing)
            }
            Happening::Silent => (None, Act::Nothing),
            Happening::StopAsked => {
                self.enter(Told::of(Stopped, "stopped"), None, Act::End(EndReason::Stopped))
            }
            Happening::SupervisorLost => {
                // What was lost took its backoff with it, so this waits as after many failures.
                let wait = self.policy.backoff.retry_max;
                let told = Told::with(Reconnecting, "part_failed", "the supervisor failed and is built anew");
                self.enter(told, Some(wait), Act::Retry(wait))
            }
            Happening::Crashed(child) => {
                let message = format!("the {child} failed and is built anew");
                let told = Told::with(Reconnecting, "part_failed", message);
                self.retry(told, Fault::of_part(child), now_us, random)
            }
            Happening::Hung => {
                self.retry(Told::of(Reconnecting, "part_hung"), Fault::Unclear, now_us, random)
            }
            Happening::NotOpened(kind, message) => self.source_failed(kind, message, now_us, random),
            Happening::Ended(EndReason::SourceFailed(message), kind) => {
                let kind = kind.unwrap_or(SourceErrorKind::Damaged);
                self.source_failed(kind, message, now_us, random)
            }
            Happening::Ended(EndReason::EndOfSource, _) if self.policy.live || self.policy.looped => {
                self.retry(Told::of(Reconnecting, "end_of_source"), Fault::Source, now_us, random)
            }
            Happening::Ended(EndReason::PipelineFailed(message), _) => {
                let told = Told::with(Reconnecting, "part_failed", message);
                self.retry(told, Fault::Unclear, now_us, random)
            }
            Happening::Ended(reason, _) => {
                let state = if matches!(reason, EndReason::SourceFailed(_)) { Failed } else { Stopped };
                self.enter(Told::of(state, reason.code()), None, Act::End(reason))
            }
        }
    }

    fn source_failed(
        &mut self,
        kind: SourceErrorKind,
        message: String,
        now_us: u64,
        random: f64,
    ) -> (Option<Change>, Act) {
        use StreamState::{AuthFailed, Failed, Reconnecting, Unsupported};
        let told = |state, reason| Told::with(state, reason, message.as_str());
        let end = || Act::End(EndReason::SourceFailed(message.clone()));
        let reason = match kind {
            SourceErrorKind::Unauthorized => {
                return self.retry_after_refusal(told(AuthFailed, "credentials_refused"), now_us);
            }
            // It could be analysed before: its server is not itself, while it starts for example.
            SourceErrorKind::Unsupported if self.policy.live && self.has_flowed => {
                return self.retry_after_refusal(told(Reconnecting, "unsupported_source"), now_us);
            }
            SourceErrorKind::Unsupported => {
                return self.enter(told(Unsupported, "unsupported_source"), None, end());
            }
            SourceErrorKind::Damaged if !self.policy.live && !self.policy.looped => {
                return self.enter(told(Failed, "source_damaged"), None, end());
            }
            SourceErrorKind::Damaged => "source_damaged",
            SourceErrorKind::NotFound => "source_not_found",
            SourceErrorKind::Forbidden => "source_forbidden",
            SourceErrorKind::Unavailable | SourceErrorKind::Cancelled => "source_unavailable",
        };
        self.retry(told(Reconnecting, reason), Fault::Source, now_us, random)
    }

    /// A try that brought no frame counts as waiting: a silent camera has cost the time-out already, and one that returns
    /// is to be seen at once.
    fn retry(&mut self, told: Told, fault: Fault, now_us: u64, random: f64) -> (Option<Change>, Act) {
        if self.was_in_vain(fault, now_us) {
            return self.give_up(&told.message);
        }
        self.note_health(now_us);
        let mut wait = self.backoff.after_failure(random);
        if self.healthy_since_us.take().is_none() {
            wait = wait.saturating_sub(Duration::from_micros(now_us.saturating_sub(self.tried_at_us)));
        }
        self.enter(told, Some(wait), Act::Retry(wait))
    }

    /// What the source says is not going to change soon, or is not to be asked often.
    fn retry_after_refusal(&mut self, told: Told, now_us: u64) -> (Option<Change>, Act) {
        let wait = self.backoff.after_refusal();
        self.note_health(now_us);
        self.healthy_since_us = None;
        self.enter(told, Some(wait), Act::Retry(wait))
    }

    /// Whether another try would lead to the same place again. A file is read from its beginning by each; one that is not
    /// there, or silent, costs nothing and may come.
    fn was_in_vain(&mut self, fault: Fault, now_us: u64) -> bool {
        let Some(reach) = self.reach.filter(|_| !self.policy.live && !self.policy.looped) else {
            return false;
        };
        self.vain_tries.are_enough_with(reach, fault, now_us, self.policy.backoff.reset_after)
    }

    fn give_up(&mut self, message: &str) -> (Option<Change>, Act) {
        let furthest = self.vain_tries.furthest();
        let message = format!("no try came further than {furthest} frames: {message}");
        let told = Told::with(StreamState::Failed, "source_failed", message.as_str());
        self.enter(told, None, Act::End(EndReason::SourceFailed(message)))
    }

    fn note_health(&mut self, now_us: u64) {
        if let Some(since) = self.healthy_since_us {
            self.backoff.healthy_for(Duration::from_micros(now_us.saturating_sub(since)));
        }
    }

    /// A state that is entered again is told again only if it brings a new time of the next try.
    fn enter(&mut self, told: Told, retry_in: Option<Duration>, act: Act) -> (Option<Change>, Act) {
        let Told { state, reason, message } = told;
        let is_news = self.state != state || retry_in.is_some();
        self.state = state;
        (is_news.then_some(Change { state, reason, message, retry_in }), act)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, StreamState::Stopped | StreamState::Failed | StreamState::Unsupported)
    }
}

/// What is told of a state: its code and its words.
struct Told {
    state: StreamState,
    reason: &'static str,
    message: Arc<str>,
}

impl Told {
    fn of(state: StreamState, reason: &'static str) -> Self {
        Self::with(state, reason, state_in_words(reason))
    }

    fn with(state: StreamState, reason: &'static str, message: impl Into<Arc<str>>) -> Self {
        Self { state, reason, message: message.into() }
    }
}

#[cfg(test)]
mod tests;
