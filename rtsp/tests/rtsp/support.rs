//! Clips made by ffmpeg, GStreamer's server as a camera, and what a client received from it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use kinora_rtsp::{AccessUnit, Address, AuthPolicy, CancelToken, Client, Credentials, Error, Options};

/// The interpreter that Debian's packages for Python belong to.
const PYTHON: &str = "/usr/bin/python3";
/// Frames of each clip: three seconds.
pub(super) const FRAMES: usize = 90;

/// Files that all tests read; they go with the process.
pub(super) fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::Builder::new().prefix("kinora-rtsp-").tempdir().unwrap()).path()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A clip of [`FRAMES`] frames at 30 a second, encoded as `codec` says.
pub(super) fn clip(name: &str, codec: &str) -> PathBuf {
    let path = folder().join(name);
    let rest = format!("-f lavfi -i testsrc2=size=320x180:rate=30 -frames:v {FRAMES} {codec}");
    let mut arguments = vec!["-nostdin", "-v", "error", "-y"];
    arguments.extend(rest.split_whitespace());
    arguments.push(path.to_str().unwrap());
    run("ffmpeg", &arguments);
    path
}

/// The clip that most tests play: H.264 with B frames and a key frame each second.
pub(super) fn h264() -> &'static Path {
    static CLIP: OnceLock<PathBuf> = OnceLock::new();
    CLIP.get_or_init(|| {
        clip("h264.mp4", "-c:v libx264 -preset veryfast -bf 2 -g 30 -threads 1 -pix_fmt yuv420p")
    })
}

/// A certificate that nobody but itself vouches for, with its key, as cameras make them; and the certificate alone.
pub(super) fn certificate(name: &str) -> (PathBuf, PathBuf) {
    let (both, key, certificate) = (
        folder().join(format!("{name}.pem")),
        folder().join(format!("{name}.key")),
        folder().join(format!("{name}.crt")),
    );
    let subject = format!("/CN={name}");
    let files = ["-keyout", key.to_str().unwrap(), "-out", certificate.to_str().unwrap()];
    let arguments = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject];
    run("openssl", &[&arguments[..], &files].concat());
    let text = [&certificate, &key].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(&both, text).unwrap();
    (both, certificate)
}

/// How GStreamer serves a clip: `payloader` names what packs it.
pub(super) fn launch(clip: &Path, elements: &str) -> String {
    format!("( filesrc location={} ! {elements} name=pay0 pt=96 )", clip.display())
}

pub(super) const PLAIN: &str = "qtdemux ! h264parse config-interval=-1 ! rtph264pay";

/// GStreamer's RTSP server; ends with this value.
pub(super) struct Camera {
    process: Child,
    port: u16,
}

impl Camera {
    pub(super) fn start(launch: &str, options: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tools/rtsp_server.py");
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(launch).args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(port) = line.trim().parse() else {
            let mut said = String::new();
            process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the server says {line:?}: {said}");
        };
        Self { process, port }
    }

    pub(super) fn address(&self) -> Address {
        Address::parse(&format!("rtsp://127.0.0.1:{}/camera", self.port)).unwrap()
    }

    pub(super) fn text(&self, scheme: &str, user: &str, path: &str) -> String {
        format!("{scheme}://{user}127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Options with credentials and generous limits: two cores build and test at the same time.
pub(super) fn options(auth: AuthPolicy, user: Option<(&str, &str)>) -> Options {
    Options {
        credentials: user.map(|(name, password)| Credentials::new(name, password)),
        auth,
        request_timeout: Duration::from_secs(20),
        silence_timeout: Duration::from_secs(20),
        ..Options::default()
    }
}

pub(super) fn open(address: &Address, options: &Options) -> Result<Client, Error> {
    Client::open(address, options, &CancelToken::default())
}

/// The next `count` units.
pub(super) fn units(client: &mut Client, count: usize) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    while units.len() < count {
        match client.next() {
            Ok(Some(unit)) => units.push(unit),
            other => panic!("after {} units: {other:?}", units.len()),
        }
    }
    units
}

pub(super) fn error(result: Result<Client, Error>) -> Error {
    result.err().expect("the address should not open")
}
