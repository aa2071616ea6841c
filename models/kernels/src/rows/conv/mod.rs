//! Full convolutions as matrix products that read the image where it lies.
//!
//! In NHWC the taps of one row of a window are one piece of memory, so a pixel's patch is as many pieces as the
//! window has rows: no patches are copied. A pointwise convolution is the case of one piece, and is the plain
//! product of the image with the weights. A tile of some pixels and some vectors of output channels is summed in
//! registers; bias, residual and activation are applied before it is stored.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod pack;
mod tile;
#[cfg(target_arch = "x86_64")]
mod tiles;

use super::{RowLayout, Span, WindowShape};
use crate::Clamp;
use crate::shape::product;
use crate::simd::{Kernel, Vector};
use pack::{Products, SingleWeights};
use tile::{Pieces, Tile};

pub use pack::ConvWeights;

/// What is added to a convolution's sums before they are clamped, beside the bias.
#[derive(Debug, Clone, Copy)]
pub struct Residual<'a> {
    /// Rows of another image, beginning with the first output row of the call.
    pub rows: &'a [f32],
    /// How they lie; as wide and with as many channels as the output.
    pub layout: RowLayout,
}

/// What happens to the sums before they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// Another image that is added.
    pub residual: Option<Residual<'a>>,
    /// The bounds that the result is kept in.
    pub clamp: Clamp,
}

/// Convolves the rows of `span`: `input` and `output` are rows as `shape` and `span` say. Zeros beside the output's
/// rows are left alone.
///
/// # Panics
/// If slices, weights and shape do not fit: a bug of the caller.
pub fn conv(
    shape: &WindowShape,
    span: &Span,
    weights: &ConvWeights,
    input: &[f32],
    epilogue: Epilogue<'_>,
    output: &mut [f32],
) {
    check(shape, span, weights, input, &epilogue, output);
    if span.output.is_empty() || weights.columns() == 0 {
        return;
    }
    let bias = weights.bias();
    match &weights.products {
        Products::Single(weights) => {
            let operands = Convolution {
                shape,
                span,
                weights,
                bias,
                input,
                beside: Beside::of(epilogue.residual),
                clamp: epilogue.clamp,
                output,
                is_product: is_product(shape, span, &epilogue),
            };
            weights.simd.run(operands);
        }
        #[cfg(target_arch = "x86_64")]
        Products::Split(weights) => bf16::conv(shape, span, (weights, bias), input, &epilogue, output),
    }
}

/// Whether this is the plain product of two matrices that lie without gaps.
///
/// Not inlined, for the same reason for which there is [`Beside`].
#[inline(never)]
fn is_product(shape: &WindowShape, span: &Span, epilogue: &Epilogue<'_>) -> bool {
    let WindowShape { input, output, kernel, stride, .. } = shape;
    let residual = epilogue.residual.is_none_or(|residual| residual.layout.is_dense());
    let dense = input.is_dense() && output.is_dense() && residual;
    dense && *kernel == [1, 1] && *stride == [1, 1] && span.input_first == span.output.start
}

/// Sees to it that a kernel stays inside its slices.
fn check(
    shape: &WindowShape,
    span: &Span,
    weights: &ConvWeights,
    input: &[f32],
    epilogue: &Epilogue<'_>,
    output: &[f32],
) {
    shape.check(span, input, output);
    let depth = product(&[shape.kernel[0], shape.kernel[1], shape.input.channels]);
    assert_eq!(weights.depth(), depth, "weights should fit the window");
    assert_eq!(weights.columns(), shape.output.channels, "weights should make the output's channels");
    if let Some(Residual { rows, layout }) = epilogue.residual {
        let fits = [layout.width, layout.channels] == [shape.output.width, shape.output.channels];
        assert!(fits, "the residual should have the output's shape");
        assert!(rows.len() >= product(&[span.output.len(), layout.row_len()]), "residual rows");
    }
}

/// The operands, which `check` has seen.
struct Convolution<'a> {
    shape: &'a WindowShape,
    span: &'a Span,
    weights: &'a SingleWeights,
    /// As long as all panels are wide.
    bias: &'a [f32],
    input: &'a [f32],
    beside: Beside<'a>,
    clamp: Clamp,
    output: &'a mut [f32],
    is_product: bool,
}

/// Where a residual's rows lie, or that there is none.
///
/// Its numbers are worked out once and are zeros where there is no residual: asked inside the loops, the compiler looks
/// at its layout before it looks whether there is one, which is harmless and makes valgrind complain.
#[derive(Clone, Copy)]
struct Beside<'a> {
    rows: Option<&'a [f32]>,
    row_len: usize,
    inner: usize,
}

impl<'a> Beside<'a> {
    fn of(residual: Option<Residual<'a>>) -> Self {
        match residual {
            Some(Residual { rows, layout }) => {
                Self { rows: Some(rows), row_len: layout.row_len(), inner: layout.inner() }
            }
            None => Self { rows: None, row_len: 0, inner: 0 },
        }
    }
}

impl Kernel for Convolution<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        debug_assert_eq!(self.weights.simd.lanes(), V::LANES);
        let mut first = 0;
        for panel in self.weights.panels() {
            match panel.vectors {
                1 => self.panel::<V, 1>(panel.values, first),
                2 => self.panel::<V, 2>(panel.values, first),
                _ => self.panel::<V, 3>(panel.values, first),
            }
            first += panel.vectors * V::LANES;
        }
    }
}

impl Convolution<'_> {
    /// All pixels for the output channels of one panel, which begin with `first`.
    #[inline(always)]
    fn panel<V: Vector, const N: usize>(&mut self, values: &[f32], first: usize) {
        if self.is_product {
            // Rows without zeros between them are one long row: fewer tiles are cut short.
            let pixels = self.span.output.len() * self.shape.output.width;
            return self.row::<V, N>(values, first, 0, pixels);
        }
        for index in 0..self.span.output.len() {
            self.row::<V, N>(values, first, index, self.shape.output.width);
        }
    }

    /// `pixels` pixels from the first one of an output row on, in tiles.
    #[inline(always)]
    fn row<V: Vector, const N: usize>(&mut self, values: &[f32], first: usize, index: usize, pixels: usize) {
        let (shape, clamp, Beside { rows: beside, row_len, inner }) = (self.shape, self.clamp, self.beside);
        let row = self.span.output.start + index;
        let rows = shape.rows_of(row);
        let pieces = Pieces {
            count: rows.len(),
            len: shape.kernel[1] * shape.input.channels,
            step: shape.input.row_len(),
            pixel: shape.stride[1] * shape.input.channels,
        };
        let columns = shape.output.channels;
        // No tap of a row may lie inside the image; nothing is read then, but a pointer is still made.
        let top = rows.start.saturating_sub(self.span.input_first) * shape.input.row_len();
        let patch = if rows.is_empty() { 0 } else { top + shape.first_column() };
        let taps = shape.first_tap(row).min(shape.kernel[0]) * pieces.len * N * V::LANES;
        let to = index * shape.output.row_len() + shape.output.inner() + first;
        // SAFETY: `check` has seen that the residual has these rows, pixels and channels.
        let residual = beside.map(|rows| unsafe { rows.as_ptr().add(index * row_len + inner + first) });
        // SAFETY: `check` has seen that input, weights and output hold all that the tiles of this row touch:
        // patches of taps inside the rows, and pixels of `columns` channels. The bias is as long as the panels.
        unsafe {
            Tile {
                pieces,
                patch: self.input.as_ptr().add(patch),
                weights: values.as_ptr().add(taps),
                bias: self.bias.as_ptr().add(first),
                residual,
                output: self.output.as_mut_ptr().add(to),
                columns,
                left: columns - first,
                clamp,
            }
            .pixels::<V, N>(pixels);
        }
    }
}
