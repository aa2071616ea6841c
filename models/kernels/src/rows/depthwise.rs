//! Depthwise convolution of rows with zeros beside them: no column is special.
//!
//! Some neighbouring columns are made together for one vector of channels, so that a pixel is loaded once for all
//! windows that it lies in.

use std::ops::Range;

use super::{Span, WindowShape};
use crate::shape::product;
use crate::simd::{Kernel, Simd, Vector};
use crate::{Clamp, Floats};

/// A first-level cache of the usual kind: bytes of a line, sets, and lines of a set that may be counted on.
const LINE: usize = 64;
const SETS: usize = 64;
const WAYS: usize = 8;

/// Weights and bias of a depthwise convolution, in lines.
#[derive(Debug, Clone)]
pub struct DepthwiseWeights {
    simd: Simd,
    /// `[kh, kw, C]`.
    values: Floats,
    bias: Floats,
}

impl DepthwiseWeights {
    /// From `weights` `[kh, kw, C]` and `bias` `[C]`.
    pub fn new(simd: Simd, weights: &[f32], bias: &[f32]) -> Self {
        let aligned = |from: &[f32]| {
            let mut floats = Floats::zeros(from.len());
            floats.copy_from_slice(from);
            floats
        };
        Self { simd, values: aligned(weights), bias: aligned(bias) }
    }

    /// Whether the kernel is made for such a window. `[height, width]`.
    pub fn takes(kernel: [usize; 2], stride: [usize; 2]) -> bool {
        matches!(kernel[1], 3 | 5) && matches!(stride[1], 1 | 2)
    }
}

/// Convolves the rows of `span`, each channel with a filter of its own. Zeros beside the output's rows are left
/// alone.
///
/// # Panics
/// If slices, weights and shape do not fit, or the window is one that `DepthwiseWeights::takes` refuses: a bug of
/// the caller.
pub fn depthwise(
    shape: &WindowShape,
    span: &Span,
    weights: &DepthwiseWeights,
    input: &[f32],
    clamp: Clamp,
    output: &mut [f32],
) {
    shape.check(span, input, output);
    let channels = shape.input.channels;
    assert_eq!(channels, shape.output.channels, "a depthwise convolution keeps the channels");
    let taps = product(&[shape.kernel[0], shape.kernel[1], channels]);
    assert!(weights.values.len() == taps && weights.bias.len() == channels, "weights should fit the window");
    assert!(DepthwiseWeights::takes(shape.kernel, shape.stride), "the window should be 3 or 5 columns wide");
    if span.output.is_empty() {
        return;
    }
    weights.simd.run(Convolution { shape, span, weights, input, clamp, output });
}

/// The operands, which `depthwise` has checked.
struct Convolution<'a> {
    shape: &'a WindowShape,
    span: &'a Span,
    weights: &'a DepthwiseWeights,
    input: &'a [f32],
    clamp: Clamp,
    output: &'a mut [f32],
}

impl Kernel for Convolution<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        match (self.shape.kernel[1], self.shape.stride[1]) {
            (3, 1) => self.all::<V, 3, 1>(),
            (3, 2) => self.all::<V, 3, 2>(),
            (5, 1) => self.all::<V, 5, 1>(),
            _ => self.all::<V, 5, 2>(),
        }
    }
}

impl Convolution<'_> {
    /// All channels with a window of `KW` columns that steps by `S`.
    #[inline(always)]
    fn all<V: Vector, const KW: usize, const S: usize>(&mut self) {
        let rows = self.span.output.clone();
        if self.shares_rows() {
            self.channels::<V, KW, S>(&rows, &(0..self.shape.output.width));
            return;
        }
        // Pixels are read one after the other, all channels of some columns at a time.
        for row in rows {
            let mut column = 0;
            while column < self.shape.output.width {
                let end = (column + 8).min(self.shape.output.width);
                self.channels::<V, KW, S>(&(row..row + 1), &(column..end));
                column = end;
            }
        }
    }

    /// Whether one vector of channels of all input rows stays in the first-level cache, so that rows which several
    /// windows share are read from there. Pixels that are a power of two apart share few sets of the cache.
    #[inline(always)]
    fn shares_rows(&self) -> bool {
        let layout = &self.shape.input;
        let rows = self.shape.input_rows(&self.span.output).len();
        let pixels = rows * (layout.left + layout.width + layout.right);
        let apart = (layout.channels * size_of::<f32>() / LINE).trailing_zeros().min(SETS.trailing_zeros());
        pixels <= (SETS >> apart) * WAYS
    }

    /// All channels of some rows and columns, as wide vectors as there are.
    #[inline(always)]
    fn channels<V: Vector, const KW: usize, const S: usize>(
        &mut self,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) {
        let mut channel = 0;
        channel = self.vectors::<V, KW, S>(rows, columns, channel);
        channel = self.vectors::<V::Half, KW, S>(rows, columns, channel);
        self.vectors::<f32, KW, S>(rows, columns, channel);
    }

    /// Whole vectors of channels from `channel` on; gives the first channel left over.
    #[inline(always)]
    fn vectors<V: Vector, const KW: usize, const S: usize>(
        &mut self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        mut channel: usize,
    ) -> usize {
        while channel + V::LANES <= self.shape.output.channels {
            for row in rows.clone() {
                self.row::<V, KW, S>(row, columns, channel);
            }
            channel += V::LANES;
        }
        channel
    }

    /// Some columns of a row for one vector of channels.
    #[inline(always)]
    fn row<V: Vector, const KW: usize, const S: usize>(
        &mut self,
        row: usize,
        columns: &Range<usize>,
        channel: usize,
    ) {
        let mut column = columns.start;
        while column + 8 <= columns.end {
            self.strip::<V, KW, S, 8>(row, column, channel);
            column += 8;
        }
        while column + 7 <= columns.end {
            self.strip::<V, KW, S, 7>(row, column, channel);
            column += 7;
        }
        while column + 4 <= columns.end {
            self.strip::<V, KW, S, 4>(row, column, channel);
            column += 4;
        }
        while column < columns.end {
            self.strip::<V, KW, S, 1>(row, column, channel);
            column += 1;
        }
    }

    /// `N` columns beside each other.
    #[inline(always)]
    fn strip<V: Vector, const KW: usize, const S: usize, const N: usize>(
        &mut self,
        row: usize,
        column: usize,
        channel: usize,
    ) {
        let shape = self.shape;
        let channels = shape.input.channels;
        // SAFETY: the bias has one float a channel.
        let mut sums = [unsafe { V::load(self.weights.bias.as_ptr().add(channel)) }; N];
        let first_tap = shape.first_tap(row);
        for (index, y) in shape.rows_of(row).enumerate() {
            let tap = (first_tap + index) * KW * channels + channel;
            let line = (y - self.span.input_first) * shape.input.row_len();
            let at = line + shape.first_column() + column * S * channels + channel;
            // SAFETY: `WindowShape::check` has seen that the rows of all windows are in the input, zeros beside
            // them included, and `depthwise` that there are weights for each tap.
            unsafe {
                let weights: [V; KW] =
                    std::array::from_fn(|kx| V::load(self.weights.values.as_ptr().add(tap + kx * channels)));
                let pixels = self.input.as_ptr().add(at);
                add_taps::<V, KW, S, N>(&mut sums, weights, pixels, channels);
            }
        }
        let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
        let line = (row - self.span.output.start) * shape.output.row_len();
        let first = line + shape.output.inner() + column * channels + channel;
        for (n, sum) in sums.into_iter().enumerate() {
            // SAFETY: row, columns and channels are inside the output, whose length was checked.
            unsafe { sum.clamped(low, high).store(self.output.as_mut_ptr().add(first + n * channels)) };
        }
    }
}

/// Adds one row of taps to `N` neighbouring windows; where they lie side by side, each pixel is loaded once.
///
/// # Safety
/// `pixels` must be valid for reading a vector at each of the `(N - 1) * S + KW` pixels.
#[inline(always)]
unsafe fn add_taps<V: Vector, const KW: usize, const S: usize, const N: usize>(
    sums: &mut [V; N],
    weights: [V; KW],
    pixels: *const f32,
    channels: usize,
) {
    if S > 1 {
        // Windows share few pixels: each FMA reads its own.
        for (kx, weight) in weights.into_iter().enumerate() {
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let pixel = unsafe { V::load(pixels.add((n * S + kx) * channels)) };
                *sum = sum.plus_product(pixel, weight);
            }
        }
        return;
    }
    for x in 0..N - 1 + KW {
        // SAFETY: the caller's promise.
        let pixel = unsafe { V::load(pixels.add(x * channels)) };
        for (n, sum) in sums.iter_mut().enumerate() {
            if x >= n && x - n < KW {
                *sum = sum.plus_product(pixel, weights[x - n]);
            }
        }
    }
}
