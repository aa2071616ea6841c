//! The words of the pipeline as types: pictures, frames, poses, accounts, events.
//!
//! Plain data, no actor, no input or output.

mod account;
mod event;
mod frame;
mod picture;
mod pose;
mod wire;

pub use account::{DropReason, FrameAccount};
pub(crate) use event::state_in_words;
pub use event::{
    ClockSource, EncodedEvent, EndReason, Event, EventFacts, EventKind, FrameAnalyzed, InterruptedSession,
    LoggedEvent, Numbering, Provenance, SessionEnded, SessionId, SessionLease, SessionStarted,
    SourceDescription, SourceFields, StageLatency, StreamState, StreamStateChanged, Timestamp,
};
pub use frame::{CaptureTime, Timebase, VideoFrame};
pub use picture::{Colour, ColourMatrix, ColourRange, Picture, PixelLayout, Plane, Rotation, Size};
pub use pose::{Keypoint, Pose};
