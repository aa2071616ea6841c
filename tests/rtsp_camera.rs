//! A camera that streams look at: an RTSP server of GStreamer, and the clip that it shows.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::clips;
use crate::server_support::PYTHON;
use crate::support::{Running, ffmpeg, root, scratch_file, text};

/// Minutes of the short clip, repeated without encoding it again; a key frame every 0.8 s.
pub(crate) fn long_clip() -> &'static Path {
    static CLIP: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    CLIP.get_or_init(|| {
        let path = scratch_file("long.mp4");
        ffmpeg(&["-stream_loop", "400", "-i", text(clips::short()), "-an", "-c", "copy", text(&path)]);
        path
    })
}

/// The launch line of a camera that shows the H.264 of an MP4 file.
pub(crate) fn h264_of(clip: &Path) -> String {
    format!(
        "( filesrc location={} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )",
        text(clip)
    )
}

/// A camera: an RTSP server of GStreamer that shows the long clip, unless it is told otherwise.
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
        let arguments = ["--shared", "--auth", auth, "--port", &port.to_string(), "--password", password];
        Self::serving(&h264_of(long_clip()), &arguments)
    }

    /// A camera that shows what a launch line of GStreamer makes; with these arguments of `rtsp_server.py`.
    pub(crate) fn serving(launch: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(PYTHON);
        command.arg(root().join("tests/tools/rtsp_server.py")).arg(launch).args(arguments);
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
