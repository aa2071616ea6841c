//! Misbehaving parts: everything a pipeline can be given, scripted, so that its answer to each fault can be tested.
//!
//! Behind the feature `testing`, which no build of the server has. Each part is one of the [`crate::ports`]:
//! sources that refuse, fall silent, hang, flood, deliver damage or panic; models that panic, stall and refuse; a
//! log and a store in memory, of which the store is away, forgets to answer, refuses or panics; clocks of the host
//! and of a simulation; sinks that are full or panic. What a part does is decided by counting its calls, never by
//! chance and never by the host's clock.

mod clock;
mod gate;
mod model;
mod sink;
mod source;
mod store;

pub use clock::{HostClock, SimulatedClock};
pub use gate::{Gate, GateKeeper};
pub use model::{
    EmptySampler, Fuse, FusedModel, FusedSampler, MarkedSampler, Misdeed, MoodyModel, OneStepTracker,
};
pub use sink::{MemorySink, MoodySink};
pub use source::{GreyPixel, Plot, ScriptedFactory, ScriptedSource, Take, frame, source_frame};
pub use store::{MemoryLog, MoodyStore, StoreMood};
