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
mod tests {
    use super::*;
    use StreamState::{AuthFailed, Connecting, Failed, Reconnecting, Running, Stalled, Stopped, Unsupported};

    fn life(live: bool) -> Lifecycle {
        started(LifePolicy { live, looped: false, backoff: BackoffPolicy::default() })
    }

    fn started(policy: LifePolicy) -> Lifecycle {
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

    #[test]
    fn a_camera_that_was_analysed_before_is_tried_again_whatever_it_says() {
        let mut life = life(true);
        state(&mut life, Happening::Flowing, 1);
        state(&mut life, Happening::Ended(EndReason::EndOfSource, None), 2);
        life.on(Happening::RetryDue, 3_000_000, 0.0);
        let (change, act) = life.on(not_opened(SourceErrorKind::Unsupported), 4_000_000, 0.0);
        let wait = Duration::from_secs(60);
        assert_eq!((life.state(), change.unwrap().reason), (Reconnecting, "unsupported_source"));
        assert_eq!(act, Act::Retry(wait));
        // What it says of itself in the middle of a connection is believed as little.
        state(&mut life, Happening::Flowing, 64);
        let odd = Happening::Ended(EndReason::SourceFailed("odd".into()), Some(SourceErrorKind::Unsupported));
        assert_eq!(state(&mut life, odd, 65), (Reconnecting, Some(60)));
        life.on(Happening::StopAsked, 66_000_000, 0.0);
        life.on(Happening::Started, 67_000_000, 0.0);
        let never_seen = not_opened(SourceErrorKind::Unsupported);
        assert_eq!(state(&mut life, never_seen, 68), (Unsupported, None), "it was started anew");
    }

    #[test]
    fn a_file_that_was_analysed_before_and_is_another_one_now_ends() {
        let mut life = life(false);
        state(&mut life, Happening::Flowing, 1);
        state(&mut life, Happening::Crashed(ChildKind::Decoder), 2);
        assert_eq!(state(&mut life, not_opened(SourceErrorKind::Unsupported), 3), (Unsupported, None));
    }

    /// A try that led so many units to their end and failed.
    fn fail_at(life: &mut Lifecycle, reach: Option<u64>) -> (Option<Change>, Act) {
        life.on(Happening::RetryDue, 0, 0.0);
        life.reached(reach);
        let failed = EndReason::SourceFailed("input/output error".into());
        life.on(Happening::Ended(failed, Some(SourceErrorKind::Unavailable)), 0, 0.0)
    }

    #[test]
    fn a_file_that_fails_at_one_place_four_times_is_given_up() {
        let mut life = life(false);
        for _ in 0..3 {
            assert!(matches!(fail_at(&mut life, Some(120)).1, Act::Retry(_)));
        }
        let (change, act) = fail_at(&mut life, Some(120));
        let change = change.unwrap();
        let words = "no try came further than 120 frames: input/output error";
        assert_eq!((life.state(), change.reason, &*change.message), (Failed, "source_failed", words));
        assert_eq!(act, Act::End(EndReason::SourceFailed(words.into())));
        assert_eq!(life.on(Happening::Started, 0, 0.0).1, Act::Connect);
        assert!(matches!(fail_at(&mut life, Some(120)).1, Act::Retry(_)), "a start counts anew");
    }

    #[test]
    fn a_file_of_which_a_part_fails_at_the_first_frame_is_given_up_too() {
        let mut life = life(false);
        let crash = |life: &mut Lifecycle| {
            life.reached(Some(0));
            life.on(Happening::Crashed(ChildKind::Preprocessor), 0, 0.0).1
        };
        assert!((0..3).all(|_| matches!(crash(&mut life), Act::Retry(_))));
        assert!(matches!(crash(&mut life), Act::End(EndReason::SourceFailed(_))));
    }

    /// Tries that lead five units to their end, two seconds apart, and fail so; how many came before it was given up.
    fn tries_until_given_up(what: &Happening) -> Option<u64> {
        let mut life = life(false);
        (0..200).find(|number| {
            life.reached(Some(5));
            matches!(life.on(what.clone(), number * 2_000_000, 0.0).1, Act::End(_))
        })
    }

    #[test]
    fn a_file_is_given_up_for_what_may_be_a_want_of_threads_or_memory_only_when_that_lasts() {
        let refused = EndReason::PipelineFailed("inference failed: out of memory".into());
        for unclear in [Happening::Ended(refused, None), Happening::Hung] {
            // The second one is the first in vain, and 60 s follow it.
            assert_eq!(tries_until_given_up(&unclear), Some(31));
        }
        for child in [ChildKind::Decoder, ChildKind::Preprocessor] {
            assert_eq!(tries_until_given_up(&Happening::Crashed(child)), Some(3));
        }
    }

    #[test]
    fn a_file_is_never_given_up_for_a_session_that_cannot_be_kept() {
        assert_eq!(tries_until_given_up(&Happening::Crashed(ChildKind::SessionBroadcaster)), None);
    }

    #[test]
    fn a_file_that_comes_further_or_brings_no_frame_is_tried_again_and_again() {
        let mut life = life(false);
        for step in 0..10 {
            // Each place twice in vain, and in between a share that is away.
            for _ in 0..3 {
                assert!(matches!(fail_at(&mut life, Some(step)).1, Act::Retry(_)));
                assert!(matches!(fail_at(&mut life, None).1, Act::Retry(_)));
            }
        }
    }

    #[test]
    fn a_camera_and_a_looped_file_are_never_given_up() {
        let backoff = BackoffPolicy::default();
        for (live, looped) in [(true, false), (false, true)] {
            let mut life = started(LifePolicy { live, looped, backoff });
            assert!((0..10).all(|_| matches!(fail_at(&mut life, Some(5)).1, Act::Retry(_))));
        }
    }

    #[test]
    fn a_fresh_supervisor_goes_on_after_the_longest_wait_and_can_be_stopped_before() {
        let mut life =
            Lifecycle::new(LifePolicy { live: true, looped: false, backoff: BackoffPolicy::default() });
        assert_eq!(state(&mut life, Happening::SupervisorLost, 0), (Reconnecting, Some(5)));
        assert_eq!(life.on(Happening::RetryDue, 5_000_000, 0.0).1, Act::Connect);
        state(&mut life, Happening::SupervisorLost, 6);
        assert_eq!(state(&mut life, Happening::StopAsked, 7), (Stopped, None));
    }
}
