//! Pixels in, poses out: the networks of MediaPipe Pose in candle, and the tracker around them.
//!
//! Knows no video, no clock and no database. `unsafe` is forbidden here; what needs it lives in `kinora-kernels`.
#![forbid(unsafe_code)]

mod pose_outputs;

pub use pose_outputs::{
    DETECTOR_ANCHORS, DETECTOR_BOX_VALUES, DETECTOR_SIDE, DetectorOutput, HEATMAP_SIDE, LANDMARK_COUNT, LANDMARK_SIDE,
    LANDMARK_VALUES, LandmarkOutput, WORLD_VALUES,
};
