//! What the two pose networks give, raw: the contract between the networks and the tracker.
//!
//! Nothing here is decoded; anchors, sigmoids and rotations belong to the tracker. The sizes are those of
//! MediaPipe 0.10.14's `pose_detection.tflite` and `pose_landmark_full.tflite`, and loading fails when a file
//! disagrees with them.

/// Side of the detector's square input, in pixels.
pub const DETECTOR_SIDE: usize = 224;
/// Anchors of the detector: 28 x 28 x 2 + 14 x 14 x 2 + 7 x 7 x 6.
pub const DETECTOR_ANCHORS: usize = 2254;
/// Numbers for each anchor: box (centre x, y, width, height), then 4 keypoints (x, y), all in pixels of the
/// input.
pub const DETECTOR_BOX_VALUES: usize = 12;

/// Side of the landmark network's square input, in pixels.
pub const LANDMARK_SIDE: usize = 256;
/// Landmarks: 33 of the body and 6 auxiliary ones (33 and 34 make the next region).
pub const LANDMARK_COUNT: usize = 39;
/// Numbers for each landmark: x, y, z in pixels of the input; visibility and presence as logits.
pub const LANDMARK_VALUES: usize = 5;
/// Numbers for each world landmark: x, y, z in metres from the middle of the hips, in the region's rotated
/// frame.
pub const WORLD_VALUES: usize = 3;
/// Side of the square heatmap, in cells.
pub const HEATMAP_SIDE: usize = 64;

/// The detector's raw output for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorOutput {
    /// `DETECTOR_ANCHORS` x `DETECTOR_BOX_VALUES`, row-major; offsets from the anchor, in pixels of the
    /// input.
    pub boxes: Vec<f32>,
    /// `DETECTOR_ANCHORS` logits, neither clipped nor passed through the sigmoid.
    pub scores: Vec<f32>,
}

/// The landmark network's raw output for one region.
#[derive(Debug, Clone, PartialEq)]
pub struct LandmarkOutput {
    /// `LANDMARK_COUNT` x `LANDMARK_VALUES`, row-major.
    pub landmarks: Vec<f32>,
    /// Probability that a person is there, 0 to 1.
    pub flag: f32,
    /// `HEATMAP_SIDE` x `HEATMAP_SIDE` x `LANDMARK_COUNT` (rows, columns, landmarks), before the sigmoid.
    pub heatmap: Vec<f32>,
    /// `LANDMARK_COUNT` x `WORLD_VALUES`, row-major.
    pub world: Vec<f32>,
}
