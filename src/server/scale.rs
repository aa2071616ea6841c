//! When another server is needed: judged from how busy the devices are and how late results come, told as a metric and
//! to a command of the operator's.
//!
//! The judgement is pure. It says yes when the mean of the busiest device over 30 s passes 80 %, or a stream's 99th
//! percentile of its last thousand frames passes the budget, and no again when neither holds and the mean is below 50 %; in between it stays as it is.

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kinora_actors::lanes::Lanes;
use kinora_actors::ports::Clock;
use kinora_actors::status::StatusBoard;
use prometheus::{IntCounter, IntGauge};
use slog::{Logger, info, o, warn};

use super::admission::Admission;
use super::device_use::{DeviceGauges, DeviceMeter};
use crate::adapters::LastUtilization;
use crate::config::Scale;

/// What a mean is of.
const WINDOW: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(1);
/// Means above the first and below the second change the judgement.
const BUSY: f64 = 0.8;
const IDLE: f64 = 0.5;

/// What is seen at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at_us: u64,
    /// How busy the busiest device is, its decoder included: 0 to 1.
    load: f64,
    /// The highest 99th percentile of a stream's extraction latency, in milliseconds; 0 without streams.
    p99_ms: f64,
}

/// A change of the judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    scale_out: bool,
    reason: String,
}

/// The judgement so far.
#[derive(Debug)]
struct Judge {
    budget_ms: f64,
    samples: VecDeque<Sample>,
    scale_out: bool,
}

impl Judge {
    fn new(budget: Duration) -> Self {
        Self { budget_ms: budget.as_secs_f64() * 1e3, samples: VecDeque::new(), scale_out: false }
    }

    /// Takes a sample, later than those before; tells of a change.
    fn see(&mut self, sample: Sample) -> Option<Verdict> {
        self.samples.push_back(sample);
        let window_us = u64::try_from(WINDOW.as_micros()).unwrap_or(u64::MAX);
        let begin = sample.at_us.saturating_sub(window_us);
        // One sample from before the window stays: it tells that the window is whole.
        while self.samples.get(1).is_some_and(|second| second.at_us <= begin) {
            self.samples.pop_front();
        }
        let is_late = sample.p99_ms > self.budget_ms;
        let mean = self.mean(begin)?;
        let (scale_out, reason) = if is_late {
            (true, format!("p99 {:.0} ms is over the budget of {:.0} ms", sample.p99_ms, self.budget_ms))
        } else if mean > BUSY {
            (true, format!("the busiest device was busy for {:.0} % of 30 s", mean * 100.0))
        } else if mean < IDLE {
            (false, format!("the busiest device was busy for {:.0} % of 30 s", mean * 100.0))
        } else {
            return None;
        };
        let changed = std::mem::replace(&mut self.scale_out, scale_out) != scale_out;
        changed.then_some(Verdict { scale_out, reason })
    }

    /// The mean load since `begin_us`; nothing before the window was full once.
    fn mean(&self, begin_us: u64) -> Option<f64> {
        let first = self.samples.front().filter(|first| first.at_us <= begin_us)?;
        let (mut sum, mut before) = (0.0, first.at_us.max(begin_us));
        let begin = before;
        for sample in self.samples.iter().skip(1) {
            sum += sample.load * sample.at_us.saturating_sub(before) as f64;
            before = sample.at_us;
        }
        let whole = before.saturating_sub(begin);
        (whole > 0).then(|| sum / whole as f64)
    }
}

/// What is watched.
pub(super) struct Watched {
    pub(super) board: Arc<StatusBoard>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) clock: Arc<dyn Clock>,
    /// Measures at the same times.
    pub(super) admission: Arc<Admission>,
    /// Where the API finds how busy the device is.
    pub(super) utilization: Arc<LastUtilization>,
    /// `cpu` or `cuda:N`.
    pub(super) device: String,
}

/// The metrics of this file and of the devices.
pub(super) struct ScaleGauges {
    scale_out: IntGauge,
    refused: IntCounter,
    devices: DeviceGauges,
}

impl ScaleGauges {
    /// Metrics that `registry` shows.
    ///
    /// # Errors
    /// When a name is taken or is none; that is a fault of ours.
    pub(super) fn new(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let scale_out = IntGauge::new("kinora_scale_out", "1 when another server is needed")?;
        registry.register(Box::new(scale_out.clone()))?;
        let refused =
            IntCounter::new("kinora_streams_refused_total", "Streams that this server had no room for")?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self { scale_out, refused, devices: DeviceGauges::new(registry)? })
    }

    /// Counts streams that there was no room for.
    pub(super) fn refused(&self) -> IntCounter {
        self.refused.clone()
    }
}

/// Watches from now on, on the current System.
pub(super) fn start(watched: Watched, gauges: ScaleGauges, settings: &Scale, log: Logger) {
    let (mut judge, command) = (Judge::new(settings.latency_budget), settings.command.clone());
    let mut meter = DeviceMeter::new(&watched.device, Arc::clone(&watched.lanes));
    actix::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let at_us = watched.clock.monotonic_us();
            watched.admission.look();
            let usage = meter.read(at_us);
            gauges.devices.show(&watched.device, &usage);
            watched.utilization.set(usage.shown());
            let latencies = watched.board.streams().into_iter().filter_map(|stream| stream.session);
            let running = latencies.filter(|session| session.ended.is_none());
            let p99_ms = running.map(|session| session.recent_p99_ms).fold(0.0, f64::max);
            let verdict = judge.see(Sample { at_us, load: usage.busiest(), p99_ms });
            let Some(verdict) = verdict else { continue };
            gauges.scale_out.set(i64::from(verdict.scale_out));
            info!(log, "scaling"; "scale_out" => verdict.scale_out, "why" => &verdict.reason);
            if let Some(command) = &command {
                call(command, &verdict, log.new(o!("command" => command.clone())));
            }
        }
    });
}

/// Runs the operator's command on a thread of its own: how long it takes is its own affair.
fn call(command: &str, verdict: &Verdict, log: Logger) {
    let mut command = Command::new(command);
    command
        .env("KINORA_SCALE_OUT", verdict.scale_out.to_string())
        .env("KINORA_SCALE_REASON", &verdict.reason);
    // Standard output carries data only.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let run = move || match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => warn!(log, "the scale command failed"; "status" => %status),
        Err(error) => warn!(log, "the scale command could not be run"; "error" => %error),
    };
    // Without a thread the metric still tells.
    let _ = std::thread::Builder::new().name("scale-command".into()).spawn(run);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(150);

    /// So many seconds of a load, sampled each second from `from` on; gives what changed, with its second.
    fn play(judge: &mut Judge, from: u64, seconds: u64, load: f64, p99_ms: f64) -> Vec<(u64, bool)> {
        let samples =
            (from..from + seconds).map(|second| (second, Sample { at_us: second * 1_000_000, load, p99_ms }));
        samples
            .filter_map(|(second, sample)| judge.see(sample).map(|verdict| (second, verdict.scale_out)))
            .collect()
    }

    #[test]
    fn a_load_that_lasts_asks_for_a_server_and_half_of_it_lets_it_go() {
        let mut judge = Judge::new(BUDGET);
        assert_eq!(play(&mut judge, 0, 60, 0.3, 5.0), []);
        // The mean of 30 s passes 80 % when 29 of them are at 85 % (and one at 30 %): not before.
        let changes = play(&mut judge, 60, 60, 0.85, 5.0);
        assert_eq!(changes, [(87, true)]);
        assert_eq!(play(&mut judge, 120, 120, 0.7, 5.0), [], "between the bounds it stays");
        let changes = play(&mut judge, 240, 60, 0.4, 5.0);
        assert_eq!((changes.len(), changes[0].1), (1, false));
        assert!((260..=270).contains(&changes[0].0), "{changes:?}");
    }

    #[test]
    fn a_peak_is_no_reason() {
        let mut judge = Judge::new(BUDGET);
        play(&mut judge, 0, 40, 0.2, 5.0);
        assert_eq!(play(&mut judge, 40, 10, 1.0, 5.0), []);
        assert_eq!(play(&mut judge, 50, 60, 0.2, 5.0), []);
    }

    #[test]
    fn results_that_come_too_late_are_a_reason_by_themselves() {
        let mut judge = Judge::new(BUDGET);
        play(&mut judge, 0, 40, 0.2, 149.0);
        let late = judge.see(Sample { at_us: 40_000_000, load: 0.2, p99_ms: 151.0 }).unwrap();
        assert_eq!((late.scale_out, &*late.reason), (true, "p99 151 ms is over the budget of 150 ms"));
        assert_eq!(play(&mut judge, 41, 5, 0.2, 20.0), [(41, false)]);
    }

    #[test]
    fn nothing_is_judged_before_there_were_thirty_seconds() {
        let mut judge = Judge::new(BUDGET);
        assert_eq!(play(&mut judge, 100, 30, 1.0, 500.0), []);
        assert_eq!(play(&mut judge, 130, 1, 1.0, 5.0), [(130, true)]);
    }

    #[test]
    fn the_command_is_told_what_and_why() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (script, told) = (folder.path().join("hook"), folder.path().join("told"));
        let text = format!(
            "#!/bin/sh\necho \"$KINORA_SCALE_OUT $KINORA_SCALE_REASON\" > {0}.part && mv {0}.part {0}\n",
            told.display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let verdict = Verdict { scale_out: true, reason: "as the test asked".into() };
        call(script.to_str().unwrap(), &verdict, Logger::root(slog::Discard, o!()));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !told.exists() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read_to_string(told).unwrap(), "true as the test asked\n");
    }
}
