//! Keys, users and streams as operators and agents use them: the command line beside a running server, and HTTP.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clips;
use crate::server_support::{Server, looping};
use crate::support::{command, kinora, scratch_file, text, wait_for};

/// Runs a command on the server's configuration; gives what it says.
fn administer(server: &Server, args: &[&str]) -> String {
    let config = server.home.path("config.toml");
    let output = command(&[args, &["--config", text(&config)]].concat()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_key_opens_the_events_until_it_is_revoked() {
    let server = Server::start(&looping("dance"));
    let key = administer(&server, &["key", "create", "lobby", "--user", "admin", "--stream", "dance"]);
    let key = key.trim();
    let listed = administer(&server, &["key", "list"]);
    let id = listed.split('\t').next().unwrap();
    assert!(key.starts_with(&format!("kin_{id}_")), "{listed}");
    assert!(!listed.contains(key.rsplit('_').next().unwrap()), "the secret is told once");

    let bearer = format!("Authorization: Bearer {key}\r\n");
    assert_eq!(server.request("GET", "/api/v1/streams/dance", &bearer, "").0, 200);
    assert_eq!(server.request("GET", "/api/v1/users", &bearer, "").0, 403);
    let mut agent = server.agent_with(key, "stream=dance");
    agent.until_more(20);
    let begin = Instant::now();
    administer(&server, &["key", "revoke", id]);
    agent.until_end();
    assert!(begin.elapsed() < Duration::from_secs(5), "it was cut after {:?}", begin.elapsed());
    assert_eq!(server.request("GET", "/api/v1/streams", &bearer, "").0, 401);
}

#[test]
fn a_password_that_is_too_short_or_too_long_is_refused_before_anything_is_opened() {
    let (file, data) = (scratch_file("new-password"), scratch_file("no-data-here"));
    let set = format!("server.data_directory={}", text(&data));
    let long = "x".repeat(73);
    for (password, told) in
        [("x", "at least 8 characters"), ("seven 7", "at least 8 characters"), (&long, "at most 72 bytes")]
    {
        fs::write(&file, format!("{password}\n")).unwrap();
        for action in ["create", "password"] {
            let run = kinora(&["user", action, "ada", "--password-file", text(&file), "--set", &set]);
            assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{action}: {}", run.stderr);
            assert!(run.stderr.contains(told), "{action}: {}", run.stderr);
        }
    }
    assert!(!data.exists(), "no database was made");
}

#[test]
fn a_stream_is_made_over_http_changed_alone_and_comes_back_after_a_restart() {
    let server = Server::start(&looping("dance"));
    let clip = clips::short();
    let folder = text(clip.parent().unwrap()).to_owned();
    let refused = server.post("/api/v1/streams", &json!({"name": "second", "source": text(clip)}));
    assert_eq!((refused.0, &refused.1["code"]), (422, &"source_forbidden".into()), "{}", refused.1);

    let (home, _) = server.stop();
    let config = home.path("config.toml");
    let old = fs::read_to_string(&config).unwrap();
    let rule = format!("[http]\nsource_folders = \"{folder}\"\n");
    fs::write(&config, old.replacen("[http]\n", &rule, 1)).unwrap();
    let server = Server::start_in(home);
    let first = server.session("dance");
    let body = json!({"name": "second", "source": text(clip), "options": {"loop": true}});
    let (status, made) = server.post("/api/v1/streams", &body);
    assert_eq!((status, &made["revision"]), (201, &1.into()), "{made}");
    let session = server.session("second");
    let (status, _) = server.post("/api/v1/streams/second/restart", &Value::Null);
    assert_eq!(status, 202);
    wait_for("another session", Duration::from_secs(30), || {
        (server.session("second") != session).then_some(())
    });
    assert_eq!(server.session("dance"), first, "the other stream did not notice");

    let (home, _) = server.stop();
    let server = Server::start_in(home);
    server.until_state("second", "running");
    let facts = server.post("/api/v1/sources/test", &json!({"source": text(clip)}));
    assert_eq!((facts.0, &facts.1["codec"]), (200, &"h264".into()), "{}", facts.1);
}
