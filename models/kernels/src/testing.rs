//! Reproducible inputs for this crate's tests.

/// `len` numbers between -1 and 1 from an integer hash (the finaliser of splitmix64), the same on every
/// machine.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    (0..len as u64)
        .map(|index| {
            let mut hash = (index ^ seed << 40).wrapping_add(0x9e37_79b9_7f4a_7c15);
            hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (hash >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}
