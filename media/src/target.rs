//! Where a file that is written goes: under a name of its own first, and under the one that was asked for when it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{ErrorKind, MediaError};

/// Links that are followed before they are taken for a circle; as many as Linux follows.
const LINKS: usize = 40;

/// The name that a file will have and the one under which it grows. A file that is not [`Target::complete`] is removed.
pub(crate) struct Target {
    path: PathBuf,
    part: PathBuf,
    complete: bool,
}

impl Target {
    /// For a file at `path`, which is either not there or a regular file; a symbolic link is followed, and what it names
    /// is written.
    ///
    /// # Errors
    /// `IsDirectory`; `NotFound` for an empty name; `InvalidSettings` for a device, a pipe or a socket, which a rename would destroy.
    pub(crate) fn new(path: &Path) -> Result<Self, MediaError> {
        let path = followed(path)?;
        check(&path)?;
        let part = part_path(&path);
        Ok(Self { path, part, complete: false })
    }

    /// The name of the whole file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the growing file.
    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// Gives the grown file its name.
    ///
    /// # Errors
    /// What the file system says; or as [`Target::new`], for what came under the name meanwhile.
    pub(crate) fn complete(mut self) -> Result<(), MediaError> {
        check(&self.path)?;
        fs::rename(&self.part, &self.path).map_err(|error| failed(&self.path, &error))?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.complete {
            // It may never have been created.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// What the last of a chain of symbolic links names, whether that is there or not.
fn followed(path: &Path) -> Result<PathBuf, MediaError> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            // An absolute link replaces the folder that it is joined to.
            Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
            // No link, or nothing there.
            Err(_) => return Ok(path),
        }
    }
    let message = format!("cannot write `{}`: its symbolic links lead in a circle", path.display());
    Err(MediaError::new(ErrorKind::InvalidSettings, message))
}

/// Sees to it that a rename over `path` destroys nothing but an older file.
fn check(path: &Path) -> Result<(), MediaError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => return Ok(()),
        Err(error) => return Err(failed(path, &error)),
        Ok(metadata) => metadata,
    };
    let refuse = |kind, what: &str| {
        let message =
            format!("cannot write `{}`: it is {what}; the name of a file is needed", path.display());
        Err(MediaError::new(kind, message))
    };
    match metadata.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => refuse(ErrorKind::IsDirectory, "a directory"),
        _ => refuse(ErrorKind::InvalidSettings, "a device, a pipe or the like"),
    }
}

/// `path` with process and number behind it, so that no two writers of one file share it.
fn part_path(path: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    PathBuf::from(name)
}

fn failed(path: &Path, error: &io::Error) -> MediaError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Other(-error.raw_os_error().unwrap_or(0)),
    };
    MediaError::new(kind, format!("cannot write `{}`: {error}", path.display()))
}
