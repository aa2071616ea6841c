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
mod settings;
mod shipped;
#[cfg(test)]
mod tests;
mod value;
mod web;

use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use kinora_kernels::sample::Sampling;
use kinora_models::Precision;
use sha2::{Digest, Sha256};

pub(crate) use access::{Access, AccessKeys};
pub(crate) use layers::Sources;
use layers::{Layers, Values};
pub(crate) use oidc::Oidc;
pub(crate) use settings::{
    Analysis, Cluster, Decoder, Inference, Log, Models, Scale, Server, Settings, Storage, Stream,
    Supervision, WebSocket,
};
pub(crate) use shipped::shipped_file;
pub(crate) use value::Network;
pub(crate) use web::Http;

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
    let Layers { values, streams, environment, files } = layers::read(sources)?;
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
            admission: values.text("scale.admission") == "on",
            leave_free: values.duration("scale.leave_free"),
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
        files,
        environment,
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
        roles: match values.text("roles") {
            "unchanged" => None,
            "everybody" => Some(Vec::new()),
            names => Some(names.split_whitespace().map(str::to_owned).collect()),
        },
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

impl Stream {
    /// Identifies the settings that results of this stream come from: those of the server, whose revision is given, and its
    /// own.
    pub(crate) fn revision(&self, server: &str) -> String {
        let Analysis { tracking, every_nth, max_fps, sampling } = &self.analysis;
        let max_fps = max_fps.map_or(0, NonZeroU32::get);
        let (repeat, marks) = (self.repeat, self.read_marks);
        revision(&format!(
            "{server}\nloop = {repeat}\nread_marks = {marks}\ntracking = {tracking}\nevery_nth = {every_nth}\n\
             max_fps = {max_fps}\nsampling = {sampling:?}\n"
        ))
    }
}

/// The start of the SHA-256 of a text.
fn revision(canonical: &str) -> String {
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
