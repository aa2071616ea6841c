//! The events of a session, as agents receive them.
//!
//! Four members at the top, always: `sessionId`, `timestamp`, `event`, `payload`. Coordinates carry 4 decimals,
//! scores and milliseconds 3; no exponents, no negative zero. The JSON Schema in `docs/reference/` describes
//! the same shapes; additions never break it.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::Serializer;

use super::{FrameAccount, Pose, Size, Timebase};

/// The identity of one analysis run of a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SessionId(pub Arc<str>);

/// Microseconds since the Unix epoch, written as RFC 3339 in UTC with six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub i64);

/// RFC 3339 in UTC, with microseconds.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A broken container can claim any time; the nearest one that RFC 3339 can write is told.
        let (first, last) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX);
        let sane = self.0.clamp(first.as_microsecond(), last.as_microsecond());
        let time = jiff::Timestamp::from_microsecond(sane).map_err(|_| std::fmt::Error)?;
        write!(f, "{time:.6}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An event before it is written: the four members.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a, P> {
    /// The session.
    pub session_id: &'a SessionId,
    /// Capture time of the frame, or the time at which something else happened.
    pub timestamp: Timestamp,
    /// What happened.
    pub event: EventKind,
    /// The numbered body.
    pub payload: P,
}

/// The kinds of numbered events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// The first event of a session.
    SessionStarted,
    /// A stream changed its state.
    StreamState,
    /// A frame was analysed.
    FrameAnalyzed,
    /// The last event of a session.
    SessionEnded,
    /// Numbers that were told to nobody or lost with the machine's power. Its own number is the last of them.
    Gap,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 5] = [
        EventKind::SessionStarted,
        EventKind::StreamState,
        EventKind::FrameAnalyzed,
        EventKind::SessionEnded,
        EventKind::Gap,
    ];

    /// The kind's name in events, rows and queries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::SessionStarted => "sessionStarted",
            EventKind::StreamState => "streamState",
            EventKind::FrameAnalyzed => "frameAnalyzed",
            EventKind::SessionEnded => "sessionEnded",
            EventKind::Gap => "gap",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An event as bytes, serialised once for everyone who wants it.
#[derive(Clone, Debug)]
pub struct EncodedEvent {
    /// Its number in the session, from 1, without a gap.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// One line of JSON without the line end.
    pub json: Arc<[u8]>,
    /// What a journal keeps beside the JSON.
    pub facts: EventFacts,
}

impl EncodedEvent {
    /// The JSON of the member `payload`, which is the last one.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        // The quotes of a member's name cannot be part of a string, where they would be escaped.
        const MEMBER: &[u8] = b"\"payload\":";
        let member = self.json.windows(MEMBER.len()).position(|window| window == MEMBER);
        let start = member.map_or(0, |at| at + MEMBER.len());
        &self.json[start..self.json.len().saturating_sub(1).max(start)]
    }
}

/// An event as a journal keeps it and a store takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its session.
    pub session: SessionId,
    /// The stream's name.
    pub stream: Arc<str>,
    /// Its number in the session.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// Times, epoch and account.
    pub facts: EventFacts,
    /// The JSON of `payload`.
    pub payload: Arc<[u8]>,
}

/// A session that was not ended when the process was: what its last event told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterruptedSession {
    /// The session.
    pub session: SessionId,
    /// The stream's name.
    pub stream: Arc<str>,
    /// The last number in it.
    pub last_seq: u64,
    /// The epoch in force.
    pub epoch: u32,
    /// The account at the last event.
    pub account: FrameAccount,
}

/// What is needed to store an event as a row, and to go on numbering after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// The event's timestamp in microseconds since the Unix epoch.
    pub timestamp_us: i64,
    /// When the event was made, by the host's clock, in microseconds since the Unix epoch.
    pub recorded_at_us: i64,
    /// The epoch in force.
    pub epoch: u32,
    /// The account up to and including this event.
    pub account: FrameAccount,
}

/// The members that every payload begins with.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbering<'a> {
    /// Number of this event.
    pub seq: u64,
    /// Number of the event before it in this subscription.
    pub prev_seq: u64,
    /// The stream's name.
    pub stream: &'a str,
}

/// Payload of `sessionStarted`: provenance and what was opened.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStarted {
    /// What computes the results.
    pub provenance: Provenance,
    /// What is analysed.
    pub source: SourceFields,
}

/// What is known of a source when a session starts.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum SourceFields {
    /// It was opened.
    Opened(SourceDescription),
    /// It could not be opened yet.
    Named {
        /// The address without credentials.
        address: String,
        /// Whether frames arrive at the pace of the world.
        live: bool,
    },
}

/// Which model, device and configuration a session's results come from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// Name of the model.
    pub model: String,
    /// SHA-256 of each of its files, by file name.
    pub model_files: std::collections::BTreeMap<String, String>,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Identifies the settings in force: those of the server or command, and those of the stream.
    pub configuration_revision: String,
    /// Version of Kinora.
    pub version: String,
    /// The lease of the session's stream, where several servers share a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<SessionLease>,
}

/// The lease under which a session runs.
#[derive(Clone, Debug, Serialize)]
pub struct SessionLease {
    /// The server's process.
    pub owner: std::sync::Arc<str>,
    /// Of two sessions of a stream, the one with the greater number is in force.
    pub fence: i64,
}

/// What a source turned out to be. Never holds credentials.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceDescription {
    /// The address without credentials.
    pub address: String,
    /// Codec name, for example `h264`.
    pub codec: String,
    /// Displayed size at the start.
    #[serde(flatten)]
    pub size: SizeFields,
    /// Mean frames a second, as a fraction, when the container tells.
    pub frame_rate: Option<(i32, i32)>,
    /// Whether frames arrive at the pace of the world.
    pub live: bool,
    /// Frames that the container claims to hold.
    pub claimed_frames: Option<u64>,
    /// Who decodes, where a GPU was asked for: `cuda:N`, or `cpu` and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
}

/// Width and height as members of a larger object.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SizeFields {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl From<Size> for SizeFields {
    fn from(Size { width, height }: Size) -> Self {
        Self { width, height }
    }
}

/// The states of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// The source is being opened.
    Connecting,
    /// Frames arrive.
    Running,
    /// The source is open and no frame came for a while.
    Stalled,
    /// The connection was lost, or could not be made; another try is planned.
    Reconnecting,
    /// The source refused the credentials; another try is planned.
    AuthFailed,
    /// The source can never be analysed: no video, unknown codec.
    Unsupported,
    /// The stream came to its end or was ended.
    Stopped,
    /// It ended because something failed.
    Failed,
}

impl StreamState {
    const ALL: [Self; 8] = [
        Self::Connecting,
        Self::Running,
        Self::Stalled,
        Self::Reconnecting,
        Self::AuthFailed,
        Self::Unsupported,
        Self::Stopped,
        Self::Failed,
    ];

    /// The state of this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The state as events, API and log name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            StreamState::Connecting => "connecting",
            StreamState::Running => "running",
            StreamState::Stalled => "stalled",
            StreamState::Reconnecting => "reconnecting",
            StreamState::AuthFailed => "auth_failed",
            StreamState::Unsupported => "unsupported",
            StreamState::Stopped => "stopped",
            StreamState::Failed => "failed",
        }
    }
}

impl Serialize for StreamState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Payload of `streamState`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStateChanged {
    /// The new state.
    pub state: StreamState,
    /// Why, as a stable code.
    pub reason: &'static str,
    /// The same in plain words, for people; what the source said, if it was the source. No credentials.
    pub message: Arc<str>,
    /// When the source is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
}

/// What a reason code of a state means, where the source itself said nothing.
#[must_use]
pub(crate) fn state_in_words(reason: &str) -> &'static str {
    match reason {
        "not_started" => "the stream has not been started",
        "started" => "the source is being opened",
        "first_frame" => "frames arrive",
        "no_frames" => "the source is open, but no frame arrives",
        "stopped" => "the stream was stopped on request",
        "end_of_source" => "the source came to its end",
        "frame_limit" => "the number of frames that was asked for is reached",
        "part_failed" => "a part of the stream failed and is built anew",
        "part_hung" => "a part of the stream did not answer and was abandoned; it is built anew",
        "source_failed" => "the source failed",
        "pipeline_failed" => "a part of the stream failed",
        "restart" => "the server ended before the stream did",
        _ => "no more is known",
    }
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", content = "detail", rename_all = "snake_case")]
pub enum EndReason {
    /// The source has no more frames.
    EndOfSource,
    /// The requested number of frames was reached.
    FrameLimit,
    /// Somebody asked for it.
    Stopped,
    /// The source failed; what had been decoded was analysed.
    SourceFailed(String),
    /// A part of the pipeline failed.
    PipelineFailed(String),
    /// The process ended before the session did; a later process closed it.
    Restart,
}

impl EndReason {
    /// The reason's code in events and rows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            EndReason::EndOfSource => "end_of_source",
            EndReason::FrameLimit => "frame_limit",
            EndReason::Stopped => "stopped",
            EndReason::SourceFailed(_) => "source_failed",
            EndReason::PipelineFailed(_) => "pipeline_failed",
            EndReason::Restart => "restart",
        }
    }
}

/// Payload of `sessionEnded`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnded {
    /// `reason`, and `detail` where something failed.
    #[serde(flatten)]
    pub end: EndReason,
    /// The balanced account of the session.
    pub frames: FrameAccount,
}

/// Which clock a capture time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// The camera's clock, by its sender reports.
    Rtcp,
    /// The container's creation time plus media time.
    File,
    /// The session's start plus media time: only differences mean something.
    Synthetic,
    /// The host's clock when frames arrived, least delay assumed.
    Arrival,
}

/// Payload of `frameAnalyzed`, as computed; rounding happens when it is written.
#[derive(Clone)]
pub struct FrameAnalyzed {
    /// Continuous stretch of the media clock, from 1.
    pub epoch: u32,
    /// Number of the frame in display order, from 0.
    pub index: u64,
    /// Presentation time stamp in ticks of `timebase`.
    pub pts: i64,
    /// The unit of `pts`.
    pub timebase: Timebase,
    /// Media time: `pts` in microseconds.
    pub media_us: i64,
    /// Displayed size.
    pub size: Size,
    /// A number read out of the picture, when the stream was asked to look for one.
    pub mark: Option<u32>,
    /// When the frame was captured.
    pub captured: super::CaptureTime,
    /// The people found: 0 or 1 for now.
    pub poses: Vec<Pose>,
    /// Where the time went.
    pub latency: StageLatency,
    /// The account up to and including this frame.
    pub account: FrameAccount,
}

/// Microseconds spent in each stage; the total is their sum by definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageLatency {
    /// Decoding.
    pub decode_us: u64,
    /// Waiting between decoding and preprocessing.
    pub queue_us: u64,
    /// Sampling of regions and the tracker's arithmetic.
    pub preprocess_us: u64,
    /// The networks, the worker's queue included.
    pub inference_us: u64,
    /// From keypoints ready to the event being written.
    pub publish_us: u64,
}

impl StageLatency {
    /// From the start of decoding to the event.
    #[must_use]
    pub fn total_us(&self) -> u64 {
        self.decode_us + self.queue_us + self.extraction_us() + self.publish_us
    }

    /// From the start of preprocessing to keypoints ready, the figure that requirement A4 bounds.
    #[must_use]
    pub fn extraction_us(&self) -> u64 {
        self.preprocess_us + self.inference_us
    }
}
