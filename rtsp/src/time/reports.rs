//! Sender reports: where media time lies on the camera's own wall clock (RFC 3550, section 6.4.1).

use std::collections::VecDeque;

/// So many reports tell how exact they are.
const KEPT: usize = 8;
/// What is told while there is one report only: the scheduling of a busy camera.
const STARTING_UNCERTAINTY_US: i64 = 20_000;
/// The least that is ever told: a tick of the timestamps, a rounded fraction, a camera's timer.
const LEAST_UNCERTAINTY_US: i64 = 1_000;
/// From 1900, where NTP begins, to 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// The last reports of a sender.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// Where media time 0 lies on the camera's wall clock, by each report.
    origins_us: VecDeque<i64>,
}

impl Reports {
    /// Takes a report; gives how far it lies from the one before.
    pub(super) fn see(&mut self, media_us: i64, unix_us: i64) -> i64 {
        let origin_us = unix_us.saturating_sub(media_us);
        let step_us = self.origins_us.back().map_or(0, |last| origin_us.saturating_sub(*last));
        if self.origins_us.len() == KEPT {
            self.origins_us.pop_front();
        }
        self.origins_us.push_back(origin_us);
        step_us
    }

    /// Where media time 0 lies on the camera's wall clock, and how sure that is.
    pub(super) fn origin(&self) -> Option<(i64, i64)> {
        let last_us = *self.origins_us.back()?;
        let spread_us =
            self.origins_us.iter().map(|origin| origin.saturating_sub(last_us).abs()).max().unwrap_or(0);
        let floor_us = if self.origins_us.len() == 1 { STARTING_UNCERTAINTY_US } else { 0 };
        Some((last_us, spread_us.saturating_add(LEAST_UNCERTAINTY_US).max(floor_us)))
    }
}

/// Microseconds since 1970 of an NTP timestamp; none for zero, which means "unknown".
pub(super) fn ntp_to_unix_us(ntp: u64) -> Option<i64> {
    let seconds = i64::try_from(ntp >> 32).ok().filter(|_| ntp != 0)?;
    // Seconds wrap in 2036: those that would lie before 1968 belong to the era after it (RFC 4330, section 3).
    let era_s = if seconds < 1 << 31 { 1 << 32 } else { 0 };
    let fraction_us = i64::try_from(((ntp & 0xffff_ffff) * 1_000_000) >> 32).ok()?;
    Some((seconds + era_s - NTP_TO_UNIX_S) * 1_000_000 + fraction_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_becomes_unix_time_over_its_wrap() {
        assert_eq!(ntp_to_unix_us(0), None);
        assert_eq!(ntp_to_unix_us(0x83aa_7e80_8000_0000), Some(500_000));
        // 2036-02-07T06:28:16Z, when the seconds wrap.
        assert_eq!(ntp_to_unix_us(1), Some(2_085_978_496_000_000));
    }

    #[test]
    fn the_spread_of_reports_is_their_uncertainty() {
        let mut reports = Reports::default();
        assert_eq!(reports.origin(), None);
        assert_eq!(reports.see(1_000, 501_000), 0);
        assert_eq!(reports.origin(), Some((500_000, STARTING_UNCERTAINTY_US)));
        assert_eq!(reports.see(2_000, 505_000), 3_000);
        assert_eq!(reports.origin(), Some((503_000, 3_000 + LEAST_UNCERTAINTY_US)));
    }
}
