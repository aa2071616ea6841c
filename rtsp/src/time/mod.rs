//! When a picture was taken, by the best clock at hand, with an uncertainty that is meant.
//!
//! Everything here is pure: times come in as numbers, so that a simulated clock runs a day in a second. Microseconds
//! throughout; "monotonic" counts from an arbitrary start and never goes back, "unix" from 1970.

mod arrival;
mod clock;
mod host;
mod reports;
mod unwrap;

pub use clock::{Capture, ClockSource, Stamp, StreamClock};
pub use host::HostClock;
pub use unwrap::Unwrapper;

#[cfg(test)]
mod simulation;
