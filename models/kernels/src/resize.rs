//! Bilinear resizing of NHWC feature maps with pixel centres at half integers and replicated borders, as
//! TensorFlow Lite's RESIZE_BILINEAR with `half_pixel_centers` does it.
//!
//! Safe code. This is for feature maps; sampling video frames is the sampler's work.

use crate::shape::product;

/// The shape of a resizing of one image. Pairs are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeShape {
    /// Size of the image.
    pub input: [usize; 2],
    /// Size of the result.
    pub output: [usize; 2],
    /// Channels of both.
    pub channels: usize,
}

/// Resizes `input` (`[H, W, C]`) into `output` (`[H', W', C]`).
///
/// # Panics
/// If a slice has another length than `shape` says, or the image is empty: a bug of the caller.
pub fn resize_bilinear(shape: &ResizeShape, input: &[f32], output: &mut [f32]) {
    let ResizeShape { input: [height, width], output: [to_height, to_width], channels } = *shape;
    assert!(height > 0 && width > 0 && channels > 0, "image should not be empty");
    assert_eq!(input.len(), product(&[height, width, channels]), "input should be H x W x C");
    assert_eq!(output.len(), product(&[to_height, to_width, channels]), "output should be H' x W' x C");
    if output.is_empty() {
        return;
    }
    let columns: Vec<Between> = (0..to_width).map(|at| Between::new(at, width, to_width)).collect();
    let line = width * channels;
    for (row, to) in output.chunks_exact_mut(to_width * channels).enumerate() {
        let y = Between::new(row, height, to_height);
        let upper = &input[y.lower * line..][..line];
        let lower = &input[y.upper * line..][..line];
        for (x, pixel) in columns.iter().zip(to.chunks_exact_mut(channels)) {
            let (left, right) = (x.lower * channels, x.upper * channels);
            let corners = [&upper[left..], &upper[right..], &lower[left..], &lower[right..]];
            blend(corners, [x.part, y.part], pixel);
        }
    }
}

/// Two neighbours along an axis and where between them a sample lies.
pub(crate) struct Between {
    pub(crate) lower: usize,
    pub(crate) upper: usize,
    /// 0 at `lower`, 1 at `upper`.
    pub(crate) part: f32,
}

impl Between {
    #[inline(always)]
    pub(crate) fn new(at: usize, size: usize, to_size: usize) -> Self {
        let scale = size as f32 / to_size as f32;
        let position = ((at as f32 + 0.5) * scale - 0.5).clamp(0.0, (size - 1) as f32);
        // Above 2^24 the last position may be rounded beyond the last index.
        let lower = (position as usize).min(size - 1);
        Self { lower, upper: (lower + 1).min(size - 1), part: position - lower as f32 }
    }
}

/// One pixel from its four neighbours: upper left, upper right, lower left, lower right.
#[inline(always)]
pub(crate) fn blend([ul, ur, ll, lr]: [&[f32]; 4], [x, y]: [f32; 2], pixel: &mut [f32]) {
    let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
    let rows = ul.iter().zip(ur).zip(ll.iter().zip(lr));
    for (to, ((ul, ur), (ll, lr))) in pixel.iter_mut().zip(rows) {
        *to = ul * weights[0] + ur * weights[1] + ll * weights[2] + lr * weights[3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_a_row_gives_the_known_quarters() {
        let shape = ResizeShape { input: [1, 2], output: [2, 4], channels: 1 };
        let mut output = [0.0; 8];
        resize_bilinear(&shape, &[0.0, 4.0], &mut output);
        assert_eq!(output, [0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    #[should_panic(expected = "the length of a slice")]
    fn lengths_that_wrap_are_refused() {
        let shape = ResizeShape { input: [1 << 32, 1 << 32], output: [1, 1], channels: 1 };
        resize_bilinear(&shape, &[], &mut [0.0]);
    }

    #[test]
    fn plane_stays_a_plane_inside() {
        let plane = |y: f32, x: f32| 2.0 * y - x;
        let input: Vec<f32> = (0..16).map(|i| plane((i / 4) as f32 + 0.5, (i % 4) as f32 + 0.5)).collect();
        let shape = ResizeShape { input: [4, 4], output: [8, 8], channels: 1 };
        let mut output = [0.0; 64];
        resize_bilinear(&shape, &input, &mut output);
        for row in 1..7 {
            for column in 1..7 {
                let expected = plane((row as f32 + 0.5) / 2.0, (column as f32 + 0.5) / 2.0);
                assert!((output[row * 8 + column] - expected).abs() < 1e-5);
            }
        }
    }
}
