//! Forwards do not add up in memory. A test binary of its own: other tests would be measured too.

mod support;

use kinora_models::{DETECTOR_SIDE, LANDMARK_SIDE, one_thread_per_product};
use support::inputs::image;

/// Forwards of each network before the first measurement, in which the allocator finds its size, and after it.
const WARM_UP: usize = 20;
const FORWARDS: usize = 200;
/// Growth that is the allocator's play. One leaked activation of each forward would be 100 MB.
const ALLOWED_BYTES: u64 = 8 << 20;

/// Bytes of memory that this process holds.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    // Pages of 4 KiB: the second field is the resident set.
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("Linux should tell the resident set") * 4096
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_flat_over_many_forwards() {
    one_thread_per_product();
    let mut networks = support::networks();
    let (person, crop) = (image("standing", DETECTOR_SIDE, -1.0), image("standing", LANDMARK_SIDE, 0.0));
    let mut forwards = |count| {
        for _ in 0..count {
            networks.detect(&person).unwrap();
            networks.landmarks(&crop).unwrap();
        }
    };
    forwards(WARM_UP);
    let before = resident();
    forwards(FORWARDS);
    let after = resident();
    assert!(after <= before + ALLOWED_BYTES, "grew from {before} to {after} bytes");
}
