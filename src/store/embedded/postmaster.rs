//! The postmaster: PostgreSQL's first process. How it is found, started, watched and ended.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use super::folders::Folders;
use super::programs::Programs;

/// Pause between two looks at a process.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What an immediate stop may take; after it the kernel is asked to end the process.
const IMMEDIATE_STOP: Duration = Duration::from_secs(2);
/// File in which the postmaster says how it is.
const PID_FILE: &str = "postmaster.pid";
/// The same beside the socket.
const SOCKET_LOCK: &str = ".s.PGSQL.5432.lock";

/// Told with each start, so that a cluster never runs with the settings of an older Kinora.
const SETTINGS: [&str; 13] = [
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=100",
    "fsync=on",
    "full_page_writes=on",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=on",
    // One file a weekday, overwritten a week later: the log has a bound.
    "log_filename=postgresql-%u.log",
    "log_truncate_on_rotation=on",
    // Statements hold hashes of passwords; errors are told to the client anyway.
    "log_min_error_statement=panic",
];

/// A running postmaster.
#[derive(Debug)]
pub(super) enum Postmaster {
    /// Started by this process.
    Child(Child),
    /// Found running; known by its id and its data folder.
    Adopted(u32, PathBuf),
}

/// The lines of `postmaster.pid` that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    /// Process id.
    pub(super) pid: u32,
    /// Folder of the socket.
    pub(super) socket: PathBuf,
    /// Whether it takes connections.
    pub(super) ready: bool,
}

impl PidFile {
    /// Reads the file of the cluster in `data`; `None` if it is not there or not complete yet.
    pub(super) fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(data.join(PID_FILE)).ok()?)
    }

    /// Line 1 is the process id, 5 the socket's folder, 8 the state.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let pid = lines.first()?.trim().parse().ok()?;
        let socket = lines.get(4).copied().unwrap_or_default().into();
        Some(Self { pid, socket, ready: lines.get(7).is_some_and(|state| state.trim() == "ready") })
    }
}

/// Whether process `pid` lives and is the postmaster of the cluster in `data`.
///
/// Ids are used again, so the command line is read; that of a dead process not yet waited for is empty.
pub(super) fn runs_cluster(pid: u32, data: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut words = line.split(|&byte| byte == 0);
    let program = words.next().unwrap_or_default();
    program.ends_with(b"postgres") && words.any(|word| word == data.as_os_str().as_encoded_bytes())
}

/// The postmaster that already runs in `folders`.
pub(super) fn find(folders: &Folders) -> Option<Postmaster> {
    let file = PidFile::read(&folders.data())?;
    if runs_cluster(file.pid, &folders.data()) {
        return Some(Postmaster::Adopted(file.pid, folders.data()));
    }
    forget_stale(file.pid, folders);
    None
}

/// Removes what a dead postmaster left if it would keep PostgreSQL from starting.
///
/// Its id may be somebody else's now, which is usual after a container's restart, and PostgreSQL would take
/// that process for the postmaster. We hold the lock on the folder and have just looked; what matters most,
/// that nobody is still in the shared memory, PostgreSQL also finds out from the folder itself.
fn forget_stale(pid: u32, folders: &Folders) {
    if Path::new(&format!("/proc/{pid}")).exists() {
        let _ = std::fs::remove_file(folders.data().join(PID_FILE));
        let _ = std::fs::remove_file(folders.socket().join(SOCKET_LOCK));
    }
}

/// Starts a postmaster.
///
/// # Errors
/// What the system says; PostgreSQL's own words are in [`last_words`].
pub(super) fn spawn(folders: &Folders, programs: &Programs) -> io::Result<Postmaster> {
    let words = File::create(words_file(folders))?;
    let mut command = folders.account().command(&programs.path("postgres"), folders.base());
    command.arg("-D").arg(folders.data());
    command.arg("-c").arg(setting("unix_socket_directories", folders.socket()));
    command.arg("-c").arg(setting("log_directory", &folders.log()));
    command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    // A group of its own: Ctrl-C in a terminal must reach Kinora first, which still has events to write.
    command.stdout(words.try_clone()?).stderr(words).process_group(0);
    command.spawn().map(Postmaster::Child)
}

/// What PostgreSQL said last before a start failed: at first it writes to our file, later to its own log.
pub(super) fn last_words(folders: &Folders) -> String {
    let own = std::fs::read_to_string(words_file(folders)).unwrap_or_default();
    let fatal = |text: &str| text.lines().rev().find(|line| line.contains("FATAL:")).map(str::to_owned);
    let found = fatal(&own).or_else(|| fatal(&newest_log(folders).unwrap_or_default()));
    found.or_else(|| own.lines().next_back().map(str::to_owned)).unwrap_or("PostgreSQL said nothing".into())
}

fn newest_log(folders: &Folders) -> Option<String> {
    let files = std::fs::read_dir(folders.log()).ok()?.flatten().map(|entry| entry.path());
    let logs = files.filter(|path| *path != words_file(folders));
    let newest = logs.max_by_key(|path| path.metadata().and_then(|found| found.modified()).ok())?;
    Some(String::from_utf8_lossy(&std::fs::read(newest).ok()?).into_owned())
}

impl Postmaster {
    /// Process id.
    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Child(child) => child.id(),
            Self::Adopted(pid, _) => *pid,
        }
    }

    /// Whether it was found running.
    pub(super) fn is_adopted(&self) -> bool {
        matches!(self, Self::Adopted(..))
    }

    /// Whether it runs.
    pub(super) fn is_alive(&mut self) -> bool {
        match self {
            Self::Child(child) => matches!(child.try_wait(), Ok(None)),
            Self::Adopted(pid, data) => runs_cluster(*pid, data),
        }
    }

    /// Ends it: cleanly within `limit`, else without a checkpoint, else by the kernel.
    pub(super) fn end(&mut self, folders: &Folders, programs: &Programs, limit: Duration) {
        // Fast shutdown, immediate shutdown, and what nobody survives.
        for (name, limit) in [("INT", limit), ("QUIT", IMMEDIATE_STOP), ("KILL", IMMEDIATE_STOP)] {
            if !self.is_alive() {
                return;
            }
            signal(self.pid(), name, folders, programs);
            let deadline = Instant::now() + limit;
            while self.is_alive() && Instant::now() < deadline {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

/// Sends a signal through `pg_ctl`, since the standard library can only kill.
pub(super) fn signal(pid: u32, name: &str, folders: &Folders, programs: &Programs) {
    let mut command = folders.account().command(&programs.path("pg_ctl"), folders.base());
    // A process that ended meanwhile is what was wanted; one that stays gets the next signal.
    let _ = command.args(["kill", name]).arg(pid.to_string()).status();
}

fn setting(name: &str, value: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(format!("{name}="));
    text.push(value);
    text
}

fn words_file(folders: &Folders) -> PathBuf {
    folders.log().join("start.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_ready_only_when_it_says_so() {
        let starting = "42\n/data\n1795670000\n5432\n/run/x\n\n  5432001   163840\nstarting\n";
        let file = PidFile::parse(starting).unwrap();
        assert_eq!(file, PidFile { pid: 42, socket: "/run/x".into(), ready: false });
        assert!(PidFile::parse(&starting.replace("starting", "ready   ")).unwrap().ready);
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn this_process_is_no_postmaster() {
        assert!(!runs_cluster(std::process::id(), Path::new("/")));
    }
}
