//! Each kernel against the plain ones of this crate, over many shapes, in every version.

use super::*;
use crate::testing::noise;
use crate::{Bf16, Clamp, DepthwiseShape, PatchShape, Simd, depthwise_with, im2col};

/// Largest difference from sums in another order.
const TOLERANCE: f32 = 1e-4;

/// A window over an image of `[height, width, channels]`, with the zeros on its sides that it needs.
struct Case {
    image: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    columns: usize,
}

impl Case {
    /// Height and width of the result: windows begin inside the padded image as often as they fit into it twice
    /// padded, as with "same" padding.
    fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.image[axis] + 2 * self.padding[axis] - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    fn shape(&self, extra: [usize; 2]) -> WindowShape {
        let [height, width, channels] = self.image;
        let to = self.output();
        let input = RowLayout {
            width,
            channels,
            left: self.padding[1] + extra[0],
            right: self.padding[1] + extra[1],
        };
        let output = RowLayout { width: to[1], channels: self.columns, left: extra[1], right: extra[0] };
        let (kernel, stride, padding) = (self.kernel, self.stride, self.padding);
        WindowShape { input_height: height, input, output, kernel, stride, padding }
    }
}

fn padded(layout: &RowLayout, pixels: &[f32]) -> Vec<f32> {
    let dense = RowLayout { left: 0, right: 0, ..*layout };
    let mut rows = vec![0.0; pixels.len() / layout.inner_len() * layout.row_len()];
    copy_pixels(&dense, pixels, layout, &mut rows);
    rows
}

fn dense(layout: &RowLayout, rows: &[f32]) -> Vec<f32> {
    let mut pixels = vec![0.0; rows.len() / layout.row_len() * layout.inner_len()];
    copy_pixels(layout, rows, &RowLayout { left: 0, right: 0, ..*layout }, &mut pixels);
    pixels
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= TOLERANCE, "{what}: {found} at {index}, expected {expected}");
    }
}

/// The convolution by patches and sums, in double precision.
fn plain_conv(
    case: &Case,
    image: &[f32],
    weights: &[f32],
    bias: &[f32],
    beside: &[f32],
    clamp: Clamp,
) -> Vec<f32> {
    let shape = PatchShape {
        input: [case.image[0], case.image[1]],
        output: case.output(),
        channels: case.image[2],
        kernel: case.kernel,
        stride: case.stride,
        dilation: [1, 1],
        padding: case.padding,
    };
    let mut patches = vec![0.0; shape.output_len()];
    im2col(&shape, image, &mut patches);
    let depth = shape.patch_len();
    let mut result = Vec::new();
    for patch in patches.chunks_exact(depth) {
        for (weights, bias) in weights.chunks_exact(depth).zip(bias) {
            let sum: f64 = patch.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let sum = sum as f32 + bias + beside[result.len()];
            result.push(sum.max(clamp.low).min(clamp.high));
        }
    }
    result
}

fn conv_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let pointwise = |height, width, depth, columns| Case {
        image: [height, width, depth],
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        columns,
    };
    for (width, depth, columns) in
        [(1, 1, 1), (3, 5, 8), (7, 24, 24), (8, 3, 39), (14, 17, 49), (33, 2, 64), (13, 9, 80)]
    {
        cases.push(pointwise(3, width, depth, columns));
    }
    for (kernel, stride, padding) in [
        ([3, 3], [2, 2], [0, 0]),
        ([3, 3], [2, 2], [1, 1]),
        ([2, 2], [1, 1], [0, 0]),
        ([5, 3], [1, 2], [2, 1]),
    ] {
        for columns in [1, 24, 50] {
            cases.push(Case { image: [9, 11, 3], kernel, stride, padding, columns });
        }
    }
    cases
}

#[test]
fn every_convolution_agrees_with_patches_and_sums() {
    for (seed, case) in conv_cases().iter().enumerate() {
        let depth = case.kernel[0] * case.kernel[1] * case.image[2];
        let [height, width] = case.output();
        let image = noise(case.image.iter().product(), seed as u64);
        let (weights, bias) = (noise(depth * case.columns, 100), noise(case.columns, 101));
        let beside = noise(height * width * case.columns, 102);
        let zeros = vec![0.0; beside.len()];
        for simd in Simd::available() {
            let packed = ConvWeights::pack(simd, depth, &weights, &bias);
            for (extra, clamp) in [([0, 0], Clamp::RELU6), ([1, 2], Clamp::NONE)] {
                let shape = case.shape(extra);
                let rows = padded(&shape.input, &image);
                let layout = RowLayout { left: 1, ..RowLayout { right: 0, ..shape.output } };
                let added = padded(&layout, &beside);
                for with in [false, true] {
                    let residual = with.then_some(Residual { rows: &added, layout });
                    let mut output = vec![0.5; height * shape.output.row_len()];
                    let span = Span { input_first: 0, output: 0..height };
                    conv(&shape, &span, &packed, &rows, Epilogue { residual, clamp }, &mut output);
                    let beside = if with { &beside } else { &zeros };
                    let expected = plain_conv(case, &image, &weights, &bias, beside, clamp);
                    let what = format!("{} case {seed}, residual {with}", simd.name());
                    assert_close(&dense(&shape.output, &output), &expected, &what);
                }
            }
        }
    }
}

#[test]
fn every_convolution_in_pairs_of_bfloat16_agrees_with_patches_and_sums() {
    for (seed, case) in conv_cases().iter().enumerate() {
        let depth = case.kernel[0] * case.kernel[1] * case.image[2];
        let [height, width] = case.output();
        let image = noise(case.image.iter().product(), seed as u64);
        let (weights, bias) = (noise(depth * case.columns, 100), noise(case.columns, 101));
        let beside = noise(height * width * case.columns, 102);
        let expected = plain_conv(case, &image, &weights, &bias, &beside, Clamp::RELU);
        if let Some(how) = Bf16::available() {
            let packed = ConvWeights::pack_bf16(how, Simd::best(), depth, &weights, &bias);
            let shape = case.shape([2, 1]);
            let added = padded(&shape.output, &beside);
            let residual = Some(Residual { rows: &added, layout: shape.output });
            let mut output = vec![0.5; height * shape.output.row_len()];
            let span = Span { input_first: 0, output: 0..height };
            let epilogue = Epilogue { residual, clamp: Clamp::RELU };
            conv(&shape, &span, &packed, &padded(&shape.input, &image), epilogue, &mut output);
            assert_close(&dense(&shape.output, &output), &expected, &format!("{} case {seed}", how.name()));
        }
    }
}

#[test]
fn rows_made_in_bands_equal_rows_made_at_once() {
    let case = Case { image: [9, 11, 24], kernel: [3, 3], stride: [2, 2], padding: [1, 1], columns: 24 };
    let shape = case.shape([0, 1]);
    let rows = padded(&shape.input, &noise(9 * 11 * 24, 1));
    let (weights, bias) = (noise(9 * 24, 2), noise(24, 3));
    let packed = DepthwiseWeights::new(Simd::best(), &weights, &bias);
    let full = ConvWeights::pack(Simd::best(), 9 * 24, &noise(9 * 24 * 24, 4), &bias);
    let [height, row] = [case.output()[0], shape.output.row_len()];
    let make = |band: usize| {
        let mut output = [vec![0.0; height * row], vec![0.0; height * row]];
        for first in (0..height).step_by(band) {
            let made = first..(first + band).min(height);
            let read = shape.input_rows(&made);
            let span = Span { input_first: read.start, output: made.clone() };
            let input = &rows[read.start * shape.input.row_len()..read.end * shape.input.row_len()];
            let to = made.start * row..made.end * row;
            depthwise_rows(&shape, &span, &packed, input, Clamp::RELU, &mut output[0][to.clone()]);
            let epilogue = Epilogue { residual: None, clamp: Clamp::RELU };
            conv(&shape, &span, &full, input, epilogue, &mut output[1][to]);
        }
        output
    };
    let whole = make(height);
    assert!((1..height).all(|band| make(band) == whole));
}

#[test]
fn every_depthwise_convolution_agrees_with_the_plain_one() {
    for kernel in [[3, 3], [5, 5], [3, 5]] {
        for stride in [[1, 1], [2, 2]] {
            for (size, channels) in [([1, 1], 1), ([7, 7], 24), ([9, 14], 17), ([5, 8], 48), ([4, 29], 33)] {
                let padding = [kernel[0] / 2, kernel[1] / 2];
                let image = [size[0], size[1], channels];
                compare_depthwise(&Case { image, kernel, stride, padding, columns: channels });
            }
        }
    }
}

fn compare_depthwise(case: &Case) {
    let [height, width, channels] = case.image;
    let image = noise(height * width * channels, 5);
    let (weights, bias) = (noise(case.kernel[0] * case.kernel[1] * channels, 6), noise(channels, 7));
    let plain = DepthwiseShape {
        input: [height, width],
        output: case.output(),
        channels,
        kernel: case.kernel,
        stride: case.stride,
        dilation: [1, 1],
        padding: case.padding,
    };
    let mut expected = vec![0.0; plain.output_len()];
    let slowest = *Simd::available().last().expect("plain Rust should be available");
    depthwise_with(slowest, &plain, &image, &weights, &bias, Clamp::RELU, &mut expected);
    for simd in Simd::available() {
        let shape = case.shape([0, 1]);
        let mut output = vec![0.0; case.output()[0] * shape.output.row_len()];
        let span = Span { input_first: 0, output: 0..case.output()[0] };
        let packed = DepthwiseWeights::new(simd, &weights, &bias);
        depthwise_rows(&shape, &span, &packed, &padded(&shape.input, &image), Clamp::RELU, &mut output);
        assert_close(&dense(&shape.output, &output), &expected, &format!("{} {:?}", simd.name(), case.image));
    }
}

#[test]
#[should_panic(expected = "the input should hold all rows that are read")]
fn too_few_rows_are_refused() {
    let case = Case { image: [4, 4, 8], kernel: [3, 3], stride: [1, 1], padding: [1, 1], columns: 8 };
    let shape = case.shape([0, 0]);
    let packed = DepthwiseWeights::new(Simd::best(), &[0.0; 72], &[0.0; 8]);
    let rows = vec![0.0; 3 * shape.input.row_len()];
    let mut output = vec![0.0; 4 * shape.output.row_len()];
    depthwise_rows(&shape, &Span { input_first: 0, output: 0..4 }, &packed, &rows, Clamp::NONE, &mut output);
}
