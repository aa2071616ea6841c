//! Latencies of a session in bounded memory, as percentiles.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::domain::StageLatency;

/// Latencies above this are counted as this: one minute.
const HIGHEST_US: u64 = 60_000_000;

/// Distributions of the extraction latency (requirement A4) and of the whole way.
#[derive(Clone, Debug)]
pub struct LatencyStats {
    extraction: Histogram<u64>,
    total: Histogram<u64>,
}

impl Default for LatencyStats {
    fn default() -> Self {
        let histogram = || Histogram::new_with_max(HIGHEST_US, 3).expect("the bounds should be valid");
        Self { extraction: histogram(), total: histogram() }
    }
}

impl LatencyStats {
    /// Counts one frame.
    pub fn record(&mut self, latency: &StageLatency) {
        self.extraction.saturating_record(latency.extraction_us());
        self.total.saturating_record(latency.total_us());
    }

    /// The percentiles so far.
    #[must_use]
    pub fn summary(&self) -> LatencySummary {
        LatencySummary { extraction: percentiles(&self.extraction), total: percentiles(&self.total) }
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencySummary {
    /// Start of preprocessing to keypoints ready.
    pub extraction: Percentiles,
    /// Start of decoding to event written.
    pub total: Percentiles,
}

/// Milliseconds below which a share of the frames lies.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Half of the frames.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// All.
    pub max: f64,
}

#[allow(clippy::cast_precision_loss)] // Values end at one minute.
fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    let ms = |us: u64| us as f64 / 1e3;
    Percentiles {
        p50: ms(histogram.value_at_quantile(0.5)),
        p90: ms(histogram.value_at_quantile(0.9)),
        p99: ms(histogram.value_at_quantile(0.99)),
        max: ms(histogram.max()),
    }
}
