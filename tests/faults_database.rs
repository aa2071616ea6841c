//! A database that stays away, a server that is killed meanwhile, and a full disk: rows are events in the end.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server_support::{Home, Server, gapless, looping, signal, stored};
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(60);

/// A folder with links to PostgreSQL's programs, from which `postgres` can be taken away: then it cannot be started.
struct Programs(PathBuf);

impl Programs {
    fn in_home(home: &Home) -> Self {
        let folder = home.path("programs");
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

    fn take_away(&self) {
        fs::remove_file(self.0.join("postgres")).unwrap();
    }

    fn bring_back(&self) {
        symlink(Self::installed().join("postgres"), self.0.join("postgres")).unwrap();
    }
}

/// A server whose PostgreSQL can be kept away.
fn start() -> (Server, Programs) {
    let home = Home::new("");
    let programs = Programs::in_home(&home);
    let database = format!("[database]\nprograms = \"{}\"\n", programs.0.display());
    home.configure("127.0.0.1:0", &home.data(), &(database + &looping("one") + &looping("two")));
    (Server::start_in(home), programs)
}

fn assert_rows(server: &Server, session: &str, received: &[Value]) {
    let (first, last) = gapless(received);
    let rows = server.home.rows_to(session, last);
    assert_eq!((first, gapless(&rows).0), (1, 1));
    stored(received, &rows);
}

fn keep_away(outage: Duration) {
    let (server, programs) = start();
    let sessions = ["one", "two"].map(|name| server.session(name));
    let mut agents = sessions.each_ref().map(|session| server.agent(&format!("session={session}&after=0")));
    agents.iter_mut().for_each(|agent| agent.until_more(10));
    programs.take_away();
    signal("KILL", server.home.postmaster().unwrap());
    let back_at = Instant::now() + outage;
    while Instant::now() < back_at {
        agents.iter_mut().for_each(|agent| agent.until_more(5));
    }
    assert_eq!(server.home.postmaster(), None, "it was away all the time");
    programs.bring_back();
    for (agent, session) in agents.iter_mut().zip(&sessions) {
        agent.until_more(5);
        assert_rows(&server, session, &agent.events());
    }
    server.stop();
}

#[test]
fn agents_notice_nothing_while_the_database_stays_away_and_rows_are_events_afterwards() {
    keep_away(Duration::from_secs(2));
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_a_minute_without_the_database_loses_and_doubles_nothing() {
    keep_away(Duration::from_secs(60));
}

#[test]
fn a_server_that_is_killed_while_the_database_is_away_loses_and_doubles_nothing() {
    let (server, programs) = start();
    let session = server.session("one");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    agent.until_more(10);
    programs.take_away();
    signal("KILL", server.home.postmaster().unwrap());
    agent.until_more(20);
    let home = server.kill();
    let received = agent.until_end();
    programs.bring_back();
    let server = Server::start_in(home);
    assert_rows(&server, &session, &received);
    let ended = wait_for("the old session's end", LIMIT, || {
        let rows = server.home.rows(&session);
        (rows.last()?["event"] == "sessionEnded").then_some(rows)
    });
    gapless(&ended);
    server.stop();
}

/// A disk of its own for a server's data.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this account may not mount.
    fn over(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=200m,mode=755", "tmpfs"])
            .arg(folder)
            .output();
        mount.is_ok_and(|said| said.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let full = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k"])
            .arg(format!("of={}", self.ballast().display()))
            .output();
        assert!(!full.unwrap().status.success(), "the disk should be full");
    }

    fn clear(&self) {
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

fn fill_disk(time: Duration) {
    let home = Home::new(&looping("one"));
    let Some(disk) = Disk::over(&home.data()) else {
        println!("SKIPPED: a disk cannot be filled where this account may not mount");
        return;
    };
    fs::set_permissions(home.data(), PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::start_in(home);
    let session = server.session("one");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    agent.until_more(10);
    disk.fill();
    std::thread::park_timeout(time);
    disk.clear();
    agent.until_more(20);
    assert_eq!(server.session("one"), session, "the session waits for room");
    assert_rows(&server, &session, &agent.events());
    server.stop();
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_no_event_that_an_agent_saw() {
    fill_disk(Duration::from_secs(2));
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_a_disk_that_is_full_for_twenty_seconds_costs_no_event_that_an_agent_saw() {
    fill_disk(Duration::from_secs(20));
}
