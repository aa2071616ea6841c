//! Bias and activation in one pass, in place: what follows a matrix product.

use crate::Clamp;
use crate::simd::{Kernel, Simd, Vector};

/// Adds `bias` (`[C]`) to each row of `values` (`[rows, C]`) and clamps the sums, with the best instructions
/// at hand.
///
/// # Panics
/// If `values` is no whole number of rows: a bug of the caller.
pub fn add_bias(values: &mut [f32], bias: &[f32], clamp: Clamp) {
    add_bias_with(Simd::best(), values, bias, clamp);
}

/// As `add_bias`, with the given instructions: for comparisons.
///
/// # Panics
/// As `add_bias`.
pub fn add_bias_with(simd: Simd, values: &mut [f32], bias: &[f32], clamp: Clamp) {
    assert!(
        !bias.is_empty() && values.len().is_multiple_of(bias.len()),
        "values should be rows of the bias's length"
    );
    simd.run(AddBias { values, bias, clamp });
}

/// The operands, whose lengths `add_bias_with` has checked.
struct AddBias<'a> {
    values: &'a mut [f32],
    bias: &'a [f32],
    clamp: Clamp,
}

impl Kernel for AddBias<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for row in self.values.chunks_exact_mut(self.bias.len()) {
            let done = add::<V>(row, self.bias, self.clamp, 0);
            let done = add::<V::Half>(row, self.bias, self.clamp, done);
            add::<f32>(row, self.bias, self.clamp, done);
        }
    }
}

/// One row from `at` on, by whole vectors; gives the first element left over.
#[inline(always)]
fn add<V: Vector>(row: &mut [f32], bias: &[f32], clamp: Clamp, mut at: usize) -> usize {
    let (low, high) = (V::splat(clamp.low), V::splat(clamp.high));
    while at + V::LANES <= row.len().min(bias.len()) {
        // SAFETY: the loop's condition keeps `LANES` floats from `at` on inside both slices.
        unsafe {
            let to = row.as_mut_ptr().add(at);
            V::load(to).plus(V::load(bias.as_ptr().add(at))).clamped(low, high).store(to);
        }
        at += V::LANES;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn every_version_adds_and_clamps() {
        for channels in [1, 2, 8, 16, 24, 39, 64] {
            let (values, bias) = (noise(channels * 5, 7), noise(channels, 8));
            for simd in Simd::available() {
                let mut sums = values.clone();
                add_bias_with(simd, &mut sums, &bias, Clamp::RELU6);
                for (index, sum) in sums.iter().enumerate() {
                    let expected = (values[index] + bias[index % channels]).clamp(0.0, 6.0);
                    assert_eq!(*sum, expected, "{} {channels} {index}", simd.name());
                }
            }
        }
    }
}
