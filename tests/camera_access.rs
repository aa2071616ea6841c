//! Cameras with credentials of their own, and clocks of their own: GStreamer's server, seen through `kinora serve`.

use std::fs;
use std::time::Duration;

use serde_json::json;

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
    let stream = server.until_state("led-astray", "unsupported");
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
