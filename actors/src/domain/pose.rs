//! The result of inference: a person's keypoints in the displayed frame.

/// One person's pose. Coordinates are fractions of the displayed frame and may lie outside [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct Pose {
    /// The network's belief that this is a person, 0 to 1.
    pub score: f32,
    /// x, y, width, height of the keypoints' bounding box, clipped to the frame.
    pub bbox: [f32; 4],
    /// Keypoints in the order of `layout`.
    pub keypoints: Vec<Keypoint>,
    /// The same keypoints in metres from the hip centre: x to the right, y down, z away from the camera.
    pub world: Vec<[f32; 3]>,
    /// The name of the keypoints' order, for example `blazepose33`.
    pub layout: &'static str,
}

/// One keypoint of a pose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Fraction of the frame's width, from the left.
    pub x: f32,
    /// Fraction of the frame's height, from the top.
    pub y: f32,
    /// Depth relative to the hip centre in the scale of `x`; smaller is nearer.
    pub z: f32,
    /// The belief that the point is in the frame and not hidden, 0 to 1.
    pub visibility: f32,
}
