//! The settings in force: plain data that nothing here builds from.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use kinora_kernels::sample::Sampling;
use kinora_models::{DeviceChoice, Precision};

use super::access::Access;
use super::web::{Auth, Http, Mail};

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
    /// Identifies the settings of the server: the start of the SHA-256 of all keys with their values.
    pub(crate) revision: String,
    /// The files that were read, each over those before it.
    pub(crate) files: Vec<PathBuf>,
    /// `local`, `staging` or `production`.
    pub(crate) environment: String,
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
    /// Whether streams are refused that would make others pass it.
    pub(crate) admission: bool,
    /// How long a full server leaves free streams to others.
    pub(crate) leave_free: Duration,
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
    /// The roles that it is limited to, none for everybody; `None`: those that it was limited to before.
    pub(crate) roles: Option<Vec<String>>,
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
