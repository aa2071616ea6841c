//! The networks as a GPU runs them, by the host that plays one: the kernels' own source, the same programs, the same
//! batches. What a GPU does differently is the order of sums, and its time.
#![cfg(feature = "cuda-host")]
#![allow(clippy::unwrap_used, reason = "clippy exempts the test functions, not the helpers beside them")]
#![allow(clippy::print_stdout, reason = "measured figures are told with --nocapture")]

mod support;

use kinora_kernels::device::{DeviceImage, DevicePicture, DevicePlane, NetworkInput};
use kinora_kernels::sample::{
    Border, Image, Layout, Matrix, Plane, Range, Rotation, SampleOutput, SampleRegion, Sampling, sample,
};
use kinora_models::{
    DETECTOR_SIDE, Execution, LANDMARK_COUNT, LANDMARK_SIDE, LANDMARK_VALUES, ModelError, PoseNetworks,
    Precision,
};
use support::inputs::image;

const INPUTS: [&str; 3] = ["standing", "arms-up", "noisy"];

/// Numbers that pass between layers are halves: 11 bits each. A quarter of what landmarks may differ by.
const HALF_TOLERANCE: f32 = 5e-3;
/// As for the CPU's plans of single precision.
const SINGLE_TOLERANCE: f32 = 1e-4;

/// The largest difference of two outputs, as a part of the range of the second.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().chain(expected).all(|value| value.is_finite()), "each output should be a number");
    let [low, high] =
        expected.iter().fold([f32::MAX, f32::MIN], |[low, high], value| [low.min(*value), high.max(*value)]);
    let range = if expected.len() == 1 { 1.0 } else { high - low };
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / range).fold(0.0, f32::max)
}

fn compare(precision: Precision, tolerance: f32) {
    let mut device = support::networks_with(Execution::CudaHost(precision));
    let mut plain = support::networks_with(Execution::Plain);
    for name in INPUTS {
        let input = image(name, LANDMARK_SIDE, 0.0);
        let [found, expected] =
            [&mut device, &mut plain].map(|all: &mut PoseNetworks| all.landmarks(&input).unwrap());
        let input = image(name, DETECTOR_SIDE, -1.0);
        let [faces, known] = [&mut device, &mut plain].map(|all| all.detect(&input).unwrap());
        let outputs = [
            apart(&found.landmarks, &expected.landmarks),
            apart(&[found.flag], &[expected.flag]),
            apart(&found.heatmap, &expected.heatmap),
            apart(&found.world, &expected.world),
            apart(&faces.boxes, &known.boxes),
            apart(&faces.scores, &known.scores),
        ];
        println!("{name}, {precision:?}: {outputs:.5?} of the range");
        assert!(outputs.iter().all(|apart| *apart < tolerance), "{name}: {outputs:.5?}");
    }
}

#[test]
fn single_precision_on_a_device_agrees_with_the_plain_graph() {
    compare(Precision::F32, SINGLE_TOLERANCE);
}

#[test]
fn half_precision_on_a_device_agrees_with_the_plain_graph() {
    compare(Precision::Auto, HALF_TOLERANCE);
}

/// The gate of every faster way: keypoints within 0.2 % of the image.
#[test]
fn keypoints_of_half_precision_stay_within_a_fifth_of_a_percent_of_the_image() {
    let mut device = support::networks_with(Execution::CudaHost(Precision::Auto));
    let mut plain = support::networks_with(Execution::Plain);
    for name in INPUTS {
        let input = image(name, LANDMARK_SIDE, 0.0);
        let [found, expected] = [&mut device, &mut plain].map(|all| all.landmarks(&input).unwrap().landmarks);
        let most =
            (0..LANDMARK_COUNT).flat_map(|landmark| [0, 1].map(|axis| landmark * LANDMARK_VALUES + axis));
        let most = most.map(|at| (found[at] - expected[at]).abs() / LANDMARK_SIDE as f32).fold(0.0, f32::max);
        println!("{name}: {:.3} % of the image", most * 100.0);
        assert!(most < 0.002, "{name}: {most}");
    }
}

#[test]
fn each_image_of_a_batch_gives_what_it_gives_alone() {
    let mut device = support::networks_with(Execution::CudaHost(Precision::Auto));
    let inputs: Vec<Vec<f32>> = INPUTS.iter().map(|name| image(name, DETECTOR_SIDE, -1.0)).collect();
    let alone: Vec<_> = inputs.iter().map(|input| device.detect(input).unwrap()).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    assert_eq!(device.detect_batch(&inputs).unwrap(), alone);
}

/// A picture of the host that plays a device, the same as the CPU's sampler reads it.
struct Nv12 {
    width: u32,
    height: u32,
    planes: [Vec<u8>; 2],
}

impl Nv12 {
    /// Stripes and slopes: no two rows or columns are alike.
    fn new(width: u32, height: u32) -> Self {
        let value = |row: u32, column: u32| ((row * 7 + column * 3) ^ (row * column / 11)) as u8;
        let plane =
            |rows: u32| (0..rows).flat_map(|row| (0..width).map(move |column| value(row, column))).collect();
        Self { width, height, planes: [plane(height), plane(height / 2)] }
    }

    fn on_device(&self) -> DevicePicture {
        let at = DevicePlane { address: 0, stride: self.width as usize };
        let image = DeviceImage {
            width: self.width,
            height: self.height,
            bits: 8,
            range: Range::Limited,
            matrix: Matrix::Bt709,
            rotation: Rotation::Quarter,
            planes: [at; 2],
        };
        let words = |plane: &Vec<u8>| {
            plane.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
        };
        DevicePicture::on_host(image, [words(&self.planes[0]), words(&self.planes[1])])
    }

    fn sampled(&self, region: &SampleRegion, output: &SampleOutput) -> Vec<f32> {
        let plane = |index: usize| Some(Plane { data: &self.planes[index], stride: self.width as usize });
        let image = Image {
            width: self.width,
            height: self.height,
            layout: Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits: 8 },
            range: Range::Limited,
            matrix: Matrix::Bt709,
            rotation: Rotation::Quarter,
            planes: [plane(0), plane(1), None],
        };
        let mut floats = vec![0.0; output.size * output.size * 3];
        sample(&image, region, output, &mut floats).unwrap();
        floats
    }
}

#[test]
fn a_picture_that_the_device_samples_gives_what_the_cpus_sample_of_it_gives_and_goes_with_others() {
    let mut device = support::networks_with(Execution::CudaHost(Precision::Auto));
    let picture = Nv12::new(640, 360);
    let region = SampleRegion { centre_x: 150.0, centre_y: 300.0, side: 420.0, angle: 0.3 };
    let output = SampleOutput {
        size: DETECTOR_SIDE,
        border: Border::Zero,
        sampling: Sampling::MediaPipe,
        range: (-1.0, 1.0),
    };
    let other = image(INPUTS[0], DETECTOR_SIDE, -1.0);
    let expected =
        [picture.sampled(&region, &output), other.clone()].map(|input| device.detect(&input).unwrap());
    let on_device = picture.on_device();
    assert!(on_device.check(&region, &output).is_ok() && !on_device.is_on_gpu(0));
    let inputs = [
        NetworkInput::Floats(&other),
        NetworkInput::Region(&on_device, region, output),
        NetworkInput::Floats(&other),
    ];
    let found = device.detect_inputs(&inputs).unwrap();
    let [picture, other] = &expected;
    assert_eq!([&found[0], &found[1], &found[2]], [other, picture, other]);
}

#[test]
fn a_picture_of_a_device_is_refused_where_networks_run_on_the_cpu() {
    let mut cpu = support::networks_with(Execution::Plain);
    let region = SampleRegion { centre_x: 32.0, centre_y: 32.0, side: 64.0, angle: 0.0 };
    let output = SampleOutput {
        size: DETECTOR_SIDE,
        border: Border::Zero,
        sampling: Sampling::MediaPipe,
        range: (-1.0, 1.0),
    };
    let picture = Nv12::new(64, 64).on_device();
    let refused = cpu.detect_inputs(&[NetworkInput::Region(&picture, region, output)]).unwrap_err();
    assert!(matches!(refused, ModelError::Input { got: 0, .. }), "{refused}");
}
