//! From the landmark network's raw output to landmarks in the frame: decoding, refinement, projection.
//!
//! MediaPipe's graph `pose_landmark_by_roi_cpu`: `TensorsToLandmarksCalculator`, `RefineLandmarksFromHeatmapCalculator`,
//! `LandmarkProjectionCalculator` and `WorldLandmarkProjectionCalculator`. The reference works in fractions of the frame
//! and turns them into pixels for its filters; here they are pixels throughout, and fractions only in the final pose.

use super::heatmap::refine;
use super::{KEYPOINT_COUNT, Region, sigmoid};
use crate::{LANDMARK_COUNT, LANDMARK_SIDE, LANDMARK_VALUES, LandmarkOutput, WORLD_VALUES};

/// Auxiliary landmarks in use: the middle of the hips and a point on the circle around the body (33 and 34 of 39).
pub const AUXILIARY_COUNT: usize = 2;

/// The landmarks of one frame before smoothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmarks {
    /// The network's probability, 0 to 1, that a person is there.
    pub score: f32,
    /// The body's keypoints x, y, z in pixels of the frame; z on the scale of x.
    pub body: [[f32; 3]; KEYPOINT_COUNT],
    /// Visibility of the body's keypoints, 0 to 1.
    pub visibility: [f32; KEYPOINT_COUNT],
    /// The alignment points of the next region, as `body`.
    pub auxiliary: [[f32; 3]; AUXILIARY_COUNT],
    /// The body's keypoints in metres from the middle of the hips, upright in the frame.
    pub world: [[f32; 3]; KEYPOINT_COUNT],
}

impl Landmarks {
    /// Decodes what the network saw in `region`, whatever its score.
    ///
    /// `None` when a size is not the network's or a number that is used is not finite: such an output says nothing about
    /// a person, and one NaN would stay in a filter for ever.
    pub fn decode(output: &LandmarkOutput, region: &Region) -> Option<Self> {
        if output.landmarks.len() != LANDMARK_COUNT * LANDMARK_VALUES
            || output.world.len() != LANDMARK_COUNT * WORLD_VALUES
        {
            return None;
        }
        let in_frame = |index: usize| project(output, index, region);
        let logit = |index: usize| output.landmarks[index * LANDMARK_VALUES + 3];
        let decoded = Self {
            score: output.flag,
            body: std::array::from_fn(in_frame),
            visibility: std::array::from_fn(|index| sigmoid(logit(index))),
            auxiliary: std::array::from_fn(|index| in_frame(KEYPOINT_COUNT + index)),
            world: std::array::from_fn(|index| turn(&output.world[index * WORLD_VALUES..], region)),
        };
        decoded.is_finite().then_some(decoded)
    }

    fn is_finite(&self) -> bool {
        let points = self.body.iter().chain(&self.auxiliary).chain(&self.world).flatten();
        points.chain(&self.visibility).chain([&self.score]).all(|value| value.is_finite())
    }
}

/// Landmark `index` refined and taken to pixels of the frame.
fn project(output: &LandmarkOutput, index: usize, region: &Region) -> [f32; 3] {
    let side = LANDMARK_SIDE as f32;
    let row = &output.landmarks[index * LANDMARK_VALUES..];
    let (x, y) = (row[0] / side, row[1] / side);
    let [x, y] = region.to_frame(refine(&output.heatmap, index, x, y).unwrap_or([x, y]));
    [x, y, row[2] / side * region.side]
}

/// A world landmark turned with the region; depth and scale stay.
fn turn(values: &[f32], region: &Region) -> [f32; 3] {
    let [x, y] = region.rotate([values[0], values[1]]);
    [x, y, values[2]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HEATMAP_SIDE;
    use std::f32::consts::FRAC_PI_2;

    fn output() -> LandmarkOutput {
        LandmarkOutput {
            landmarks: vec![0.0; LANDMARK_COUNT * LANDMARK_VALUES],
            flag: 0.75,
            heatmap: vec![-100.0; HEATMAP_SIDE * HEATMAP_SIDE * LANDMARK_COUNT],
            world: vec![0.0; LANDMARK_COUNT * WORLD_VALUES],
        }
    }

    fn close(a: [f32; 3], b: [f32; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
    }

    #[test]
    fn landmarks_turn_and_scale_with_the_region() {
        let mut output = output();
        output.landmarks[10..15].copy_from_slice(&[192.0, 128.0, -64.0, 0.0, 3.0]);
        output.landmarks[165..168].copy_from_slice(&[128.0, 128.0, 0.0]);
        output.world[6..9].copy_from_slice(&[0.25, 0.5, 0.75]);
        // A quarter turn clockwise: what is right in the region is down in the frame.
        let region = Region { centre_x: 1000.0, centre_y: 500.0, side: 400.0, angle: FRAC_PI_2 };
        let found = Landmarks::decode(&output, &region).unwrap();
        assert!(close(found.body[2], [1000.0, 600.0, -100.0]), "{:?}", found.body[2]);
        assert!(close(found.auxiliary[0], [1000.0, 500.0, 0.0]));
        assert!(close(found.world[2], [-0.5, 0.25, 0.75]), "{:?}", found.world[2]);
        assert_eq!((found.visibility[2], found.score), (0.5, 0.75));
    }

    #[test]
    fn a_sure_heatmap_moves_x_and_y_but_not_z() {
        let mut output = output();
        output.landmarks[..3].copy_from_slice(&[128.0, 128.0, 25.6]);
        output.heatmap[(33 * HEATMAP_SIDE + 34) * LANDMARK_COUNT] = 100.0;
        let region = Region { centre_x: 128.0, centre_y: 128.0, side: 256.0, angle: 0.0 };
        let found = Landmarks::decode(&output, &region).unwrap();
        assert!(close(found.body[0], [136.0, 132.0, 25.6]), "{:?}", found.body[0]);
    }

    #[test]
    fn numbers_that_are_not_finite_are_no_landmarks() {
        let region = Region { centre_x: 1.0, centre_y: 1.0, side: 2.0, angle: 0.0 };
        let broken = |change: fn(&mut LandmarkOutput)| {
            let mut output = output();
            change(&mut output);
            Landmarks::decode(&output, &region)
        };
        assert!(broken(|_| ()).is_some());
        assert_eq!(broken(|output| output.landmarks[7] = f32::NAN), None);
        assert_eq!(broken(|output| output.world[98] = f32::INFINITY), None);
        assert_eq!(broken(|output| output.flag = f32::NAN), None);
        assert_eq!(broken(|output| output.landmarks[3] = f32::NAN), None);
        assert_eq!(broken(|output| output.world.truncate(9)), None);
        assert!(broken(|output| output.world[116] = f32::NAN).is_some(), "landmark 38 is not used");
    }
}
