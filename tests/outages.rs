//! What outages are made of: a PostgreSQL that cannot be started, and a disk that is full.
//!
//! Shared by the black-box tests and by those of the server with a scripted model, so it knows neither.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with links to PostgreSQL's programs, from which `postgres` can be taken away: then it cannot be started.
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// Links in `home`, which is the server's folder.
    pub(crate) fn in_home(home: &Path) -> Self {
        let folder = home.join("programs");
        fs::create_dir(&folder).unwrap();
        let programs = Self(folder);
        for program in ["initdb", "pg_ctl", "postgres"] {
            symlink(Self::installed().join(program), programs.0.join(program)).unwrap();
        }
        programs
    }

    fn installed() -> PathBuf {
        let said = Command::new("pg_config").arg("--bindir").output();
        let told = said.ok().map(|said| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
        told.filter(|folder| folder.join("postgres").exists()).unwrap_or_else(|| {
            let versions = fs::read_dir("/usr/lib/postgresql").unwrap().flatten();
            versions.map(|version| version.path().join("bin")).max().expect("PostgreSQL should be installed")
        })
    }

    /// What the server is told to look in.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// From now on PostgreSQL cannot be started.
    pub(crate) fn take_away(&self) {
        fs::remove_file(self.0.join("postgres")).unwrap();
    }

    /// From now on it can.
    pub(crate) fn bring_back(&self) {
        symlink(Self::installed().join("postgres"), self.0.join("postgres")).unwrap();
    }
}

/// A disk of its own for a server's data.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// `None` where this account may not mount.
    pub(crate) fn over(folder: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "tmpfs"])
            .arg(folder)
            .output();
        mount.is_ok_and(|said| said.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        let full = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k"])
            .arg(format!("of={}", self.ballast().display()))
            .output();
        assert!(!full.unwrap().status.success(), "the disk should be full");
    }

    /// Gives it back.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        if let Some(folder) = self.0.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
