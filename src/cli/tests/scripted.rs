//! A server with a scripted model, in a process of its own: this test binary runs itself.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinora_actors::ports::{ModelOutput, NetworkId, PoseModel};
use serde_json::Value;

use crate::adapters::CandlePoseModel;
use crate::cli::model::{load_networks, provenance};
use crate::cli::serve::serve;
use crate::config::{Sources, load};

/// Names the configuration of a child; without it the child's part is not played.
const CHILD: &str = "KINORA_TEST_SERVER_CHILD";
/// Nothing here takes so long; what does never comes.
const LIMIT: Duration = Duration::from_secs(60);

/// The names of its two streams.
pub(super) const STREAMS: [&str; 2] = ["one", "two"];
/// Frames a second of each: the headline's.
const FPS: u32 = 100;

/// Answers every request with what the real networks said to the first one, so that events are as large as real ones.
/// Right for frames that are analysed by themselves only: a tracker would walk away with the same answer.
struct RememberingModel {
    networks: CandlePoseModel,
    /// By the network's number.
    said: HashMap<u8, Vec<Vec<f32>>>,
}

impl PoseModel for RememberingModel {
    fn infer(&mut self, network: NetworkId, input: &[f32]) -> Result<ModelOutput, String> {
        if !self.said.contains_key(&network.0) {
            self.said.insert(network.0, self.networks.infer(network, input)?.0);
        }
        Ok(ModelOutput(self.said[&network.0].clone()))
    }
}

/// Not a test by itself: serves until it is stopped or killed.
#[test]
fn child_that_serves_with_a_scripted_model() {
    let Some(file) = std::env::var_os(CHILD) else { return };
    let settings = load(&Sources { file: Some(file.into()), ..Sources::default() }).unwrap();
    let networks = load_networks(&settings).unwrap();
    let provenance = provenance(&networks, &settings);
    let model = Arc::new(move || {
        let networks = CandlePoseModel::new(networks.clone());
        Box::new(RememberingModel { networks, said: HashMap::new() }) as Box<dyn PoseModel>
    });
    serve(&settings, provenance, model).unwrap();
}

/// The folder of a server, which stays while servers come and go.
pub(super) struct Home {
    folder: tempfile::TempDir,
    starts: u32,
}

impl Home {
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("kinora-scripted-").tempdir().unwrap();
        // Root's PostgreSQL runs as another user, who has to come through.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let home = Self { folder, starts: 0 };
        render(&home.path("clip.mp4"));
        home
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Where the tests' own connections to the private PostgreSQL go.
    pub(super) fn database(&self) -> String {
        format!("host={} user=kinora dbname=kinora", self.data().join("pg/run").display())
    }

    /// The first process of the private PostgreSQL, while there is one.
    pub(super) fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("pg/data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok().filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    /// Writes the configuration of a server that listens there and has its PostgreSQL's programs in a folder.
    pub(super) fn configure(&self, listen: &str, programs: &Path) {
        let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/weights");
        let mut text = format!(
            "[server]\nlisten = \"{listen}\"\ndata_directory = {:?}\n[log]\nformat = \"json\"\n\
             [database]\nprograms = {programs:?}\n[models]\ndirectory = {weights:?}\n",
            self.data()
        );
        for name in STREAMS {
            let clip = self.path("clip.mp4");
            text.push_str(&format!(
                "[[streams]]\nname = \"{name}\"\nsource = {clip:?}\nloop = true\ntracking = \"off\"\n"
            ));
        }
        fs::write(self.path("config.toml"), text).unwrap();
    }

    /// The log of the newest server.
    fn log(&self) -> PathBuf {
        self.path(&format!("log-{}", self.starts))
    }

    /// Waits until the newest server has said this in its log.
    pub(super) fn until_logged(&self, message: &str) {
        wait_for(message, || {
            let said = fs::read_to_string(self.log()).unwrap();
            let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.any(|line| line["message"] == message).then_some(())
        });
    }

    /// Starts a server.
    pub(super) fn serve(&mut self) -> Server {
        self.starts += 1;
        let log = self.log();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cli::tests::scripted::child_that_serves_with_a_scripted_model", "--nocapture"])
            .env(CHILD, self.path("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Server { child, address: String::new() };
        server.address = wait_for("a server that listens", || {
            let said = fs::read_to_string(&log).unwrap();
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended: {said}");
            let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listening = lines.find(|line| line["message"] == "listening")?;
            Some(listening["address"].as_str().unwrap().to_owned())
        });
        server
    }
}

impl Drop for Home {
    /// Ends a PostgreSQL that lost its server. Servers are gone by now.
    fn drop(&mut self) {
        if let Some(pid) = self.postmaster() {
            signal("INT", pid);
            wait_for("the end of PostgreSQL", || self.postmaster().is_none().then_some(()));
        }
    }
}

/// A server that runs; it is killed when its guard goes.
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
}

impl Server {
    /// Asks it to end, which it does in order.
    pub(super) fn stop(mut self) {
        signal("TERM", self.child.id());
        let status = wait_for("the server's end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A second of the dancer.
fn render(path: &Path) {
    let (frames, out) = (FPS.to_string(), path.to_str().unwrap());
    let arguments =
        ["kinora", "dancer", "--size", "320x180", "--fps", &frames, "--frames", &frames, "--out", out];
    // How it ended shows in the file.
    let _ = crate::cli::run(arguments.into_iter().map(Into::into));
    assert!(path.exists());
}

/// Sends a signal to one process.
pub(super) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for something that comes soon.
pub(super) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come within {LIMIT:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
