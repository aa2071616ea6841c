//! The model port on the networks of `kinora-models`, and the numbers by which tracker and networks understand
//! each other.

use kinora_actors::ports::{ModelOutput, NetworkId, PoseModel};
use kinora_models::{DetectorOutput, LandmarkOutput, PoseNetworks};

/// Finds people in the letterboxed frame. Output: boxes, scores.
pub(crate) const DETECTOR: NetworkId = NetworkId(0);
/// Finds keypoints in a region. Output: landmarks, flag, heatmap, world.
pub(crate) const LANDMARKS: NetworkId = NetworkId(1);

/// MediaPipe Pose in candle; clones share the weights.
pub(crate) struct CandlePoseModel(pub(crate) PoseNetworks);

impl PoseModel for CandlePoseModel {
    fn infer(&mut self, network: NetworkId, input: &[f32]) -> Result<ModelOutput, String> {
        match network {
            DETECTOR => self.0.detect(input).map(pack_detector),
            LANDMARKS => self.0.landmarks(input).map(pack_landmarks),
            NetworkId(other) => return Err(format!("this model has no network {other}")),
        }
        .map_err(|error| error.to_string())
    }
}

fn pack_detector(DetectorOutput { boxes, scores }: DetectorOutput) -> ModelOutput {
    ModelOutput(vec![boxes, scores])
}

fn pack_landmarks(LandmarkOutput { landmarks, flag, heatmap, world }: LandmarkOutput) -> ModelOutput {
    ModelOutput(vec![landmarks, vec![flag], heatmap, world])
}

/// The detector's tensors, if `output` is the detector's.
pub(crate) fn unpack_detector(ModelOutput(tensors): ModelOutput) -> Option<DetectorOutput> {
    let [boxes, scores] = <[Vec<f32>; 2]>::try_from(tensors).ok()?;
    Some(DetectorOutput { boxes, scores })
}

/// The landmark network's tensors, if `output` is its.
pub(crate) fn unpack_landmarks(ModelOutput(tensors): ModelOutput) -> Option<LandmarkOutput> {
    let [landmarks, flag, heatmap, world] = <[Vec<f32>; 4]>::try_from(tensors).ok()?;
    Some(LandmarkOutput { landmarks, flag: *flag.first()?, heatmap, world })
}
