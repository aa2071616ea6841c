//! The life of a stream as a pure state machine: what happened goes in, a change of state and the next act come
//! out. It has no clock and no actor; the supervisor does what it says.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::{Backoff, BackoffPolicy};
use crate::domain::{EndReason, StreamState, state_in_words};
use crate::guard::ChildKind;
use crate::ports::SourceErrorKind;

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
        }
    }

    /// The state in force.
    #[must_use]
    pub fn state(&self) -> StreamState {
        self.state
    }

    /// Takes what happened at `now_us`; `random` in 0..1 shortens waits.
    pub fn on(&mut self, what: Happening, now_us: u64, random: f64) -> (Option<Change>, Act) {
        use StreamState::{Connecting, Failed, Reconnecting, Running, Stalled, Stopped};
        if self.is_over() && what != Happening::Started {
            return (None, Act::Nothing);
        }
        match what {
            Happening::Started => {
                self.tried_at_us = now_us;
                self.backoff = Backoff::new(self.policy.backoff);
                self.enter(Told::of(Connecting, "started"), None, Act::Connect)
            }
            Happening::RetryDue => {
                self.tried_at_us = now_us;
                (None, Act::Connect)
            }
            Happening::Flowing => {
                self.healthy_since_us.get_or_insert(now_us);
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
            Happening::Crashed(child) => {
                let message = format!("the {child} failed and is built anew");
                self.retry(Told::with(Reconnecting, "part_failed", message), now_us, random)
            }
            Happening::Hung => self.retry(Told::of(Reconnecting, "part_hung"), now_us, random),
            Happening::NotOpened(kind, message) => self.source_failed(kind, message, now_us, random),
            Happening::Ended(EndReason::SourceFailed(message), kind) => {
                let kind = kind.unwrap_or(SourceErrorKind::Damaged);
                self.source_failed(kind, message, now_us, random)
            }
            Happening::Ended(EndReason::EndOfSource, _) if self.policy.live || self.policy.looped => {
                self.retry(Told::of(Reconnecting, "end_of_source"), now_us, random)
            }
            Happening::Ended(EndReason::PipelineFailed(message), _) => {
                self.retry(Told::with(Reconnecting, "part_failed", message), now_us, random)
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
        match kind {
            SourceErrorKind::Unauthorized => {
                let wait = self.backoff.after_refusal();
                self.note_health(now_us);
                self.healthy_since_us = None;
                self.enter(told(AuthFailed, "credentials_refused"), Some(wait), Act::Retry(wait))
            }
            SourceErrorKind::Unsupported => self.enter(told(Unsupported, "unsupported_source"), None, end()),
            SourceErrorKind::Damaged if !self.policy.live && !self.policy.looped => {
                self.enter(told(Failed, "source_damaged"), None, end())
            }
            SourceErrorKind::Damaged => self.retry(told(Reconnecting, "source_damaged"), now_us, random),
            SourceErrorKind::NotFound => self.retry(told(Reconnecting, "source_not_found"), now_us, random),
            SourceErrorKind::Forbidden => self.retry(told(Reconnecting, "source_forbidden"), now_us, random),
            SourceErrorKind::Unavailable | SourceErrorKind::Cancelled => {
                self.retry(told(Reconnecting, "source_unavailable"), now_us, random)
            }
        }
    }

    /// A try that brought no frame counts as waiting: a silent camera has cost the time-out already, and one that returns
    /// is to be seen at once.
    fn retry(&mut self, told: Told, now_us: u64, random: f64) -> (Option<Change>, Act) {
        self.note_health(now_us);
        let mut wait = self.backoff.after_failure(random);
        if self.healthy_since_us.take().is_none() {
            wait = wait.saturating_sub(Duration::from_micros(now_us.saturating_sub(self.tried_at_us)));
        }
        self.enter(told, Some(wait), Act::Retry(wait))
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
mod tests {
    use super::*;
    use StreamState::{AuthFailed, Connecting, Failed, Reconnecting, Running, Stalled, Stopped, Unsupported};

    fn life(live: bool) -> Lifecycle {
        let backoff = BackoffPolicy::default();
        let policy = LifePolicy { live, looped: false, backoff };
        let mut life = Lifecycle::new(policy);
        let (change, act) = life.on(Happening::Started, 0, 0.0);
        assert_eq!((change.unwrap().state, act), (Connecting, Act::Connect));
        life
    }

    fn state(life: &mut Lifecycle, what: Happening, now_s: u64) -> (StreamState, Option<u64>) {
        let (change, _) = life.on(what, now_s * 1_000_000, 0.0);
        let retry = change.and_then(|change| change.retry_in);
        (life.state(), retry.map(|wait| wait.as_secs()))
    }

    fn not_opened(kind: SourceErrorKind) -> Happening {
        Happening::NotOpened(kind, "why".into())
    }

    #[test]
    fn a_camera_that_goes_away_is_tried_again_and_again() {
        let mut life = life(true);
        assert_eq!(state(&mut life, Happening::Flowing, 1), (Running, None));
        assert_eq!(state(&mut life, Happening::Silent, 3), (Stalled, None));
        assert_eq!(state(&mut life, Happening::Flowing, 4), (Running, None));
        let lost = Happening::Ended(EndReason::EndOfSource, None);
        assert_eq!(state(&mut life, lost, 5), (Reconnecting, Some(1)));
        for wait in [2, 5, 5] {
            assert_eq!(life.on(Happening::RetryDue, 7_000_000, 0.0), (None, Act::Connect));
            let away = not_opened(SourceErrorKind::Unavailable);
            assert_eq!(state(&mut life, away, 7), (Reconnecting, Some(wait)));
        }
        assert_eq!(state(&mut life, Happening::Flowing, 100), (Running, None));
        let lost = Happening::Ended(EndReason::EndOfSource, None);
        assert_eq!(state(&mut life, lost, 170), (Reconnecting, Some(1)), "70 s of health reset it");
    }

    #[test]
    fn the_time_that_a_silent_camera_took_counts_as_waiting() {
        let mut life = life(true);
        for (begun, failed, wait) in [(0, 5, 0), (5, 10, 0), (10, 12, 3)] {
            life.on(Happening::RetryDue, begun * 1_000_000, 0.0);
            let silent = not_opened(SourceErrorKind::Unavailable);
            assert_eq!(state(&mut life, silent, failed), (Reconnecting, Some(wait)));
        }
    }

    #[test]
    fn refused_credentials_wait_a_minute_and_an_unknown_codec_forever() {
        let mut life = life(true);
        let refused = not_opened(SourceErrorKind::Unauthorized);
        assert_eq!(state(&mut life, refused, 1), (AuthFailed, Some(60)));
        let (change, act) = life.on(not_opened(SourceErrorKind::Unsupported), 2, 0.0);
        assert_eq!(change.unwrap().state, Unsupported);
        assert!(matches!(act, Act::End(EndReason::SourceFailed(_))));
        assert_eq!(life.on(Happening::RetryDue, 3, 0.0), (None, Act::Nothing));
        assert_eq!(life.on(Happening::Started, 4, 0.0).1, Act::Connect);
    }

    #[test]
    fn a_file_ends_and_a_damaged_one_fails() {
        let mut whole = life(false);
        let (_, act) = whole.on(Happening::Ended(EndReason::EndOfSource, None), 1, 0.0);
        assert_eq!((whole.state(), act), (Stopped, Act::End(EndReason::EndOfSource)));
        let mut damaged = life(false);
        let end = Happening::Ended(EndReason::SourceFailed("torn".into()), None);
        assert_eq!(state(&mut damaged, end, 1), (Failed, None));
    }

    #[test]
    fn a_panic_and_a_hang_lead_to_another_try() {
        let mut life = life(false);
        let crashed = Happening::Crashed(ChildKind::Preprocessor);
        assert_eq!(state(&mut life, crashed, 0), (Reconnecting, Some(1)));
        life.on(Happening::RetryDue, 1_000_000, 0.0);
        assert_eq!(state(&mut life, Happening::Hung, 1), (Reconnecting, Some(2)));
    }

    #[test]
    fn a_stop_ends_every_state_once() {
        let mut life = life(true);
        let (change, act) = life.on(Happening::StopAsked, 1, 0.0);
        assert_eq!((change.unwrap().state, act), (Stopped, Act::End(EndReason::Stopped)));
        assert_eq!(life.on(Happening::StopAsked, 2, 0.0), (None, Act::Nothing));
    }
}
