//! Finds PostgreSQL's programs on this machine.
//!
//! Packages install several versions beside each other and keep them out of `PATH`. A cluster can only be run
//! by the version that made it; a new one is made by the newest.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::error::StoreError;
use super::super::settings::EmbeddedSettings;

/// Where Debian and Ubuntu keep `<version>/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Where a build from source and Red Hat's packages put them.
const FIXED: [&str; 5] = [
    "/usr/local/pgsql/bin",
    "/usr/pgsql-18/bin",
    "/usr/pgsql-17/bin",
    "/usr/pgsql-16/bin",
    "/usr/pgsql-15/bin",
];
/// All of these have to be in one folder.
const NEEDED: [&str; 3] = ["initdb", "postgres", "pg_ctl"];
/// The first version that Kinora is tested with.
const OLDEST: u32 = 15;

/// A folder with PostgreSQL's programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    version: u32,
}

impl Programs {
    /// Finds the programs of `version`, or the newest.
    ///
    /// # Errors
    /// [`StoreError::ProgramsMissing`], or [`StoreError::DataDirectory`] if there are only other versions.
    pub(super) fn find(settings: &EmbeddedSettings, version: Option<u32>) -> Result<Self, StoreError> {
        let looked_in = candidates(settings);
        let mut found: Vec<Self> = looked_in.iter().filter_map(|folder| Self::at(folder)).collect();
        found.sort_by_key(|programs| std::cmp::Reverse(programs.version));
        let Some(newest) = found.first() else { return Err(StoreError::ProgramsMissing { looked_in }) };
        let Some(wanted) = version else { return Ok(newest.clone()) };
        let other = || {
            let why = format!("PostgreSQL {wanted} made it, but this machine has {}", newest.version);
            StoreError::directory(&settings.directory, why)
        };
        found.iter().find(|programs| programs.version == wanted).cloned().ok_or_else(other)
    }

    /// The path of `program`.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    fn at(folder: &Path) -> Option<Self> {
        if !NEEDED.iter().all(|program| folder.join(program).is_file()) {
            return None;
        }
        let said = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let version = parse_version(&String::from_utf8_lossy(&said.stdout))?;
        (version >= OLDEST).then(|| Self { folder: folder.to_owned(), version })
    }
}

/// Folders to look in; the one that was asked for is the only one.
fn candidates(settings: &EmbeddedSettings) -> Vec<PathBuf> {
    if let Some(folder) = &settings.bin_dir {
        return vec![folder.clone()];
    }
    let mut folders = Vec::new();
    if let Ok(versions) = std::fs::read_dir(DEBIAN) {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.extend(FIXED.iter().map(PathBuf::from));
    folders.extend(told_by_pg_config());
    folders.extend(std::env::split_paths(&settings.search_path).filter(|path| path.is_absolute()));
    folders
}

fn told_by_pg_config() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(said.stdout).ok()?;
    Some(PathBuf::from(folder.trim())).filter(|folder| folder.is_absolute())
}

/// Reads the major version from `postgres (PostgreSQL) 15.18 (Debian ...)`.
fn parse_version(said: &str) -> Option<u32> {
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_version("postgres\n"), None);
    }
}
