//! Cameras with credentials of their own, and clocks of their own: GStreamer's server, seen through `kinora serve`.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clips;
use crate::script::{Script, answer, good};
use crate::server_support::{Camera, Home, Server, stream};
use crate::support::{frames, kinora, scratch_file, text, wait_for};

/// Awkward in an address, on a command line and in a quoted string.
const PASSWORD: &str = r#"p@ss: w/ö"rd\%23#"#;

#[test]
fn credentials_apart_from_the_address_may_hold_any_character_and_digest_never_becomes_basic() {
    let (digest, basic) = (Camera::start_with("digest", PASSWORD), Camera::start_with("basic", PASSWORD));
    let home = Home::new("");
    let file = home.path("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let access =
        |auth: &str| format!("username = \"viewer\"\npassword_file = \"{}\"\nauth = \"{auth}\"", text(&file));
    let streams = [
        stream("digest", &digest.address(""), &access("digest")),
        stream("basic", &basic.address(""), &access("basic")),
        stream("guarded", &basic.address(""), &access("digest")),
    ];
    home.configure("127.0.0.1:0", &home.data(), &streams.concat());
    let server = Server::start_in(home);
    server.until_state("digest", "running");
    server.until_state("basic", "running");
    let guarded = server.until_state("guarded", "auth_failed");
    let message = guarded["message"].as_str().unwrap();
    assert!(message.contains("only Digest is allowed; it offers Basic"), "{message}");
    let (home, _) = server.stop();
    for entry in fs::read_dir(home.path("")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("log-") {
            assert!(!fs::read_to_string(entry.path()).unwrap().contains("p@ss"), "{name} shows the password");
        }
    }
}

#[test]
fn frames_of_a_camera_are_timed_by_its_own_clock_once_it_reports() {
    let camera = Camera::start("none");
    let server = Server::start(&stream("camera", &camera.address(""), ""));
    let agent = server.agent("stream=camera&events=frameAnalyzed");
    let event = wait_for("a frame by the camera's clock", Duration::from_secs(40), || {
        let events = agent.events();
        frames(&events).into_iter().find(|frame| frame["clock"]["source"] == "rtcp").cloned()
    });
    assert!(event["clock"]["uncertaintyMs"].as_u64().unwrap() <= 1_000, "{event}");
}

#[test]
fn a_camera_made_over_http_leads_into_no_forbidden_network() {
    let script = Script::start(|request| match &*request.method {
        "DESCRIBE" => answer(request, "302 Found", "Location: rtsp://169.254.169.254/latest\r\n", "").into(),
        _ => good(request).into(),
    });
    let server = Server::start("");
    let body = json!({"name": "led-astray", "source": script.address().to_string()});
    let (status, answer) = server.post("/api/v1/streams", &body);
    assert_eq!(status, 201, "{answer}");
    let stream = server.until_state("led-astray", "reconnecting");
    assert_eq!(stream["reason"], "source_forbidden", "{stream}");
    let message = stream["message"].as_str().unwrap();
    assert!(message.contains("169.254.169.254") && message.contains("forbids"), "{message}");
}

#[test]
fn a_camera_made_over_http_is_asked_by_digest_only_if_its_options_say_so() {
    let camera = Camera::start("basic");
    let server = Server::start("");
    for (auth, state) in [("digest", "auth_failed"), ("basic", "running")] {
        let source = camera.address("viewer:secret@");
        let body = json!({"name": auth, "source": source, "options": {"auth": auth}});
        let (status, answer) = server.post("/api/v1/streams", &body);
        assert_eq!((status, &answer["options"]["auth"]), (201, &json!(auth)), "{answer}");
        server.until_state(auth, state);
        let (tried, answer) = server.post("/api/v1/sources/test", &json!({"source": source, "auth": auth}));
        let expected = if state == "running" { 200 } else { 422 };
        assert_eq!(tried, expected, "{answer}");
    }
}

/// What of the password every form of it holds that a text can have.
const TELLTALE: &str = "p@ss: w/";

/// A stream of a camera whose user and password are sent apart from its source.
fn with_login(name: &str, source: &str, auth: &str, password: &str) -> Value {
    json!({"name": name, "source": source, "username": "viewer", "password": password, "options": {"auth": auth}})
}

#[test]
fn a_login_sent_apart_over_http_reaches_its_camera_and_is_shown_nowhere() {
    let camera = Camera::start_with("digest", PASSWORD);
    let server = Server::start("");
    server.remember(TELLTALE);
    for (password, status) in [(PASSWORD, 200), ("wrong", 422)] {
        let body = json!({"source": camera.address(""), "username": "viewer", "password": password});
        let (tried, answer) = server.post("/api/v1/sources/test", &body);
        assert_eq!(tried, status, "{answer}");
    }
    let agent = server.agent("stream=door");
    let (status, made) =
        server.post("/api/v1/streams", &with_login("door", &camera.address(""), "digest", PASSWORD));
    assert_eq!((status, &made["hasLogin"]), (201, &json!(true)), "{made}");
    let state = server.until_state("door", "running");
    wait_for("events of the stream", Duration::from_secs(20), || (agent.count() > 2).then_some(()));
    let settings = server.get("/api/v1/streams/door/settings");
    let (events, audit) = (Value::Array(agent.events()), server.get("/api/v1/audit"));
    for shown in [&made, &state, &settings, &events, &audit] {
        assert!(!shown.to_string().contains(TELLTALE) && !shown.to_string().contains("viewer:"), "{shown}");
    }
    server.assert_no_process_shows(TELLTALE);
    // It is kept: another start of the server needs nobody to type it again.
    let (home, _) = server.stop();
    Server::start_in(home).until_state("door", "running");
}

#[test]
fn a_kept_password_is_sent_neither_to_another_server_nor_in_basic() {
    let camera = Camera::start_with("digest", PASSWORD);
    let asks_for_basic = |request: &crate::script::Request| {
        answer(request, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "").into()
    };
    let spy = Script::start(asks_for_basic);
    let server = Server::start("");
    let made = server.post("/api/v1/streams", &with_login("door", &camera.address(""), "digest", PASSWORD));
    assert_eq!(made.0, 201, "{}", made.1);
    server.until_state("door", "running");
    let mut change =
        json!({"source": spy.address().to_string(), "enabled": true, "roles": [], "options": {}});
    let (status, refused) = server.put("/api/v1/streams/door/settings", &change);
    assert_eq!((status, &refused["code"]), (422, &json!("login_needed")), "{refused}");
    assert!(spy.requests().is_empty(), "{}", spy.transcript());
    // Given again it may go there, and with digest it is not said in Basic.
    for (key, value) in [("username", "viewer"), ("password", PASSWORD)] {
        change[key] = json!(value);
    }
    change["options"] = json!({"auth": "digest"});
    assert_eq!(server.put("/api/v1/streams/door/settings", &change).0, 200);
    let stream = server.until_state("door", "auth_failed");
    assert!(stream["message"].as_str().unwrap().contains("only Digest is allowed"), "{stream}");
    let sent = spy.transcript();
    assert!(sent.contains("RTSP/1.0"), "{sent}");
    for secret in [STANDARD.encode(format!("viewer:{PASSWORD}")), PASSWORD.to_owned(), "Basic".to_owned()] {
        assert!(!sent.contains(&secret), "{sent}");
    }
}

#[test]
fn keys_of_cameras_are_refused_for_other_sources() {
    let (file, password) = (scratch_file("keys-of-cameras.toml"), scratch_file("keys-of-cameras.password"));
    fs::write(&password, "secret").unwrap();
    let keys = [
        ("auth", "digest"),
        ("username", "viewer"),
        ("password_file", text(&password)),
        ("trust", "anybody"),
    ];
    for (key, value) in keys {
        let config = stream("clip", text(clips::short()), &format!("{key} = \"{value}\""));
        fs::write(&file, config).unwrap();
        let run = kinora(&["config", "check", "--config", text(&file)]);
        assert_eq!(run.code, 64, "{key}: {}", run.stdout);
        for words in [&format!("stream clip: {key}: only cameras"), "rtsp:// and rtsps://"] {
            assert!(run.stderr.contains(words), "{words} in {}", run.stderr);
        }
    }
}
