//! The way of an event: from a looping file through the server to agents and into the database.

use std::time::Duration;

use crate::analyze::schema_errors;
use crate::server_support::{Server, gapless, looping, seq, stored};
use crate::support::wait_for;

#[test]
fn agents_receive_what_the_database_keeps_valid_and_without_a_gap() {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    let mut watch = server.watch("stream=dance");
    agent.until_more(60);
    watch.until_more(40);

    let (received, watched) = (agent.events(), watch.events());
    let (first, last) = gapless(&received);
    assert_eq!((first, &received[0]["sessionId"]), (1, &session.as_str().into()));
    let (_, watched_last) = gapless(&watched);
    assert_eq!(schema_errors(agent.file()), "");
    let kinds: Vec<_> = received.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "sessionStarted").count(), 1);
    assert!(kinds.iter().filter(|kind| **kind == "frameAnalyzed").count() > 50);

    let rows = server.home.rows_to(&session, last.max(watched_last));
    gapless(&rows);
    stored(&received, &rows);
    stored(&watched, &rows);

    let (home, _) = server.stop();
    let received = agent.until_end();
    let end = received.last().unwrap();
    assert_eq!(
        (&end["event"], &end["payload"]["reason"]),
        (&"sessionEnded".into(), &"stopped".into()),
        "an agent is told of the end"
    );
    gapless(&received);
    drop(watch);
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[test]
fn streams_and_sessions_are_shown_to_those_who_logged_in() {
    let server = Server::start(&looping("dance"));
    for path in ["/api/v1/streams", "/api/v1/sessions", "/ws/analysis"] {
        let (status, answer) = server.request("GET", path, "Sec-WebSocket-Protocol: json\r\n", "");
        assert_eq!(status, 401, "{path}: {answer}");
    }
    let form = "grant_type=password&username=admin&password=wrong";
    let (status, answer) = server.request("POST", "/login", "", form);
    assert_eq!((status, &answer["error"]), (400, &"invalid_grant".into()), "{answer}");

    let session = server.session("dance");
    let mut agent = server.agent("stream=dance");
    agent.until_more(10);
    let stream = server.until_state("dance", "running");
    assert_eq!((&stream["reason"], &stream["nextTryAt"]), (&"first_frame".into(), &serde_json::Value::Null));
    assert!(stream["frames"]["analyzed"].as_u64().unwrap() > 0, "{stream}");
    assert!(stream["latencyMs"]["extraction"]["p50"].as_f64().unwrap() > 0.0, "{stream}");
    let seen = seq(agent.events().last().unwrap());
    wait_for("the session's last number", Duration::from_secs(5), || {
        let shown = server.get(&format!("/api/v1/sessions/{session}"));
        assert_eq!((&shown["stream"], &shown["endedAt"]), (&"dance".into(), &serde_json::Value::Null));
        (shown["lastSeq"].as_u64().unwrap() >= seen).then_some(())
    });
}
