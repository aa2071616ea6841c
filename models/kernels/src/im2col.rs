//! Patches of an NHWC image as rows of a matrix, so that a convolution becomes one matrix product.
//!
//! Safe code: in NHWC a row of a patch lies in one piece, and copying pieces is as fast as the memory.

use crate::shape::{Steps, product};

/// The shape of the patches of one image. Pairs are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchShape {
    /// Size of the image.
    pub input: [usize; 2],
    /// Patches in each direction.
    pub output: [usize; 2],
    /// Channels of the image.
    pub channels: usize,
    /// Taps of a patch.
    pub kernel: [usize; 2],
    /// Step between two patches.
    pub stride: [usize; 2],
    /// Distance between two taps.
    pub dilation: [usize; 2],
    /// Zeros above and on the left of the image.
    pub padding: [usize; 2],
}

impl PatchShape {
    /// Floats of the image. This and the other lengths panic where no slice could have them.
    pub fn input_len(&self) -> usize {
        product(&[self.input[0], self.input[1], self.channels])
    }

    /// Floats of a patch: one row of the matrix.
    pub fn patch_len(&self) -> usize {
        product(&[self.kernel[0], self.kernel[1], self.channels])
    }

    /// Floats of all patches.
    pub fn output_len(&self) -> usize {
        product(&[self.output[0], self.output[1], self.patch_len()])
    }

    fn steps(&self) -> [Steps; 2] {
        Steps::both([self.input, self.output, self.kernel], [self.stride, self.dilation, self.padding])
    }
}

/// Writes the patches of `input` (`[H, W, C]`) to `patches` (`[H' * W', kh * kw * C]`, taps outside the image
/// zero).
///
/// # Panics
/// If a slice has another length than `shape` says, a stride or dilation is 0, or a padding or step is so large
/// that positions cannot be counted: a bug of the caller.
pub fn im2col(shape: &PatchShape, input: &[f32], patches: &mut [f32]) {
    assert_eq!(input.len(), shape.input_len(), "input should be H x W x C");
    assert_eq!(patches.len(), shape.output_len(), "patches should be H' x W' x kh x kw x C");
    shape.steps().iter().for_each(Steps::check);
    if shape.patch_len() == 0 {
        return;
    }
    for (index, patch) in patches.chunks_exact_mut(shape.patch_len()).enumerate() {
        let (row, column) = (index / shape.output[1], index % shape.output[1]);
        for (ky, taps) in patch.chunks_exact_mut(shape.kernel[1] * shape.channels).enumerate() {
            let y = (row * shape.stride[0] + ky * shape.dilation[0]).wrapping_sub(shape.padding[0]);
            if y < shape.input[0] {
                let line = shape.input[1] * shape.channels;
                copy_taps(shape, &input[y * line..(y + 1) * line], column, taps);
            } else {
                taps.fill(0.0);
            }
        }
    }
}

/// One row of a patch from one row of the image.
fn copy_taps(shape: &PatchShape, line: &[f32], column: usize, taps: &mut [f32]) {
    let channels = shape.channels;
    let origin = column * shape.stride[1];
    let inside = origin >= shape.padding[1] && origin + shape.kernel[1] <= shape.input[1] + shape.padding[1];
    if inside && shape.dilation[1] == 1 {
        let from = (origin - shape.padding[1]) * channels;
        taps.copy_from_slice(&line[from..from + taps.len()]);
        return;
    }
    for (kx, tap) in taps.chunks_exact_mut(channels).enumerate() {
        let x = (origin + kx * shape.dilation[1]).wrapping_sub(shape.padding[1]);
        if x < shape.input[1] {
            tap.copy_from_slice(&line[x * channels..(x + 1) * channels]);
        } else {
            tap.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    const ONE: PatchShape = PatchShape {
        input: [1, 1],
        output: [1, 1],
        channels: 1,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
    };

    #[test]
    #[should_panic(expected = "the length of a slice")]
    fn lengths_that_wrap_are_refused() {
        let shape = PatchShape { input: [1 << 32, 1 << 32], ..ONE };
        im2col(&shape, &[], &mut [0.0]);
    }

    #[test]
    #[should_panic(expected = "positions can be counted")]
    fn padding_that_wraps_into_the_image_is_refused() {
        let shape = PatchShape { padding: [usize::MAX, 0], ..ONE };
        im2col(&shape, &[1.0], &mut [0.0]);
    }

    #[test]
    fn each_tap_is_the_pixel_it_names_or_zero() {
        for (kernel, stride, dilation, padding) in
            [([3, 3], 2, 1, [1, 1]), ([2, 4], 1, 2, [0, 2]), ([1, 1], 1, 1, [0, 0])]
        {
            let shape = PatchShape {
                input: [7, 9],
                output: [3, 4],
                channels: 3,
                kernel,
                stride: [stride; 2],
                dilation: [dilation; 2],
                padding,
            };
            let input = noise(shape.input_len(), 5);
            let mut patches = vec![f32::NAN; shape.output_len()];
            im2col(&shape, &input, &mut patches);
            for (index, got) in patches.iter().enumerate() {
                let (patch, tap) = (index / shape.patch_len(), index % shape.patch_len());
                let (channel, tap) = (tap % 3, tap / 3);
                let y = (patch / 4 * stride + tap / kernel[1] * dilation).wrapping_sub(padding[0]);
                let x = (patch % 4 * stride + tap % kernel[1] * dilation).wrapping_sub(padding[1]);
                let expected = if y < 7 && x < 9 { input[(y * 9 + x) * 3 + channel] } else { 0.0 };
                assert_eq!(*got, expected, "{shape:?} {index}");
            }
        }
    }
}
