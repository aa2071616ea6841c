//! Configuration: one table of keys drives reading, checking, documenting and writing it.
//!
//! Layers, later ones win: the defaults of [`keys`], `config.toml`, `config.<environment>.toml` beside it,
//! `KINORA__SECTION__KEY` in the environment, `--set section.key=value`. All errors of all layers are
//! reported at once, each naming its key, where it was set, and what is allowed. Only this module reads
//! configuration files and the environment. It builds nothing: [`Settings`] is plain data.

mod access;
mod keys;
mod layers;
mod oidc;
mod shipped;
mod value;
mod web;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use kinora_kernels::sample::Sampling;
use kinora_models::{DeviceChoice, Precision};
use sha2::{Digest, Sha256};

pub(crate) use access::{Access, AccessKeys};
pub(crate) use layers::Sources;
use layers::{Layers, Values};
pub(crate) use oidc::Oidc;
pub(crate) use shipped::shipped_file;
pub(crate) use value::Network;
pub(crate) use web::{Auth, Http, Mail};

/// The settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The `[server]` section.
    pub(crate) server: Server,
    /// The `[log]` section.
    pub(crate) log: Log,
    /// The `[database]`, `[journal]` and `[retention]` sections.
    pub(crate) storage: Storage,
    /// The `[models]` section.
    pub(crate) models: Models,
    /// The `[analysis]` section.
    pub(crate) analysis: Analysis,
    /// The `[decoder]` section.
    pub(crate) decoder: Decoder,
    /// The `[inference]` section.
    pub(crate) inference: Inference,
    /// The `[scale]` section.
    pub(crate) scale: Scale,
    /// The `[supervision]` section.
    pub(crate) supervision: Supervision,
    /// The `[cluster]` section.
    pub(crate) cluster: Cluster,
    /// The `[websocket]` section.
    pub(crate) websocket: WebSocket,
    /// The `[auth]` section.
    pub(crate) auth: Auth,
    /// The `[http]` section.
    pub(crate) http: Http,
    /// The `[mail]` section.
    pub(crate) mail: Mail,
    /// The `[[streams]]`.
    pub(crate) streams: Vec<Stream>,
    /// Identifies these settings: the start of the SHA-256 of all keys with their values.
    pub(crate) revision: String,
}

/// Where the server listens and keeps its files.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Address and port.
    pub(crate) listen: SocketAddr,
    /// Folder of database, journal and secrets.
    pub(crate) data_directory: PathBuf,
}

/// What is logged.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// The least important level.
    pub(crate) level: String,
    /// `auto`, `json` or `text`.
    pub(crate) format: String,
}

/// Where events are kept, and for how long.
#[derive(Clone)]
pub(crate) struct Storage {
    /// Address of a database server; `None`: the private one.
    pub(crate) database_url: Option<String>,
    /// Folder of PostgreSQL's programs; `None`: they are looked for.
    pub(crate) database_programs: Option<PathBuf>,
    /// Value of `PATH`, where they are looked for last.
    pub(crate) search_path: OsString,
    /// Connections that are kept.
    pub(crate) pool_size: usize,
    /// Connections beyond these.
    pub(crate) pool_overflow: usize,
    /// Bound of the journal.
    pub(crate) journal_max_bytes: u64,
    /// Age at which events are removed.
    pub(crate) retention_max_age: Duration,
    /// Size above which the oldest events are removed.
    pub(crate) retention_max_bytes: u64,
}

impl std::fmt::Debug for Storage {
    /// The address of the database may hold a password: it is never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("embedded", &self.database_url.is_none()).finish_non_exhaustive()
    }
}

/// Where models are.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    /// The folder of the weights.
    pub(crate) directory: PathBuf,
}

/// What is analysed.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    /// Whether a frame's region comes from the frame before it.
    pub(crate) tracking: bool,
    /// Analyse one frame of so many.
    pub(crate) every_nth: NonZeroU32,
    /// Analyse at most so many frames of a second.
    pub(crate) max_fps: Option<NonZeroU32>,
    /// How regions are scaled.
    pub(crate) sampling: Sampling,
}

/// How sources are read.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    /// The GPU whose decoder is tried.
    pub(crate) gpu: Option<u32>,
    /// Decoding threads; `None`: FFmpeg's choice.
    pub(crate) threads: Option<usize>,
    /// Frames of a file decoded ahead.
    pub(crate) frames_ahead: usize,
    /// Limit of opening a source.
    pub(crate) open_timeout: Duration,
    /// Limit of waiting for data.
    pub(crate) read_timeout: Duration,
}

/// Where networks run.
#[derive(Clone, Debug)]
pub(crate) struct Inference {
    /// What they run on.
    pub(crate) device: DeviceChoice,
    /// How long a request may wait for others on a GPU.
    pub(crate) batch_deadline: Duration,
    /// Lanes of the CPU; `None`: one a core.
    pub(crate) workers: Option<NonZeroU32>,
    /// How exact products are.
    pub(crate) precision: Precision,
}

/// When another server is needed.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// The program that is told.
    pub(crate) command: Option<String>,
    /// What the 99th percentile of a stream may be.
    pub(crate) latency_budget: Duration,
}

/// How streams are watched.
#[derive(Clone, Debug)]
pub(crate) struct Supervision {
    /// Silence after which a stream is stalled.
    pub(crate) stall_after: Duration,
    /// The longest wait before another try.
    pub(crate) retry_max: Duration,
}

/// Whether other servers use the same database.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Whether there may be others.
    pub(crate) several: bool,
    /// How long a lease lasts from its last renewal.
    pub(crate) lease: Duration,
}

/// Limits of the agents' connections.
#[derive(Clone, Debug)]
pub(crate) struct WebSocket {
    /// Connections of one user.
    pub(crate) max_per_user: usize,
    /// Connections of all users.
    pub(crate) max_total: usize,
    /// Events that may wait for an agent.
    pub(crate) queue_events: usize,
    /// From ping to ping.
    pub(crate) ping_every: Duration,
    /// How long an agent may read nothing while events wait for it.
    pub(crate) stall_after: Duration,
}

/// One configured stream.
#[derive(Clone)]
pub(crate) struct Stream {
    /// Its unique name.
    pub(crate) name: String,
    /// Its path or address, credentials included.
    pub(crate) source: String,
    /// How a camera is asked.
    pub(crate) access: Access,
    /// Whether it is started with the server.
    pub(crate) enabled: bool,
    /// Whether a file begins again at its end.
    pub(crate) repeat: bool,
    /// Whether drawn numbers are told.
    pub(crate) read_marks: bool,
    /// Which frames are analysed.
    pub(crate) analysis: Analysis,
}

impl std::fmt::Debug for Stream {
    /// The source may hold a password: it is never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Everything that is wrong with the configuration.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<String>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        write!(f, "{count} configuration error{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// Reads and checks all layers.
///
/// # Errors
/// All errors of all layers.
pub(crate) fn load(sources: &Sources) -> Result<Settings, ConfigErrors> {
    let Layers { values, streams, environment } = layers::read(sources)?;
    let (mut built, mut errors) = (Vec::new(), Vec::new());
    for result in streams.iter().map(stream) {
        match result {
            Ok(stream) => built.push(stream),
            Err(error) => errors.push(error),
        }
    }
    let auth = web::auth(&values, &environment, &mut errors);
    if values.text("cluster.servers") == "several" && values.text("database.url") == "embedded" {
        errors.push(
            "cluster.servers: several servers need a database.url that all of them reach; a private PostgreSQL is one server's"
                .to_owned(),
        );
    }
    if !errors.is_empty() {
        return Err(ConfigErrors(errors));
    }
    let revision = revision(&values.canonical());
    let count = |name: &str| values.count(name) as usize;
    Ok(Settings {
        server: Server {
            listen: values.listen("server.listen"),
            data_directory: data_directory(values.text("server.data_directory"), sources),
        },
        log: Log { level: values.text("log.level").into(), format: values.text("log.format").into() },
        storage: Storage {
            database_url: Some(values.text("database.url").to_owned()).filter(|url| url != "embedded"),
            database_programs: Some(values.text("database.programs"))
                .filter(|&folder| folder != "auto")
                .map(PathBuf::from),
            search_path: sources.variable("PATH").unwrap_or_default().to_owned(),
            pool_size: count("database.pool_size"),
            pool_overflow: count("database.pool_overflow"),
            journal_max_bytes: values.bytes("journal.max_bytes"),
            retention_max_age: values.duration("retention.max_age"),
            retention_max_bytes: values.bytes("retention.max_bytes"),
        },
        models: Models { directory: values.text("models.directory").into() },
        analysis: analysis(&values, "analysis."),
        decoder: Decoder {
            gpu: gpu_decoder(values.text("decoder.hardware"), values.text("inference.device")),
            threads: Some(count("decoder.threads")).filter(|&threads| threads > 0),
            frames_ahead: count("decoder.frames_ahead"),
            open_timeout: values.duration("decoder.open_timeout"),
            read_timeout: values.duration("decoder.read_timeout"),
        },
        inference: Inference {
            device: values
                .text("inference.device")
                .parse()
                .expect("the table of keys should allow devices only"),
            batch_deadline: values.duration("inference.batch_deadline"),
            workers: NonZeroU32::new(values.count("inference.workers")),
            precision: match values.text("inference.precision") {
                "f32" => Precision::F32,
                "bf16" => Precision::Bf16,
                _ => Precision::Auto,
            },
        },
        scale: Scale {
            command: Some(values.text("scale.command"))
                .filter(|&command| command != "none")
                .map(str::to_owned),
            latency_budget: values.duration("scale.latency_budget"),
        },
        supervision: Supervision {
            stall_after: values.duration("supervision.stall_after"),
            retry_max: values.duration("supervision.retry_max"),
        },
        cluster: Cluster {
            several: values.text("cluster.servers") == "several",
            lease: values.duration("cluster.lease"),
        },
        websocket: WebSocket {
            max_per_user: count("websocket.max_per_user"),
            max_total: count("websocket.max_total"),
            queue_events: count("websocket.queue_events"),
            ping_every: values.duration("websocket.ping_every"),
            stall_after: values.duration("websocket.stall_after"),
        },
        auth,
        http: web::http(&values),
        mail: web::mail(&values),
        streams: built,
        revision,
    })
}

/// The GPU whose decoder is tried: that of the networks.
fn gpu_decoder(hardware: &str, device: &str) -> Option<u32> {
    match (hardware, device.strip_prefix("cuda:")) {
        ("auto", Some(number)) => number.parse().ok(),
        ("auto", None) if device == "auto" => Some(0),
        _ => None,
    }
}

fn analysis(values: &Values, prefix: &str) -> Analysis {
    let name = |key: &str| format!("{prefix}{key}");
    Analysis {
        tracking: values.text(&name("tracking")) == "on",
        every_nth: NonZeroU32::new(values.count(&name("every_nth")))
            .expect("the table of keys should demand at least 1"),
        max_fps: NonZeroU32::new(values.count(&name("max_fps"))),
        sampling: match values.text(&name("sampling")) {
            "antialiased" => Sampling::Antialiased,
            _ => Sampling::MediaPipe,
        },
    }
}

fn stream(values: &Values) -> Result<Stream, String> {
    let access = Access::of_stream(values)?;
    Ok(Stream {
        name: values.text("name").into(),
        source: values.text("source").into(),
        access,
        enabled: values.switch("enabled"),
        repeat: values.switch("loop"),
        read_marks: values.switch("read_marks"),
        analysis: analysis(values, ""),
    })
}

/// `auto` is the system's folder for root and the user's own for others.
fn data_directory(configured: &str, sources: &Sources) -> PathBuf {
    if configured != "auto" {
        return configured.into();
    }
    // The owner of this process's entry is its effective user.
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if root {
        return "/var/lib/kinora".into();
    }
    match (sources.variable("XDG_DATA_HOME"), sources.variable("HOME")) {
        (Some(data), _) if !data.is_empty() => PathBuf::from(data).join("kinora"),
        (_, Some(home)) => PathBuf::from(home).join(".local/share/kinora"),
        _ => "kinora-data".into(),
    }
}

fn revision(canonical: &str) -> String {
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn with_overrides(overrides: &[&str]) -> Result<Settings, ConfigErrors> {
        in_environment("local", overrides)
    }

    pub(super) fn in_environment(name: &str, overrides: &[&str]) -> Result<Settings, ConfigErrors> {
        let overrides = overrides.iter().map(ToString::to_string).collect();
        load(&Sources {
            file: None,
            environment: vec![("KINORA_ENVIRONMENT".into(), name.into())],
            overrides,
        })
    }

    #[test]
    fn the_shipped_file_equals_the_defaults() {
        assert_eq!(
            shipped_file(),
            include_str!("../../config.toml"),
            "`kinora config defaults > config.toml` writes it"
        );
    }

    #[test]
    fn the_shipped_file_parses_to_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, shipped_file()).unwrap();
        let shipped =
            load(&Sources { file: Some(file), environment: Vec::new(), overrides: Vec::new() }).unwrap();
        assert_eq!(shipped.revision, with_overrides(&[]).unwrap().revision);
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[analysis]\nevery_nth = 2\nmax_fps = 20\n[decoder]\nthreads = 2\n").unwrap();
        std::fs::write(folder.path().join("config.staging.toml"), "[analysis]\nmax_fps = 30\n").unwrap();
        let sources = Sources {
            file: Some(file),
            environment: vec![
                ("KINORA_ENVIRONMENT".into(), "staging".into()),
                ("KINORA__DECODER__THREADS".into(), "3".into()),
            ],
            overrides: vec!["decoder.frames_ahead=7".into()],
        };
        let settings = load(&sources).unwrap();
        assert_eq!(settings.analysis.every_nth.get(), 2);
        assert_eq!(settings.analysis.max_fps.unwrap().get(), 30);
        assert_eq!(settings.decoder.threads, Some(3));
        assert_eq!(settings.decoder.frames_ahead, 7);
    }

    #[test]
    fn all_errors_are_told_at_once_and_each_names_its_key() {
        let errors = with_overrides(&[
            "decoder.threads=-1",
            "decoder.open_timeout=soon",
            "analysis.tracking=maybe",
            "analysis.evry_nth=1",
            "nonsense",
        ])
        .unwrap_err();
        assert_eq!(errors.0.len(), 5, "{errors}");
        let text = errors.to_string();
        for word in
            ["decoder.threads", "decoder.open_timeout", "analysis.tracking", "analysis.every_nth", "nonsense"]
        {
            assert!(text.contains(word), "{text}");
        }
    }

    fn with_file(text: &str) -> Result<Settings, ConfigErrors> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        load(&Sources { file: Some(file), environment: Vec::new(), overrides: Vec::new() })
    }

    #[test]
    fn streams_have_their_own_keys_and_defaults() {
        let settings = with_file("[[streams]]\nname = \"door\"\nsource = \"a.mp4\"\nloop = true\n").unwrap();
        let [stream] = &settings.streams[..] else { panic!("one stream should be read") };
        assert_eq!((stream.name.as_str(), stream.repeat, stream.enabled), ("door", true, true));
    }

    #[test]
    fn wrong_streams_are_told_with_their_place() {
        let door = "[[streams]]\nname = \"door\"\nsource = \"a.mp4\"\n";
        let errors =
            with_file(&format!("{door}{door}colour = 1\n[[streams]]\nname = \"a b\"\n")).unwrap_err();
        let text = errors.to_string();
        for words in
            ["streams[1].name", "already", "streams[1].colour", "streams[2].name", "streams[2].source"]
        {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert_eq!(errors.0.len(), 4, "{text}");
    }

    #[test]
    fn several_servers_need_a_database_that_all_reach() {
        let errors = with_overrides(&["cluster.servers=several"]).unwrap_err();
        assert!(
            errors.to_string().contains("cluster.servers: several servers need a database.url"),
            "{errors}"
        );
        let shared = ["cluster.servers=several", "database.url=postgres://kinora@db/kinora"];
        let settings = with_overrides(&shared).unwrap();
        assert_eq!((settings.cluster.several, settings.cluster.lease.as_secs()), (true, 6));
    }

    #[test]
    fn a_variable_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        let broken = std::ffi::OsString::from_vec(vec![0xFF]);
        let environment = vec![("KINORA__ANALYSIS__TRACKING".into(), broken)];
        let errors = load(&Sources { environment, ..Sources::default() }).unwrap_err();
        assert!(errors.to_string().contains("analysis.tracking") && errors.to_string().contains("UTF-8"));
    }

    #[test]
    fn the_revision_changes_with_a_value_and_only_then() {
        let default = with_overrides(&[]).unwrap().revision;
        assert_eq!(with_overrides(&["analysis.every_nth=1"]).unwrap().revision, default);
        assert_ne!(with_overrides(&["analysis.every_nth=2"]).unwrap().revision, default);
    }
}
