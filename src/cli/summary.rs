//! The summary of an analysis: one JSON object for programs, two lines for people.

use kinora_actors::broadcaster::SessionClosed;
use kinora_actors::domain::{EndReason, FrameAccount, Provenance};
use kinora_actors::stats::LatencySummary;
use serde::Serialize;

/// What was done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary<'a> {
    session_id: &'a str,
    /// Analysed frames a second, from the source being open to the end.
    fps: f64,
    duration_ms: f64,
    /// The balanced account.
    frames: FrameAccount,
    /// Percentiles.
    latency_ms: LatencySummary,
    device: &'a str,
    model: &'a str,
    #[serde(flatten)]
    end: &'a EndReason,
}

impl<'a> Summary<'a> {
    /// Sums a closed session up.
    #[allow(clippy::cast_precision_loss)] // Exact below 2^53 microseconds.
    pub(crate) fn new(session_id: &'a str, closed: &'a SessionClosed, provenance: &'a Provenance) -> Self {
        let seconds = closed.duration_us.max(1) as f64 / 1e6;
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        Self {
            session_id,
            fps: rounded(closed.account.analyzed as f64 / seconds),
            duration_ms: rounded(seconds * 1e3),
            frames: closed.account,
            latency_ms: closed.latency,
            device: &provenance.device,
            model: &provenance.model,
            end: &closed.reason,
        }
    }
}

impl std::fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let FrameAccount { received, analyzed, skipped, dropped } = self.frames;
        let extraction = self.latency_ms.extraction;
        writeln!(
            f,
            "{analyzed} of {received} frames analysed ({skipped} skipped, {} dropped) in {:.1} s: \
             {:.1} frames a second with {} on {}",
            dropped.total(),
            self.duration_ms / 1e3,
            self.fps,
            self.model,
            self.device
        )?;
        write!(
            f,
            "preprocess to extraction: median {:.1} ms, p99 {:.1} ms, most {:.1} ms",
            extraction.p50, extraction.p99, extraction.max
        )
    }
}
