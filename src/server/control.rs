//! Steers streams for operators: checks their sources, and has what they stored made true.
//!
//! Over HTTP a source is less trusted than in config.toml: a file has to lie in a folder that the configuration
//! names, and no address may be in a network that it forbids, whatever name stands for it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kinora_actors::ports::{CancelToken, SourceErrorKind};
use kinora_media::Scheme;
use kinora_rtsp::{AuthPolicy, Credentials};

use super::admission::Admission;
use super::admission::judge::{Demand, Reason, Refusal};
use super::keeper::Keeper;
use crate::accounts::{CameraLogin, PrivateSource};
use crate::adapters::SourceAddress;
use crate::config::{Access, Decoder, Http, Network};
use crate::http::ports::{
    Answer, Beginning, Estimate, Overload, SourceAuth, SourceFacts, SourceRefusal, StreamControl, TakeBack,
    Unavailable,
};

/// Limits of trying a source: shorter than those of a stream, since somebody waits.
const TRY_TIMEOUT: Duration = Duration::from_secs(8);

/// The port's adapter. It answers from the moment that the streams run.
pub(super) struct Control {
    folders: Vec<PathBuf>,
    forbidden: Vec<Network>,
    keeper: OnceLock<Arc<Keeper>>,
    /// Who may begin here; `None`: whoever is ordered.
    admission: Option<Arc<Admission>>,
    /// No other server could run a stream.
    is_alone: bool,
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
    pub(super) fn new(rules: &Http, (admission, is_alone): (Arc<Admission>, bool)) -> Self {
        // A folder that is not there allows nothing.
        let folders = rules.source_folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
        Self {
            folders,
            forbidden: rules.forbidden_networks.clone(),
            keeper: OnceLock::new(),
            admission: Some(admission),
            is_alone,
        }
    }

    /// From now on it steers.
    pub(super) fn begin(&self, keeper: Arc<Keeper>) {
        // It is begun once, by the server's start.
        let _ = self.keeper.set(keeper);
    }

    /// Everything that an operator may change is in the table by now.
    async fn look(&self) -> Result<(), Unavailable> {
        let keeper =
            self.keeper.get().ok_or_else(|| Unavailable("the streams are not started yet".to_owned()))?;
        keeper.look_through().await.map_err(|error| Unavailable(error.to_string()))
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

    fn test<'a>(
        &'a self,
        source: &'a PrivateSource,
        auth: SourceAuth,
    ) -> Answer<'a, Result<SourceFacts, SourceRefusal>> {
        Box::pin(async move {
            let address = match self.allowed(&source.address).await {
                Ok(address) => address,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let access = access(auth, source.login.as_ref(), &self.forbidden);
            let tried = within(TRY_TIMEOUT * 2, move |cancel| open_once(&address, &access, cancel)).await;
            tried.map_err(|error| Unavailable(error.to_string()))
        })
    }

    fn admit(&self, Beginning { stream, made_of, force }: Beginning<'_>) -> Result<TakeBack, Overload> {
        let nothing = || Box::new(|| ()) as TakeBack;
        let Some(admission) = &self.admission else { return Ok(nothing()) };
        if !self.is_alone {
            if force {
                // It counts for a minute. If the order fails, the stream may be taken without being asked for once more.
                admission.force_among_many(stream);
            }
            return Ok(nothing());
        }
        let demand = made_of.map(|(source, options)| {
            // What is no address is refused before.
            let is_live = SourceAddress::parse(source).is_ok_and(|address| address.is_live());
            Demand::assumed(
                is_live || options.r#loop,
                options.every_nth,
                Some(options.max_fps).filter(|&fps| fps > 0),
            )
        });
        let Some(reservation) = admission.order(stream, demand, force).map_err(overload)? else {
            return Ok(nothing());
        };
        let (admission, stream) = (Arc::clone(admission), stream.to_owned());
        Ok(Box::new(move || admission.withdraw(&stream, reservation)))
    }

    fn changed<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        // A look sees all streams; those that did not change notice nothing.
        Box::pin(self.look())
    }
}

/// How a source that came over HTTP is asked.
pub(super) fn access(auth: SourceAuth, login: Option<&CameraLogin>, forbidden: &[Network]) -> Access {
    let credentials = login.map(|login| Credentials::new(&login.username, &login.password));
    Access { auth: policy(auth), credentials, ..Access::outside(forbidden) }
}

fn overload(Refusal { reason, load, p99_ms, budget_ms }: Refusal) -> Overload {
    let detail = match reason {
        Reason::Late => {
            "Results of streams that run are late already. Stop one, use another server, or add force=true."
        }
        Reason::Full => {
            "The device has no time left for it. Stop a stream, use another server, or add force=true."
        }
        Reason::WouldBeLate => {
            "It would make results of streams that run too late. Stop one, use another server, or add force=true."
        }
    };
    let whole =
        |number: f64| Some(number).filter(|number| number.is_finite()).map(|number| number.round() as u32);
    let estimate = Estimate {
        load_percent: whole(load * 100.0).unwrap_or(u32::MAX),
        p99_ms: whole(p99_ms),
        budget_ms: whole(budget_ms).unwrap_or(u32::MAX),
    };
    Overload { detail, estimate }
}

/// The wire's word for which authentication may be used.
const fn policy(auth: SourceAuth) -> AuthPolicy {
    match auth {
        SourceAuth::Auto => AuthPolicy::Auto,
        SourceAuth::Basic => AuthPolicy::Basic,
        SourceAuth::Digest => AuthPolicy::Digest,
    }
}

/// Work that blocks, on a thread for such. It is asked to end after `limit`, or as soon as nobody waits for it any more.
async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce(&CancelToken) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let end = EndsWithItself(CancelToken::default());
    let cancel = end.0.clone();
    let mut working = tokio::task::spawn_blocking(move || work(&cancel));
    if let Ok(done) = tokio::time::timeout(limit, &mut working).await {
        return done;
    }
    drop(end);
    working.await
}

/// Cancels what watches its token when it goes.
struct EndsWithItself(CancelToken);

impl Drop for EndsWithItself {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Opens a source and lets it go. Blocks until then or `cancel`.
fn open_once(
    address: &SourceAddress,
    access: &Access,
    cancel: &CancelToken,
) -> Result<SourceFacts, SourceRefusal> {
    let source = address.to_string();
    let limits = Decoder {
        gpu: None,
        threads: Some(1),
        frames_ahead: 1,
        open_timeout: TRY_TIMEOUT,
        read_timeout: TRY_TIMEOUT,
    };
    let mut factory = address.source(access, &limits);
    let opened = factory.open(cancel).map_err(|error| match error.kind {
        SourceErrorKind::Unauthorized => {
            SourceRefusal { code: "source_unauthorized", detail: "The source refuses user or password." }
        }
        SourceErrorKind::Unsupported => SourceRefusal {
            code: "source_unsupported",
            detail: "The source has no video that can be decoded.",
        },
        SourceErrorKind::NotFound => {
            SourceRefusal { code: "source_not_found", detail: "The server is there and has no such stream." }
        }
        // Where a redirect leads, or a name that means another host than a moment ago.
        SourceErrorKind::Forbidden => FORBIDDEN,
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
            keeper: OnceLock::new(),
            admission: None,
            is_alone: true,
        }
    }

    #[test]
    fn a_refusal_is_told_in_whole_numbers_and_what_grows_without_end_in_none() {
        let refusal = Refusal { reason: Reason::Full, load: 1.296, p99_ms: f64::INFINITY, budget_ms: 150.0 };
        let expected = Estimate { load_percent: 130, p99_ms: None, budget_ms: 150 };
        assert_eq!(overload(refusal).estimate, expected);
        let refusal = Refusal { reason: Reason::WouldBeLate, load: 0.951, p99_ms: 200.4, budget_ms: 150.0 };
        let expected = Estimate { load_percent: 95, p99_ms: Some(200), budget_ms: 150 };
        assert_eq!(overload(refusal).estimate, expected);
    }

    /// Blocks until it is asked to end, and tells that.
    fn blocked(cancel: &CancelToken) -> bool {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while !cancel.is_cancelled() && std::time::Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        cancel.is_cancelled()
    }

    #[actix_web::test]
    async fn a_source_that_opens_for_ever_is_left_after_a_time() {
        assert!(within(Duration::from_millis(50), blocked).await.unwrap());
        assert_eq!(within(TRY_TIMEOUT, |_| 7).await.unwrap(), 7);
    }

    #[actix_web::test]
    async fn a_source_that_nobody_waits_for_any_more_is_left() {
        let (begins, begun) = tokio::sync::oneshot::channel();
        let (ends, ended) = tokio::sync::oneshot::channel();
        let work = move |cancel: &CancelToken| {
            begins.send(()).unwrap();
            ends.send(blocked(cancel)).unwrap();
        };
        let trying = tokio::spawn(within(TRY_TIMEOUT, work));
        begun.await.unwrap();
        trying.abort();
        assert!(ended.await.unwrap());
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
