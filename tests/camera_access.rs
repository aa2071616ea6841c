//! Cameras with credentials of their own, and clocks of their own: GStreamer's server, seen through `kinora serve`.

use std::fs;
use std::time::Duration;

use crate::server_support::{Camera, Home, Server, stream};
use crate::support::{frames, text, wait_for};

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
