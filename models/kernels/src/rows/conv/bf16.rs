//! Convolutions whose products are made of bfloat16 numbers, with tiles (AMX): sixteen pixels by sixteen channels by
//! thirty-two taps at once.
//!
//! One bfloat16 number has too few digits for landmarks. So each number is the sum of two of them, a coarse one and
//! what that leaves, and three products are made: coarse by coarse, fine by coarse and coarse by fine. What is left
//! out is below the last digit but six of single precision. Sums are in single precision, and so are the images
//! between layers: patches of some pixels are split just before they are multiplied, weights when they are packed.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::pack::widths_up_to;
use super::tiles::{Session, TILE_BYTES};
use super::{Epilogue, Residual};
use crate::rows::{Span, WindowShape};
use crate::shape::product;
use crate::simd::first_of_16;
use crate::{Bf16, Clamp, Floats};

/// Pixels that are multiplied together: two tiles.
pub(super) const BLOCK: usize = 32;
/// Taps that a tile multiplies at once; patches are filled up with zeros to a multiple.
pub(super) const STEP: usize = 32;
/// Longest patch that there is room for.
const LONGEST: usize = 1536;
/// Floats in a vector, and channels and pixels of a tile.
pub(super) const LANES: usize = 16;
/// Numbers in a tile.
const TILE: usize = TILE_BYTES / size_of::<u16>();

/// Weights of a convolution, split.
#[derive(Debug, Clone)]
pub(super) struct SplitWeights {
    how: Bf16,
    /// Taps of a patch, filled up.
    depth: usize,
    /// Vectors of each panel.
    widths: Vec<usize>,
    /// For each panel and step of taps: the coarse tiles of all vectors, then the fine ones. A tile holds sixteen
    /// pairs of taps, each for sixteen channels. Two numbers in a float's place.
    values: Floats,
}

/// Patches of a block: for each sixteen pixels and each step of taps a coarse tile, then a fine one.
#[repr(align(64))]
pub(super) struct Patches([MaybeUninit<u16>; 2 * BLOCK * LONGEST]);

/// Where one pixel of the output, and what is added to it, begins.
#[derive(Clone, Copy)]
struct Pixel {
    output: *mut f32,
    residual: *const f32,
}

impl SplitWeights {
    /// Splits and packs `weights` (`[C_out, depth]`); nothing if a patch is longer than there is room for.
    pub(super) fn pack(how: Bf16, depth: usize, columns: usize, weights: &[f32]) -> Option<Self> {
        let padded = depth.next_multiple_of(STEP);
        if padded > LONGEST || depth == 0 {
            return None;
        }
        let widths = widths_up_to(2, columns.div_ceil(LANES));
        let len = product(&[padded, widths.iter().sum(), LANES]);
        let mut packed = Self { how, depth: padded, widths, values: Floats::zeros(len) };
        packed.fill(depth, columns, weights);
        Some(packed)
    }

    fn fill(&mut self, depth: usize, columns: usize, weights: &[f32]) {
        let weight = |column: usize, tap: usize| {
            if column < columns && tap < depth { split(weights[column * depth + tap]) } else { [0, 0] }
        };
        let (mut first, mut at) = (0, 0);
        for vectors in &self.widths {
            for step in (0..self.depth).step_by(STEP) {
                for fine in [0, 1] {
                    for (vector, pair) in
                        (0..*vectors).flat_map(|vector| (0..STEP / 2).map(move |pair| (vector, pair)))
                    {
                        for column in first + vector * LANES..first + (vector + 1) * LANES {
                            let tap = step + 2 * pair;
                            let both = [weight(column, tap)[fine], weight(column, tap + 1)[fine]];
                            self.values[at] = f32::from_bits(u32::from(both[0]) | u32::from(both[1]) << 16);
                            at += 1;
                        }
                    }
                }
            }
            first += vectors * LANES;
        }
    }
}

/// A finite number as two bfloat16 numbers: the nearest one, and the nearest to what that leaves.
fn split(value: f32) -> [u16; 2] {
    let nearest = |value: f32| {
        let bits = value.to_bits();
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    };
    let coarse = nearest(value);
    [coarse, nearest(value - f32::from_bits(u32::from(coarse) << 16))]
}

/// Convolves the rows of `span`; slices and weights have been checked against shape and span.
pub(super) fn conv(
    shape: &WindowShape,
    span: &Span,
    (weights, bias): (&SplitWeights, &[f32]),
    input: &[f32],
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
) {
    let count = span.output.len() * shape.output.width;
    let mut patches = Patches([MaybeUninit::uninit(); 2 * BLOCK * LONGEST]);
    let mut sums = Sums([MaybeUninit::uninit(); BLOCK * 2 * LANES]);
    let session = Session::begin(weights.how);
    for begin in (0..count).step_by(BLOCK) {
        let block = begin..count.min(begin + BLOCK);
        gather(shape, span, weights, input, block.clone(), &mut patches);
        let pixels = places(shape, epilogue, block.clone(), output);
        let pixels = &pixels[..block.len()];
        let (mut first, mut values): (usize, &[f32]) = (0, &weights.values);
        for vectors in &weights.widths {
            let (panel, rest) = values.split_at(weights.depth * vectors * LANES);
            let steps = weights.depth / STEP;
            let columns = shape.output.channels.saturating_sub(first);
            // SAFETY: patches have been gathered for `depth` taps of this block, and the panel is as deep. The session
            // exists, so there are these vectors; pixels lie in output and residual, which hold whole pixels, and the
            // bias is as long as panels are wide.
            unsafe {
                let numbers = patches.0.as_ptr().cast();
                session.multiply(
                    steps,
                    *vectors,
                    block.len() > LANES,
                    numbers,
                    panel.as_ptr().cast(),
                    &mut sums,
                );
                let bias = &bias[first..first + vectors * LANES];
                match vectors {
                    2 => finish::<2>(&sums, pixels, (first, columns), bias, epilogue.clamp),
                    _ => finish::<1>(&sums, pixels, (first, columns), bias, epilogue.clamp),
                }
            }
            (first, values) = (first + vectors * LANES, rest);
        }
    }
}

/// Where the pixels of a block lie.
fn places(
    shape: &WindowShape,
    epilogue: &Epilogue<'_>,
    block: Range<usize>,
    output: &mut [f32],
) -> [Pixel; BLOCK] {
    let mut pixels = [Pixel { output: std::ptr::null_mut(), residual: std::ptr::null() }; BLOCK];
    let channels = shape.output.channels;
    for (pixel, index) in pixels.iter_mut().zip(block) {
        let (row, column) = (index / shape.output.width, index % shape.output.width);
        let to = row * shape.output.row_len() + shape.output.inner() + column * channels;
        pixel.output = output[to..].as_mut_ptr();
        if let Some(Residual { rows, layout }) = epilogue.residual {
            pixel.residual = rows[row * layout.row_len() + layout.inner() + column * channels..].as_ptr();
        }
    }
    pixels
}

/// Splits the patches of some output pixels of the span.
fn gather(
    shape: &WindowShape,
    span: &Span,
    weights: &SplitWeights,
    input: &[f32],
    pixels: Range<usize>,
    patches: &mut Patches,
) {
    let piece = shape.kernel[1] * shape.input.channels;
    let mut whole = [0.0; LONGEST];
    for (index, pixel) in pixels.enumerate() {
        let row = span.output.start + pixel / shape.output.width;
        let column = pixel % shape.output.width;
        let at = shape.first_column() + column * shape.stride[1] * shape.input.channels;
        let (rows, first) = (shape.rows_of(row), shape.first_tap(row));
        let of = |y: usize| &input[(y - span.input_first) * shape.input.row_len() + at..][..piece];
        let patch = if shape.kernel[0] == 1 && !rows.is_empty() {
            of(rows.start)
        } else {
            whole[..shape.kernel[0] * piece].fill(0.0);
            for (tap, y) in rows.enumerate() {
                whole[(first + tap) * piece..][..piece].copy_from_slice(of(y));
            }
            &whole[..shape.kernel[0] * piece]
        };
        let tile = index / LANES * (weights.depth / STEP) * 2 * TILE + index % LANES * STEP;
        let len = weights.depth / STEP * 2 * TILE - index % LANES * STEP;
        // SAFETY: there are these vectors where weights are split.
        unsafe { split_all(patch, &mut patches.0[tile..][..len]) };
    }
}

/// Splits a patch into one row of each of its tiles; a coarse tile and a fine one take turns.
///
/// # Safety
/// The processor has to have AVX-512 with BF16.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
unsafe fn split_all(patch: &[f32], tiles: &mut [MaybeUninit<u16>]) {
    let half = |both: __m512bh, upper: bool| {
        // SAFETY: both types are 64 bytes of numbers.
        let both: __m512i = unsafe { std::mem::transmute(both) };
        let half = if upper { _mm512_extracti64x4_epi64::<1>(both) } else { _mm512_castsi512_si256(both) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
    };
    for (step, values) in patch.chunks(STEP).enumerate() {
        let rows = &mut tiles[step * 2 * TILE..][..TILE + STEP];
        let count = |from: usize| first_of_16(values.len().saturating_sub(from).min(LANES));
        // SAFETY: masked lanes are not read, and both rows lie in the slice.
        unsafe {
            let low = _mm512_maskz_loadu_ps(count(0), values.as_ptr());
            let high = _mm512_maskz_loadu_ps(count(LANES), values.as_ptr().wrapping_add(LANES));
            let coarse = _mm512_cvtne2ps_pbh(high, low);
            let rest = [_mm512_sub_ps(low, half(coarse, false)), _mm512_sub_ps(high, half(coarse, true))];
            let fine = _mm512_cvtne2ps_pbh(rest[1], rest[0]);
            _mm512_storeu_si512(rows.as_mut_ptr().cast(), std::mem::transmute::<__m512bh, __m512i>(coarse));
            _mm512_storeu_si512(
                rows.as_mut_ptr().add(TILE).cast(),
                std::mem::transmute::<__m512bh, __m512i>(fine),
            );
        }
    }
}

/// Sums of a block: pixels, two vectors of channels.
#[repr(align(64))]
pub(super) struct Sums(pub(super) [MaybeUninit<f32>; BLOCK * 2 * LANES]);

/// Bias, residual and bounds of `N` vectors of all pixels of a block; then they are stored. `channels` are the first
/// one and how many there are from it on.
///
/// # Safety
/// The processor has to have AVX-512; the sums have to be made, `bias` to hold `N` vectors, and the pixels to be valid
/// for these channels.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
unsafe fn finish<const N: usize>(
    sums: &Sums,
    pixels: &[Pixel],
    (first, columns): (usize, usize),
    bias: &[f32],
    clamp: Clamp,
) {
    let masks: [__mmask16; N] =
        std::array::from_fn(|n| first_of_16(columns.saturating_sub(n * LANES).min(LANES)));
    let (low, high) = (_mm512_set1_ps(clamp.low), _mm512_set1_ps(clamp.high));
    // SAFETY: the caller's promise; masked channels are neither read nor written.
    unsafe {
        let bias: [__m512; N] = std::array::from_fn(|n| _mm512_loadu_ps(bias.as_ptr().add(n * LANES)));
        for (index, pixel) in pixels.iter().enumerate() {
            for n in 0..N {
                let sum = _mm512_load_ps(sums.0.as_ptr().add((index * 2 + n) * LANES).cast());
                let mut sum = _mm512_add_ps(sum, bias[n]);
                let at = first + n * LANES;
                if !pixel.residual.is_null() {
                    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(masks[n], pixel.residual.add(at)));
                }
                let bounded = _mm512_min_ps(_mm512_max_ps(sum, low), high);
                _mm512_mask_storeu_ps(pixel.output.wrapping_add(at), masks[n], bounded);
            }
        }
    }
}
