//! Every compiled version against the definition, written out as plainly as it can be.

use super::*;
use crate::testing::noise;

/// The definition: sum over all taps, zero outside the image.
fn defined(shape: &DepthwiseShape, input: &[f32], weights: &[f32], bias: &[f32], clamp: Clamp) -> Vec<f32> {
    let [height, width] = shape.input;
    let mut output = Vec::with_capacity(shape.output_len());
    for row in 0..shape.output[0] {
        for column in 0..shape.output[1] {
            for channel in 0..shape.channels {
                let mut sum = f64::from(bias[channel]);
                for ky in 0..shape.kernel[0] {
                    for kx in 0..shape.kernel[1] {
                        let y =
                            (row * shape.stride[0] + ky * shape.dilation[0]).wrapping_sub(shape.padding[0]);
                        let x = (column * shape.stride[1] + kx * shape.dilation[1])
                            .wrapping_sub(shape.padding[1]);
                        if y < height && x < width {
                            let value = input[(y * width + x) * shape.channels + channel];
                            let weight = weights[(ky * shape.kernel[1] + kx) * shape.channels + channel];
                            sum += f64::from(value) * f64::from(weight);
                        }
                    }
                }
                output.push((sum as f32).max(clamp.low).min(clamp.high));
            }
        }
    }
    output
}

fn square(size: usize, channels: usize, kernel: usize, stride: usize, padding: [usize; 2]) -> DepthwiseShape {
    let output = (size + padding[0] + padding[1] - kernel) / stride + 1;
    DepthwiseShape {
        input: [size; 2],
        output: [output; 2],
        channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: [padding[0]; 2],
    }
}

#[test]
fn every_version_gives_what_the_definition_gives() {
    let mut shapes = vec![
        square(14, 24, 3, 1, [1, 1]),
        square(13, 64, 3, 2, [1, 1]),
        square(8, 88, 5, 1, [2, 2]),
        square(16, 144, 5, 2, [2, 2]),
        square(16, 17, 5, 2, [1, 2]),
        square(8, 8, 3, 2, [0, 1]),
        // Smaller than the window on every side, and a single pixel.
        square(2, 288, 3, 1, [1, 1]),
        square(1, 3, 5, 1, [2, 2]),
    ];
    shapes.push(DepthwiseShape {
        input: [9, 20],
        output: [4, 18],
        channels: 35,
        kernel: [2, 3],
        stride: [2, 1],
        dilation: [3, 2],
        padding: [1, 1],
    });
    for shape in shapes {
        let (input, weights) = (noise(shape.input_len(), 1), noise(shape.weights_len(), 2));
        let bias = noise(shape.channels, 3);
        for clamp in [Clamp::NONE, Clamp { low: 0.0, high: 0.5 }] {
            let expected = defined(&shape, &input, &weights, &bias, clamp);
            for simd in Simd::available() {
                let mut output = vec![f32::NAN; shape.output_len()];
                depthwise_with(simd, &shape, &input, &weights, &bias, clamp, &mut output);
                for (got, expected) in output.iter().zip(&expected) {
                    assert!((got - expected).abs() < 1e-5, "{} {shape:?}: {got} {expected}", simd.name());
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "input should be H x W x C")]
fn wrong_length_is_refused_before_anything_is_read() {
    let shape = square(4, 8, 3, 1, [1, 1]);
    let mut output = vec![0.0; shape.output_len()];
    depthwise(&shape, &[0.0; 3], &vec![0.0; shape.weights_len()], &[0.0; 8], Clamp::NONE, &mut output);
}

/// What `depthwise` says of a shape with slices that are as long as its wrapped products.
fn refusal(shape: DepthwiseShape) -> String {
    let len = |sizes: [usize; 2]| sizes[0].wrapping_mul(sizes[1]).wrapping_mul(shape.channels);
    let (input, weights) = (vec![0.0; len(shape.input)], vec![0.0; len(shape.kernel)]);
    let (bias, mut output) = (vec![0.0; shape.channels], vec![0.0; len(shape.output)]);
    let run = || depthwise(&shape, &input, &weights, &bias, Clamp::NONE, &mut output);
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    let text = refused.downcast_ref::<String>().cloned();
    text.or_else(|| refused.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[test]
fn sizes_that_wrap_are_refused_before_anything_is_read() {
    let good = square(4, 8, 3, 1, [1, 1]);
    // Each product is 0 modulo 2^64, so that an empty slice would seem to be right.
    let wrapping = [1 << 32, 1 << 32];
    for shape in [
        DepthwiseShape { input: wrapping, ..good },
        DepthwiseShape { output: wrapping, ..good },
        DepthwiseShape { kernel: wrapping, ..good },
    ] {
        assert!(refusal(shape).contains("the length of a slice"), "{shape:?}");
    }
}

#[test]
fn steps_that_wrap_or_stand_still_are_refused_before_anything_is_read() {
    let good = square(4, 8, 3, 1, [1, 1]);
    for shape in [
        DepthwiseShape { padding: [usize::MAX, 1], ..good },
        DepthwiseShape { padding: [1, usize::MAX - 3], ..good },
        DepthwiseShape { stride: [1, usize::MAX / 2], ..good },
        DepthwiseShape { dilation: [usize::MAX / 2 + 1, 1], ..good },
    ] {
        assert!(refusal(shape).contains("positions can be counted"), "{shape:?}");
    }
    assert!(refusal(DepthwiseShape { stride: [0, 1], ..good }).contains("should not be 0"));
    assert!(refusal(DepthwiseShape { dilation: [1, 0], ..good }).contains("should not be 0"));
}
