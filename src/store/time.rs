//! Microseconds since 1970, the store's time, to and from the type that the PostgreSQL client knows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time `us` microseconds after 1970, or before it.
pub(super) fn from_us(us: i64) -> SystemTime {
    let distance = Duration::from_micros(us.unsigned_abs());
    if us < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// Microseconds from 1970 to `time`; exact for every time that PostgreSQL has.
pub(super) fn to_us(time: SystemTime) -> i64 {
    let whole = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_come_back_exactly() {
        for us in [0, 1, -1, 1_795_670_000_123_456, -62_135_596_800_000_000] {
            assert_eq!(to_us(from_us(us)), us);
        }
    }
}
