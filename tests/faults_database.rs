//! A database that stays away, a server that is killed meanwhile, and a full disk: rows are events in the end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::outages::{Disk, Programs};
use crate::server_support::{Home, Server, gapless, looping, signal, stored};
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(60);
/// The long ones are in `src/cli/tests`, at 200 events a second.
const OUTAGE: Duration = Duration::from_secs(2);

/// A server whose PostgreSQL can be kept away.
fn start() -> (Server, Programs) {
    let home = Home::new("");
    let programs = Programs::in_home(&home.path(""));
    let database = format!("[database]\nprograms = \"{}\"\n", programs.folder().display());
    home.configure("127.0.0.1:0", &home.data(), &(database + &looping("one") + &looping("two")));
    (Server::start_in(home), programs)
}

fn assert_rows(server: &Server, session: &str, received: &[Value]) {
    let (first, last) = gapless(received);
    let rows = server.home.rows_to(session, last);
    assert_eq!((first, gapless(&rows).0), (1, 1));
    stored(received, &rows);
}

#[test]
fn agents_notice_nothing_while_the_database_stays_away_and_rows_are_events_afterwards() {
    let (server, programs) = start();
    let sessions = ["one", "two"].map(|name| server.session(name));
    let mut agents = sessions.each_ref().map(|session| server.agent(&format!("session={session}&after=0")));
    agents.iter_mut().for_each(|agent| agent.until_more(10));
    programs.take_away();
    signal("KILL", server.home.postmaster().unwrap());
    let back_at = Instant::now() + OUTAGE;
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

#[test]
fn a_disk_that_is_full_for_a_while_costs_no_event_that_an_agent_saw() {
    let home = Home::new(&looping("one"));
    let Some(disk) = Disk::over(&home.data(), 200) else {
        println!("SKIPPED: a disk cannot be filled where this account may not mount");
        return;
    };
    fs::set_permissions(home.data(), PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::start_in(home);
    let session = server.session("one");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    agent.until_more(10);
    disk.fill();
    std::thread::park_timeout(OUTAGE);
    disk.clear();
    agent.until_more(20);
    assert_eq!(server.session("one"), session, "the session waits for room");
    assert_rows(&server, &session, &agent.events());
    server.stop();
}
