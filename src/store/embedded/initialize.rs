//! Makes the cluster with `initdb`, wholly or not at all.
//!
//! `initdb` works under a name of its own; the rename is the moment at which the cluster exists. What an
//! interrupted start left is removed, and because no name is used twice, an `initdb` that outlived its Kinora
//! cannot write into the next one's cluster.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::error::StoreError;
use super::folders::Folders;
use super::postmaster::LOOK_EVERY;
use super::programs::Programs;

/// Names of unfinished clusters begin so.
const UNFINISHED: &str = "data.new-";
/// The superuser of the cluster. Passwords are not asked for: only the account can reach the socket.
const OPTIONS: [&str; 7] = [
    "--username=kinora",
    "--auth-local=trust",
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--data-checksums",
    "--no-instructions",
];

/// Major version of the cluster in `folders`; `None` if there is no cluster yet.
///
/// # Errors
/// [`StoreError::DataDirectory`] if what lies there is not a cluster.
pub(super) fn version_of(folders: &Folders) -> Result<Option<u32>, StoreError> {
    let data = folders.data();
    if !data.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(data.join("PG_VERSION"));
    let version = text.ok().and_then(|text| text.trim().parse().ok());
    version.map(Some).ok_or_else(|| StoreError::directory(&data, "it is not a PostgreSQL cluster"))
}

/// Makes the cluster unless it is there.
///
/// # Errors
/// [`StoreError::DataDirectory`] with the last words of `initdb`.
pub(super) fn initialize(folders: &Folders, programs: &Programs, limit: Duration) -> Result<(), StoreError> {
    let fail = |error: io::Error| StoreError::directory(folders.base(), error);
    remove_unfinished(folders.base()).map_err(fail)?;
    if folders.data().exists() {
        return Ok(());
    }
    let unfinished = unused_name(folders.base());
    let mut command = folders.account().command(&programs.path("initdb"), folders.base());
    command.arg("-D").arg(&unfinished).args(OPTIONS);
    let output = run(command, limit).map_err(fail)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let why = format!(
            "initdb failed: {}",
            words.lines().rev().find(|line| !line.is_empty()).unwrap_or("silently")
        );
        return Err(StoreError::directory(folders.base(), why));
    }
    std::fs::rename(&unfinished, folders.data()).map_err(fail)?;
    // The rename is on disk before anything is kept in the cluster.
    File::open(folders.base()).and_then(|folder| folder.sync_all()).map_err(fail)
}

fn remove_unfinished(base: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(base)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // One that an outliving `initdb` still writes to may resist; the next start removes it.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn unused_name(base: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    base.join(format!("{UNFINISHED}{}-{}", std::process::id(), now.as_nanos()))
}

/// Runs `command` to its end, or for `limit`.
fn run(mut command: Command, limit: Duration) -> io::Result<Output> {
    let deadline = Instant::now() + limit;
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "initdb did not finish in time"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    child.wait_with_output()
}
