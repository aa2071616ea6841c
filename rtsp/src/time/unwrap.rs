//! Counters that wrap: 32 bits in RTP, 33 in MPEG-TS.

/// Extends a counter of some bits to 64: each value is the one nearest to the value before.
///
/// ```
/// # use kinora_rtsp::Unwrapper;
/// let mut pts = Unwrapper::new(33);
/// assert_eq!(pts.unwrap((1 << 33) - 1), (1 << 33) - 1);
/// assert_eq!(pts.unwrap(1), (1 << 33) + 1);
/// ```
#[derive(Clone, Debug)]
pub struct Unwrapper {
    bits: u32,
    last: Option<i64>,
}

impl Unwrapper {
    /// For a counter of `bits`, 1 to 62.
    ///
    /// # Panics
    /// For any other number.
    #[must_use]
    pub fn new(bits: u32) -> Self {
        assert!((1..=62).contains(&bits), "a counter should have 1 to 62 bits");
        Self { bits, last: None }
    }

    /// How many bits the counter has.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The next value; the first one is taken as it is.
    pub fn unwrap(&mut self, value: u64) -> i64 {
        let extended = self.nearest(value);
        self.last = Some(extended);
        extended
    }

    /// What [`unwrap`](Self::unwrap) would say, without remembering it.
    #[must_use]
    pub fn nearest(&self, value: u64) -> i64 {
        let modulus = 1_i64 << self.bits;
        // Masked to at most 62 bits, so it fits.
        let value = i64::try_from(value & (modulus as u64 - 1)).unwrap_or_default();
        let Some(last) = self.last else { return value };
        let ahead = (value - last).rem_euclid(modulus);
        last + if ahead >= modulus / 2 { ahead - modulus } else { ahead }
    }

    /// Forgets the past: the next value is taken as it is.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wraps_are_crossed_in_both_directions() {
        for bits in [32, 33] {
            let top = 1_u64 << bits;
            let mut counter = Unwrapper::new(bits);
            let extended: Vec<_> = [top - 2, 1, top - 1, 3].map(|value| counter.unwrap(value)).to_vec();
            let top = top as i64;
            assert_eq!(extended, [top - 2, top + 1, top - 1, top + 3]);
        }
    }

    #[test]
    fn looking_does_not_move() {
        let mut counter = Unwrapper::new(32);
        counter.unwrap(10);
        assert_eq!(counter.nearest(u64::from(u32::MAX)), -1);
        assert_eq!(counter.unwrap(11), 11);
        counter.reset();
        assert_eq!(counter.unwrap(u64::from(u32::MAX)), i64::from(u32::MAX));
    }
}
