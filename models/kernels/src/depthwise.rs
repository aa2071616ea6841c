//! Depthwise convolution of NHWC images: each channel with a filter of its own, bias and clamp in the same
//! pass.
//!
//! Outputs are made in strips: some neighbouring columns of one row, for as many channels as a vector has, so
//! that a weight is loaded once for the strip and the sums stay in registers. Taps that would fall on padding
//! are left out rather than multiplied by zero.

use std::ops::Range;

use crate::Clamp;
use crate::shape::{Steps, product};
use crate::simd::{Kernel, Simd, Vector};

/// Columns that are computed together where the whole window lies inside the image.
const COLUMNS: usize = 4;
/// Vectors of channels that are computed together elsewhere, so that as many sums are under way.
const GROUPS: usize = 4;

/// The shape of a depthwise convolution of one image. Pairs are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// Size of the image.
    pub input: [usize; 2],
    /// Size of the result; windows may reach over the image's bottom and right as far as this makes them.
    pub output: [usize; 2],
    /// Channels of both.
    pub channels: usize,
    /// Taps of the window.
    pub kernel: [usize; 2],
    /// Step between two outputs.
    pub stride: [usize; 2],
    /// Distance between two taps.
    pub dilation: [usize; 2],
    /// Zeros above and on the left of the image.
    pub padding: [usize; 2],
}

impl DepthwiseShape {
    /// Floats of the image. This and the other lengths panic where no slice could have them.
    pub fn input_len(&self) -> usize {
        product(&[self.input[0], self.input[1], self.channels])
    }

    /// Floats of the result.
    pub fn output_len(&self) -> usize {
        product(&[self.output[0], self.output[1], self.channels])
    }

    /// Floats of the weights, `[kh, kw, C]`.
    pub fn weights_len(&self) -> usize {
        product(&[self.kernel[0], self.kernel[1], self.channels])
    }

    fn steps(&self) -> [Steps; 2] {
        Steps::both([self.input, self.output, self.kernel], [self.stride, self.dilation, self.padding])
    }

    /// Taps along an axis (0 height, 1 width) that fall inside the image, for the output at `at`.
    #[inline(always)]
    fn taps(&self, axis: usize, at: usize) -> Range<usize> {
        let origin = at * self.stride[axis];
        let (pad, gap, size) = (self.padding[axis], self.dilation[axis], self.input[axis]);
        let first = pad.saturating_sub(origin).div_ceil(gap);
        // Tap k lies at origin + k * gap - pad, which has to be below size.
        let end = (size + pad).saturating_sub(origin).div_ceil(gap).min(self.kernel[axis]);
        first.min(end)..end
    }
}

/// Convolves one image with the best instructions at hand.
///
/// `input` is `[H, W, C]`, `weights` `[kh, kw, C]`, `bias` `[C]`, `output` `[H', W', C]`, all row-major.
///
/// # Panics
/// If a slice has another length than `shape` says, a stride or dilation is 0, or a padding or step is so large
/// that positions cannot be counted: a bug of the caller.
pub fn depthwise(
    shape: &DepthwiseShape,
    input: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: Clamp,
    output: &mut [f32],
) {
    depthwise_with(Simd::best(), shape, input, weights, bias, clamp, output);
}

/// As `depthwise`, with the given instructions: for comparisons.
///
/// # Panics
/// As `depthwise`.
pub fn depthwise_with(
    simd: Simd,
    shape: &DepthwiseShape,
    input: &[f32],
    weights: &[f32],
    bias: &[f32],
    clamp: Clamp,
    output: &mut [f32],
) {
    assert_eq!(input.len(), shape.input_len(), "input should be H x W x C");
    assert_eq!(weights.len(), shape.weights_len(), "weights should be kh x kw x C");
    assert_eq!(bias.len(), shape.channels, "bias should be C");
    assert_eq!(output.len(), shape.output_len(), "output should be H' x W' x C");
    shape.steps().iter().for_each(Steps::check);
    if output.is_empty() {
        // Rows and columns without a channel would be walked for nothing.
        return;
    }
    simd.run(Convolution { shape, input, weights, bias, clamp, output });
}

/// The operands, whose lengths and steps `depthwise_with` has checked.
struct Convolution<'a> {
    shape: &'a DepthwiseShape,
    input: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    clamp: Clamp,
    output: &'a mut [f32],
}

impl Kernel for Convolution<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let inner = self.inner_columns();
        for row in 0..self.shape.output[0] {
            let rows = self.shape.taps(0, row);
            self.inner_strips::<V>(row, &rows, &inner);
            for column in (0..inner.start).chain(inner.end..self.shape.output[1]) {
                let columns = self.shape.taps(1, column);
                self.pixel::<V>(row, column, &rows, &columns);
            }
        }
    }
}

impl Convolution<'_> {
    /// Output columns whose whole window lies inside the image, a multiple of `COLUMNS` of them.
    fn inner_columns(&self) -> Range<usize> {
        let all = |column: &usize| self.shape.taps(1, *column) == (0..self.shape.kernel[1]);
        let width = self.shape.output[1];
        let start = (0..width).find(all).unwrap_or(width);
        let count = (start..width).take_while(all).count();
        start..start + count / COLUMNS * COLUMNS
    }

    /// The inner columns of one row: channels outside, columns inside, so that a strip's weights stay in the
    /// cache.
    #[inline(always)]
    fn inner_strips<V: Vector>(&mut self, row: usize, rows: &Range<usize>, inner: &Range<usize>) {
        let whole = 0..self.shape.kernel[1];
        let mut channel = 0;
        channel = self.strips::<V>(row, rows, inner, &whole, channel);
        channel = self.strips::<V::Half>(row, rows, inner, &whole, channel);
        self.strips::<f32>(row, rows, inner, &whole, channel);
    }

    /// Strips of `COLUMNS` columns for all vectors of channels from `channel` on; gives the first channel
    /// left over.
    #[inline(always)]
    fn strips<V: Vector>(
        &mut self,
        row: usize,
        rows: &Range<usize>,
        inner: &Range<usize>,
        columns: &Range<usize>,
        mut channel: usize,
    ) -> usize {
        while channel + V::LANES <= self.shape.channels {
            for column in inner.clone().step_by(COLUMNS) {
                self.sum::<V, COLUMNS, 1>(row, column, channel, rows, columns);
            }
            channel += V::LANES;
        }
        channel
    }

    /// All channels of one output, for the taps given.
    #[inline(always)]
    fn pixel<V: Vector>(&mut self, row: usize, column: usize, rows: &Range<usize>, columns: &Range<usize>) {
        let channels = self.shape.channels;
        let mut channel = 0;
        while channel + GROUPS * V::LANES <= channels {
            self.sum::<V, 1, GROUPS>(row, column, channel, rows, columns);
            channel += GROUPS * V::LANES;
        }
        while channel + V::LANES <= channels {
            self.sum::<V, 1, 1>(row, column, channel, rows, columns);
            channel += V::LANES;
        }
        while channel + V::Half::LANES <= channels {
            self.sum::<V::Half, 1, 1>(row, column, channel, rows, columns);
            channel += V::Half::LANES;
        }
        while channel < channels {
            self.sum::<f32, 1, 1>(row, column, channel, rows, columns);
            channel += 1;
        }
    }

    /// `N` outputs beside each other, for `G` vectors of channels, over the taps given.
    #[inline(always)]
    fn sum<V: Vector, const N: usize, const G: usize>(
        &mut self,
        row: usize,
        column: usize,
        channel: usize,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) {
        let shape = self.shape;
        debug_assert!(column + N <= shape.output[1] && channel + G * V::LANES <= shape.channels);
        let mut sums = [[V::splat(0.0); G]; N];
        for ky in rows.clone() {
            let y = row * shape.stride[0] + ky * shape.dilation[0] - shape.padding[0];
            for kx in columns.clone() {
                let x = column * shape.stride[1] + kx * shape.dilation[1] - shape.padding[1];
                let tap = (ky * shape.kernel[1] + kx) * shape.channels + channel;
                let pixel = (y * shape.input[1] + x) * shape.channels + channel;
                for group in 0..G {
                    // SAFETY: tap and channels are inside the weights, whose length was checked.
                    let weight = unsafe { V::load(self.weights.as_ptr().add(tap + group * V::LANES)) };
                    for (step, sum) in sums.iter_mut().enumerate() {
                        let at = pixel + step * shape.stride[1] * shape.channels + group * V::LANES;
                        // SAFETY: the caller names only taps that lie inside the image for all `N` columns,
                        // and channels that exist; the image's length was checked.
                        let value = unsafe { V::load(self.input.as_ptr().add(at)) };
                        sum[group] = sum[group].plus_product(value, weight);
                    }
                }
            }
        }
        let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
        let first = (row * shape.output[1] + column) * shape.channels + channel;
        for (step, sum) in sums.iter().enumerate() {
            for (group, sum) in sum.iter().enumerate() {
                // SAFETY: the channels exist, and the bias has one float a channel.
                let bias = unsafe { V::load(self.bias.as_ptr().add(channel + group * V::LANES)) };
                let at = first + step * shape.channels + group * V::LANES;
                // SAFETY: row, columns and channels are inside the output, whose length was checked.
                unsafe { sum.plus(bias).clamped(low, high).store(self.output.as_mut_ptr().add(at)) };
            }
        }
    }
}

#[cfg(test)]
mod tests;
