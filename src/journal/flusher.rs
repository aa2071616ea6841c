//! The thread that calls fsync, so that no writer waits for a disk.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Shared, state};

/// Owner of the thread. Dropping it syncs a last time.
pub(super) struct Flusher {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Flusher {
    pub(super) fn start(shared: Arc<Shared>, every: Duration, boot_id: String) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("journal-fsync".into()).spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                // Kept for the writers, and tried again at the next turn.
                let _ = sync(&shared);
            }
            sync(&shared)?;
            state::write_boot(&shared.dir, &boot_id, true)
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Syncs a last time and ends the thread.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.stop = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs the journal panicked")))
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        // Whoever wants to know calls `Journal::close`.
        let _ = self.finish();
    }
}

fn sync(shared: &Shared) -> io::Result<()> {
    let Some(file) = shared.writer().take_dirty() else { return Ok(()) };
    let result = file.sync_data();
    let failed = result.as_ref().err().map(|error| (error.kind(), format!("fsync: {error}")));
    if failed.is_some() {
        shared.writer().mark_dirty();
    }
    *shared.sync_error.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    result
}
