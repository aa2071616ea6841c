//! The state machine of one stream: which network looks where next, and what a frame's result is.
//!
//! For each frame the driver calls [`PoseTracker::begin`] and does what the returned [`Step`] says until it is
//! [`Step::Done`]: sample the region, run the network, hand its output back. With tracking on, the region of a frame comes
//! from the frame before and the detector runs only when nobody is tracked; a frame in which the person is lost has no
//! pose, and the detector looks at the next one. This is MediaPipe's graph `pose_landmark_cpu`.

use super::anchors::{Anchor, anchors};
use super::detection::{best, decode};
use super::landmarks::Landmarks;
use super::smoothing::Smoothing;
use super::{FrameInfo, Keypoint, Pose, Region};
use crate::{DetectorOutput, LandmarkOutput};

/// Memory over frames, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// Video: the person is followed from frame to frame and the landmarks are smoothed.
    On,
    /// Single images: the detector runs on each frame, and a result depends on its own frame only.
    Off,
}

/// What has to be done next for the frame in hand.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one value a frame is not worth a box")]
pub enum Step {
    /// Run the detector on this region of the frame, black beyond the frame's border; then [`PoseTracker::detected`].
    Detect(Region),
    /// Run the landmark network on this region of the frame, the border's pixels repeated beyond it; then
    /// [`PoseTracker::landmarked`].
    Landmarks(Region),
    /// The frame is finished: its pose, or `None` where nobody was found.
    Done(Option<Pose>),
}

/// Thresholds of the tracker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerConfig {
    /// Least score, 0 to 1, of a detection (`min_detection_confidence`).
    pub min_detection_score: f32,
    /// The landmark network's flag, 0 to 1, has to be above this (`min_tracking_confidence`).
    pub min_pose_score: f32,
    /// Detections that overlap the best one by more than this (intersection over union) are averaged into it.
    pub max_overlap: f32,
}

impl Default for TrackerConfig {
    /// The defaults of MediaPipe's solution.
    fn default() -> Self {
        Self { min_detection_score: 0.5, min_pose_score: 0.5, max_overlap: 0.3 }
    }
}

/// The tracker of one stream. See the module's documentation for how to drive it.
///
/// Calls in the wrong order are harmless: a result that nobody waits for is answered with `Done(None)`, ends the frame in
/// hand and leaves the memory as it was; `begin` during a frame abandons that frame likewise.
#[derive(Debug, Clone)]
pub struct PoseTracker {
    tracking: Tracking,
    config: TrackerConfig,
    anchors: Vec<Anchor>,
    waiting: Waiting,
    memory: Memory,
}

/// The result that the frame in hand waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Waiting {
    Nothing,
    Detection(FrameInfo),
    Landmarks(FrameInfo, Region),
}

/// What one frame leaves to the next.
#[derive(Debug, Clone, Default)]
struct Memory {
    last: Option<FrameInfo>,
    region: Option<Region>,
    smoothing: Smoothing,
}

impl PoseTracker {
    /// A tracker with MediaPipe's thresholds and nothing remembered.
    pub fn new(tracking: Tracking) -> Self {
        Self::with_config(tracking, TrackerConfig::default())
    }

    /// A tracker with thresholds of one's own.
    pub fn with_config(tracking: Tracking, config: TrackerConfig) -> Self {
        Self { tracking, config, anchors: anchors(), waiting: Waiting::Nothing, memory: Memory::default() }
    }

    /// Starts a frame.
    ///
    /// A frame of another size than the one before, or from before it in media time, starts from nothing, as after
    /// [`reset`](Self::reset). A frame without area is done at once.
    pub fn begin(&mut self, frame: FrameInfo) -> Step {
        self.waiting = Waiting::Nothing;
        if self.memory.last.is_some_and(|last| !follows(frame, last)) {
            self.reset();
        }
        self.memory.last = Some(frame);
        if frame.width == 0 || frame.height == 0 {
            return Step::Done(None);
        }
        match self.memory.region {
            Some(region) => self.look(frame, region),
            None => {
                self.waiting = Waiting::Detection(frame);
                Step::Detect(Region::letterbox(frame))
            }
        }
    }

    /// Takes the detector's output.
    pub fn detected(&mut self, output: &DetectorOutput) -> Step {
        let Waiting::Detection(frame) = std::mem::replace(&mut self.waiting, Waiting::Nothing) else {
            return Step::Done(None);
        };
        let found = decode(output, &self.anchors, self.config.min_detection_score);
        let letterbox = Region::letterbox(frame);
        let region = best(&found, self.config.max_overlap).map(|detection| {
            let [centre, on_circle, ..] = detection.keypoints;
            Region::around(letterbox.to_frame(centre), letterbox.to_frame(on_circle))
        });
        match region.filter(Region::is_sane) {
            Some(region) => self.look(frame, region),
            None => Step::Done(None),
        }
    }

    /// Takes the landmark network's output; the frame is done.
    pub fn landmarked(&mut self, output: &LandmarkOutput) -> Step {
        let Waiting::Landmarks(frame, region) = std::mem::replace(&mut self.waiting, Waiting::Nothing) else {
            return Step::Done(None);
        };
        let seen = Landmarks::decode(output, &region).filter(|seen| seen.score > self.config.min_pose_score);
        let Some(mut seen) = seen else {
            self.memory.region = None;
            self.memory.smoothing.lost();
            return Step::Done(None);
        };
        if self.tracking == Tracking::On {
            self.memory.smoothing.apply(&mut seen, frame.time_us);
            let [[x0, y0, _], [x1, y1, _]] = seen.auxiliary;
            self.memory.region = Some(Region::around([x0, y0], [x1, y1])).filter(Region::is_sane);
        }
        Step::Done(Some(pose(&seen, frame)))
    }

    /// Forgets everything, the frame in hand included: a new epoch begins.
    pub fn reset(&mut self) {
        self.waiting = Waiting::Nothing;
        self.memory = Memory::default();
    }

    fn look(&mut self, frame: FrameInfo, region: Region) -> Step {
        self.waiting = Waiting::Landmarks(frame, region);
        Step::Landmarks(region)
    }
}

/// Of one size, and not earlier. Equal times are borne: some containers repeat a timestamp.
fn follows(frame: FrameInfo, last: FrameInfo) -> bool {
    (frame.width, frame.height) == (last.width, last.height) && frame.time_us >= last.time_us
}

/// Turns pixels into fractions.
fn pose(seen: &Landmarks, frame: FrameInfo) -> Pose {
    let (width, height) = (frame.width as f32, frame.height as f32);
    let keypoints = std::array::from_fn(|index| {
        let [x, y, z] = seen.body[index];
        Keypoint { x: x / width, y: y / height, z: z / width, visibility: seen.visibility[index] }
    });
    Pose { score: seen.score, bbox: bounding_box(&keypoints), keypoints, world: seen.world }
}

/// Box of the keypoints, each clipped to the frame: x, y, width, height in fractions.
fn bounding_box(keypoints: &[Keypoint]) -> [f32; 4] {
    let range = |values: &dyn Fn(&Keypoint) -> f32| {
        let clipped = keypoints.iter().map(|keypoint| values(keypoint).clamp(0.0, 1.0));
        clipped.fold((1.0f32, 0.0f32), |(least, most), value| (least.min(value), most.max(value)))
    };
    let (left, right) = range(&|keypoint| keypoint.x);
    let (top, bottom) = range(&|keypoint| keypoint.y);
    [left, top, right - left, bottom - top]
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
