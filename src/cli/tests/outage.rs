//! Outages under 200 events a second: rows are events in the end, and no agent misses one.
//!
//! The short forms see to it that the long ones work; these are for `make soak`.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::outages::{Disk, Programs};
use super::scripted::{Home, STREAMS, Server, signal};
use super::watcher::{Watcher, assert_rows_are};

const SHORT: Duration = Duration::from_secs(2);
/// Events that come before and after an outage.
const SOME: usize = 200;
/// Enough for PostgreSQL and a minute of events.
const DISK_MB: u32 = 600;

/// A server whose PostgreSQL can be kept away, and an agent of all its streams.
fn start() -> (Home, Programs, Server, Watcher) {
    let mut home = Home::new();
    let programs = Programs::in_home(&home.path(""));
    home.configure("127.0.0.1:0", programs.folder());
    let server = home.serve();
    let watcher = Watcher::of(&server, &home);
    watcher.until_more(SOME);
    (home, programs, server, watcher)
}

/// Lets time go by while events keep coming, and tells how many.
fn meanwhile(watcher: &Watcher, time: Duration) {
    let (begun, before) = (Instant::now(), watcher.count());
    while begun.elapsed() < time {
        watcher.until_more(1);
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} events a second for {seconds:.0} s", (watcher.count() - before) as f64 / seconds);
}

fn without_the_database(outage: Duration) {
    let (home, programs, server, watcher) = start();
    let notices = watcher.notices();
    programs.take_away();
    signal("KILL", home.postmaster().unwrap());
    meanwhile(&watcher, outage);
    assert_eq!(home.postmaster(), None, "it was away all the time");
    programs.bring_back();
    watcher.until_more(SOME);
    assert_eq!(watcher.notices(), notices, "the agent noticed nothing");
    let received = watcher.end();
    assert_eq!(received.len(), STREAMS.len());
    assert_rows_are(&received, &home);
    server.stop();
}

#[test]
fn without_the_database_agents_notice_nothing_at_200_events_a_second() {
    without_the_database(SHORT);
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_a_minute_without_the_database_at_200_events_a_second_loses_and_doubles_nothing() {
    without_the_database(Duration::from_secs(60));
}

fn killed_without_the_database(outage: Duration) {
    let (mut home, programs, server, watcher) = start();
    home.configure(&server.address, programs.folder());
    programs.take_away();
    signal("KILL", home.postmaster().unwrap());
    meanwhile(&watcher, outage);
    // The guard kills it.
    drop(server);
    programs.bring_back();
    let server = home.serve();
    watcher.until_more(SOME);
    let received = watcher.end();
    assert_eq!(received.len(), 2 * STREAMS.len(), "the sessions of both servers");
    assert_rows_are(&received, &home);
    server.stop();
}

#[test]
fn a_server_that_is_killed_without_its_database_loses_and_doubles_nothing_at_200_events_a_second() {
    killed_without_the_database(SHORT);
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_a_server_that_is_killed_after_a_minute_without_its_database_loses_and_doubles_nothing() {
    killed_without_the_database(Duration::from_secs(60));
}

fn on_a_full_disk(outage: Duration) {
    let mut home = Home::new();
    let Some(disk) = Disk::over(&home.data(), DISK_MB) else {
        println!("SKIPPED: a disk cannot be filled where this account may not mount");
        return;
    };
    std::fs::set_permissions(home.data(), PermissionsExt::from_mode(0o755)).unwrap();
    let programs = Programs::in_home(&home.path(""));
    home.configure("127.0.0.1:0", programs.folder());
    let server = home.serve();
    let watcher = Watcher::of(&server, &home);
    watcher.until_more(SOME);
    disk.fill();
    home.until_logged("the journal takes no events");
    std::thread::park_timeout(outage);
    disk.clear();
    home.until_logged("the journal takes events again");
    watcher.until_more(SOME);
    let received = watcher.end();
    assert_eq!(received.len(), STREAMS.len(), "sessions wait for room");
    assert_rows_are(&received, &home);
    server.stop();
}

#[test]
fn a_full_disk_costs_no_event_that_an_agent_saw_at_200_events_a_second() {
    on_a_full_disk(SHORT);
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_a_disk_that_is_full_for_twenty_seconds_at_200_events_a_second_costs_no_event_that_an_agent_saw() {
    on_a_full_disk(Duration::from_secs(20));
}
