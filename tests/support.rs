//! Running `kinora` and `ffmpeg`, and reading what they say.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a finished process left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The events on standard output; the process must have succeeded.
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The root of the repository, where weights and golden numbers are.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command of the binary under test, run from the root, without configuration from outside.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinora"));
    command.args(args).current_dir(root()).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KINORA_")) {
        command.env_remove(name);
    }
    command
}

/// Runs `kinora` to its end.
pub(crate) fn kinora(args: &[&str]) -> Run {
    Run::of(command(args).output().unwrap())
}

/// Starts `kinora` with its outputs piped; it ends with the guard.
pub(crate) fn spawn(args: &[&str]) -> Running {
    Running(Some(command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
}

/// A process that is ended when the test ends, however it ends.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn of(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Waits for the end and takes the outputs.
    pub(crate) fn wait(mut self) -> Run {
        Run::of(self.0.take().unwrap().wait_with_output().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs `ffmpeg` quietly; it must succeed.
pub(crate) fn ffmpeg(args: &[&str]) {
    let output = Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(args).output();
    let output = output.expect("ffmpeg should be installed; `make setup` does that");
    assert!(output.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What `ffprobe` counts when it decodes the video of `path`.
pub(crate) fn count_frames(path: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
        ])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    // A transport stream is told twice: in its program and by itself.
    let counts = String::from_utf8(output.stdout).unwrap();
    counts
        .split_whitespace()
        .next()
        .and_then(|count| count.trim_end_matches(',').parse().ok())
        .expect("a count")
}

/// A folder for this run of the tests, removed by the operating system's own means only.
pub(crate) fn scratch() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::Builder::new().prefix("kinora-tests-").tempdir().unwrap()).path()
}

/// A path in the scratch folder.
pub(crate) fn scratch_file(name: &str) -> PathBuf {
    scratch().join(name)
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The `frameAnalyzed` events among `events`.
pub(crate) fn frames(events: &[Value]) -> Vec<&Value> {
    events.iter().filter(|event| event["event"] == "frameAnalyzed").map(|event| &event["payload"]).collect()
}

/// The only event of this kind.
pub(crate) fn only<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<_> = events.iter().filter(|event| event["event"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind} should come once");
    found[0]
}

/// Waits until `condition` gives a value, or fails after `limit` saying `what`.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {limit:?}");
        // Gives the core away for a moment; the condition decides, not the time.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Asserts the balance of an account and gives (received, analyzed, dropped).
pub(crate) fn balanced(account: &Value) -> (u64, u64, u64) {
    let count = |name: &str| account[name].as_u64().unwrap();
    let dropped: u64 = account["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(count("received"), count("analyzed") + count("skipped") + dropped, "{account}");
    (count("received"), count("analyzed"), dropped)
}
