//! `Crew`: the Arbiters of actors that end together, and where Arbiters come from.
//!
//! An Arbiter is a thread with an event loop, which has descriptors of its own. A process that has none left gets no
//! Arbiter; that is a failure like any other, and is tried again. It must not be a panic: an actor that has no guard, a
//! supervisor above all, would be gone without a word.

use std::io;
use std::sync::Arc;

use actix::{Arbiter, ArbiterHandle};

/// Makes an Arbiter, or says why there is none. A value, so that a test can run out of them.
pub(crate) type ArbiterSource = Arc<dyn Fn() -> io::Result<Arbiter> + Send + Sync>;

/// Arbiters as long as the operating system gives threads and descriptors.
pub(crate) fn arbiters() -> ArbiterSource {
    Arc::new(Arbiter::try_new)
}

/// Arbiters of which some are refused, by their number from 1.
#[cfg(test)]
pub(crate) fn scarce_arbiters(is_refused: impl Fn(u32) -> bool + Send + Sync + 'static) -> ArbiterSource {
    let asked = std::sync::atomic::AtomicU32::new(0);
    Arc::new(move || {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::AcqRel) + 1;
        if is_refused(number) {
            return Err(io::Error::other("none is left, as the test asked"));
        }
        Arbiter::try_new()
    })
}

/// Arbiters that are told to end when this is dropped.
#[derive(Default)]
pub(crate) struct Crew(Vec<Arbiter>);

impl Crew {
    /// Takes another one, for `whom`.
    ///
    /// # Errors
    /// When there is none; the message says for whom.
    pub(crate) fn hire(
        &mut self,
        whom: impl std::fmt::Display,
        source: &ArbiterSource,
    ) -> io::Result<ArbiterHandle> {
        let arbiter = source()
            .map_err(|error| io::Error::new(error.kind(), format!("no thread for the {whom}: {error}")))?;
        let handle = arbiter.handle();
        self.0.push(arbiter);
        Ok(handle)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // One whose thread hangs does not hear it; it is lost until the process ends.
        for arbiter in &self.0 {
            arbiter.stop();
        }
    }
}
