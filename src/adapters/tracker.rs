//! The tracker port on `kinora-models`' pose tracker.

use kinora_actors::domain::{Keypoint, Pose, Size};
use kinora_actors::ports::{Border, ModelOutput, NetworkId, SampleRequest, Tracker, TrackerStep};
use kinora_models::pose::{FrameInfo, PoseTracker, Region, Step, Tracking};
use kinora_models::{DETECTOR_SIDE, LANDMARK_SIDE};

use super::pose_model::{DETECTOR, LANDMARKS, unpack_detector, unpack_landmarks};

/// MediaPipe's pose tracking for one stream.
pub(crate) struct BlazePoseTracker {
    tracker: PoseTracker,
    /// Which network was asked for last.
    asked: NetworkId,
}

impl BlazePoseTracker {
    /// A tracker without memory of any frame. Without `tracking` it never has one.
    pub(crate) fn new(tracking: bool) -> Self {
        let tracking = if tracking { Tracking::On } else { Tracking::Off };
        Self { tracker: PoseTracker::new(tracking), asked: DETECTOR }
    }

    fn translate(&mut self, step: Step) -> TrackerStep {
        match step {
            Step::Detect(region) => {
                self.asked = DETECTOR;
                TrackerStep::Infer(DETECTOR, request(&region, DETECTOR_SIDE, Border::Zero, (-1.0, 1.0)))
            }
            Step::Landmarks(region) => {
                self.asked = LANDMARKS;
                TrackerStep::Infer(LANDMARKS, request(&region, LANDMARK_SIDE, Border::Replicate, (0.0, 1.0)))
            }
            Step::Done(pose) => TrackerStep::Done(pose.map(domain_pose).into_iter().collect()),
        }
    }
}

impl Tracker for BlazePoseTracker {
    fn begin(&mut self, size: Size, media_us: i64) -> TrackerStep {
        let frame = FrameInfo { width: size.width, height: size.height, time_us: media_us };
        let step = self.tracker.begin(frame);
        self.translate(step)
    }

    fn advance(&mut self, output: ModelOutput) -> TrackerStep {
        // An output of the wrong shape cannot come from our own model; it ends the frame without a pose.
        let step = match self.asked {
            DETECTOR => unpack_detector(output).map(|output| self.tracker.detected(&output)),
            _ => unpack_landmarks(output).map(|output| self.tracker.landmarked(&output)),
        };
        self.translate(step.unwrap_or(Step::Done(None)))
    }

    fn reset(&mut self) {
        self.tracker.reset();
    }
}

fn request(region: &Region, size: usize, border: Border, range: (f32, f32)) -> SampleRequest {
    SampleRequest {
        centre_x: region.centre_x,
        centre_y: region.centre_y,
        side: region.side,
        angle: region.angle,
        size,
        border,
        range,
    }
}

fn domain_pose(pose: kinora_models::pose::Pose) -> Pose {
    Pose {
        score: pose.score,
        bbox: pose.bbox,
        keypoints: pose
            .keypoints
            .iter()
            .map(|point| Keypoint { x: point.x, y: point.y, z: point.z, visibility: point.visibility })
            .collect(),
        world: pose.world.to_vec(),
        layout: "blazepose33",
    }
}
