//! Live streams: cameras over RTSP and a sender over UDP, what they give, and what happens when they refuse or go.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::clips;
use crate::server_support::{Agent, Camera, Server, gapless, long_clip, stream};
use crate::support::{Running, balanced, frames, kinora, text, wait_for};
use crate::transport::{assert_same, by_mark};

/// How often a run over UDP is repeated when the kernel lost datagrams.
const ATTEMPTS: usize = 5;
/// As frames are analysed when they shall be the same however they came.
const COMPARABLE: &str = "tracking = \"off\"\nread_marks = true";

#[test]
fn cameras_and_a_transport_stream_give_the_results_of_the_file_side_by_side() {
    let run = kinora(&["analyze", text(clips::short()), "--read-marks", "--set", "analysis.tracking=off"]);
    let expected = by_mark(&run.events());
    let found = (0..ATTEMPTS).find_map(|_| side_by_side()).expect("one run in five should lose no datagram");
    for (name, results) in &found {
        assert!(results.len() >= 8, "{name}: {} frames were analysed", results.len());
        for (mark, poses) in results {
            assert_same(&format!("{name}, frame {mark}"), &expected[mark], poses);
        }
    }
}

/// Results by stream; `None` when the kernel lost something of the datagrams.
fn side_by_side() -> Option<BTreeMap<&'static str, BTreeMap<u64, Value>>> {
    let (basic, digest) = (Camera::start("basic"), Camera::start("digest"));
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let udp = format!("udp://127.0.0.1:{udp}");
    let server = Server::start(
        &[
            stream("basic", &basic.address("viewer:secret@"), COMPARABLE),
            stream("digest", &digest.address("viewer:secret@"), COMPARABLE),
            stream("udp", &udp, COMPARABLE),
        ]
        .concat(),
    );
    let _sender = send(&udp);
    let names = ["basic", "digest", "udp"];
    let mut agents: Vec<Agent> = names
        .iter()
        .map(|name| {
            server.until_state(name, "running");
            server.agent(&format!("session={}&after=0", server.session(name)))
        })
        .collect();
    for agent in &mut agents {
        agent.until_more(40);
    }
    let events: Vec<Vec<Value>> = agents.iter().map(Agent::events).collect();
    for events in &events {
        gapless(events);
        for frame in frames(events) {
            balanced(&frame["frames"]);
        }
    }
    // Units before the first key frame are not the kernel's doing: the receiver came in the middle of the clip.
    let datagrams = frames(&events[2]);
    let corrupt = |frame: &Value| frame["frames"]["dropped"]["corrupt"].as_u64().unwrap_or(0);
    let lost = corrupt(datagrams.last()?) - corrupt(datagrams.first()?);
    let results = names.into_iter().zip(events.iter().map(|events| by_mark(events)));
    (lost == 0).then(|| results.collect())
}

/// Sends the clip, paced as a camera is.
fn send(address: &str) -> Running {
    let sender = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-re", "-i", text(long_clip()), "-c", "copy", "-f", "mpegts"])
        .arg(format!("{address}?pkt_size=1316"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Running::of(sender)
}

#[test]
fn a_camera_that_refuses_or_is_not_there_is_told_by_state_and_reason() {
    let (basic, digest, open) = (Camera::start("basic"), Camera::start("digest"), Camera::start("none"));
    let absent = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(
        &[
            stream("basic", &basic.address("viewer:hunter2@"), ""),
            stream("digest", &digest.address("viewer:hunter2@"), ""),
            stream("nobody", &basic.address(""), ""),
            stream("path", &open.address("").replace("/camera", "/other"), ""),
            stream("absent", &format!("rtsp://127.0.0.1:{absent}/camera"), ""),
        ]
        .concat(),
    );
    let agent = server.agent("events=streamState");
    for (name, state, reason, words) in [
        ("basic", "auth_failed", "credentials_refused", "refused the user name or the password"),
        ("digest", "auth_failed", "credentials_refused", "refused the user name or the password"),
        ("nobody", "auth_failed", "credentials_refused", "and none is given"),
        ("path", "reconnecting", "source_not_found", "404"),
        ("absent", "reconnecting", "source_unavailable", "refused"),
    ] {
        let stream = server.until_state(name, state);
        assert_eq!(stream["reason"], reason, "{stream}");
        let message = stream["message"].as_str().unwrap();
        assert!(message.to_lowercase().contains(words), "{stream}");
        assert!(stream["nextTryAt"].is_string(), "the next try is told: {stream}");
        assert!(!stream.to_string().contains("hunter2"), "{stream}");
        let told = [("connecting", "started"), (state, reason)];
        wait_for("the changes in the log", Duration::from_secs(5), || {
            let changes = logged_changes(&server, name);
            let codes = changes.iter().map(|line| (code(line, "state"), code(line, "reason")));
            (codes.take(2).eq(told.map(|(state, reason)| (state.into(), reason.into())))).then_some(())
        });
        let change = &logged_changes(&server, name)[1];
        assert_eq!((&change["detail"], change["level"] != "info"), (&stream["message"], true), "{change}");
    }
    // Who subscribes is told of the next try of a camera that is tried again soon.
    wait_for("a change as an event", Duration::from_secs(30), || {
        let events = agent.events();
        let path = |event: &&Value| event["payload"]["reason"] == "source_not_found";
        let event = events.iter().find(path)?;
        assert!(event["payload"]["message"].as_str().unwrap().contains("404"), "{event}");
        assert_eq!(event["payload"]["stream"], "path");
        Some(())
    });
    assert!(!agent.lines().concat().contains("hunter2"));
    assert!(!server.home.log().iter().any(|line| line.to_string().contains("hunter2")));
}

/// What the log says of the stream's states, in order.
fn logged_changes(server: &Server, name: &str) -> Vec<Value> {
    let change = |line: &Value| line["message"] == "stream state changed" && line["stream"] == name;
    server.home.log().into_iter().filter(change).collect()
}

fn code(line: &Value, member: &str) -> String {
    line[member].as_str().unwrap().to_owned()
}

#[test]
fn a_camera_that_comes_back_goes_on_in_its_session_in_a_new_epoch() {
    let camera = Camera::start("none");
    let port = camera.port;
    let server = Server::start(&stream("camera", &camera.address(""), ""));
    server.until_state("camera", "running");
    let session = server.session("camera");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    agent.until_more(10);
    drop(camera);
    server.until_state("camera", "reconnecting");
    let before = last_epoch(&agent);
    let _camera = Camera::start_on(port, "none");
    server.until_state("camera", "running");
    wait_for("a frame of the next epoch", Duration::from_secs(30), || {
        (last_epoch(&agent) > before).then_some(())
    });
    assert_eq!(server.session("camera"), session);
    let events = agent.events();
    gapless(&events);
    let states: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "streamState")
        .map(|event| event["payload"]["state"].as_str().unwrap())
        .collect();
    assert_eq!((states.first(), states.last()), (Some(&"connecting"), Some(&"running")), "{states:?}");
    assert!(states.contains(&"reconnecting"), "{states:?}");
}

fn last_epoch(agent: &Agent) -> u64 {
    let events = agent.events();
    frames(&events).last().map_or(0, |frame| frame["epoch"].as_u64().unwrap())
}
