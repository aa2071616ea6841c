//! What a configured stream is made of: its actors' parts, fresh for each connection.

use std::sync::Arc;
use std::time::Duration;

use kinora_actors::backoff::BackoffPolicy;
use kinora_actors::decoder::Pace;
use kinora_actors::domain::{Provenance, SessionId};
use kinora_actors::family::{ConnectionParts, LaneChoice, SessionParts};
use kinora_actors::handoff::HandoffPolicy;
use kinora_actors::hub::Hub;
use kinora_actors::lanes::Lanes;
use kinora_actors::lifecycle::LifePolicy;
use kinora_actors::policy::FramePolicy;
use kinora_actors::ports::{Clock, MarkReader};
use kinora_actors::supervisor::StreamParts;

use super::admission::Admission;
use super::admission::judge::Demand;
use super::control;
use super::membership::{Fences, Membership};
use crate::accounts::{PrivateSource, Sealer};
use crate::adapters::{
    AddressError, BlazePoseTracker, KEY_FRAME_PATIENCE, KernelSampler, SourceAddress, StripReader,
};
use crate::config::{Analysis, Settings, Stream};
use crate::http::ports::StreamOptions;
use crate::journal::{Journal, JournalSink};
use crate::store::ManagedStream;

/// A connection is given up for good this long after its own time-outs should have ended it.
const HANG_MARGIN: Duration = Duration::from_secs(5);

/// What all streams share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) provenance: Provenance,
    pub(super) journal: Arc<Journal>,
    pub(super) hub: Arc<Hub>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) clock: Arc<dyn Clock>,
    /// What this server is among several.
    pub(super) membership: Option<Membership>,
    pub(super) fences: Arc<Fences>,
    /// Who may begin here.
    pub(super) admission: Arc<Admission>,
}

/// The parts of a stream of the table: those of config.toml are made as the file says.
///
/// # Errors
/// Why it cannot be run here, in words without its source.
pub(super) fn of_row(
    row: &ManagedStream,
    shared: &Shared,
    sealer: &Sealer,
) -> Result<StreamParts, &'static str> {
    let no_address = |_| "its source is no address";
    if row.managed_by_config {
        let configured = shared.settings.streams.iter().find(|stream| stream.name == row.name);
        let stream = configured.ok_or("it is in the config.toml of another server and not in this one's")?;
        return parts(stream, shared).map_err(no_address);
    }
    let sealed = row.sealed_source.as_deref().ok_or("it has no source")?;
    let source = PrivateSource::open(&row.name, sealed, sealer);
    let source = source.map_err(|_| "its source was sealed with another stream-key")?;
    let options = serde_json::from_str(&row.settings).map_err(|_| "its settings are not understood")?;
    let enabled = row.enabled && row.wanted;
    let stream = of_options(&row.name, &source, options, enabled, &shared.settings);
    parts(&stream, shared).map_err(no_address)
}

/// A stream as config.toml would have it; what cannot be said over HTTP is as usual.
fn of_options(
    name: &str,
    source: &PrivateSource,
    options: StreamOptions,
    enabled: bool,
    usual: &Settings,
) -> Stream {
    Stream {
        name: name.to_owned(),
        source: source.address.clone(),
        access: control::access(options.auth, source.login.as_ref(), &usual.http.forbidden_networks),
        enabled,
        roles: None,
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

/// The parts of one stream.
///
/// # Errors
/// When its address is not one; the message holds no password.
pub(super) fn parts(stream: &Stream, shared: &Shared) -> Result<StreamParts, AddressError> {
    let address = SourceAddress::parse(&stream.source)?;
    let live = address.is_live();
    let supervision = &shared.settings.supervision;
    let decoder = &shared.settings.decoder;
    let name: Arc<str> = stream.name.as_str().into();
    shared.admission.expect(&name, demand(live || stream.repeat, &stream.analysis));
    Ok(StreamParts {
        name: Arc::clone(&name),
        address: address.to_string().into(),
        life: LifePolicy {
            live,
            looped: stream.repeat,
            backoff: BackoffPolicy { retry_max: supervision.retry_max, ..BackoffPolicy::default() },
        },
        stall_after: supervision.stall_after,
        // Asking a camera takes some exchanges, and then its first key frame may take its time.
        hang_after: (decoder.open_timeout * 5 + KEY_FRAME_PATIENCE).max(decoder.read_timeout) + HANG_MARGIN,
        session: session_factory(stream, shared.clone()),
        sink: sink_factory(name, shared),
        connection: connection_factory(stream.clone(), address, live, shared.clone()),
        clock: Arc::clone(&shared.clock),
    })
}

/// What a stream asks of a lane.
pub(super) fn demand(is_paced: bool, analysis: &Analysis) -> Demand {
    Demand::assumed(is_paced, analysis.every_nth.get(), analysis.max_fps.map(std::num::NonZero::get))
}

fn session_factory(stream: &Stream, shared: Shared) -> Box<dyn FnMut() -> SessionParts + Send> {
    let configuration_revision = stream.revision(&shared.settings.revision);
    let provenance = Provenance { configuration_revision, ..shared.provenance.clone() };
    let name = stream.name.clone();
    Box::new(move || {
        let lease = shared.fences.lease(shared.membership.as_ref(), &name);
        let provenance = Provenance { lease, ..provenance.clone() };
        SessionParts { id: SessionId(uuid::Uuid::now_v7().to_string().into()), provenance }
    })
}

fn sink_factory(stream: Arc<str>, shared: &Shared) -> kinora_actors::supervisor::SinkFactory {
    let (journal, hub) = (Arc::clone(&shared.journal), Arc::clone(&shared.hub));
    Box::new(move |session| {
        Box::new(JournalSink {
            journal: Arc::clone(&journal),
            hub: Arc::clone(&hub),
            session: session.clone(),
            stream: Arc::clone(&stream),
        })
    })
}

fn connection_factory(
    stream: Stream,
    address: SourceAddress,
    live: bool,
    shared: Shared,
) -> Box<dyn FnMut() -> ConnectionParts + Send> {
    // The stream stays on its lane over all its connections.
    let seat = Arc::new(shared.lanes.pin_as(stream.name.as_str().into()));
    Box::new(move || ConnectionParts {
        source: address.source(&stream.access, &shared.settings.decoder),
        handoff: match live {
            true => HandoffPolicy::Latest,
            false => HandoffPolicy::Wait { depth: shared.settings.decoder.frames_ahead },
        },
        pace: if stream.repeat { Pace::Realtime } else { Pace::Max },
        looped: stream.repeat,
        max_frames: None,
        policy: FramePolicy::new(stream.analysis.every_nth, stream.analysis.max_fps),
        sampler: Box::new(KernelSampler::new(stream.analysis.sampling, &shared.provenance.device)),
        tracker: Box::new(BlazePoseTracker::new(stream.analysis.tracking)),
        marks: stream.read_marks.then(|| Box::new(StripReader) as Box<dyn MarkReader>),
        lane: LaneChoice::Shared(Arc::clone(&seat)),
    })
}
