//! What a stream does about each thing that happens to it.

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
