//! The server's own metrics: read from streams, journal, database and lanes when Prometheus asks.

use std::sync::Arc;

use kinora_actors::db_writer::DbWriterCounters;
use kinora_actors::domain::DropReason;
use kinora_actors::lanes::Lanes;
use kinora_actors::status::StatusBoard;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::journal::Journal;
use crate::store::Store;

/// What is asked.
pub(super) struct Gauged {
    pub(super) board: Arc<StatusBoard>,
    pub(super) journal: Arc<Journal>,
    pub(super) store: Store,
    pub(super) counters: Arc<DbWriterCounters>,
    pub(super) lanes: Arc<Lanes>,
}

/// The collector. Labels are bounded: streams by configuration, the rest by constants.
pub(super) struct Gauges {
    asked: Gauged,
    frames: IntCounterVec,
    states: IntGaugeVec,
    latency: GaugeVec,
    journal_bytes: IntGauge,
    journal_uncommitted: IntGauge,
    connections: IntGauge,
    database_restarts: IntGauge,
    rows: IntCounterVec,
    workers: IntCounterVec,
    heap: IntGaugeVec,
    fetched: IntCounter,
}

impl Gauges {
    /// Metrics that are read from `asked`.
    ///
    /// # Errors
    /// When a name is not one; that is a fault of ours.
    pub(super) fn new(asked: Gauged) -> prometheus::Result<Self> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        Ok(Self {
            asked,
            frames: counters(
                "kinora_frames_total",
                "Frames of the running session by what became of them",
                &["stream", "outcome"],
            )?,
            states: IntGaugeVec::new(
                Opts::new("kinora_stream_state", "1 for the state that a stream is in"),
                &["stream", "state"],
            )?,
            latency: GaugeVec::new(
                Opts::new("kinora_extraction_latency_ms", "Preprocess to extraction of the running session"),
                &["stream", "quantile"],
            )?,
            journal_bytes: IntGauge::new("kinora_journal_bytes", "Size of the journal")?,
            journal_uncommitted: IntGauge::new(
                "kinora_journal_uncommitted_bytes",
                "What is not in the database yet",
            )?,
            connections: IntGauge::new("db_connections_active", "Connections to the database in use")?,
            database_restarts: IntGauge::new(
                "kinora_embedded_database_restarts",
                "How often the private database was found dead and started again",
            )?,
            rows: counters(
                "kinora_db_events_total",
                "Events by what the database did with them",
                &["outcome"],
            )?,
            workers: counters("kinora_workers_lost_total", "Inference workers that were lost", &["how"])?,
            heap: IntGaugeVec::new(
                Opts::new(
                    "kinora_heap_bytes",
                    "Heap of the process: live, and held with what the allocator keeps",
                ),
                &["kind"],
            )?,
            fetched: IntCounter::new(
                "kinora_gpu_pictures_fetched_total",
                "Pictures that were copied from a GPU's memory to the host's",
            )?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 11] {
        [
            &self.frames,
            &self.states,
            &self.latency,
            &self.journal_bytes,
            &self.journal_uncommitted,
            &self.connections,
            &self.database_restarts,
            &self.rows,
            &self.workers,
            &self.heap,
            &self.fetched,
        ]
    }

    fn read_streams(&self) {
        self.frames.reset();
        self.states.reset();
        self.latency.reset();
        for stream in self.asked.board.streams() {
            let state = serde_json::to_value(stream.state).unwrap_or_default();
            self.states.with_label_values(&[&*stream.name, state.as_str().unwrap_or_default()]).set(1);
            let Some(session) = stream.session else { continue };
            let count = |outcome: &str, frames: u64| {
                self.frames.with_label_values(&[&*stream.name, outcome]).inc_by(frames);
            };
            count("received", session.account.received);
            count("analyzed", session.account.analyzed);
            count("skipped", session.account.skipped);
            for reason in DropReason::ALL {
                count(&format!("dropped_{}", reason.name()), session.account.dropped_for(reason));
            }
            let extraction = session.latency.extraction;
            for (quantile, ms) in [("0.5", extraction.p50), ("0.9", extraction.p90), ("0.99", extraction.p99)]
            {
                self.latency.with_label_values(&[&*stream.name, quantile]).set(ms);
            }
        }
    }

    fn read_heap(&self) {
        let Some(heap) = kinora_media::heap_use() else { return };
        for (kind, bytes) in [("live", heap.live), ("held", heap.held)] {
            self.heap.with_label_values(&[kind]).set(gauge(bytes));
        }
    }

    fn read_storage(&self) {
        let Gauged { journal, store, counters, lanes, .. } = &self.asked;
        self.journal_bytes.set(gauge(journal.bytes()));
        self.journal_uncommitted.set(gauge(journal.end().0.saturating_sub(journal.committed().0)));
        self.connections.set(gauge(store.pool_status().in_use as u64));
        self.database_restarts.set(store.embedded_status().map_or(0, |status| gauge(status.restarts)));
        let (counts, (replaced, abandoned)) = (counters.read(), lanes.losses());
        self.rows.reset();
        for (outcome, count) in
            [("written", counts.written), ("refused", counts.refused), ("failed_tries", counts.failures)]
        {
            self.rows.with_label_values(&[outcome]).inc_by(count);
        }
        self.fetched.reset();
        self.fetched.inc_by(kinora_media::gpu_pictures_fetched());
        self.workers.reset();
        for (how, count) in [("panicked", replaced), ("hung", abandoned)] {
            self.workers.with_label_values(&[how]).inc_by(count);
        }
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read_streams();
        self.read_storage();
        self.read_heap();
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
