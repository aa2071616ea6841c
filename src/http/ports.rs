//! What the server asks of the rest of the program: each a trait for test injection.
//!
//! Nobody waits for a query longer than the application's limit; one that changes something has to end itself before that. What
//! an [`Unavailable`] says is for the log and never reaches a client.

mod admission;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kinora_actors::domain::{EventKind, FrameAccount, SessionId, StreamState, Timestamp};
use kinora_actors::hub::Published;
use kinora_actors::stats::LatencySummary;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::openapi::schemas::{FrameAccount as AccountSchema, Latency, StateName, Time};
use crate::accounts::{Digest, Identity, KeyScope, PrivateSource};
pub(crate) use admission::{Beginning, Estimate, Overload, TakeBack};

/// The future answer of a query.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// A component could not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// The events that are in the database. Rows of a session are written in the order of their numbers.
pub(crate) trait EventHistory: Send + Sync {
    /// The next events of a session, in order, at most `limit`. Fewer mean that no more are stored now.
    ///
    /// Their JSON is compact (no space after a colon), as [`Published`] expects of the member that it rewrites.
    fn events_after(&self, page: HistoryPage) -> Answer<'_, Vec<Published>>;

    /// The first and last number stored of a session; `None` when there is none.
    fn extent<'a>(&'a self, session: &'a SessionId) -> Answer<'a, Option<Extent>>;
}

/// Which events to read.
#[derive(Clone, Debug)]
pub(crate) struct HistoryPage {
    /// Of which session.
    pub(crate) session: SessionId,
    /// Only greater numbers.
    pub(crate) after: u64,
    /// At most so many.
    pub(crate) limit: usize,
    /// Only these kinds; `None` means all.
    pub(crate) kinds: Option<Vec<EventKind>>,
}

/// The numbers stored of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first.
    pub(crate) oldest: u64,
    /// The last.
    pub(crate) last: u64,
}

/// The people and programs that may log in.
pub(crate) trait Accounts: Send + Sync {
    /// The account with this user name or mail address.
    fn find<'a>(&'a self, login: &'a str) -> Answer<'a, Option<Account>>;

    /// Who somebody is now and what limits them; `None` when they may not come in any more. Asked for each
    /// request, and again and again while a connection lives; answers are kept for a second.
    fn known<'a>(&'a self, who: &'a Who) -> Answer<'a, Option<Known>>;
}

/// The number of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UserId(pub(crate) i64);

/// What a caller showed, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// An access token.
    User {
        /// Whose.
        user: UserId,
        /// The login that it comes from, which may have been ended.
        family: Option<i64>,
    },
    /// A key.
    Key {
        /// Its public part.
        id: String,
        /// The hash of the secret that was shown; absent if it was checked before.
        hash: Option<Digest>,
    },
}

/// Who a caller is now, and what a key limits them to.
pub(crate) type Known = (Identity, KeyScope);

/// An account, as a login needs it.
#[derive(Clone)]
pub(crate) struct Account {
    /// Its number.
    pub(crate) id: UserId,
    /// The bcrypt hash of its password.
    pub(crate) password_hash: String,
    /// Whether it may not log in.
    pub(crate) disabled: bool,
}

/// What runs and what ran.
pub(crate) trait StreamsView: Send + Sync {
    /// All configured streams, from memory.
    fn streams(&self) -> Vec<StreamStatus>;

    /// The latest sessions of the streams that are seen, running ones first, as many as one answer should hold. Those that
    /// run may be of others too.
    fn sessions(&self, seen: StreamsSeen) -> Answer<'_, Vec<SessionStatus>>;

    /// One session, however old, while something of it is known.
    fn session<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<SessionStatus>>;

    /// Whether another server writes this session, so that there may be more of it than is known here.
    fn is_elsewhere(&self, _: &SessionId) -> bool {
        false
    }
}

/// The streams that a caller may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamsSeen {
    /// These only; `None` is all.
    pub(crate) only: Option<Vec<String>>,
    /// None of these.
    pub(crate) hidden: Vec<String>,
}

/// A stream as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamStatus {
    /// Its name.
    pub(crate) name: String,
    /// Its address without credentials.
    pub(crate) address: String,
    /// Its state.
    #[schema(value_type = StateName)]
    pub(crate) state: StreamState,
    /// Why, as a stable code.
    pub(crate) reason: String,
    /// The same in plain words; what the source said, if it was the source. No credentials.
    pub(crate) message: String,
    /// Since when.
    #[schema(value_type = Time)]
    pub(crate) since: Timestamp,
    /// When it is tried again, if that is planned.
    #[schema(value_type = Option<Time>)]
    pub(crate) next_try_at: Option<Timestamp>,
    /// The session that runs.
    #[schema(value_type = Option<String>)]
    pub(crate) session_id: Option<SessionId>,
    /// Who decodes it, where `decoder.hardware` asks for a GPU: it, or the CPU and why, as it is now.
    #[schema(example = "cpu: the decoder of cuda:0 is busy or does not know this stream")]
    pub(crate) decoder: Option<String>,
    /// The account of the session that runs.
    #[schema(value_type = Option<AccountSchema>)]
    pub(crate) frames: Option<LiveAccount>,
    /// Its latency percentiles.
    #[schema(value_type = Option<Latency>)]
    pub(crate) latency_ms: Option<LatencySummary>,
}

/// An account that is still moving.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveAccount {
    /// What became of the frames.
    #[serde(flatten)]
    pub(crate) account: FrameAccount,
    /// Received and not yet accounted for.
    pub(crate) in_flight: u64,
}

/// A session as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionStatus {
    /// Its identity.
    #[schema(value_type = String)]
    pub(crate) id: SessionId,
    /// The stream's name.
    pub(crate) stream: String,
    /// When it began.
    #[schema(value_type = Time)]
    pub(crate) started_at: Timestamp,
    /// When it ended; absent while it runs.
    #[schema(value_type = Option<Time>)]
    pub(crate) ended_at: Option<Timestamp>,
    /// Why it ended, as a stable code.
    pub(crate) end_reason: Option<String>,
    /// The number of its last event.
    pub(crate) last_seq: u64,
    /// Its account; null while another server runs it, and if its server was lost before the account was stored.
    #[schema(value_type = Option<AccountSchema>)]
    pub(crate) frames: Option<LiveAccount>,
    /// Its latency percentiles; null for a session of another server or of an earlier process.
    #[schema(value_type = Option<Latency>)]
    pub(crate) latency_ms: Option<LatencySummary>,
}

/// Steers streams: what was decided and stored is made true.
pub(crate) trait StreamControl: Send + Sync {
    /// Whether a source may be used, and how it is shown: without credentials.
    fn check<'a>(&'a self, source: &'a str) -> Answer<'a, Result<String, SourceRefusal>>;

    /// Opens a source for a moment. Takes as long as opening takes, which is bounded.
    fn test<'a>(
        &'a self,
        source: &'a PrivateSource,
        auth: SourceAuth,
    ) -> Answer<'a, Result<SourceFacts, SourceRefusal>>;

    /// Whether a stream may begin, or go on if it runs. One that may counts as one that runs from then on.
    ///
    /// # Errors
    /// Why there is no room for it; never if it is forced.
    fn admit(&self, beginning: Beginning<'_>) -> Result<TakeBack, Overload>;

    /// What is stored of this stream has changed, or was ordered: sees to it that it is so. No other stream notices.
    fn changed<'a>(&'a self, stream: &'a str) -> Answer<'a, ()>;
}

/// How a stream is analysed, as in `[[streams]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct StreamOptions {
    /// A file begins again at its end.
    pub(crate) r#loop: bool,
    /// A person is followed from frame to frame.
    pub(crate) tracking: bool,
    /// One frame of so many is analysed.
    #[schema(minimum = 1, maximum = 10000)]
    pub(crate) every_nth: u32,
    /// At most so many frames a second are analysed; 0 is all.
    #[schema(minimum = 0, maximum = 1000)]
    pub(crate) max_fps: u32,
    /// The number in the test dancer's picture is told.
    pub(crate) read_marks: bool,
    /// Which authentication a camera (`rtsp://`, `rtsps://`) may be given.
    pub(crate) auth: SourceAuth,
}

/// Which ways to authenticate at a camera may be used, as the key `auth` of `[[streams]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SourceAuth {
    /// Digest where it is offered, else Basic.
    #[default]
    Auto,
    /// Basic only.
    Basic,
    /// Digest only: the password is never sent as it is.
    Digest,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            r#loop: false,
            tracking: true,
            every_nth: 1,
            max_fps: 0,
            read_marks: false,
            auth: SourceAuth::Auto,
        }
    }
}

/// What a source is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceFacts {
    /// Its address without credentials.
    pub(crate) source: String,
    /// The name of its codec.
    pub(crate) codec: String,
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// Frames a second, if the source says so.
    pub(crate) frame_rate: Option<f64>,
    /// Whether it goes on by itself.
    pub(crate) live: bool,
}

/// Why a source is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceRefusal {
    /// A stable code.
    pub(crate) code: &'static str,
    /// A sentence without the source.
    pub(crate) detail: &'static str,
}

/// What does the work, from memory.
pub(crate) trait MachineView: Send + Sync {
    /// The networks that are loaded.
    fn models(&self) -> Vec<ModelStatus>;

    /// The devices that run them.
    fn devices(&self) -> Vec<DeviceStatus>;
}

/// How much of the last second a device worked, as parts of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Utilization {
    /// Its lanes.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) lanes: f64,
    /// A GPU, as its driver says; absent for the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) gpu: Option<f64>,
    /// A GPU's video decoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) decoder: Option<f64>,
    /// A GPU's memory in use, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_used: Option<u64>,
    /// All of a GPU's memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_total: Option<u64>,
}

/// A network as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelStatus {
    /// The model that it is a part of, as in `sessionStarted`.
    #[schema(example = "mediapipe-pose-full")]
    pub(crate) model: String,
    /// Its own name.
    #[schema(example = "pose_landmark_full")]
    pub(crate) network: String,
    /// The file of its weights.
    pub(crate) file: String,
    /// That file's SHA-256, checked when it was loaded.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(crate) sha256: String,
    /// Width and height of its input, in pixels.
    pub(crate) input_size: [u32; 2],
    /// How exact its products have to be: `inference.precision`.
    #[schema(pattern = "^(auto|f32|bf16)$")]
    pub(crate) precision: String,
    /// The instructions that it is run with.
    #[schema(example = "avx512+amx-bf16")]
    pub(crate) kernels: String,
    /// The device that it is loaded on.
    #[schema(example = "cpu")]
    pub(crate) device: String,
}

/// A device as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceStatus {
    /// `cpu` or `cuda:N`.
    #[schema(example = "cpu")]
    pub(crate) device: String,
    /// What it is called by its maker; absent if the system does not tell.
    pub(crate) name: Option<String>,
    /// Processors that the server may use.
    pub(crate) processors: u32,
    /// Its lanes: each runs one inference at a time.
    pub(crate) lanes: Vec<LaneStatus>,
    /// How much of the last second it worked; absent in the server's first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) utilization: Option<Utilization>,
    /// Workers that were replaced after they failed.
    pub(crate) workers_replaced: u64,
    /// Threads that hung and were given up, those included that came back late.
    pub(crate) threads_abandoned: u64,
}

/// A lane as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LaneStatus {
    /// Streams that are pinned to it.
    pub(crate) streams: u32,
    /// Whether it is at an inference now.
    pub(crate) busy: bool,
}

/// A component whose health is told.
pub(crate) trait HealthCheck: Send + Sync {
    /// Its name, for example `database`.
    fn name(&self) -> &'static str;

    /// Whether the server is not ready without it.
    fn needed_for_ready(&self) -> bool;

    /// Looks at it.
    fn check(&self) -> Answer<'_, ()>;
}

/// Hears what happens here, for the log.
pub(crate) trait Observer: Send + Sync {
    /// Something happened. Must not wait.
    fn notice(&self, event: HttpEvent<'_>);
}

/// What happens here that a log should tell. Holds no secret.
#[derive(Clone, Debug)]
pub(crate) enum HttpEvent<'a> {
    /// A request was answered.
    RequestAnswered {
        /// Its identity, as in the answer's header.
        request_id: &'a str,
        /// The method.
        method: &'a str,
        /// The route's pattern, or `unmatched`.
        endpoint: &'a str,
        /// The status.
        status: u16,
        /// How long it took, in microseconds.
        elapsed_us: u64,
    },
    /// A component that a request needed could not answer.
    ComponentUnavailable {
        /// Which.
        component: &'static str,
        /// What it said.
        error: &'a str,
    },
    /// A subscriber's connection is over.
    SubscriberLeft {
        /// Whose connection.
        user: UserId,
        /// Why, as a stable code.
        reason: &'static str,
        /// Events that it was sent.
        events: u64,
        /// Whether its socket had to be shut down because no close frame could be sent.
        cut: bool,
    },
}

/// The ports, as the server holds them.
#[derive(Clone)]
pub(crate) struct Ports {
    /// Events in the database.
    pub(crate) history: Arc<dyn EventHistory>,
    /// Accounts.
    pub(crate) accounts: Arc<dyn Accounts>,
    /// Streams and sessions.
    pub(crate) streams: Arc<dyn StreamsView>,
    /// Steers streams.
    pub(crate) control: Arc<dyn StreamControl>,
    /// Networks and devices.
    pub(crate) machine: Arc<dyn MachineView>,
    /// Components with health.
    pub(crate) checks: Vec<Arc<dyn HealthCheck>>,
    /// The log.
    pub(crate) observer: Arc<dyn Observer>,
}
