//! Cancelling and deadlines: what lets a thread come back from a blocking call of FFmpeg.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, MediaError};
use crate::raw::sys;

/// Time between two questions to a device that has no picture: little beside any frame's duration, and no work for a core.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// A switch that can be thrown once, from any thread, to end blocking calls of whoever holds a clone.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels; blocking calls return within about 100 ms, FFmpeg's polling interval.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl From<Arc<AtomicBool>> for CancelToken {
    /// Shares a switch that others throw: `true` is cancelled.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// What FFmpeg's interrupt callback reads. It is shared, not owned: FFmpeg keeps its address and reads it while its owner
/// moves about, and only a shared pointer stays valid then.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancel: CancelToken,
    origin: Instant,
    /// Nanoseconds after `origin`; `u64::MAX` is never.
    deadline_ns: AtomicU64,
    /// Whoever asks has nothing to do.
    is_slow: AtomicBool,
}

impl Interrupt {
    pub(crate) fn new(cancel: CancelToken) -> Arc<Self> {
        let (deadline_ns, is_slow) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Arc::new(Self { cancel, origin: Instant::now(), deadline_ns, is_slow })
    }

    /// The calls from now on have to return within `time`.
    pub(crate) fn allow(&self, time: Duration) {
        let deadline = self.origin.elapsed().saturating_add(time).as_nanos();
        self.deadline_ns.store(u64::try_from(deadline).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether FFmpeg's questions are answered after a [`PAUSE`]: for calls that do nothing between two of them.
    pub(crate) fn slow_down(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::Relaxed);
    }

    /// What is left of the time that was allowed.
    pub(crate) fn time_left(&self) -> Duration {
        let deadline = Duration::from_nanos(self.deadline_ns.load(Ordering::Relaxed));
        deadline.saturating_sub(self.origin.elapsed())
    }

    /// Why a call should end now: cancelled, or out of time.
    pub(crate) fn fired(&self) -> Option<ErrorKind> {
        if self.cancel.is_cancelled() {
            Some(ErrorKind::Cancelled)
        } else if self.time_left().is_zero() {
            Some(ErrorKind::Timeout)
        } else {
            None
        }
    }

    /// The error for a call that was to `what` within `allowed`, if it should end now.
    pub(crate) fn error(&self, what: &str, allowed: Duration) -> Option<MediaError> {
        self.fired().map(|kind| describe(kind, what, allowed))
    }

    /// The error for a call that FFmpeg ended because of this interrupt. Some calls tell of it only when they are called
    /// again, with a new deadline; then it was the deadline, unless it was cancelled.
    pub(crate) fn error_after(&self, what: &str, allowed: Duration) -> MediaError {
        describe(self.fired().unwrap_or(ErrorKind::Timeout), what, allowed)
    }

    /// For FFmpeg. The caller must keep a clone of the `Arc` until every context that got this is closed.
    pub(crate) fn callback(self: &Arc<Self>) -> sys::AVIOInterruptCB {
        // From the `Arc` itself: a pointer out of a reference would be good for no longer than the reference.
        let opaque = Arc::as_ptr(self).cast_mut().cast::<c_void>();
        sys::AVIOInterruptCB { callback: Some(poll), opaque }
    }
}

fn describe(kind: ErrorKind, what: &str, allowed: Duration) -> MediaError {
    match kind {
        ErrorKind::Cancelled => MediaError::new(kind, format!("cannot {what}: it was cancelled")),
        _ => MediaError::new(
            kind,
            format!("cannot {what}: nothing came within {:.1} s", allowed.as_secs_f64()),
        ),
    }
}

/// Called by FFmpeg, from any of its threads, while it waits. It reads three atomics and a clock, may sleep a moment, and
/// cannot panic.
unsafe extern "C" fn poll(opaque: *mut c_void) -> c_int {
    // SAFETY: `opaque` is what `Arc::as_ptr` gave in `callback`. The owner of the context holds that `Arc` until the
    // context is closed, so the value is live and stays where it is; it is only ever shared, and all that changes in it
    // is atomic.
    let interrupt = unsafe { &*opaque.cast::<Interrupt>() };
    if interrupt.is_slow.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
    }
    c_int::from(interrupt.fired().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_goes_before_the_deadline() {
        let token = CancelToken::new();
        let interrupt = Interrupt::new(token.clone());
        assert_eq!(interrupt.fired(), None);
        interrupt.allow(Duration::ZERO);
        assert_eq!(interrupt.fired(), Some(ErrorKind::Timeout));
        token.cancel();
        assert_eq!(interrupt.fired(), Some(ErrorKind::Cancelled));
    }

    #[test]
    fn a_deadline_beyond_the_clock_is_never() {
        let interrupt = Interrupt::new(CancelToken::new());
        interrupt.allow(Duration::MAX);
        assert_eq!(interrupt.fired(), None);
    }

    #[test]
    fn a_call_that_only_asks_is_slowed_down_and_still_hears_of_its_end() {
        let interrupt = Interrupt::new(CancelToken::new());
        let raw = interrupt.callback();
        // SAFETY: the callback's own pointer, whose `Arc` lives until the end.
        let ask = || unsafe { raw.callback.expect("a callback should be set")(raw.opaque) };
        interrupt.slow_down(true);
        let begun = Instant::now();
        assert!((0..20).all(|_| ask() == 0));
        assert!(begun.elapsed() >= 20 * PAUSE);
        interrupt.allow(Duration::ZERO);
        assert_eq!(ask(), 1);
    }

    #[test]
    fn ffmpeg_sees_the_interrupt_wherever_its_owner_moves() {
        let interrupt = Interrupt::new(CancelToken::new());
        let raw = interrupt.callback();
        let poll = raw.callback.expect("a callback should be set");
        let owner = Box::new(std::thread::spawn(move || interrupt).join().expect("the thread should end"));
        // SAFETY: the callback's own pointer, whose `Arc` is held by `owner`.
        assert_eq!(unsafe { poll(raw.opaque) }, 0);
        owner.allow(Duration::ZERO);
        // SAFETY: as above.
        assert_eq!(unsafe { poll(raw.opaque) }, 1);
    }
}
