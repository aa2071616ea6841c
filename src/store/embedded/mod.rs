//! The private cluster: a PostgreSQL that this process owns, from `initdb` to a clean stop.
//!
//! One folder has one owner, who holds a lock on it; the lock goes with the process, however that ends. The
//! cluster does not go with the process: after a `kill -9` it runs on, and the next owner adopts it. A thread
//! watches the postmaster and starts a fresh one when it dies. The cluster listens on a socket only, in a
//! folder that no other user can enter, which is why it asks for no password.

mod account;
mod folders;
mod initialize;
mod postmaster;
mod programs;
mod supervisor;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::error::StoreError;
use super::settings::{EmbeddedSettings, IfRunning};
use folders::Folders;
use programs::Programs;
use supervisor::{Shared, Supervisor};

/// The private cluster as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EmbeddedStatus {
    /// Process id of the postmaster; `None` while it is down.
    pub(crate) pid: Option<u32>,
    /// How often it was found dead and a new start was tried.
    pub(crate) restarts: u64,
    /// Why the last try to start it again failed; `None` once one succeeded.
    pub(crate) failure: Option<String>,
    /// Whether it was running before this process.
    pub(crate) adopted: bool,
}

/// The running private cluster; dropping it stops it.
pub(super) struct EmbeddedCluster {
    socket: PathBuf,
    shared: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
    adopted: bool,
    /// Held as long as the cluster is owned.
    _lock: File,
}

/// Starts or adopts the cluster, or joins that of another process; returns the folder of its socket.
///
/// # Errors
/// [`StoreError::ProgramsMissing`], [`StoreError::DataDirectory`] (in use, not writable, of another version,
/// not starting), [`StoreError::Unavailable`] if the other process's cluster does not get ready.
pub(super) fn start_or_join(
    settings: EmbeddedSettings,
) -> Result<(PathBuf, Option<EmbeddedCluster>), StoreError> {
    let folders = Folders::prepare(&settings.directory)?;
    match (folders.lock()?, settings.if_running) {
        (Some(lock), _) => {
            let cluster = EmbeddedCluster::start(settings, folders, lock)?;
            Ok((cluster.socket.clone(), Some(cluster)))
        }
        (None, IfRunning::Join) => Ok((join(&settings, &folders)?, None)),
        (None, IfRunning::Refuse) => {
            Err(StoreError::directory(folders.base(), "another running Kinora keeps its database there"))
        }
    }
}

impl EmbeddedCluster {
    /// How it is.
    pub(super) fn status(&self) -> EmbeddedStatus {
        EmbeddedStatus {
            pid: self.shared.pid(),
            restarts: self.shared.restarts(),
            failure: self.shared.failure(),
            adopted: self.adopted,
        }
    }

    fn start(settings: EmbeddedSettings, folders: Folders, lock: File) -> Result<Self, StoreError> {
        let programs = Programs::find(&settings, initialize::version_of(&folders)?)?;
        initialize::initialize(&folders, &programs, settings.start_timeout)?;
        let shared = Arc::new(Shared::default());
        let supervisor = Supervisor::new(settings, folders, programs, Arc::clone(&shared));
        let postmaster = supervisor.bring_up()?;
        let (socket, adopted) = (supervisor.socket(), postmaster.is_adopted());
        let watcher = std::thread::Builder::new()
            .name("kinora-postgres".into())
            .spawn(move || supervisor.watch(postmaster))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { socket, shared, watcher: Some(watcher), adopted, _lock: lock })
    }

    fn end_watcher(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // A watcher that panicked has nothing left to stop.
            let _ = watcher.join();
        }
    }

    /// Leaves the cluster alone, as a `kill -9` of this process would.
    #[cfg(test)]
    fn abandon(mut self) {
        self.shared.abandon();
        self.end_watcher();
    }
}

impl Drop for EmbeddedCluster {
    /// Stops the cluster: cleanly within the stop time-out, else by force.
    fn drop(&mut self) {
        self.shared.stop();
        self.end_watcher();
    }
}

/// Waits until the cluster of another process is ready.
fn join(settings: &EmbeddedSettings, folders: &Folders) -> Result<PathBuf, StoreError> {
    let deadline = Instant::now() + settings.start_timeout;
    while Instant::now() < deadline {
        match postmaster::PidFile::read(&folders.data()) {
            Some(file) if file.ready && postmaster::runs_cluster(file.pid, &folders.data()) => {
                return Ok(file.socket);
            }
            _ => std::thread::sleep(postmaster::LOOK_EVERY),
        }
    }
    Err(StoreError::Unavailable("the database of the running Kinora did not get ready".into()))
}
