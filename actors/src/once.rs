//! One session without another try, as `kinora analyze` runs it: the parts of a stream made of those of a family.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::BackoffPolicy;
use crate::decoder::Pace;
use crate::domain::{Provenance, SessionId};
use crate::family::{ConnectionParts, LaneChoice, SessionParts};
use crate::handoff::HandoffPolicy;
use crate::lifecycle::LifePolicy;
use crate::policy::FramePolicy;
use crate::ports::{Clock, EventSink, MarkReader, ModelFactory, Sampler, SourceFactory, Tracker};
use crate::supervisor::StreamParts;

/// Everything that a single session is built from.
pub struct FamilyParts {
    /// The stream's name.
    pub stream: Arc<str>,
    /// Identity of the session.
    pub session: SessionId,
    /// Told in the first event.
    pub provenance: Provenance,
    /// Opens the source.
    pub source: Box<dyn SourceFactory>,
    /// What a full hand-off does.
    pub handoff: HandoffPolicy,
    /// Speed of files.
    pub pace: Pace,
    /// Frames after which the stream ends.
    pub max_frames: Option<u64>,
    /// Which frames are analysed.
    pub policy: FramePolicy,
    /// Reads regions.
    pub sampler: Box<dyn Sampler>,
    /// The stream's memory.
    pub tracker: Box<dyn Tracker>,
    /// Reads drawn numbers.
    pub marks: Option<Box<dyn MarkReader>>,
    /// Builds the lane's model.
    pub model: ModelFactory,
    /// Keeps events.
    pub sink: Box<dyn EventSink>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Builds the parts of a single session; called once.
pub type FamilyFactory = Box<dyn FnMut() -> FamilyParts + Send>;

/// The parts of a stream that has one session and one connection.
pub(crate) fn split(mut factory: FamilyFactory) -> StreamParts {
    let family = factory();
    let session = SessionParts { id: family.session, provenance: family.provenance };
    let connection = ConnectionParts {
        source: family.source,
        handoff: family.handoff,
        pace: family.pace,
        looped: false,
        max_frames: family.max_frames,
        policy: family.policy,
        sampler: family.sampler,
        tracker: family.tracker,
        marks: family.marks,
        lane: LaneChoice::Own(family.model),
    };
    let mut sink = once(family.sink);
    StreamParts {
        name: family.stream,
        address: "".into(),
        life: LifePolicy { live: false, looped: false, backoff: BackoffPolicy::default() },
        stall_after: Duration::MAX,
        hang_after: Duration::MAX,
        session: Box::new(once(session)),
        sink: Box::new(move |_| sink()),
        connection: Box::new(once(connection)),
        clock: family.clock,
    }
}

/// A factory that has one value to give.
fn once<T: Send + 'static>(value: T) -> impl FnMut() -> T + Send {
    let mut value = Some(value);
    move || value.take().expect("a single session should build each part once")
}
