//! A gate that keeps threads until the test opens it: a hang lasts as long as it has to, however slow the host is.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps whoever comes to it until its keeper is dropped.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<Receiver<()>>>);

/// Keeps a gate closed.
pub struct GateKeeper {
    _closed: Sender<()>,
}

impl Gate {
    /// A closed gate, and who keeps it so.
    #[must_use]
    pub fn closed() -> (GateKeeper, Self) {
        let (closed, kept) = channel();
        (GateKeeper { _closed: closed }, Self(Arc::new(Mutex::new(kept))))
    }

    /// Comes back when the gate is open.
    pub fn pass(&self) {
        // Nothing is ever sent: an error says that the keeper is gone.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
    }
}
