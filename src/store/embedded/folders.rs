//! The folders of the private cluster, and the lock that says whose it is.
//!
//! ```text
//! <directory>/         0700, the account's
//!   data/              the cluster
//!   log/               PostgreSQL's log: one file a weekday, and what it said while starting
//!   run/               the socket, unless its path would be too long
//!   lock               locked by the owner as long as it lives
//! ```

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::super::error::StoreError;
use super::account::Account;

/// Longest path of a socket that Linux takes.
const LONGEST_SOCKET: usize = 107;
/// Name of PostgreSQL's socket for the default port.
const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// How long a lock that another process holds is waited for, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_RETRY: Duration = Duration::from_millis(10);
/// Only the account goes in.
const PRIVATE: u32 = 0o700;

/// The folders, made and owned as they should be.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    base: PathBuf,
    account: Account,
    socket: PathBuf,
}

impl Folders {
    /// Makes what is not there.
    ///
    /// # Errors
    /// [`StoreError::DataDirectory`] if a folder cannot be made, is somebody else's, or cannot be entered by
    /// the cluster's account.
    pub(super) fn prepare(directory: &Path) -> Result<Self, StoreError> {
        let account = Account::of_cluster()?;
        let fail = |error: io::Error| StoreError::directory(directory, error);
        if let Some(parent) = directory.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(fail)?;
        }
        make_private(directory, account).map_err(fail)?;
        let base = directory.canonicalize().map_err(fail)?;
        check_the_way(&base, account)?;
        make_private(&base.join("log"), account).map_err(fail)?;
        let socket = socket_folder(&base);
        make_private(&socket, account).map_err(|error| StoreError::directory(&socket, error))?;
        Ok(Self { base, account, socket })
    }

    /// Takes the lock; `None` if another process (or another part of this one) has it.
    ///
    /// # Errors
    /// [`StoreError::DataDirectory`] if there can be no lock.
    pub(super) fn lock(&self) -> Result<Option<File>, StoreError> {
        let path = self.base.join("lock");
        let mut options = File::options();
        let opened = options.create(true).append(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| StoreError::directory(&path, error))?;
        // A process that was just forked holds a copy of its parent's lock until it has become another program.
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_RETRY),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(StoreError::directory(&path, error)),
            }
        }
    }

    /// The folder that holds the others.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// The account that owns them.
    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// The cluster.
    pub(super) fn data(&self) -> PathBuf {
        self.base.join("data")
    }

    /// PostgreSQL's log.
    pub(super) fn log(&self) -> PathBuf {
        self.base.join("log")
    }

    /// The folder of the socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

/// A short folder for the socket: below `base` or, if that is too long, under a name that only `base` has.
fn socket_folder(base: &Path) -> PathBuf {
    let near = base.join("run");
    if near.join(SOCKET_NAME).as_os_str().len() <= LONGEST_SOCKET {
        return near;
    }
    let digest = Sha256::digest(base.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Path::new("/tmp").join(format!("kinora-{name}"))
}

/// Makes a folder that only `account` can enter, or sees to it that an existing one is such a folder.
fn make_private(path: &Path, account: Account) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Ok(()) => return account.give(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Not following links: under /tmp anybody may have made one.
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is not a folder"));
    }
    if found.uid() == 0 && !account.owns(&found) {
        // Made by an administrator, or by a start that ended between making and giving.
        account.give(path)?;
    } else if !account.owns(&found) {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    std::fs::set_permissions(path, PermissionsExt::from_mode(PRIVATE))
}

/// Sees to it that `account` can reach `base`: initdb's own words for this would not name the folder.
fn check_the_way(base: &Path, account: Account) -> Result<(), StoreError> {
    for folder in base.ancestors().skip(1) {
        let found = std::fs::metadata(folder).map_err(|error| StoreError::directory(folder, error))?;
        if !account.may_enter(&found) {
            let why = format!("the database's system user may not enter {}", folder.display());
            return Err(StoreError::directory(base, why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_below_a_long_folder_goes_elsewhere_and_fits() {
        assert_eq!(socket_folder(Path::new("/var/lib/kinora/pg")), Path::new("/var/lib/kinora/pg/run"));
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        let socket = socket_folder(&long).join(SOCKET_NAME);
        assert!(socket.as_os_str().len() <= LONGEST_SOCKET, "{}", socket.display());
        assert_ne!(socket_folder(&long), socket_folder(&long.join("y")));
    }
}
