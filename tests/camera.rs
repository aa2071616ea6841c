//! Cameras that servers of the tests look at.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::server_support::{PYTHON, long_clip};
use crate::support::{Running, root};

/// A camera: an RTSP server of GStreamer that shows the long clip.
pub(crate) struct Camera {
    _process: Running,
    pub(crate) port: u16,
}

impl Camera {
    /// A camera on a free port; user `viewer` has the password `secret`.
    pub(crate) fn start(auth: &str) -> Self {
        Self::run(0, auth, "secret")
    }

    /// A camera on this port.
    pub(crate) fn start_on(port: u16, auth: &str) -> Self {
        Self::run(port, auth, "secret")
    }

    /// A camera whose user `viewer` has this password.
    pub(crate) fn start_with(auth: &str, password: &str) -> Self {
        Self::run(0, auth, password)
    }

    fn run(port: u16, auth: &str, password: &str) -> Self {
        let mut command = Command::new(PYTHON);
        command.arg(root().join("tests/tools/rtsp_server.py")).arg(long_clip());
        command.args(["--auth", auth, "--port", &port.to_string(), "--password", password]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut process = Running::of(child);
        let mut line = String::new();
        let said = process.child().stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let port =
            line.trim().parse().expect("the RTSP server should tell its port; `make setup` installs it");
        Self { _process: process, port }
    }

    /// Its address with this user's part, such as `viewer:secret@`.
    pub(crate) fn address(&self, user: &str) -> String {
        format!("rtsp://{user}127.0.0.1:{}/camera", self.port)
    }
}
