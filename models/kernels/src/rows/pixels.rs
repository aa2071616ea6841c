//! Operations without weights, on rows with zeros beside them. Safe code.

use super::{RowLayout, WindowShape};
use crate::Clamp;
use crate::resize::{Between, blend};
use crate::shape::product;

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
    let [height, to_height] = heights;
    let channels = from.channels;
    assert!(height > 0 && from.width > 0 && channels > 0 && to.channels == channels, "images should fit");
    assert_eq!(output.len(), product(&[to_height, to.row_len()]), "output should be H' rows");
    let columns: Vec<Between> = (0..to.width).map(|at| Between::new(at, from.width, to.width)).collect();
    for (row, result) in output.chunks_exact_mut(to.row_len()).enumerate() {
        let y = Between::new(row, height, to_height);
        let line = |at: usize| &input[at * from.row_len() + from.inner()..][..from.inner_len()];
        let (upper, lower) = (line(y.lower), line(y.upper));
        let result = &mut result[to.inner()..][..to.inner_len()];
        for (x, pixel) in columns.iter().zip(result.chunks_exact_mut(channels)) {
            let (left, right) = (x.lower * channels, x.upper * channels);
            blend(
                [&upper[left..], &upper[right..], &lower[left..], &lower[right..]],
                [x.part, y.part],
                pixel,
            );
        }
        if let Some((layout, other)) = other {
            let other = &other[row * layout.row_len() + layout.inner()..][..layout.inner_len()];
            result.iter_mut().zip(other).for_each(|(value, other)| *value += other);
        }
        result.iter_mut().for_each(|value| *value = value.max(clamp.low).min(clamp.high));
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
    for (row, result) in output.chunks_exact_mut(shape.output.row_len()).enumerate() {
        let result = &mut result[shape.output.inner()..][..shape.output.inner_len()];
        result.fill(f32::NEG_INFINITY);
        for ky in 0..shape.kernel[0] {
            let line = &input[(row * shape.stride[0] + ky) * shape.input.row_len() + shape.input.inner()..];
            for (column, result) in result.chunks_exact_mut(channels).enumerate() {
                let window = &line[column * shape.stride[1] * channels..][..shape.kernel[1] * channels];
                for pixel in window.chunks_exact(channels) {
                    result.iter_mut().zip(pixel).for_each(|(most, value)| *most = most.max(*value));
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
