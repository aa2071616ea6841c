//! The tracker driven with made-up network outputs.

use super::*;
use crate::{
    DETECTOR_ANCHORS, DETECTOR_BOX_VALUES, HEATMAP_SIDE, LANDMARK_COUNT, LANDMARK_VALUES, WORLD_VALUES,
};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

fn frame(index: i64) -> FrameInfo {
    FrameInfo { width: WIDTH, height: HEIGHT, time_us: index * 33_333 }
}

fn nobody() -> DetectorOutput {
    DetectorOutput {
        boxes: vec![0.0; DETECTOR_ANCHORS * DETECTOR_BOX_VALUES],
        scores: vec![-9.0; DETECTOR_ANCHORS],
    }
}

/// Hips in the middle of the letterbox, the point on the circle 56 pixels of the input (160 of the frame) above.
fn somebody() -> DetectorOutput {
    let mut output = nobody();
    // The middle anchor of the 7 x 7 layer is the middle of the input.
    let index = 1960 + (3 * 7 + 3) * 6;
    output.scores[index] = 3.0;
    output.boxes[index * 12..(index + 1) * 12]
        .copy_from_slice(&[0.0, -40.0, 20.0, 20.0, 0.0, 0.0, 0.0, -56.0, 0.0, -30.0, 0.0, -60.0]);
    output
}

/// All landmarks in the middle of the region but the nose, which is `x` pixels of the input from the left, and the point
/// on the circle, which keeps the region as it is.
fn seen(x: f32) -> LandmarkOutput {
    let mut landmarks = [128.0, 128.0, 0.0, 9.0, 9.0].repeat(LANDMARK_COUNT);
    landmarks[0] = x;
    landmarks[34 * LANDMARK_VALUES + 1] = 128.0 - 102.4;
    LandmarkOutput {
        landmarks,
        flag: 0.9,
        heatmap: vec![-100.0; HEATMAP_SIDE * HEATMAP_SIDE * LANDMARK_COUNT],
        world: vec![0.5; LANDMARK_COUNT * WORLD_VALUES],
    }
}

fn pose(step: Step) -> Pose {
    match step {
        Step::Done(Some(pose)) => pose,
        other => panic!("no pose: {other:?}"),
    }
}

fn looks(step: &Step) -> Region {
    match step {
        Step::Landmarks(region) => *region,
        other => panic!("does not look for landmarks: {other:?}"),
    }
}

/// A tracker with one frame of tracking behind it.
fn tracked() -> PoseTracker {
    let mut tracker = PoseTracker::new(Tracking::On);
    tracker.begin(frame(0));
    tracker.detected(&somebody());
    pose(tracker.landmarked(&seen(128.0)));
    tracker
}

#[test]
fn a_frame_goes_from_the_letterbox_over_the_region_to_the_pose() {
    let mut tracker = PoseTracker::new(Tracking::On);
    assert_eq!(tracker.begin(frame(0)), Step::Detect(Region::letterbox(frame(0))));
    let region = looks(&tracker.detected(&somebody()));
    assert!((region.centre_x - 320.0).abs() < 1e-3 && (region.centre_y - 240.0).abs() < 1e-3);
    assert!((region.side - 400.0).abs() < 1e-3 && region.angle.abs() < 1e-6);
    let pose = pose(tracker.landmarked(&seen(256.0)));
    // The nose is at the region's right edge: 320 + 200 pixels of 640.
    assert!((pose.keypoints[0].x - 520.0 / 640.0).abs() < 1e-6);
    assert!((pose.keypoints[0].y - 0.5).abs() < 1e-6);
    assert_eq!(pose.score, 0.9);
    let [x, y, width, height] = pose.bbox;
    assert!((x - 0.5).abs() < 1e-6 && (width - 200.0 / 640.0).abs() < 1e-6 && (y - 0.5).abs() < 1e-6);
    assert!(height.abs() < 1e-6);
}

#[test]
fn the_next_frame_needs_no_detector_while_tracking_is_on() {
    let mut tracker = tracked();
    let region = looks(&tracker.begin(frame(1)));
    assert!((region.side - 400.0).abs() < 1e-2, "{region:?}");
    let mut single = PoseTracker::new(Tracking::Off);
    single.begin(frame(0));
    single.detected(&somebody());
    pose(single.landmarked(&seen(128.0)));
    assert!(matches!(single.begin(frame(1)), Step::Detect(_)));
}

#[test]
fn a_lost_person_is_no_pose_and_the_detector_looks_at_the_next_frame() {
    let mut tracker = tracked();
    tracker.begin(frame(1));
    let lost = LandmarkOutput { flag: 0.5, ..seen(128.0) };
    assert_eq!(tracker.landmarked(&lost), Step::Done(None));
    assert!(matches!(tracker.begin(frame(2)), Step::Detect(_)));
    assert_eq!(tracker.detected(&nobody()), Step::Done(None));
    assert!(matches!(tracker.begin(frame(3)), Step::Detect(_)));
}

#[test]
fn tracking_smooths_and_single_images_do_not() {
    let mut tracker = tracked();
    tracker.begin(frame(1));
    let smoothed = pose(tracker.landmarked(&seen(129.0)));
    assert!(smoothed.keypoints[0].x > 0.5 && smoothed.keypoints[0].x < 0.5 + 1.0 / 256.0 * 400.0 / 640.0);
    let mut single = PoseTracker::new(Tracking::Off);
    for (index, x) in [(0, 128.0), (1, 192.0)] {
        single.begin(frame(index));
        single.detected(&somebody());
        let raw = pose(single.landmarked(&seen(x)));
        assert!((raw.keypoints[0].x - (0.5 + (x / 256.0 - 0.5) * 400.0 / 640.0)).abs() < 1e-6);
    }
}

#[test]
fn numbers_that_are_not_finite_are_no_pose_and_leave_no_trace() {
    let mut tracker = tracked();
    tracker.begin(frame(1));
    let mut broken = seen(128.0);
    broken.landmarks[0] = f32::NAN;
    assert_eq!(tracker.landmarked(&broken), Step::Done(None));
    tracker.begin(frame(2));
    let mut blind = nobody();
    blind.scores.fill(f32::NAN);
    assert_eq!(tracker.detected(&blind), Step::Done(None));
    tracker.begin(frame(3));
    tracker.detected(&somebody());
    let pose = pose(tracker.landmarked(&seen(128.0)));
    assert!(pose.keypoints.iter().all(|keypoint| keypoint.x.is_finite() && keypoint.visibility.is_finite()));
    assert!(pose.world.iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn calls_in_the_wrong_order_do_no_harm() {
    let mut tracker = PoseTracker::new(Tracking::On);
    assert_eq!(tracker.detected(&somebody()), Step::Done(None));
    assert_eq!(tracker.landmarked(&seen(128.0)), Step::Done(None));
    tracker.begin(frame(0));
    assert_eq!(tracker.landmarked(&seen(128.0)), Step::Done(None));
    assert_eq!(tracker.detected(&somebody()), Step::Done(None), "the frame ended with the wrong call");

    let mut tracker = tracked();
    let region = looks(&tracker.begin(frame(1)));
    assert_eq!(looks(&tracker.begin(frame(2))), region, "an abandoned frame leaves the memory as it was");
}

#[test]
fn another_size_earlier_time_or_a_reset_starts_from_nothing() {
    let other = FrameInfo { width: HEIGHT, height: WIDTH, time_us: 33_333 };
    assert!(matches!(tracked().begin(other), Step::Detect(_)));
    assert!(matches!(tracked().begin(frame(-1)), Step::Detect(_)));
    assert!(matches!(tracked().begin(frame(0)), Step::Landmarks(_)), "a repeated timestamp is borne");
    let mut tracker = tracked();
    tracker.reset();
    assert!(matches!(tracker.begin(frame(1)), Step::Detect(_)));
    let mut empty = PoseTracker::new(Tracking::On);
    assert_eq!(empty.begin(FrameInfo { width: 0, height: 9, time_us: 0 }), Step::Done(None));
}
