//! The waits between attempts: 1, 2, 5, 10, 20, 40, 60 units, then 60 for ever (requirement A6).

use std::time::Duration;

/// Units to wait after the first failure, the second, and so on.
const STEPS: [u32; 7] = [1, 2, 5, 10, 20, 40, 60];

/// How often something failed in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    unit: Duration,
    failures: usize,
}

impl Backoff {
    /// Nothing has failed.
    pub(super) fn new(unit: Duration) -> Self {
        Self { unit, failures: 0 }
    }

    /// How long to wait after another failure.
    pub(super) fn fail(&mut self) -> Duration {
        let step = STEPS[self.failures.min(STEPS.len() - 1)];
        self.failures += 1;
        self.unit * step
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_start_over_after_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let waits: Vec<u64> = (0..9).map(|_| backoff.fail().as_secs()).collect();
        assert_eq!(waits, [1, 2, 5, 10, 20, 40, 60, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.fail(), Duration::from_secs(1));
    }
}
