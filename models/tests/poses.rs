//! Sampler, networks and tracker together against MediaPipe 0.10.14's poses (`tools/golden/figures.py`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use kinora_kernels::sample::{
    Border, Image, Layout, Matrix, Plane, Range, Rotation, SampleOutput, SampleRegion, Sampling, sample,
};
use kinora_models::pose::{FrameInfo, Pose, PoseTracker, Region, Step, Tracking};
use kinora_models::{DETECTOR_SIDE, LANDMARK_SIDE, PoseNetworks};
use serde_json::Value;
use support::inputs::image;

const SIDE: usize = 640;
const WIDTH: usize = 480;
const HEIGHT: usize = 600;
const BLANK: usize = 5;
/// Largest mean distance of the keypoints from MediaPipe's, in parts of the torso. The requirement is 1 %.
const TOLERANCE: f64 = 0.002;
/// MediaPipe's Python solution stamps frames this far apart.
const FRAME_US: i64 = 33_333;

/// A frame in 8-bit RGB.
struct Frame {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

fn picture(name: &str) -> Frame {
    let values = image(name, SIDE, 0.0);
    let rgb = values.into_iter().map(|value| (value * 255.0 + 0.5) as u8).collect();
    Frame { width: SIDE, height: SIDE, rgb }
}

/// Frame `index` of the moving picture: a window that wanders over `whole` and goes blank once.
fn window(whole: &Frame, index: usize) -> Frame {
    if index == BLANK {
        return Frame { width: WIDTH, height: HEIGHT, rgb: vec![128; WIDTH * HEIGHT * 3] };
    }
    let (left, top) = (30 + 9 * index, 36 - 4 * index);
    let row = |y: usize| &whole.rgb[((top + y) * SIDE + left) * 3..][..WIDTH * 3];
    Frame { width: WIDTH, height: HEIGHT, rgb: (0..HEIGHT).flat_map(row).copied().collect() }
}

/// A region of the frame as a network's input.
fn input(frame: &Frame, region: Region, size: usize, border: Border, range: (f32, f32)) -> Vec<f32> {
    let plane = Plane { data: &frame.rgb, stride: frame.width * 3 };
    let image = Image {
        width: frame.width as u32,
        height: frame.height as u32,
        layout: Layout::Rgb24,
        range: Range::Full,
        matrix: Matrix::Bt709,
        rotation: Rotation::None,
        planes: [Some(plane), None, None],
    };
    let Region { centre_x, centre_y, side, angle } = region;
    let region = SampleRegion { centre_x, centre_y, side, angle };
    let mut out = vec![0.0; size * size * 3];
    let output = SampleOutput { size, border, sampling: Sampling::MediaPipe, range };
    sample(&image, &region, &output, &mut out).unwrap();
    out
}

/// Does all the steps of a frame.
fn pose(tracker: &mut PoseTracker, networks: &mut PoseNetworks, frame: &Frame, time_us: i64) -> Option<Pose> {
    let (width, height) = (frame.width as u32, frame.height as u32);
    let mut step = tracker.begin(FrameInfo { width, height, time_us });
    loop {
        step = match step {
            Step::Detect(region) => {
                let input = input(frame, region, DETECTOR_SIDE, Border::Zero, (-1.0, 1.0));
                tracker.detected(&networks.detect(&input).unwrap())
            }
            Step::Landmarks(region) => {
                let input = input(frame, region, LANDMARK_SIDE, Border::Replicate, (0.0, 1.0));
                tracker.landmarked(&networks.landmarks(&input).unwrap())
            }
            Step::Done(pose) => return pose,
        }
    }
}

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/poses.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn all_finite(pose: &Pose) -> bool {
    let keypoints = pose.keypoints.iter().flat_map(|keypoint| [keypoint.x, keypoint.y, keypoint.visibility]);
    keypoints.chain(pose.world.iter().flatten().copied()).all(f32::is_finite)
}

fn assert_agrees(what: &str, golden: &Value, pose: Option<&Pose>, frame: &Frame) {
    assert_eq!(golden.is_null(), pose.is_none(), "{what}: found by one, not by the other");
    let Some(pose) = pose else { return };
    // Maxima pass over what is no number.
    assert!(all_finite(pose), "{what}: each value of a pose should be a number");
    let (width, height) = (frame.width as f64, frame.height as f64);
    let number = |list: &str, index: usize, axis: usize| golden[list][index][axis].as_f64().unwrap();
    let theirs =
        |index: usize| [number("landmarks", index, 0) * width, number("landmarks", index, 1) * height];
    let apart = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let middle = |a: usize, b: usize| [0, 1].map(|axis| (theirs(a)[axis] + theirs(b)[axis]) / 2.0);
    let torso = apart(middle(11, 12), middle(23, 24));
    let (mut total, mut world, mut visibility) = (0.0f64, 0.0f64, 0.0f64);
    for (index, keypoint) in pose.keypoints.iter().enumerate() {
        total += apart(theirs(index), [f64::from(keypoint.x) * width, f64::from(keypoint.y) * height]);
        visibility = visibility.max((number("landmarks", index, 3) - f64::from(keypoint.visibility)).abs());
        for axis in 0..3 {
            world = world.max((number("world", index, axis) - f64::from(pose.world[index][axis])).abs());
        }
    }
    let mean = total / 33.0 / torso;
    println!("{what}: {:.4} % of the torso, {world:.4} m, visibility {visibility:.4}", mean * 100.0);
    assert!(mean < TOLERANCE, "{what}: {:.3} % of the torso apart", mean * 100.0);
    assert!(world < 0.02 && visibility < 0.01, "{what}: {world} m, visibility {visibility}");
}

#[test]
fn single_pictures_give_the_poses_of_mediapipes_static_mode() {
    let (mut networks, golden) = (support::networks(), golden());
    let mut tracker = PoseTracker::new(Tracking::Off);
    for name in ["standing", "arms-up", "noisy"] {
        let frame = picture(name);
        let pose = pose(&mut tracker, &mut networks, &frame, 0);
        assert_agrees(name, &golden["single"][name], pose.as_ref(), &frame);
    }
}

#[test]
fn moving_pictures_give_the_poses_of_mediapipes_video_mode() {
    let (mut networks, golden) = (support::networks(), golden());
    let whole = picture("standing");
    let mut tracker = PoseTracker::new(Tracking::On);
    for (index, golden) in golden["moving"].as_array().unwrap().iter().enumerate() {
        let frame = window(&whole, index);
        let pose = pose(&mut tracker, &mut networks, &frame, index as i64 * FRAME_US);
        assert_agrees(&format!("frame {index}"), golden, pose.as_ref(), &frame);
    }
}
