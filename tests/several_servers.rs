//! Two servers on one database: each stream runs on one of them, and every agent of either receives all events.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::raw_socket::{RawSocket, subscription};
use crate::server_support::{Agent, Home, PYTHON, Server, gapless, looping, seq, stored};
use crate::support::{root, text, wait_for};

const STREAMS: [&str; 2] = ["one", "two"];
/// A lease that is short, and long enough for a machine that has much else to do.
const LEASE: &str = "3s";
/// Within this time the streams of a server that is lost run elsewhere.
const TAKEN_OVER: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(60);

/// A PostgreSQL without a server of its own: that was killed, and left it running.
fn database() -> Home {
    Server::start("").kill()
}

/// A home for a server of this database, with the secrets that servers of one database share.
fn member(database: &Home) -> Home {
    let home = Home::new("");
    fs::create_dir_all(home.data()).unwrap();
    for secret in ["token-key", "stream-key", "first-admin"] {
        fs::copy(database.data().join(secret), home.data().join(secret)).unwrap();
    }
    let url = format!("host={} user=kinora dbname=kinora", database.data().join("pg/run").display());
    let shared = format!(
        "[database]\nurl = \"{url}\"\n[cluster]\nservers = \"several\"\nlease = \"{LEASE}\"\n{}",
        STREAMS.map(looping).concat()
    );
    home.configure("127.0.0.1:0", &home.data(), &shared);
    home
}

/// An agent that resumes one session, however often it is refused or cut.
fn resuming(server: &Server, session: &str) -> Agent {
    let token = server.home.path("agents-token");
    fs::write(&token, server.token()).unwrap();
    let mut command = Command::new(PYTHON);
    command.arg(root().join("tests/tools/resuming_agent.py"));
    command.args([&format!("ws://{}/ws/analysis", server.address), session, text(&token)]);
    Agent::spawn(command, &server.home)
}

/// The events of one session among those that an agent of everything received.
fn of_session(events: &[Value], session: &str) -> Vec<Value> {
    events.iter().filter(|event| event["sessionId"] == session).cloned().collect()
}

/// The session that a stream runs in after these.
fn next_session(server: &Server, stream: &str, before: &[String]) -> String {
    wait_for("another session", TAKEN_OVER, || {
        let shown = server.stream(stream);
        let session = shown["sessionId"].as_str().filter(|session| !before.iter().any(|old| old == session));
        session.filter(|_| shown["state"] == "running").map(str::to_owned)
    })
}

/// All rows of a session that has ended.
fn ended_rows(database: &Home, session: &str) -> Vec<Value> {
    wait_for("the old session's end", LIMIT, || {
        let rows = database.rows(session);
        (rows.last()?["event"] == "sessionEnded").then_some(rows)
    })
}

/// Asserts that no number of a session was used twice, and that the frames of a stream's sessions do not overlap.
fn assert_one_at_a_time(database: &Home) {
    let twice = "select session_id, seq from analysis_results group by 1, 2 having count(*) > 1";
    assert_eq!(database.try_query(twice).unwrap(), Vec::<String>::new());
    let overlaps = "with spans as (
            select s.stream, s.id, min(r.recorded_at) as first, max(r.recorded_at) as last
            from sessions s join analysis_results r on r.session_id = s.id and r.event = 'frameAnalyzed'
            group by 1, 2)
        select a.stream, a.id, b.id from spans a join spans b on a.stream = b.stream and a.id < b.id
            and a.first <= b.last and b.first <= a.last";
    assert_eq!(database.try_query(overlaps).unwrap(), Vec::<String>::new());
    let fences = "select stream, array_agg((provenance #>> '{lease,fence}')::int order by started_at)
        from sessions group by 1 having array_agg((provenance #>> '{lease,fence}')::int order by started_at)
            <> array_agg((provenance #>> '{lease,fence}')::int order by (provenance #>> '{lease,fence}')::int)";
    assert_eq!(database.try_query(fences).unwrap(), Vec::<String>::new(), "fences rise");
}

#[test]
fn a_killed_servers_streams_run_on_the_other_and_no_agent_that_resumes_misses_an_event() {
    let database = database();
    let first = Server::start_in(member(&database));
    let old = STREAMS.map(|name| first.session(name));
    let second = Server::start_in(member(&database));
    for (name, session) in STREAMS.iter().zip(&old) {
        assert_eq!(
            second.until_state(name, "running")["sessionId"],
            **session,
            "each server shows all streams"
        );
    }
    let mut live = second.agent("");
    live.until_more(20);
    let mut before = first.agent(&format!("session={}&after=0", old[0]));
    before.until_more(20);

    let killed = Instant::now();
    let home = first.kill();
    let seen = before.until_end();
    let resuming = resuming(&second, &old[0]);
    let new = STREAMS.map(|name| next_session(&second, name, &old));
    assert!(killed.elapsed() < TAKEN_OVER, "it took {:?}", killed.elapsed());
    println!("taken over after {:?} with a lease of {LEASE}", killed.elapsed());
    let beyond = format!("session={}&after={}", old[0], gapless(&seen).1 + 1_000_000);
    let refused = RawSocket::ask(&second.address, &beyond, &subscription(second.token())).err().unwrap();
    assert_eq!((refused.status, &refused.problem["code"]), (409, &json!("seq_ahead")));

    // What the killed server had journalled and not stored comes in when it is back.
    let first = Server::start_in(home);
    let rows = ended_rows(&database, &old[0]);
    gapless(&rows);
    stored(&seen, &rows);
    let last = seq(rows.last().unwrap());
    wait_for("the old session's end at the other server", LIMIT, || {
        let [resumed, live] = [resuming.events(), of_session(&live.events(), &old[0])];
        [resumed, live]
            .iter()
            .all(|events| events.last().is_some_and(|event| seq(event) == last))
            .then_some(())
    });
    assert_eq!((resuming.events().len(), gapless(&resuming.events())), (rows.len(), (1, last)));
    stored(&resuming.events(), &rows);
    let live_events = live.events();
    stored(&of_session(&live_events, &old[0]), &rows);
    for session in old.iter().chain(&new) {
        gapless(&of_session(&live_events, session));
    }
    assert_eq!(gapless(&of_session(&live_events, &new[0])).0, 1, "a session is told from its beginning");
    assert_one_at_a_time(&database);

    // An order to the server that does not run the stream reaches the one that does.
    assert_eq!(first.post("/api/v1/streams/one/stop", &Value::Null).0, 202);
    second.until_state("one", "stopped");
    // A server that ends in order hands its streams over at once.
    second.stop();
    next_session(&first, "two", &new);
    assert_one_at_a_time(&database);
    assert_eq!(first.stream("one")["sessionId"], Value::Null, "what was stopped stays so");
    first.stop();
}
