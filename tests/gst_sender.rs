//! A sender that is not ffmpeg: a GStreamer pipeline with a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::server_support::PYTHON;
use crate::support::{Running, root};

/// Sends until its clip ends or it is dropped.
pub(crate) struct GstSender {
    _process: Running,
}

impl GstSender {
    /// Plays a launch line; with these arguments of `gst_sender.py`. Comes back when it plays.
    pub(crate) fn start(launch: &str, arguments: &[String]) -> Self {
        let mut command = Command::new(PYTHON);
        command.arg(root().join("tests/tools/gst_sender.py")).arg(launch).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut process = Running::of(child);
        let mut line = String::new();
        BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "playing", "GStreamer should play; `make setup` installs it");
        Self { _process: process }
    }
}
