//! Latencies of a session in bounded memory, as percentiles.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::domain::StageLatency;

/// Latencies above this are counted as this: one minute.
const HIGHEST_US: u64 = 60_000_000;
/// Frames that are recent: half a minute at 30 frames a second.
const RECENT: usize = 1_000;

/// Distributions of the extraction latency (requirement A4) and of the whole way.
#[derive(Clone, Debug)]
pub struct LatencyStats {
    extraction: Histogram<u64>,
    total: Histogram<u64>,
    /// Extraction latencies of the last frames, in microseconds.
    recent: VecDeque<u64>,
}

impl Default for LatencyStats {
    fn default() -> Self {
        let histogram = || Histogram::new_with_max(HIGHEST_US, 3).expect("the bounds should be valid");
        Self { extraction: histogram(), total: histogram(), recent: VecDeque::with_capacity(RECENT) }
    }
}

impl LatencyStats {
    /// Counts one frame.
    pub fn record(&mut self, latency: &StageLatency) {
        self.extraction.saturating_record(latency.extraction_us());
        self.total.saturating_record(latency.total_us());
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(latency.extraction_us());
    }

    /// Milliseconds below which 99 % of the last thousand frames were extracted; 0 before the first. It tells how a
    /// stream is now, where the percentiles of a session that has run for days do not move any more.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Latencies are far below 2^53 us.
    pub fn recent_p99_ms(&self) -> f64 {
        let mut recent: Vec<u64> = self.recent.iter().copied().collect();
        let Some(last) = recent.len().checked_sub(1) else { return 0.0 };
        let (_, p99, _) = recent.select_nth_unstable(last * 99 / 100);
        *p99 as f64 / 1e3
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_frames_push_out_those_of_long_ago() {
        let mut stats = LatencyStats::default();
        assert_eq!(stats.recent_p99_ms(), 0.0);
        let frame = |us| StageLatency { inference_us: us, ..StageLatency::default() };
        (0..1_000).for_each(|_| stats.record(&frame(500_000)));
        assert_eq!(stats.recent_p99_ms(), 500.0);
        (0..995).for_each(|_| stats.record(&frame(10_000)));
        assert_eq!(stats.recent_p99_ms(), 10.0);
        assert!(stats.summary().extraction.p99 > 400.0);
    }
}
