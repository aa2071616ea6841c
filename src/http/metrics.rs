//! Numbers for Prometheus: the registry that the whole server adds to, and those of the server's face.

use actix_web::http::StatusCode;
use actix_web_prom::{ActixMetricsConfiguration, PrometheusMetrics, PrometheusMetricsBuilder};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// What an unknown path is counted as: labels have to be bounded.
const UNMATCHED: &str = "unmatched";

/// The registry and what is counted here.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(super) requests: PrometheusMetrics,
    pub(super) subscribers: IntGauge,
    pub(super) events_sent: IntCounter,
    pub(super) gaps_told: IntCounterVec,
    pub(super) subscribers_left: IntCounterVec,
}

/// Two metrics have one name, or a name that Prometheus refuses.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be registered: {0}")]
pub(crate) struct MetricsError(String);

impl Metrics {
    /// Registers the server's own metrics in `registry`.
    ///
    /// # Errors
    /// When the registry has one of them already.
    pub(crate) fn new(registry: Registry) -> Result<Self, MetricsError> {
        let metrics = Self {
            requests: requests(&registry)?,
            subscribers: IntGauge::new("kinora_ws_subscribers", "Open WebSocket subscriptions")
                .map_err(say)?,
            events_sent: IntCounter::new("kinora_ws_events_sent_total", "Events given to sockets")
                .map_err(say)?,
            gaps_told: counter("kinora_ws_gaps_total", "Gaps told to subscribers", "reason")?,
            subscribers_left: counter("kinora_ws_subscribers_left_total", "Subscriptions ended", "reason")?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.subscribers.clone())).map_err(say)?;
        registry.register(Box::new(metrics.events_sent.clone())).map_err(say)?;
        registry.register(Box::new(metrics.gaps_told.clone())).map_err(say)?;
        registry.register(Box::new(metrics.subscribers_left.clone())).map_err(say)?;
        Ok(metrics)
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// When a collector delivers nonsense.
    pub(super) fn text(&self) -> Result<String, MetricsError> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(say)
    }
}

/// The names of requirement E6, which are not the library's own. A subscription lasts for hours and is no
/// request with a duration: upgraded ones are left out, refused ones are counted.
fn requests(registry: &Registry) -> Result<PrometheusMetrics, MetricsError> {
    let names = ActixMetricsConfiguration::default()
        .http_requests_total_name("http_requests_total")
        .http_requests_duration_seconds_name("http_request_duration_seconds");
    PrometheusMetricsBuilder::new("")
        .registry(registry.clone())
        .metrics_configuration(names)
        .mask_unmatched_patterns(UNMATCHED)
        .exclude_status(StatusCode::SWITCHING_PROTOCOLS)
        .build()
        .map_err(say)
}

fn counter(name: &str, help: &str, label: &str) -> Result<IntCounterVec, MetricsError> {
    IntCounterVec::new(Opts::new(name, help), &[label]).map_err(say)
}

fn say(error: impl std::fmt::Display) -> MetricsError {
    MetricsError(error.to_string())
}
