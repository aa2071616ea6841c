//! Convolutions whose products are made of bfloat16 numbers and summed in single precision.
//!
//! Patches of some pixels are rounded to bfloat16 and laid side by side; so are the weights, in pairs of
//! neighbouring taps, when they are packed. Two instruction sets multiply them: tiles (AMX), sixteen pixels by
//! sixteen channels at once, and dot products of pairs (AVX-512). Layers between such convolutions stay in single
//! precision.

use std::mem::MaybeUninit;

use super::pack::widths_up_to;
use super::{Epilogue, Residual, dot, tiles};
use crate::Floats;
use crate::bf16::Bf16;
use crate::rows::{Span, WindowShape};
use crate::shape::product;

/// Pixels that are multiplied together: two tiles.
pub(super) const BLOCK: usize = 32;
/// Taps that a tile multiplies at once; patches are filled up with zeros to a multiple.
const STEP: usize = 32;
/// Longest patch that there is room for.
const LONGEST: usize = 1536;
/// Floats in a vector, and channels of a tile.
pub(super) const LANES: usize = 16;

/// Weights of a convolution in bfloat16.
#[derive(Debug, Clone)]
pub(super) struct HalfWeights {
    pub(super) how: Bf16,
    /// Taps of a patch, filled up.
    pub(super) depth: usize,
    /// Vectors of each panel.
    pub(super) widths: Vec<usize>,
    /// For each panel, pair of taps, vector, channel: the two weights. Two of them in a float's place.
    pub(super) values: Floats,
}

/// A block of patches, side by side, in bfloat16.
#[repr(align(64))]
pub(super) struct Patches(pub(super) [MaybeUninit<u16>; BLOCK * LONGEST + STEP]);

/// Some vectors of channels of a block of pixels: where their sums go.
pub(super) struct Target<'a> {
    pub(super) pixels: &'a [Pixel],
    /// The panel's first channel.
    pub(super) first: usize,
    /// Channels of the output.
    pub(super) columns: usize,
    /// As long as all panels are wide.
    pub(super) bias: &'a [f32],
    pub(super) clamp: crate::Clamp,
}

/// Where one pixel of the output, and what is added to it, begins.
#[derive(Clone, Copy)]
pub(super) struct Pixel {
    pub(super) output: *mut f32,
    pub(super) residual: *const f32,
}

impl HalfWeights {
    /// Rounds and packs `weights` (`[C_out, depth]`); nothing if a patch is longer than there is room for.
    pub(super) fn pack(how: Bf16, depth: usize, columns: usize, weights: &[f32]) -> Option<Self> {
        let padded = depth.next_multiple_of(STEP);
        if padded > LONGEST || depth == 0 {
            return None;
        }
        let widths = widths_up_to(if how.has_tiles() { 2 } else { 3 }, columns.div_ceil(LANES));
        let vectors = widths.iter().sum::<usize>();
        let mut packed = Self {
            how,
            depth: padded,
            widths,
            values: Floats::zeros(product(&[padded / 2, vectors, LANES])),
        };
        packed.fill(depth, columns, weights);
        Some(packed)
    }

    fn fill(&mut self, depth: usize, columns: usize, weights: &[f32]) {
        let weight = |column: usize, tap: usize| {
            if column < columns && tap < depth { u32::from(round(weights[column * depth + tap])) } else { 0 }
        };
        let (mut first, mut at) = (0, 0);
        for vectors in &self.widths {
            for pair in 0..self.depth / 2 {
                for column in first..first + vectors * LANES {
                    let both = weight(column, 2 * pair) | weight(column, 2 * pair + 1) << 16;
                    self.values[at] = f32::from_bits(both);
                    at += 1;
                }
            }
            first += vectors * LANES;
        }
    }
}

/// To bfloat16, to nearest, ties to even; weights are finite.
fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Convolves the rows of `span`; slices and weights have been checked against shape and span.
pub(super) fn conv(
    shape: &WindowShape,
    span: &Span,
    (weights, bias): (&HalfWeights, &[f32]),
    input: &[f32],
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
) {
    let width = shape.output.width;
    let count = span.output.len() * width;
    let mut patches = Patches([MaybeUninit::uninit(); BLOCK * LONGEST + STEP]);
    let mut pixels = [Pixel { output: std::ptr::null_mut(), residual: std::ptr::null() }; BLOCK];
    let session = tiles::Session::begin(weights.how);
    for begin in (0..count).step_by(BLOCK) {
        let block = BLOCK.min(count - begin);
        for (index, pixel) in pixels[..block].iter_mut().enumerate() {
            let (row, column) = ((begin + index) / width, (begin + index) % width);
            let to = row * shape.output.row_len() + shape.output.inner() + column * shape.output.channels;
            pixel.output = output[to..].as_mut_ptr();
            pixel.residual = epilogue.residual.map_or(std::ptr::null(), |Residual { rows, layout }| {
                rows[row * layout.row_len() + layout.inner() + column * layout.channels..].as_ptr()
            });
        }
        gather(shape, span, weights, input, begin..begin + block, &mut patches);
        let mut first = 0;
        let mut values: &[f32] = &weights.values;
        for vectors in &weights.widths {
            let (panel, rest) = values.split_at(weights.depth / 2 * vectors * LANES);
            let columns = shape.output.channels;
            let target = Target { pixels: &pixels[..block], first, columns, bias, clamp: epilogue.clamp };
            // SAFETY: `Bf16` exists only where the processor has the instructions; patches and panel are filled for
            // `depth` taps, and the pixels of output and residual lie in their slices, which hold whole pixels.
            unsafe {
                match &session {
                    Some(session) => session.panel(weights.depth, *vectors, &patches, panel, &target),
                    None => dot::panel(weights.depth, *vectors, &patches, panel, &target),
                }
            }
            (first, values) = (first + vectors * LANES, rest);
        }
    }
}

/// Rounds the patches of some output pixels of the span and lays them side by side.
fn gather(
    shape: &WindowShape,
    span: &Span,
    weights: &HalfWeights,
    input: &[f32],
    pixels: std::ops::Range<usize>,
    patches: &mut Patches,
) {
    let piece = shape.kernel[1] * shape.input.channels;
    let depth = shape.kernel[0] * piece;
    for (index, pixel) in pixels.enumerate() {
        let row = span.output.start + pixel / shape.output.width;
        let column = pixel % shape.output.width;
        let at = shape.first_column() + column * shape.stride[1] * shape.input.channels;
        let patch = &mut patches.0[index * weights.depth..];
        let (rows, first) = (shape.rows_of(row), shape.first_tap(row));
        let outside = rows.len() < shape.kernel[0];
        if outside || depth < weights.depth {
            patch[if outside { 0 } else { depth }..weights.depth].fill(MaybeUninit::new(0));
        }
        for (tap, y) in rows.enumerate() {
            let from = &input[(y - span.input_first) * shape.input.row_len() + at..][..piece];
            // SAFETY: `Bf16` exists only where the processor has the instructions.
            unsafe { dot::round_all(from, &mut patch[(first + tap) * piece..][..piece]) };
        }
    }
}
