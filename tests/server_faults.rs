//! Faults of the server's surroundings and of itself: nothing that an agent saw is lost, and what is missing is said.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::server_support::{Home, STOP_LIMIT, Server, gapless, looping, seq, signal, stored};
use crate::support::{Run, wait_for};

#[test]
fn a_killed_server_comes_back_without_losing_or_reusing_a_number() {
    let server = Server::start(&looping("dance"));
    let old = server.session("dance");
    let mut agent = server.agent(&format!("session={old}&after=0"));
    agent.until_more(40);
    let database = server.home.postmaster();
    let home = server.kill();
    let received = agent.until_end();
    let (_, last) = gapless(&received);

    let server = Server::start_in(home);
    assert_eq!(server.home.postmaster(), database, "the database that was left running is adopted");
    let rows = wait_for("the old session's end", Duration::from_secs(30), || {
        let rows = server.home.rows(&old);
        (rows.last()?["event"] == "sessionEnded").then_some(rows)
    });
    let (first, ended) = gapless(&rows);
    assert!(first == 1 && ended > last, "{first}..{ended} after {last}");
    stored(&received, &rows);
    assert_eq!(rows.last().unwrap()["payload"]["reason"], "restart");
    assert_eq!(server.get(&format!("/api/v1/sessions/{old}"))["endReason"], "restart");

    let new = server.session("dance");
    assert_ne!(new, old);
    let mut agent = server.agent(&format!("session={new}&after=0"));
    agent.until_more(20);
    assert_eq!(gapless(&agent.events()).0, 1);
}

#[test]
fn agents_notice_nothing_when_the_database_is_killed_and_comes_back() {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    agent.until_more(20);
    let killed = server.home.postmaster().unwrap();
    signal("KILL", killed);
    agent.until_more(20);
    wait_for("another postmaster", Duration::from_secs(30), || {
        server.home.postmaster().filter(|pid| *pid != killed)
    });
    agent.until_more(20);
    let received = agent.events();
    let (_, last) = gapless(&received);
    let rows = server.home.rows_to(&session, last);
    assert_eq!(gapless(&rows).0, 1);
    stored(&received, &rows);
    server.stop();
}

#[test]
fn a_server_under_load_ends_in_time_keeps_each_event_and_leaves_no_process() {
    let streams = ["one", "two", "three"];
    let server = Server::start(&streams.map(looping).concat());
    let mut agents = streams.map(|name| {
        let session = server.session(name);
        let agent = server.agent(&format!("session={session}&after=0"));
        (session, agent)
    });
    for (_, agent) in &mut agents {
        agent.until_more(15);
    }
    let (home, took) = server.stop();
    assert!(took < STOP_LIMIT, "{took:?}");
    let received = agents.map(|(session, agent)| (session, agent.until_end()));
    assert_eq!(home.processes(), Vec::<String>::new());

    let server = Server::start_in(home);
    for (session, events) in &received {
        let (_, last) = gapless(events);
        let rows = server.home.rows_to(session, last);
        gapless(&rows);
        stored(events, &rows);
        let end = rows.last().unwrap();
        assert_eq!(end["event"], "sessionEnded");
        assert_eq!((seq(end), &end["payload"]["reason"]), (last, &Value::from("stopped")));
    }
}

/// Asserts that the server refused to start for want of something, said so, and left nothing running.
fn assert_away(run: &Run, home: &Home, words: &[&str]) {
    assert_eq!(run.code, 69, "{}", run.stderr);
    let last = run.stderr.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "`{word}` in: {last}");
    }
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut home = Home::new("");
    home.configure(&address, &home.data(), "");
    let run = home.serve_to_its_end();
    assert_away(&run, &home, &[&address, "another program uses this port"]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let mut home = Home::new("");
    let file = home.path("file");
    fs::write(&file, "not a folder").unwrap();
    for folder in [file.as_path(), Path::new("/proc/kinora")] {
        home.configure("127.0.0.1:0", folder, "");
        let run = home.serve_to_its_end();
        assert_away(&run, &home, &[folder.to_str().unwrap(), "data directory"]);
    }
}

#[test]
fn a_schema_that_is_newer_than_the_server_is_left_alone() {
    let server = Server::start("");
    let insert = "insert into schema_history (version, name, checksum, direction) \
        values (9000, 'from_the_future', repeat('0', 64), 'up')";
    server.home.try_query(insert).unwrap();
    let (mut home, _) = server.stop();
    let run = home.serve_to_its_end();
    assert_away(&run, &home, &["9000", "newer"]);
}

#[test]
fn programs_of_postgresql_that_are_missing_are_named_with_the_package() {
    let mut home = Home::new("");
    let empty = home.path("no-programs");
    fs::create_dir(&empty).unwrap();
    let (folder, data) = (empty.to_str().unwrap(), home.data());
    home.configure("127.0.0.1:0", &data, &format!("[database]\nprograms = \"{folder}\"\n"));
    let run = home.serve_to_its_end();
    assert_away(&run, &home, &[folder, "initdb", "Debian: postgresql", "database.programs"]);
}
