//! What the store is opened with: plain data, filled from the configuration by the composition root.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Which database, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct StoreSettings {
    /// Which database.
    pub(crate) target: StoreTarget,
    /// Connections that are kept.
    pub(crate) pool_size: usize,
    /// Connections beyond these at a rush; closed when the rush is over.
    pub(crate) max_overflow: usize,
    /// Limit of opening a connection, and of waiting for a free one.
    pub(crate) connect_timeout: Duration,
    /// Limit of one statement, enforced by PostgreSQL.
    pub(crate) statement_timeout: Duration,
    /// Age at which a connection is replaced.
    pub(crate) recycle_after: Duration,
}

/// Which database.
#[derive(Clone)]
pub(crate) enum StoreTarget {
    /// A server, as `postgres://user:password@host/database` or `host=... dbname=...`.
    Url(String),
    /// The private cluster.
    Embedded(EmbeddedSettings),
}

/// The private cluster: where it is and where its programs are.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddedSettings {
    /// Kinora's database folder; the cluster, its log and its lock lie below it.
    pub(crate) directory: PathBuf,
    /// Folder of `initdb`, `postgres` and `pg_ctl`; `None`: look for them.
    pub(crate) bin_dir: Option<PathBuf>,
    /// Value of `PATH`, searched after the usual folders; empty: not searched.
    pub(crate) search_path: OsString,
    /// What to do when another Kinora runs the cluster.
    pub(crate) if_running: IfRunning,
    /// Limit of a start, recovery after a crash included.
    pub(crate) start_timeout: Duration,
    /// Limit of a clean stop; then the cluster is ended without one, which costs the next start a recovery.
    pub(crate) stop_timeout: Duration,
}

/// What to do when another Kinora runs the private cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfRunning {
    /// Refuse: two servers on one folder are a mistake.
    Refuse,
    /// Use it and leave its life to its owner: what administrative commands do.
    Join,
}

impl StoreSettings {
    /// The documented defaults for `target`: 5 connections and 10 more at a rush, recycled after 30 minutes.
    pub(crate) fn new(target: StoreTarget) -> Self {
        Self {
            target,
            pool_size: 5,
            max_overflow: 10,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            recycle_after: Duration::from_secs(1_800),
        }
    }
}

impl EmbeddedSettings {
    /// The documented defaults for a cluster in `directory`, refused when it runs already.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            bin_dir: None,
            search_path: OsString::new(),
            if_running: IfRunning::Refuse,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(5),
        }
    }
}
