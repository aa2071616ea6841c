//! The system account that the cluster runs as.
//!
//! PostgreSQL refuses to run as root, so root's cluster runs as `postgres`; anybody else's runs as
//! themselves. Reading `/proc` and `/etc/passwd` instead of calling C keeps this crate free of unsafe code.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::error::StoreError;

/// Whom root's cluster runs as.
const SERVICE_ACCOUNT: &str = "postgres";

/// The account of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
    /// Whether it is another than this process's.
    switch: bool,
}

impl Account {
    /// The account for a cluster of this process.
    ///
    /// # Errors
    /// [`StoreError::Settings`] if this is root and the system has no user `postgres`.
    pub(super) fn of_cluster() -> Result<Self, StoreError> {
        let io = |error| StoreError::Settings(format!("cannot tell which user this is: {error}"));
        let own = std::fs::metadata("/proc/self").map_err(io)?;
        if own.uid() != 0 {
            return Ok(Self { uid: own.uid(), gid: own.gid(), switch: false });
        }
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(io)?;
        let (uid, gid) = find(&passwd, SERVICE_ACCOUNT).ok_or_else(|| {
            StoreError::Settings(format!(
                "url = \"embedded\" as root needs the system user `{SERVICE_ACCOUNT}` of PostgreSQL's package"
            ))
        })?;
        Ok(Self { uid, gid, switch: true })
    }

    /// Gives `path` to the account.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn give(self, path: &Path) -> std::io::Result<()> {
        if self.switch { std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Whether `file` is the account's.
    pub(super) fn owns(self, file: &Metadata) -> bool {
        file.uid() == self.uid
    }

    /// Whether the account may go through the folder `folder`.
    pub(super) fn may_enter(self, folder: &Metadata) -> bool {
        let bit = match (folder.uid() == self.uid, folder.gid() == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        folder.mode() & bit != 0
    }

    /// A command that runs as the account, in `folder`, with an environment of its own: a stray `PGDATA` or
    /// `LC_MESSAGES` of the caller's must not change what PostgreSQL does.
    pub(super) fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if self.switch {
            command.gid(self.gid).uid(self.uid);
        }
        command
    }
}

/// Finds user and group ids of `name` in the text of `/etc/passwd`.
fn find(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields
        .filter(|fields| fields.len() >= 4 && fields[0] == name)
        .find_map(|fields| Some((fields[2].parse().ok()?, fields[3].parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:a,,:/var/lib:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some((101, 104)));
        assert_eq!(find(passwd, "nobody"), None);
    }
}
