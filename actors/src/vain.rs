//! When a file is given up: tries that all come to nothing at the same place. Pure; the lifecycle asks it.

use std::time::Duration;

use crate::guard::ChildKind;

/// Tries that came no further than one before them.
const VAIN_TRIES: u32 = 3;

/// Whose a failure may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The source's: it is there the next time too.
    Source,
    /// The source's, or a want of threads or memory, which passes.
    Unclear,
    /// The server's own.
    Server,
}

impl Fault {
    /// Whose it may be that this part panicked.
    pub(crate) fn of_part(child: ChildKind) -> Self {
        match child {
            ChildKind::Decoder | ChildKind::Preprocessor => Self::Source,
            ChildKind::InferenceWorker => Self::Unclear,
            ChildKind::SessionBroadcaster => Self::Server,
        }
    }
}

/// The tries of a file that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct VainTries {
    /// How many units the furthest one led to their end.
    furthest: Option<u64>,
    /// Those after it that came no further, as far as they may be the source's fault.
    count: u32,
    /// Those of them that are not unclear.
    of_source: u32,
    /// When the first of them was over, in monotonic microseconds.
    since_us: u64,
}

impl VainTries {
    /// How many units the furthest one led to their end.
    pub(crate) fn furthest(&self) -> u64 {
        self.furthest.unwrap_or_default()
    }

    /// Another one, which led `reach` units to their end. Whether it is one too many: what is unclear has to last, too.
    pub(crate) fn are_enough_with(
        &mut self,
        reach: u64,
        fault: Fault,
        now_us: u64,
        lasting: Duration,
    ) -> bool {
        if self.furthest.is_none_or(|furthest| reach > furthest) {
            *self = Self { furthest: Some(reach), ..Self::default() };
            return false;
        }
        if fault == Fault::Server {
            return false;
        }
        if self.count == 0 {
            self.since_us = now_us;
        }
        self.count += 1;
        self.of_source += u32::from(fault == Fault::Source);
        let lasted = Duration::from_micros(now_us.saturating_sub(self.since_us));
        self.of_source >= VAIN_TRIES || (self.count >= VAIN_TRIES && lasted >= lasting)
    }
}
