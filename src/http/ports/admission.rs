//! Whether there is room for a stream that is to begin, and why not.

use serde::Serialize;
use utoipa::ToSchema;

use super::StreamOptions;

/// To be called when a stream that was admitted does not begin after all: it counts no longer.
pub(crate) type TakeBack = Box<dyn FnOnce() + Send>;

/// A stream that is to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning<'a> {
    /// Its name.
    pub(crate) stream: &'a str,
    /// Its source and options, where the order says them; otherwise they are known.
    pub(crate) made_of: Option<(&'a str, &'a StreamOptions)>,
    /// Whatever it does to others.
    pub(crate) force: bool,
}

/// Why there is no room for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overload {
    /// A sentence.
    pub(crate) detail: &'static str,
    /// Its numbers.
    pub(crate) estimate: Estimate,
}

/// What one more stream would do to those that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Estimate {
    /// How much of its time the stream's lane would be busy; more than 100 cannot be.
    pub(crate) load_percent: u32,
    /// What the 99th percentile of preprocessing to extraction of those that run would come to, in milliseconds, or is if it is
    /// late already; absent if it would grow without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<u32>,
    /// What it may be: `scale.latency_budget`.
    pub(crate) budget_ms: u32,
}
