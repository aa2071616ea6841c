//! The pose tracker: raw network outputs in, poses in the frame out.
//!
//! Pure mathematics. Nothing here reads pixels, runs a network or looks at a clock, so that every rule can be tested
//! with numbers. It follows MediaPipe 0.10.14's legacy solution (graph `pose_landmark_cpu`), stage by stage:
//!
//! | stage | here |
//! |---|---|
//! | anchors, boxes, weighted suppression | [`anchors`], [`detection`] |
//! | region of interest | [`Region`] |
//! | landmarks, heatmap refinement, projection | [`landmarks`], [`heatmap`] |
//! | smoothing | [`filter`], [`smoothing`] |
//! | who runs when, and what is remembered | [`PoseTracker`] |
//!
//! Coordinates: pixels of the displayed frame have their origin in the top left corner, x to the right and y down; a
//! fraction is a pixel coordinate divided by the frame's width or height. Angles are radians, clockwise on the screen.

pub mod anchors;
pub mod detection;
pub mod filter;
pub mod heatmap;
pub mod landmarks;
mod region;
pub mod smoothing;
mod tracker;

pub use region::Region;
pub use tracker::{PoseTracker, Step, TrackerConfig, Tracking};

/// Keypoints of a pose: MediaPipe's 33 (`blazepose33`), from the nose to the toes.
pub const KEYPOINT_COUNT: usize = 33;

/// What the tracker has to know of a frame; the pixels are not its concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameInfo {
    /// Width of the displayed frame (rotation applied) in pixels.
    pub width: u32,
    /// Height of the displayed frame (rotation applied) in pixels.
    pub height: u32,
    /// Media time in microseconds. The filters know no other clock.
    pub time_us: i64,
}

/// One keypoint in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Keypoint {
    /// Fraction of the frame's width; outside 0 to 1 where the network places a joint beyond the frame.
    pub x: f32,
    /// Fraction of the frame's height; outside 0 to 1 as `x`.
    pub y: f32,
    /// Depth from the middle of the hips, in fractions of the frame's **width**; negative is nearer to the camera.
    pub z: f32,
    /// Probability, 0 to 1, that the joint is in the frame and not hidden.
    pub visibility: f32,
}

/// A person's pose in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// The landmark network's probability, 0 to 1, that the region holds a person.
    pub score: f32,
    /// Bounding box of the 33 keypoints clipped to the frame: x, y, width, height in fractions of the frame.
    pub bbox: [f32; 4],
    /// The keypoints in the frame.
    pub keypoints: [Keypoint; KEYPOINT_COUNT],
    /// The keypoints in metres from the middle of the hips: x to the right, y down, z away from the camera.
    pub world: [[f32; 3]; KEYPOINT_COUNT],
}

/// The logistic function 1 / (1 + e^-x).
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
