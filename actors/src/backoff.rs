//! Backoff: how long a stream waits before it is tried again. Pure; its randomness is given to it.

use std::time::Duration;

/// What a stream's waits are made of.
#[derive(Clone, Copy, Debug)]
pub struct BackoffPolicy {
    /// The longest wait: a camera that returns is seen at once.
    pub retry_max: Duration,
    /// Wait after refused credentials, so that a camera does not lock the account.
    pub auth_wait: Duration,
    /// Health after which the waits begin anew.
    pub reset_after: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            retry_max: Duration::from_secs(5),
            auth_wait: Duration::from_secs(60),
            reset_after: Duration::from_secs(60),
        }
    }
}

/// The first waits; `retry_max` follows, and bounds these too.
const STEPS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];
/// The share of a wait that jitter may take off, so that cameras behind one switch do not return in step.
const JITTER: f64 = 0.2;

/// The state of one stream's backoff.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: usize,
}

impl Backoff {
    /// A backoff before the first failure.
    #[must_use]
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// The wait after another failure; `random` is in 0..1 and only shortens it.
    pub fn after_failure(&mut self, random: f64) -> Duration {
        let step = STEPS.get(self.failures).copied().unwrap_or(self.policy.retry_max);
        self.failures = self.failures.saturating_add(1);
        step.min(self.policy.retry_max).mul_f64(1.0 - JITTER * random.clamp(0.0, 1.0))
    }

    /// The wait after refused credentials, without jitter: it is the least that an account can bear.
    #[must_use]
    pub fn after_refusal(&self) -> Duration {
        self.policy.auth_wait
    }

    /// The stream was healthy for so long.
    pub fn healthy_for(&mut self, time: Duration) {
        if time >= self.policy.reset_after {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, random: f64) -> Vec<u64> {
        (0..6).map(|_| u64::try_from(backoff.after_failure(random).as_millis()).unwrap()).collect()
    }

    #[test]
    fn waits_grow_to_the_maximum_and_stay_there() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        assert_eq!(waits(&mut backoff, 0.0), [1_000, 2_000, 5_000, 5_000, 5_000, 5_000]);
        let policy = BackoffPolicy { retry_max: Duration::from_millis(1_500), ..BackoffPolicy::default() };
        let mut impatient = Backoff::new(policy);
        assert_eq!(waits(&mut impatient, 0.0), [1_000, 1_500, 1_500, 1_500, 1_500, 1_500]);
    }

    #[test]
    fn jitter_only_shortens_and_by_a_fifth_at_most() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        assert_eq!(waits(&mut backoff, 1.0), [800, 1_600, 4_000, 4_000, 4_000, 4_000]);
        assert_eq!(backoff.after_refusal(), Duration::from_secs(60));
    }

    #[test]
    fn a_minute_of_health_begins_anew_and_less_does_not() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        waits(&mut backoff, 0.0);
        backoff.healthy_for(Duration::from_secs(59));
        assert_eq!(backoff.after_failure(0.0), Duration::from_secs(5));
        backoff.healthy_for(Duration::from_secs(60));
        assert_eq!(backoff.after_failure(0.0), Duration::from_secs(1));
    }
}
