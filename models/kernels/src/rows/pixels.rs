//! Operations without weights, on rows with zeros beside them. Safe code, compiled for each instruction set.

use super::{RowLayout, WindowShape};
use crate::Clamp;
use crate::resize::{Between, blend};
use crate::shape::product;
use crate::simd::{Kernel, Simd, Vector};

/// Copies the pixels of whole rows from one layout to another.
///
/// # Panics
/// If the layouts differ in pixels or the slices in rows: a bug of the caller.
pub fn copy_pixels(from: &RowLayout, input: &[f32], to: &RowLayout, output: &mut [f32]) {
    assert_eq!([from.width, from.channels], [to.width, to.channels], "rows should hold the same pixels");
    let rows = input.chunks_exact(from.row_len()).zip(output.chunks_exact_mut(to.row_len()));
    for (row, result) in rows {
        result[to.inner()..][..to.inner_len()].copy_from_slice(&row[from.inner()..][..from.inner_len()]);
    }
}

/// Resizes a whole image bilinearly, as `resize_bilinear` does, adds another image of the result's size, and
/// clamps. `heights` are those of input and output; `other` lies as `other_layout` says.
///
/// # Panics
/// If slices and layouts do not fit: a bug of the caller.
pub fn resize_add(
    heights: [usize; 2],
    [from, to]: [&RowLayout; 2],
    input: &[f32],
    other: Option<(&RowLayout, &[f32])>,
    clamp: Clamp,
    output: &mut [f32],
) {
    assert!(heights[0] > 0 && from.width > 0 && from.channels > 0, "the image should not be empty");
    assert_eq!(from.channels, to.channels, "resizing keeps the channels");
    assert_eq!(output.len(), product(&[heights[1], to.row_len()]), "output should be H' rows");
    Simd::best().run(Resize { heights, from, to, input, other, clamp, output });
}

/// The operands of `resize_add`.
struct Resize<'a> {
    heights: [usize; 2],
    from: &'a RowLayout,
    to: &'a RowLayout,
    input: &'a [f32],
    other: Option<(&'a RowLayout, &'a [f32])>,
    clamp: Clamp,
    output: &'a mut [f32],
}

impl Kernel for Resize<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { heights: [height, to_height], from, to, input, other, clamp, output } = self;
        let channels = from.channels;
        for (row, result) in output.chunks_exact_mut(to.row_len()).enumerate() {
            let y = Between::new(row, height, to_height);
            let line = |at: usize| &input[at * from.row_len() + from.inner()..][..from.inner_len()];
            let (upper, lower) = (line(y.lower), line(y.upper));
            let result = &mut result[to.inner()..][..to.inner_len()];
            for (column, pixel) in result.chunks_exact_mut(channels).enumerate() {
                let x = Between::new(column, from.width, to.width);
                let (left, right) = (x.lower * channels, x.upper * channels);
                let corners = [&upper[left..], &upper[right..], &lower[left..], &lower[right..]];
                blend(corners.map(|corner| &corner[..channels]), [x.part, y.part], pixel);
            }
            if let Some((layout, other)) = other {
                let other = &other[row * layout.row_len() + layout.inner()..][..layout.inner_len()];
                result.iter_mut().zip(other).for_each(|(value, other)| *value += other);
            }
            if clamp != Clamp::NONE {
                result.iter_mut().for_each(|value| *value = value.clamped(clamp.low, clamp.high));
            }
        }
    }
}

/// The largest value of each window of a whole image without padding.
///
/// # Panics
/// If slices and shape do not fit, or the window is padded: a bug of the caller.
pub fn max_pool(shape: &WindowShape, input: &[f32], output: &mut [f32]) {
    assert_eq!(shape.padding, [0, 0], "padded pooling is not known");
    let channels = shape.input.channels;
    assert_eq!(channels, shape.output.channels, "pooling keeps the channels");
    Simd::best().run(MaxPool { shape, input, output });
}

/// The operands of `max_pool`.
struct MaxPool<'a> {
    shape: &'a WindowShape,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Kernel for MaxPool<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { shape, input, output } = self;
        let channels = shape.input.channels;
        for (row, result) in output.chunks_exact_mut(shape.output.row_len()).enumerate() {
            let result = &mut result[shape.output.inner()..][..shape.output.inner_len()];
            result.fill(f32::NEG_INFINITY);
            for ky in 0..shape.kernel[0] {
                let line =
                    &input[(row * shape.stride[0] + ky) * shape.input.row_len() + shape.input.inner()..];
                for (column, result) in result.chunks_exact_mut(channels).enumerate() {
                    let window = &line[column * shape.stride[1] * channels..][..shape.kernel[1] * channels];
                    for pixel in window.chunks_exact(channels) {
                        let both = result.iter_mut().zip(pixel);
                        both.for_each(|(most, value)| *most = if *value > *most { *value } else { *most });
                    }
                }
            }
        }
    }
}

/// Spreads blocks of `block * block` groups of channels over as many pixels, row by row, for whole rows.
///
/// # Panics
/// If slices and layouts do not fit: a bug of the caller.
pub fn depth_to_space(block: usize, from: &RowLayout, input: &[f32], to: &RowLayout, output: &mut [f32]) {
    assert_eq!(
        [from.width * block, from.channels],
        [to.width, to.channels * block * block],
        "blocks should fit"
    );
    let group = block * to.channels;
    for (row, result) in output.chunks_exact_mut(to.row_len()).enumerate() {
        let line = &input[row / block * from.row_len() + from.inner()..][..from.inner_len()];
        let pixels = result[to.inner()..][..to.inner_len()].chunks_exact_mut(group);
        for (pixel, to) in line.chunks_exact(from.channels).zip(pixels) {
            to.copy_from_slice(&pixel[row % block * group..][..group]);
        }
    }
}
