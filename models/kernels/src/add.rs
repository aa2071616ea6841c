//! Sum and activation of two feature maps in one pass: the end of a residual block.

use crate::Clamp;
use crate::simd::{Kernel, Simd, Vector};

/// Writes `min(max(a + b, low), high)` to `sums`, with the best instructions at hand.
///
/// # Panics
/// If the slices differ in length: a bug of the caller.
pub fn add(a: &[f32], b: &[f32], clamp: Clamp, sums: &mut [f32]) {
    add_with(Simd::best(), a, b, clamp, sums);
}

/// As `add`, with the given instructions: for comparisons.
///
/// # Panics
/// As `add`.
pub fn add_with(simd: Simd, a: &[f32], b: &[f32], clamp: Clamp, sums: &mut [f32]) {
    assert!(a.len() == sums.len() && b.len() == sums.len(), "operands and result should have one length");
    simd.run(Add { a, b, clamp, sums });
}

/// The operands, whose lengths `add_with` has checked.
struct Add<'a> {
    a: &'a [f32],
    b: &'a [f32],
    clamp: Clamp,
    sums: &'a mut [f32],
}

impl Kernel for Add<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let done = self.part::<V>(0);
        self.part::<f32>(done);
    }
}

impl Add<'_> {
    /// All whole vectors from `at` on; gives the first element left over.
    #[inline(always)]
    fn part<V: Vector>(&mut self, mut at: usize) -> usize {
        let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
        let end = self.sums.len().min(self.a.len()).min(self.b.len());
        while at + V::LANES <= end {
            // SAFETY: the loop's condition keeps `LANES` floats from `at` on inside all three slices.
            unsafe {
                let sum = V::load(self.a.as_ptr().add(at)).plus(V::load(self.b.as_ptr().add(at)));
                sum.clamped(low, high).store(self.sums.as_mut_ptr().add(at));
            }
            at += V::LANES;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn every_version_adds_and_clamps() {
        for len in [0, 1, 15, 16, 100] {
            let (a, b) = (noise(len, 11), noise(len, 12));
            for simd in Simd::available() {
                let mut sums = vec![f32::NAN; len];
                add_with(simd, &a, &b, Clamp::RELU, &mut sums);
                let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a + b).max(0.0)).collect();
                assert_eq!(sums, expected, "{}", simd.name());
            }
        }
    }
}
