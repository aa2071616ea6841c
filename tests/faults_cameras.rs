//! Cameras that go away in every manner: told within three seconds, back within seven, one session, a new epoch.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::proxy::Proxy;
use crate::server_support::{Agent, Camera, Server, gapless, stream};
use crate::support::{balanced, frames, wait_for};

/// A loss is told within this time, and frames come within the other one after the return.
const TOLD: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_secs(7);

struct Watched {
    server: Server,
    agent: Agent,
    session: String,
}

impl Watched {
    fn start(address: &str) -> Self {
        let server = Server::start(&stream("camera", address, ""));
        let session = server.session("camera");
        let agent = server.agent(&format!("session={session}&after=0"));
        Self { server, agent, session }
    }

    fn epoch(&self) -> u64 {
        frames(&self.agent.events()).last().map_or(0, |frame| frame["epoch"].as_u64().unwrap())
    }

    fn until_told(&self) {
        wait_for("the loss being told", TOLD, || {
            let stream = self.server.stream("camera");
            ["stalled", "reconnecting"].iter().any(|state| stream["state"] == *state).then_some(())
        });
    }

    /// Waits for frames of an epoch after `before`.
    fn until_back(&self, before: u64) {
        let begun = Instant::now();
        wait_for("frames of a new epoch", BACK, || (self.epoch() > before).then_some(()));
        println!("frames again {:?} after the return", begun.elapsed());
    }

    fn assert_one_session(self) {
        let events = self.agent.events();
        gapless(&events);
        assert_eq!(self.server.session("camera"), self.session);
        let started = |event: &&Value| event["event"] == "sessionStarted";
        assert_eq!(events.iter().filter(started).count(), 1);
        for frame in frames(&events) {
            balanced(&frame["frames"]);
        }
    }
}

#[test]
fn a_camera_that_is_killed_in_mid_stream_is_told_and_seen_again_in_its_session() {
    let camera = Camera::start("none");
    let port = camera.port;
    let mut watched = Watched::start(&camera.address(""));
    watched.agent.until_more(10);
    drop(camera);
    watched.until_told();
    let before = watched.epoch();
    let _camera = Camera::start_on(port, "none");
    watched.until_back(before);
    watched.assert_one_session();
}

#[test]
fn a_camera_that_stops_in_the_middle_of_a_frame_and_then_says_nothing_is_seen_again() {
    let camera = Camera::start("none");
    let proxy = Proxy::before(&format!("127.0.0.1:{}", camera.port), []);
    let mut watched = Watched::start(&format!("rtsp://{}/camera", proxy.address));
    watched.agent.until_more(10);
    // Open connections stop in mid-frame; new ones are accepted and get no answer.
    proxy.mute(true);
    watched.until_told();
    let before = watched.epoch();
    watched.server.until_state("camera", "reconnecting");
    proxy.mute(false);
    watched.until_back(before);
    watched.assert_one_session();
}

#[test]
fn a_camera_that_is_not_there_at_the_start_is_seen_when_it_comes() {
    let camera = Camera::start("none");
    let port = camera.port;
    drop(camera);
    let watched = Watched::start(&format!("rtsp://127.0.0.1:{port}/camera"));
    watched.until_told();
    let _camera = Camera::start_on(port, "none");
    watched.until_back(0);
    watched.assert_one_session();
}
