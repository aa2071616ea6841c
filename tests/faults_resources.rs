//! Connections that fail by the hundred leave nothing behind: no memory, no thread, no file descriptor.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use crate::server_support::{Home, Server, stream};
use crate::support::wait_for;

/// Failures of the short form, and of the one that `make soak` runs.
const FAILURES: u64 = 200;
const FAILURES_SOAK: u64 = 1_000;
/// Failures before the first look: pools, caches and threads that stay are there by then.
const WARM_UP: u64 = 60;
/// Journal and allocator breathe; a leak of 16 kB a failure would pass this after a thousand.
const MEMORY_KB: u64 = 16 * 1024;

/// What a process holds.
#[derive(Debug)]
struct Held {
    memory_kb: u64,
    threads: usize,
    descriptors: usize,
}

fn server_process(home: &Home) -> PathBuf {
    let serves = |line: &String| line.contains("kinora") && line.contains(" serve ");
    let line = home.processes().into_iter().find(serves).expect("the server should run");
    PathBuf::from("/proc").join(line.split(' ').next().unwrap())
}

fn held(process: &PathBuf) -> Held {
    let status = fs::read_to_string(process.join("status")).unwrap();
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let count = |folder: &str| fs::read_dir(process.join(folder)).unwrap().count();
    Held {
        memory_kb: anonymous.trim().trim_end_matches(" kB").parse().unwrap(),
        threads: count("task"),
        descriptors: count("fd"),
    }
}

fn fail(failures: u64) {
    // A port that was free a moment ago: connections to it are refused.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let absent = format!("rtsp://127.0.0.1:{port}/camera");
    let server =
        Server::start(&format!("[supervision]\nretry_max = \"10ms\"\n{}", stream("absent", &absent, "")));
    let session = server.session("absent");
    let until = |wanted: u64| {
        wait_for("failed connections", Duration::from_secs(300), || {
            let session = server.get(&format!("/api/v1/sessions/{session}"));
            (session["lastSeq"].as_u64().expect("a number") >= wanted).then_some(())
        });
    };
    let process = server_process(&server.home);
    until(WARM_UP);
    let before = held(&process);
    until(WARM_UP + failures);
    let after = held(&process);
    println!("{failures} failed connections: {before:?} became {after:?}");
    assert!(after.threads <= before.threads + 4, "{before:?} became {after:?}");
    assert!(after.descriptors <= before.descriptors + 8, "{before:?} became {after:?}");
    assert!(after.memory_kb <= before.memory_kb + MEMORY_KB, "{before:?} became {after:?}");
    server.stop();
}

#[test]
fn connections_that_fail_leave_nothing_behind() {
    fail(FAILURES);
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_a_thousand_failed_connections_leave_nothing_behind() {
    fail(FAILURES_SOAK);
}
