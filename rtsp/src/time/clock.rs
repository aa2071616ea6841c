//! The clock of one stream: timestamps in, media time, epochs and capture times out.
//!
//! A wrap is no jump; a jump opens an epoch. A timestamp that runs ahead of what has gone by since the last one, or goes
//! back by more than any reordering explains, is a jump. One that stands still while the network does is none.

use super::HostClock;
use super::arrival::{Arrival, Estimate};
use super::reports::{Reports, ntp_to_unix_us};
use super::unwrap::Unwrapper;

/// A step of the timestamps beyond the time that went by, or back, is a jump. Pictures are reordered over less.
const JUMP_US: i64 = 2_000_000;
/// A report about a moment further away than this from the last frame is nonsense.
const REPORT_REACH_US: i64 = 10_000_000;
/// A camera's clock that is off by more was never set.
const CAMERA_CLOCK_LIMIT_US: i64 = 24 * 3_600 * 1_000_000;

/// Whose word a capture time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockSource {
    /// The camera's, by its sender reports.
    Rtcp,
    /// The host's, by the least delay seen of late.
    Arrival,
}

/// When a picture was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
    /// Whose word it is.
    pub source: ClockSource,
    /// The true time lies within so many microseconds, by the clock of `source`. A delay that every frame has alike is
    /// not seen by `Arrival`.
    pub uncertainty_us: i64,
}

/// What a timestamp means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The timestamp without its wraps, in ticks.
    pub timestamp: i64,
    /// Media time since the first frame of the epoch; reordered frames may lie before it.
    pub media_us: i64,
    /// Counts stretches of one continuous media clock, from 0.
    pub epoch: u32,
    /// When the picture was taken.
    pub capture: Capture,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct StreamClock {
    rate: i64,
    unwrapper: Unwrapper,
    epoch: u32,
    /// The first timestamp of the epoch.
    first: Option<i64>,
    /// Media time and arrival of the last frame.
    last: Option<(i64, i64)>,
    arrival: Arrival,
    reports: Reports,
    round_trip_us: i64,
    /// The camera's wall clock minus the host's, when that is too much to be believed.
    camera_off_us: Option<i64>,
}

impl StreamClock {
    /// For timestamps of RTP: `rate` ticks a second in 32 bits.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self::with_bits(i64::from(rate.max(1)), 32)
    }

    /// For media times in microseconds, which do not wrap: what a demultiplexer makes of its own timestamps.
    #[must_use]
    pub fn of_media_time() -> Self {
        Self::with_bits(1_000_000, 62)
    }

    fn with_bits(rate: i64, bits: u32) -> Self {
        Self {
            rate,
            unwrapper: Unwrapper::new(bits),
            epoch: 0,
            first: None,
            last: None,
            arrival: Arrival::default(),
            reports: Reports::default(),
            round_trip_us: 0,
            camera_off_us: None,
        }
    }

    /// The quickest answer of the server: half of it is added to every uncertainty.
    pub fn set_round_trip(&mut self, round_trip_us: i64) {
        self.round_trip_us = round_trip_us;
    }

    /// The camera's wall clock minus the host's, if it is so far off (more than 24 h) that it is not used.
    #[must_use]
    pub fn camera_off_us(&self) -> Option<i64> {
        self.camera_off_us
    }

    /// The source itself said that it begins anew.
    pub fn begin_epoch(&mut self) {
        if self.first.is_some() {
            let (epoch, round_trip_us) = (self.epoch + 1, self.round_trip_us);
            *self = Self { epoch, round_trip_us, ..Self::with_bits(self.rate, self.unwrapper.bits()) };
        }
    }

    /// Takes the timestamp of a frame that arrived at `arrived_us` (monotonic).
    pub fn frame(&mut self, timestamp: u32, arrived_us: i64, host: &HostClock) -> Stamp {
        self.see(u64::from(timestamp), arrived_us, host)
    }

    /// The same for a media time in microseconds. Only differences count, so that it may be negative.
    pub fn frame_at(&mut self, media_us: i64, arrived_us: i64, host: &HostClock) -> Stamp {
        self.see(media_us.cast_unsigned(), arrived_us, host)
    }

    fn see(&mut self, timestamp: u64, arrived_us: i64, host: &HostClock) -> Stamp {
        if self.jumps(timestamp, arrived_us) {
            self.begin_epoch();
        }
        let (mut ticks, mut estimate) = self.take(timestamp, arrived_us);
        if estimate.error_us > JUMP_US {
            // All frames of the last minute were late by seconds: the camera's clock stood still meanwhile.
            self.begin_epoch();
            (ticks, estimate) = self.take(timestamp, arrived_us);
        }
        let media_us = self.media_us(ticks);
        let by_arrival = Capture {
            unix_us: host.unix_us(estimate.origin_us.saturating_add(media_us)),
            source: ClockSource::Arrival,
            uncertainty_us: estimate.uncertainty_us.saturating_add(self.round_trip_us / 2),
        };
        let capture = self.by_reports(media_us, arrived_us, host).unwrap_or(by_arrival);
        Stamp { timestamp: ticks, media_us, epoch: self.epoch, capture }
    }

    /// Takes a sender report.
    pub fn report(&mut self, ntp: u64, timestamp: u32) {
        let (Some(unix_us), Some((last_us, _))) = (ntp_to_unix_us(ntp), self.last) else { return };
        let media_us = self.media_us(self.unwrapper.nearest(u64::from(timestamp)));
        if media_us.saturating_sub(last_us).abs() > REPORT_REACH_US {
            return;
        }
        let step_us = self.reports.see(media_us, unix_us);
        if step_us.abs() > JUMP_US {
            // The camera's clock was set: what was said before is of no use for what follows.
            self.begin_epoch();
        }
    }

    fn media_us(&self, ticks: i64) -> i64 {
        let since = ticks - self.first.unwrap_or(ticks);
        // 128 bits: ticks of months times a million do not fit into 64.
        i64::try_from(i128::from(since) * 1_000_000 / i128::from(self.rate)).unwrap_or(i64::MAX)
    }

    fn jumps(&self, timestamp: u64, arrived_us: i64) -> bool {
        self.last.is_some_and(|(last_us, last_arrived_us)| {
            let step_us = self.media_us(self.unwrapper.nearest(timestamp)).saturating_sub(last_us);
            let elapsed_us = arrived_us.saturating_sub(last_arrived_us).max(0);
            // A network that stood still delivers late what was taken in time: that is no jump ahead.
            let backlog_us = self.backlog_us(last_us, last_arrived_us);
            step_us < -JUMP_US || step_us > elapsed_us.saturating_add(backlog_us).saturating_add(JUMP_US)
        })
    }

    /// How late the last frame was: so much may be made good at once.
    fn backlog_us(&self, last_us: i64, last_arrived_us: i64) -> i64 {
        last_arrived_us.saturating_sub(last_us).saturating_sub(self.arrival.estimate_us()).max(0)
    }

    fn take(&mut self, timestamp: u64, arrived_us: i64) -> (i64, Estimate) {
        let ticks = self.unwrapper.unwrap(timestamp);
        self.first.get_or_insert(ticks);
        let media_us = self.media_us(ticks);
        self.last = Some((media_us, arrived_us));
        (ticks, self.arrival.see(media_us, arrived_us))
    }

    fn by_reports(&mut self, media_us: i64, arrived_us: i64, host: &HostClock) -> Option<Capture> {
        let (origin_us, uncertainty_us) = self.reports.origin()?;
        let unix_us = origin_us.saturating_add(media_us);
        let off_us = unix_us.saturating_sub(host.unix_us(arrived_us));
        self.camera_off_us = (off_us.abs() > CAMERA_CLOCK_LIMIT_US).then_some(off_us);
        let uncertainty_us = uncertainty_us.saturating_add(self.round_trip_us / 2);
        self.camera_off_us.is_none().then_some(Capture { unix_us, source: ClockSource::Rtcp, uncertainty_us })
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
