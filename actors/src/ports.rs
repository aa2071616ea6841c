//! The ports: everything the pipeline asks of the world, each a trait for test injection.
//!
//! The binary has one adapter for each in `src/adapters`. Errors carry a kind that decides what happens next
//! and a message for people; credentials and pixels are in neither.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::{
    CaptureTime, EncodedEvent, LoggedEvent, Picture, Pose, SessionId, Size, SourceDescription, Timebase,
};

/// Time, as the pipeline needs it.
pub trait Clock: Send + Sync {
    /// Microseconds since an arbitrary start; never goes back.
    fn monotonic_us(&self) -> u64;

    /// Microseconds since the Unix epoch.
    fn unix_us(&self) -> i64;
}

/// A request to stop waiting, shared with code that blocks.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks for the end of every wait that watches this token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The flag itself, for adapters that hand it to C.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Opens the source of a stream; called anew for each connection.
pub trait SourceFactory: Send {
    /// Blocks until the source is open, fails, or `cancel` is set.
    ///
    /// # Errors
    /// A [`SourceError`] that names the address (without credentials) and what is wrong.
    fn open(&mut self, cancel: &CancelToken) -> Result<OpenSource, SourceError>;
}

/// A source that was opened.
pub struct OpenSource {
    /// What it is.
    pub description: SourceDescription,
    /// Microseconds since the Unix epoch of media time 0, when the source knows it.
    pub created_unix_us: Option<i64>,
    /// Its frames.
    pub frames: Box<dyn FrameSource>,
}

/// Decoded frames of a source, in display order.
pub trait FrameSource: Send {
    /// Blocks until there is a frame, a loss to report, or the end. After [`SourceItem::End`] it is not called.
    fn next(&mut self) -> SourceItem;
}

/// What a source delivers.
pub enum SourceItem {
    /// A frame.
    Frame(SourceFrame),
    /// Access units that were offered to the decoder and gave no frame.
    Lost(u64),
    /// Somebody else decodes from here on, in words, as in [`SourceDescription::decoder`]; nothing is lost by it.
    Decoder(String),
    /// Nothing follows; an error when the source did not end by itself.
    End(Option<SourceError>),
}

/// A frame as its source delivers it.
pub struct SourceFrame {
    /// The picture.
    pub picture: Arc<dyn Picture>,
    /// Presentation time stamp in ticks of `timebase`.
    pub pts: i64,
    /// The unit of `pts`.
    pub timebase: Timebase,
    /// Media time: `pts` in microseconds of the source's own clock, or its continuation where `pts` is missing.
    pub media_us: i64,
    /// Whether the decoder saw damage.
    pub corrupt: bool,
    /// Time spent decoding it, in microseconds.
    pub decode_us: u64,
    /// What the source itself knows of its times; where it knows nothing, arrival or the container decides.
    pub stamp: Option<SourceStamp>,
}

/// The times of a frame by a source that keeps a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceStamp {
    /// When the picture was taken.
    pub captured: CaptureTime,
    /// Counts stretches of one continuous media clock; a change opens an epoch.
    pub epoch: u32,
}

/// Why a source failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Decides what the stream does.
    pub kind: SourceErrorKind,
    /// Who, what and where, for people.
    pub message: String,
}

/// Kinds of source failures by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// The network or a file system may recover: try again.
    Unavailable,
    /// The server is there and has no such stream; it may get one: try again.
    NotFound,
    /// The credentials were refused.
    Unauthorized,
    /// It is, or leads, where no source may be. A name or a redirect may lead elsewhere later: try again.
    Forbidden,
    /// Trying again cannot help: no video, unknown codec, not a media file.
    Unsupported,
    /// The media is damaged or ends before it should.
    Damaged,
    /// The wait was cancelled.
    Cancelled,
}

/// Cuts a region out of a picture into the form that a network reads.
pub trait Sampler: Send {
    /// Fills `out` (`size` x `size` x 3, rows of RGB, values scaled to `request.range`).
    ///
    /// # Errors
    /// A message that names the picture's layout or the region when they cannot be sampled.
    fn sample(
        &mut self,
        picture: &dyn Picture,
        request: &SampleRequest,
        out: &mut Vec<f32>,
    ) -> Result<(), String>;

    /// Whether the lane's model samples this itself, from a picture in its device's memory: then it is given the picture and the
    /// request, and [`Sampler::sample`] is not called.
    fn leaves_to_model(&self, _: &dyn Picture, _: &SampleRequest) -> bool {
        false
    }
}

/// What to sample: a rotated square of the displayed frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRequest {
    /// Centre of the square in pixels from the left.
    pub centre_x: f32,
    /// Centre of the square in pixels from the top.
    pub centre_y: f32,
    /// Side of the square in pixels.
    pub side: f32,
    /// Clockwise rotation of the square in radians.
    pub angle: f32,
    /// Pixels on each side of the result.
    pub size: usize,
    /// What lies outside the frame.
    pub border: Border,
    /// The values that black and white become.
    pub range: (f32, f32),
}

/// What a sampler reads outside the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Zero,
    /// The nearest pixel of the frame.
    Replicate,
}

/// Identifies one of a model's networks; the model's tracker and networks agree on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkId(pub u8);

/// One input of a network.
pub enum ModelInput<'a> {
    /// As the sampler made it.
    Sampled(&'a [f32]),
    /// What the model samples itself.
    Region(&'a dyn Picture, &'a SampleRequest),
}

/// The networks of a model on one lane.
pub trait PoseModel: Send {
    /// Runs `network` on a sampled input.
    ///
    /// # Errors
    /// A message that names the network and what failed.
    fn infer(&mut self, network: NetworkId, input: &[f32]) -> Result<ModelOutput, String>;

    /// Runs `network` on several inputs, one after another unless the model can do better; an output for each.
    ///
    /// # Errors
    /// As [`PoseModel::infer`], for all of them.
    fn infer_batch(&mut self, network: NetworkId, inputs: &[&[f32]]) -> Result<Vec<ModelOutput>, String> {
        inputs.iter().map(|input| self.infer(network, input)).collect()
    }

    /// The same for inputs of which some are regions, which only a model gets whose sampler leaves them to it.
    ///
    /// # Errors
    /// As [`PoseModel::infer`], for all of them.
    fn infer_regions(
        &mut self,
        network: NetworkId,
        _: &[ModelInput<'_>],
    ) -> Result<Vec<ModelOutput>, String> {
        Err(format!("the model of network {} reads no pictures", network.0))
    }

    /// What is left of it; asked after an error.
    fn health(&mut self) -> ModelHealth {
        ModelHealth::Sound
    }
}

/// What is left of a model that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelHealth {
    /// It refused this request and would serve another one.
    Sound,
    /// Its device failed: a fresh model may work.
    Broken,
    /// Its device will not do anything in this process again.
    Lost,
}

/// Tensors that a network produced, in the order that its tracker expects.
#[derive(Debug, Default)]
pub struct ModelOutput(pub Vec<Vec<f32>>);

/// Builds a fresh model value for a worker; the weights behind it are shared and were checked before.
pub type ModelFactory = Arc<dyn Fn() -> Box<dyn PoseModel> + Send + Sync>;

/// The memory of a stream from frame to frame: which region to look at next, and what was found.
///
/// Pure: no clock, no input or output. One frame is a dialogue: [`Tracker::begin`], then one
/// [`Tracker::advance`] for each inference that it asks for, until [`TrackerStep::Done`].
pub trait Tracker: Send {
    /// Begins a frame of `size` at `media_us`.
    fn begin(&mut self, size: Size, media_us: i64) -> TrackerStep;

    /// Takes what the network made of the region asked for last.
    fn advance(&mut self, output: ModelOutput) -> TrackerStep;

    /// Forgets everything: a new epoch begins, or a frame was lost between begin and done.
    fn reset(&mut self);
}

/// What a tracker wants next.
#[derive(Debug)]
pub enum TrackerStep {
    /// Sample this and run that network on it.
    Infer(NetworkId, SampleRequest),
    /// The frame is finished.
    Done(Vec<Pose>),
}

/// Reads a number out of a picture, so that tests can match frames however they arrived.
pub trait MarkReader: Send {
    /// The number drawn in the picture, if there is one.
    fn read(&mut self, picture: &dyn Picture) -> Option<u32>;
}

/// Where events go before anyone else is told of them.
pub trait EventSink: Send {
    /// Keeps `event`, then tells whoever listens.
    ///
    /// # Errors
    /// Of kind [`std::io::ErrorKind::StorageFull`] when there is no room: if the sink [may get
    /// some](EventSink::may_get_room), the event is offered again, and the session waits meanwhile. Otherwise it
    /// could not be kept, and the session ends.
    fn append(&mut self, event: &EncodedEvent) -> std::io::Result<()>;

    /// Called once after the last event.
    ///
    /// # Errors
    /// When what was appended may not have arrived.
    fn finish(&mut self) -> std::io::Result<()>;

    /// Whether waiting helps when there is no room: somebody else empties what is full.
    fn may_get_room(&self) -> bool {
        false
    }
}

/// The journal, as the writer of rows reads it.
pub trait EventLog: Send {
    /// The next events, at most `most`; none at the tail.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn read(&mut self, most: usize) -> std::io::Result<Vec<LoggedEvent>>;

    /// Everything that was read is stored and need not be kept.
    ///
    /// # Errors
    /// When that could not be noted; the same events may be read again after a restart.
    fn commit(&mut self) -> std::io::Result<()>;
}

/// Opens a log at the first event that is not committed; called anew for each fresh writer.
pub type EventLogFactory = Arc<dyn Fn() -> std::io::Result<Box<dyn EventLog>> + Send + Sync>;

/// The result of one write of a store: the events that it will never take, which it left out.
pub type StoreFuture = Pin<Box<dyn Future<Output = Result<Vec<RefusedEvent>, StoreError>> + Send>>;

/// Where events become rows.
pub trait EventStore: Send + Sync {
    /// Writes a batch. Events that are there already are left alone; one that is refused holds up no other.
    fn write(&self, batch: Arc<[LoggedEvent]>) -> StoreFuture;
}

/// Why a batch was not written; the same batch may be written later. Nothing of it is stored, or it is stored and the word of
/// that was lost.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// An event that a store will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Its session.
    pub session: SessionId,
    /// Its number.
    pub seq: u64,
    /// The store's reason.
    pub error: String,
}
