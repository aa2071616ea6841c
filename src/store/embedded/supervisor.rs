//! Keeps the postmaster running: brings it up, watches it, and starts a fresh one when it dies.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::error::StoreError;
use super::super::settings::EmbeddedSettings;
use super::folders::Folders;
use super::postmaster::{self, LOOK_EVERY, PidFile, Postmaster};
use super::programs::Programs;

/// How long a death stays unnoticed.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// A start is tried again for so long: after a `kill -9` the old processes need a moment to leave their
/// memory.
const KEEP_TRYING: Duration = Duration::from_secs(10);
/// Pause between two tries of a start.
const TRY_EVERY: Duration = Duration::from_millis(300);
/// Pause after a start that failed for good; an operator may mend what is wrong.
const PAUSE: Duration = Duration::from_secs(5);

/// What the watching thread and the cluster's owner know together.
#[derive(Debug, Default)]
pub(super) struct Shared {
    stopping: AtomicBool,
    abandoned: AtomicBool,
    restarts: AtomicU64,
    /// 0 while there is none.
    pid: AtomicU32,
    failure: Mutex<Option<String>>,
}

/// Everything that a start needs.
pub(super) struct Supervisor {
    settings: EmbeddedSettings,
    folders: Folders,
    programs: Programs,
    shared: Arc<Shared>,
}

/// How a start went on.
enum Progress {
    Ready,
    Ended,
    TooLong,
}

impl Shared {
    /// Asks for the end of the cluster.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Asks for the end of the watching only.
    #[cfg(test)]
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.stop();
    }

    /// Process id of the postmaster.
    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Acquire)).filter(|&pid| pid != 0)
    }

    /// How often it was started again.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Acquire)
    }

    /// Why the last try to start it again failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl Supervisor {
    /// Starts nothing yet.
    pub(super) fn new(
        settings: EmbeddedSettings,
        folders: Folders,
        programs: Programs,
        shared: Arc<Shared>,
    ) -> Self {
        Self { settings, folders, programs, shared }
    }

    /// The folder of the running postmaster's socket.
    pub(super) fn socket(&self) -> PathBuf {
        let told = PidFile::read(&self.folders.data()).map(|file| file.socket);
        told.unwrap_or_else(|| self.folders.socket().to_owned())
    }

    /// Adopts the postmaster that runs or starts one, and waits until it takes connections.
    ///
    /// # Errors
    /// [`StoreError::DataDirectory`] with PostgreSQL's last words.
    pub(super) fn bring_up(&self) -> Result<Postmaster, StoreError> {
        let begun = Instant::now();
        // The last try has half of the time for itself.
        let patience = KEEP_TRYING.min(self.settings.start_timeout / 2);
        let fail = |why: String| StoreError::directory(self.folders.base(), why);
        loop {
            let mut postmaster = match postmaster::find(&self.folders) {
                Some(running) => running,
                None => postmaster::spawn(&self.folders, &self.programs)
                    .map_err(|error| fail(error.to_string()))?,
            };
            match self.wait_until_ready(&mut postmaster, begun + self.settings.start_timeout) {
                Progress::Ready => {
                    self.shared.pid.store(postmaster.pid(), Ordering::Release);
                    return Ok(postmaster);
                }
                Progress::Ended if begun.elapsed() < patience && !self.shared.is_stopping() => {
                    std::thread::sleep(TRY_EVERY);
                }
                Progress::Ended => return Err(fail(postmaster::last_words(&self.folders))),
                Progress::TooLong => {
                    self.end(&mut postmaster);
                    return Err(fail("PostgreSQL was not ready in time".into()));
                }
            }
        }
    }

    /// Watches `postmaster` and its successors until the owner asks for the end.
    pub(super) fn watch(self, postmaster: Postmaster) {
        let mut running = Some(postmaster);
        while !self.shared.is_stopping() {
            std::thread::park_timeout(if running.is_some() { WATCH_EVERY } else { PAUSE });
            if !self.shared.is_stopping() && !running.as_mut().is_some_and(Postmaster::is_alive) {
                running = self.restart();
            }
        }
        if self.shared.abandoned.load(Ordering::Acquire) {
            return;
        }
        if let Some(mut postmaster) = running {
            self.end(&mut postmaster);
        }
        self.shared.pid.store(0, Ordering::Release);
    }

    /// Replaces a postmaster that died; `None`, with the reason for the owner to read, if that failed for now.
    fn restart(&self) -> Option<Postmaster> {
        self.shared.pid.store(0, Ordering::Release);
        self.shared.restarts.fetch_add(1, Ordering::AcqRel);
        let brought_up = self.bring_up();
        self.shared.note(brought_up.as_ref().err().map(ToString::to_string));
        brought_up.ok()
    }

    fn wait_until_ready(&self, postmaster: &mut Postmaster, deadline: Instant) -> Progress {
        loop {
            let ready = |file: PidFile| file.ready && file.pid == postmaster.pid();
            if PidFile::read(&self.folders.data()).is_some_and(ready) {
                return Progress::Ready;
            }
            if !postmaster.is_alive() {
                return Progress::Ended;
            }
            if Instant::now() > deadline || self.shared.is_stopping() {
                return Progress::TooLong;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn end(&self, postmaster: &mut Postmaster) {
        postmaster.end(&self.folders, &self.programs, self.settings.stop_timeout);
    }
}
