//! Steers streams for operators: checks their sources, and tells the registry.
//!
//! Over HTTP a source is less trusted than in config.toml: a file has to lie in a folder that the configuration
//! names, and no address may be in a network that it forbids, whatever name stands for it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use actix::Addr;
use kinora_actors::ports::{CancelToken, SourceErrorKind};
use kinora_actors::registry::{AddStream, Command, Order, StreamRegistry};
use kinora_media::Scheme;
use slog::{Logger, warn};

use super::streams::{self, Shared};
use crate::accounts::Sealer;
use crate::adapters::SourceAddress;
use crate::config::{Access, Analysis, Decoder, Http, Network, Settings, Stream};
use crate::http::ports::{
    Answer, SourceFacts, SourceRefusal, StreamControl, StreamOptions, StreamOrder, StreamPlan, Unavailable,
};
use crate::store::{Store, StoreError};

/// Limits of trying a source: shorter than those of a stream, since somebody waits.
const TRY_TIMEOUT: Duration = Duration::from_secs(8);

/// The port's adapter. It answers from the moment that the streams run.
pub(super) struct Control {
    folders: Vec<PathBuf>,
    forbidden: Vec<Network>,
    running: OnceLock<(Addr<StreamRegistry>, Shared)>,
}

const FORBIDDEN: SourceRefusal = SourceRefusal {
    code: "source_forbidden",
    detail: "The configuration does not allow this file or address as a source.",
};
const NOT_AN_ADDRESS: SourceRefusal = SourceRefusal {
    code: "source_invalid",
    detail: "The source is no address; rtsp://, rtsps://, udp://, tcp://, srt://, http://, https://, file: and device: are.",
};

impl Control {
    /// Not running yet.
    pub(super) fn new(rules: &Http) -> Self {
        // A folder that is not there allows nothing.
        let folders = rules.source_folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
        Self { folders, forbidden: rules.forbidden_networks.clone(), running: OnceLock::new() }
    }

    /// From now on it steers.
    pub(super) fn begin(&self, registry: Addr<StreamRegistry>, shared: Shared) {
        // It is begun once, by the server's start.
        let _ = self.running.set((registry, shared));
    }

    fn running(&self) -> Result<&(Addr<StreamRegistry>, Shared), Unavailable> {
        self.running.get().ok_or_else(|| Unavailable("the streams are not started yet".to_owned()))
    }

    async fn allowed(&self, source: &str) -> Result<SourceAddress, SourceRefusal> {
        let address = SourceAddress::parse(source).map_err(|_| NOT_AN_ADDRESS)?;
        let good = match &address {
            SourceAddress::Rtsp(camera) => self.allows_host(camera.host()).await,
            SourceAddress::Media(media) => match media.scheme() {
                Scheme::File => media.path().is_some_and(|path| self.allows_file(path)),
                Scheme::Device | Scheme::Synthetic => true,
                _ => match host(source) {
                    Some(host) => self.allows_host(host).await,
                    None => false,
                },
            },
        };
        if good { Ok(address) } else { Err(FORBIDDEN) }
    }

    /// Links and `..` are followed first: what counts is where the file really is.
    fn allows_file(&self, path: &str) -> bool {
        let real = Path::new(path).canonicalize();
        real.is_ok_and(|real| self.folders.iter().any(|folder| real.starts_with(folder)))
    }

    /// Names are looked up, and so are numbers in odd forms. A name that is not known now may be used: cameras
    /// come and go.
    async fn allows_host(&self, host: &str) -> bool {
        let found = tokio::net::lookup_host((host, 0)).await;
        let addresses: Vec<IpAddr> = found.map(|all| all.map(|one| one.ip()).collect()).unwrap_or_default();
        let forbidden = |address: &IpAddr| self.forbidden.iter().any(|network| network.contains(*address));
        !addresses.iter().any(forbidden)
    }
}

/// The host of an address, without user, password and port.
fn host(source: &str) -> Option<&str> {
    let (_, rest) = source.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    if let Some(version_6) = host.strip_prefix('[') {
        return version_6.split(']').next();
    }
    host.split(':').next()
}

impl StreamControl for Control {
    fn check<'a>(&'a self, source: &'a str) -> Answer<'a, Result<String, SourceRefusal>> {
        Box::pin(async move { Ok(self.allowed(source).await.map(|address| address.to_string())) })
    }

    fn test<'a>(&'a self, source: &'a str) -> Answer<'a, Result<SourceFacts, SourceRefusal>> {
        Box::pin(async move {
            let address = match self.allowed(source).await {
                Ok(address) => address,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let access = Access::outside(&self.forbidden);
            let tried = tokio::task::spawn_blocking(move || open_once(&address, &access)).await;
            tried.map_err(|error| Unavailable(error.to_string()))
        })
    }

    fn put(&self, plan: StreamPlan) -> Answer<'_, ()> {
        Box::pin(async move {
            let (registry, shared) = self.running()?;
            let stream = stream_of(&plan.name, plan.source, plan.options, plan.enabled, &shared.settings);
            let parts = streams::parts(&stream, shared).map_err(|error| Unavailable(error.to_string()))?;
            let added = registry.send(AddStream { parts, enabled: plan.enabled }).await;
            added.map_err(|error| Unavailable(error.to_string()))
        })
    }

    fn order<'a>(&'a self, name: &'a str, order: StreamOrder) -> Answer<'a, bool> {
        Box::pin(async move {
            let order = match order {
                StreamOrder::Start => Order::Start,
                StreamOrder::Stop => Order::Stop,
                StreamOrder::Restart => Order::Restart,
                StreamOrder::Remove => Order::Remove,
            };
            let (registry, _) = self.running()?;
            let answered = registry.send(Command { name: name.into(), order }).await;
            answered.map(|known| known.is_ok()).map_err(|error| Unavailable(error.to_string()))
        })
    }
}

/// Opens a source and lets it go. Blocks.
fn open_once(address: &SourceAddress, access: &Access) -> Result<SourceFacts, SourceRefusal> {
    let source = address.to_string();
    let limits =
        Decoder { threads: Some(1), frames_ahead: 1, open_timeout: TRY_TIMEOUT, read_timeout: TRY_TIMEOUT };
    let mut factory = address.source(access, &limits);
    let opened = factory.open(&CancelToken::default()).map_err(|error| match error.kind {
        SourceErrorKind::Unauthorized => {
            SourceRefusal { code: "source_unauthorized", detail: "The source refuses user or password." }
        }
        SourceErrorKind::Unsupported => SourceRefusal {
            code: "source_unsupported",
            detail: "The source is there and has no video that can be decoded.",
        },
        SourceErrorKind::NotFound => {
            SourceRefusal { code: "source_not_found", detail: "The server is there and has no such stream." }
        }
        _ => SourceRefusal { code: "source_unreachable", detail: "The source cannot be reached or read." },
    })?;
    let facts = opened.description;
    Ok(SourceFacts {
        source,
        codec: facts.codec,
        width: facts.size.width,
        height: facts.size.height,
        frame_rate: facts.frame_rate.map(|(num, den)| f64::from(num) / f64::from(den.max(1))),
        live: facts.live,
    })
}

/// What starts the streams that operators made, as they left them.
pub(super) async fn stored_streams(
    shared: &Shared,
    store: &Store,
    sealer: &Sealer,
    log: &Logger,
) -> Result<Vec<AddStream>, StoreError> {
    let mut streams = Vec::new();
    for row in store.managed_streams().await? {
        let Some(sealed) = row.sealed_source.as_deref().filter(|_| !row.managed_by_config) else { continue };
        let options: Option<StreamOptions> = serde_json::from_str(&row.settings).ok();
        let source = sealer.open(&row.name, sealed);
        let (Ok(source), Some(options)) = (source, options) else {
            warn!(log, "a stored stream cannot be read and is left out"; "stream" => &row.name);
            continue;
        };
        let enabled = row.enabled && row.wanted;
        match streams::parts(&stream_of(&row.name, source, options, enabled, &shared.settings), shared) {
            Ok(parts) => streams.push(AddStream { parts, enabled }),
            Err(error) => {
                warn!(log, "a stored stream is left out"; "stream" => &row.name, "error" => %error);
            }
        }
    }
    Ok(streams)
}

/// A stream as config.toml would have it; what cannot be said over HTTP is as usual.
fn stream_of(name: &str, source: String, options: StreamOptions, enabled: bool, usual: &Settings) -> Stream {
    Stream {
        name: name.to_owned(),
        source,
        access: Access::outside(&usual.http.forbidden_networks),
        enabled,
        repeat: options.r#loop,
        read_marks: options.read_marks,
        analysis: Analysis {
            tracking: options.tracking,
            every_nth: std::num::NonZero::new(options.every_nth).unwrap_or(std::num::NonZero::<u32>::MIN),
            max_fps: std::num::NonZero::new(options.max_fps),
            ..usual.analysis.clone()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(folders: &[&Path]) -> Control {
        Control {
            folders: folders.iter().map(|folder| folder.canonicalize().unwrap()).collect(),
            forbidden: vec![
                Network::parse("169.254.0.0/16").unwrap(),
                Network::parse("127.0.0.0/8").unwrap(),
            ],
            running: OnceLock::new(),
        }
    }

    #[actix_web::test]
    async fn sources_outside_the_rules_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("outside.mp4"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("a.mp4"), "").unwrap();
        std::fs::write(&outside, "").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link.mp4")).unwrap();
        let control = control(&[&inside]);
        let path = |name: &str| inside.join(name).display().to_string();
        assert!(control.allowed(&path("a.mp4")).await.is_ok());
        assert!(control.allowed("rtsp://user:secret@192.0.2.7/1").await.is_ok());
        for forbidden in [
            path("../outside.mp4"),
            path("link.mp4"),
            path("missing.mp4"),
            "file:/etc/passwd".to_owned(),
            "/etc/passwd".to_owned(),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "http://2852039166/".to_owned(),
            "http://0xa9fea9fe/".to_owned(),
            "http://user@169.254.169.254:80/".to_owned(),
            "rtsp://[::ffff:127.0.0.1]/".to_owned(),
            "tcp://localhost:5432".to_owned(),
        ] {
            assert_eq!(control.allowed(&forbidden).await.err(), Some(FORBIDDEN), "{forbidden}");
        }
        for invalid in ["concat:/etc/passwd|/etc/hosts", "pipe:0", "subfile,,start,0,end,0,,:/etc/passwd", ""]
        {
            assert!(control.allowed(invalid).await.is_err(), "{invalid}");
        }
    }
}
