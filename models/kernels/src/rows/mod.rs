//! Kernels of the compiled plan: each makes some rows of an image from rows of another one.
//!
//! Working on a band of rows at a time keeps what passes from one layer to the next in the cache. Rows may have
//! columns of zeros on both sides, so that windows need no special cases on the left and on the right; rows above
//! and below the image are left out instead.

pub(crate) mod conv;
mod depthwise;
mod pixels;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use conv::{ConvWeights, Epilogue, Residual, conv};
pub use depthwise::{DepthwiseWeights, depthwise as depthwise_rows};
pub use pixels::{copy_pixels, depth_to_space, max_pool, resize_add};

use crate::shape::{Steps, product};

/// How the rows of an image lie in memory, NHWC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLayout {
    /// Pixels of a row, without the zeros beside them.
    pub width: usize,
    /// Floats of a pixel.
    pub channels: usize,
    /// Pixels of zeros on the left.
    pub left: usize,
    /// Pixels of zeros on the right.
    pub right: usize,
}

impl RowLayout {
    /// Floats of a row with its zeros. Panics where no slice could have as many.
    pub fn row_len(&self) -> usize {
        let pixels = self.left.checked_add(self.width).and_then(|pixels| pixels.checked_add(self.right));
        product(&[pixels.expect("a row should fit into memory"), self.channels])
    }

    /// Where the first pixel of a row begins.
    #[inline(always)]
    pub(crate) fn inner(&self) -> usize {
        self.left * self.channels
    }

    /// Floats of a row's pixels.
    #[inline(always)]
    pub(crate) fn inner_len(&self) -> usize {
        self.width * self.channels
    }

    /// Whether no zeros stand between two rows.
    pub(crate) fn is_dense(&self) -> bool {
        self.left == 0 && self.right == 0
    }
}

/// How a window moves over an image whose rows may have zeros beside them. Pairs are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowShape {
    /// Rows of the whole input image.
    pub input_height: usize,
    /// Its rows in memory.
    pub input: RowLayout,
    /// The result's rows in memory.
    pub output: RowLayout,
    /// Taps of the window.
    pub kernel: [usize; 2],
    /// Step between two outputs.
    pub stride: [usize; 2],
    /// Zeros above and on the left of the image, as the window sees it.
    pub padding: [usize; 2],
}

/// Which rows a call makes and from which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The row of the image that the input slice begins with.
    pub input_first: usize,
    /// Rows of the result to make; the output slice holds these and no others.
    pub output: Range<usize>,
}

impl WindowShape {
    /// Input rows that some output rows are made from, clipped to the image.
    pub fn input_rows(&self, output: &Range<usize>) -> Range<usize> {
        let first = self.rows_of(output.start).start;
        let end = self.rows_of(output.end.saturating_sub(1)).end;
        first..end.max(first)
    }

    /// Input rows of one output row, clipped to the image.
    #[inline(always)]
    fn rows_of(&self, row: usize) -> Range<usize> {
        let top = row * self.stride[0];
        let first = top.saturating_sub(self.padding[0]);
        let end = (top + self.kernel[0]).saturating_sub(self.padding[0]).min(self.input_height);
        first.min(end)..end
    }

    /// The first tap row of an output row that lies inside the image.
    #[inline(always)]
    fn first_tap(&self, row: usize) -> usize {
        self.padding[0].saturating_sub(row * self.stride[0])
    }

    /// Where in a row the first window begins.
    #[inline(always)]
    fn first_column(&self) -> usize {
        (self.input.left - self.padding[1]) * self.input.channels
    }

    /// Sees to it that every float that a kernel reads and writes for `span` lies inside the slices. Kernels with
    /// unsafe code rely on it.
    ///
    /// # Panics
    /// If not: a bug of the caller.
    fn check(&self, span: &Span, input: &[f32], output: &[f32]) {
        let input_pixels = self.input.left + self.input.width + self.input.right;
        Steps {
            input: self.input_height,
            output: span.output.end,
            kernel: self.kernel[0],
            stride: self.stride[0],
            dilation: 1,
            padding: self.padding[0],
        }
        .check();
        let columns = Steps {
            input: input_pixels,
            output: self.output.width,
            kernel: self.kernel[1],
            stride: self.stride[1],
            dilation: 1,
            padding: self.padding[1],
        };
        columns.check();
        assert!(
            self.kernel[0] > 0 && self.kernel[1] > 0 && self.output.width > 0,
            "a window should not be empty"
        );
        assert!(self.padding[1] <= self.input.left, "zeros on the left should be in the input's rows");
        let last =
            self.input.left - self.padding[1] + (self.output.width - 1) * self.stride[1] + self.kernel[1];
        assert!(last <= input_pixels, "zeros on the right should be in the input's rows");
        let rows = self.input_rows(&span.output);
        assert!(rows.is_empty() || rows.start >= span.input_first, "the input should hold the rows above");
        let held = product(&[rows.end.saturating_sub(span.input_first), self.input.row_len()]);
        assert!(input.len() >= held, "the input should hold all rows that are read");
        assert_eq!(output.len(), product(&[span.output.len(), self.output.row_len()]), "output rows");
    }
}
