//! Threads that hang for good: the third ends the process with code 70, and the next start resumes every stream.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::clips;
use crate::server_support::{Home, Server, looping, stream};
use crate::support::text;

/// Streams whose threads hang.
const HANGING: [&str; 3] = ["hangs-1", "hangs-2", "hangs-3"];
/// A terminal that nobody has opened the other end of: a read from it waits in the kernel, where no deadline and no
/// cancellation reaches it.
const SILENT_DEVICE: &str = "/dev/ptmx";

fn point(link: &PathBuf, target: &Path) {
    let _ = fs::remove_file(link);
    symlink(target, link).unwrap();
}

#[test]
fn the_third_thread_that_hangs_ends_the_process_with_70_and_the_next_start_resumes_every_stream() {
    let home = Home::new("");
    let links = HANGING.map(|name| home.path(&format!("{name}.mp4")));
    let mut streams = looping("well");
    for (name, link) in HANGING.iter().zip(&links) {
        point(link, Path::new(SILENT_DEVICE));
        streams += &stream(name, text(link), "loop = true");
    }
    home.configure("127.0.0.1:0", &home.data(), &streams);
    let server = Server::start_in(home);
    let session = server.session("well");
    let mut agent = server.agent(&format!("session={session}&after=0"));
    agent.until_more(5);
    for name in HANGING {
        server.until_state(name, "connecting");
        // A stream that hangs is noticed when its threads are told to end.
        assert_eq!(server.post(&format!("/api/v1/streams/{name}/restart"), &Value::Null).0, 202);
    }
    let (home, code) = server.until_end();
    assert_eq!(code, 70, "{:?}", home.log().last());
    let ended = agent.until_end();
    assert_eq!(ended.last().unwrap()["event"], "sessionEnded", "what could end ended in order");

    links.iter().for_each(|link| point(link, clips::short()));
    let server = Server::start_in(home);
    for name in HANGING.into_iter().chain(["well"]) {
        server.until_state(name, "running");
    }
    assert_ne!(server.session("well"), session);
    server.stop();
}
