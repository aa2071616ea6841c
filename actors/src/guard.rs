//! `ExitGuard`: how a parent learns that a child is gone, also when the child panicked.
//!
//! actix ends an Arbiter's thread when a handler panics and tells nobody. A child keeps a guard among its
//! fields; when the child is dropped, by whatever cause, the guard tells the parent how. The parent compares
//! the generation, so that a late word of a child that was replaced is ignored.

use std::sync::Arc;

use actix::{Message, Recipient};

use crate::threads::SignOfLife;

/// The actors of a stream's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// Reads and decodes.
    Decoder,
    /// Samples and tracks.
    Preprocessor,
    /// Runs networks.
    InferenceWorker,
    /// Numbers and publishes.
    SessionBroadcaster,
}

impl std::fmt::Display for ChildKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decoder => "decoder",
            Self::Preprocessor => "preprocessor",
            Self::InferenceWorker => "inference worker",
            Self::SessionBroadcaster => "session broadcaster",
        })
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// It was stopped.
    Stopped,
    /// Its thread unwound.
    Panicked,
}

/// A child is gone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// Who.
    pub child: ChildKind,
    /// How.
    pub how: ExitKind,
    /// Which build of the family it belonged to.
    pub generation: u64,
}

/// Tells the parent when it is dropped.
pub struct ExitGuard {
    child: ChildKind,
    generation: u64,
    parent: Recipient<ChildExited>,
    alive: Arc<()>,
}

impl ExitGuard {
    /// A guard for `child` of the family's `generation`.
    #[must_use]
    pub fn new(child: ChildKind, generation: u64, parent: Recipient<ChildExited>) -> Self {
        Self { child, generation, parent, alive: Arc::default() }
    }

    /// Tells whoever threw the child away whether it is gone.
    #[must_use]
    pub fn sign_of_life(&self) -> SignOfLife {
        Arc::<()>::downgrade(&self.alive)
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let how = if std::thread::panicking() { ExitKind::Panicked } else { ExitKind::Stopped };
        // A parent that is gone itself needs no word; its mailbox has room for every child's exit.
        let _ = self.parent.try_send(ChildExited { child: self.child, how, generation: self.generation });
    }
}
