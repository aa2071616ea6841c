//! The model port on the networks of `kinora-models`, and the numbers by which tracker and networks understand
//! each other.

use super::sampler;
use kinora_actors::ports::{ModelHealth, ModelInput, ModelOutput, NetworkId, PoseModel};
use kinora_kernels::device::{DevicePicture, NetworkInput};
use kinora_kernels::sample::Sampling;
use kinora_models::{DetectorOutput, LandmarkOutput, ModelError, PoseNetworks};

/// Finds people in the letterboxed frame. Output: boxes, scores.
pub(crate) const DETECTOR: NetworkId = NetworkId(0);
/// Finds keypoints in a region. Output: landmarks, flag, heatmap, world.
pub(crate) const LANDMARKS: NetworkId = NetworkId(1);

/// MediaPipe Pose on one lane. Clones of its networks share the weights.
pub(crate) struct CandlePoseModel {
    networks: PoseNetworks,
    /// Whether the last error was the device's, and none of the request.
    device_failed: bool,
}

impl CandlePoseModel {
    /// A model with networks of its own.
    pub(crate) fn new(networks: PoseNetworks) -> Self {
        Self { networks, device_failed: false }
    }

    fn failed(&mut self, error: &ModelError) -> String {
        self.device_failed = matches!(error, ModelError::Device(_));
        error.to_string()
    }
}

impl PoseModel for CandlePoseModel {
    fn infer(&mut self, network: NetworkId, input: &[f32]) -> Result<ModelOutput, String> {
        match network {
            DETECTOR => self.networks.detect(input).map(pack_detector),
            LANDMARKS => self.networks.landmarks(input).map(pack_landmarks),
            NetworkId(other) => return Err(format!("this model has no network {other}")),
        }
        .map_err(|error| self.failed(&error))
    }

    fn infer_batch(&mut self, network: NetworkId, inputs: &[&[f32]]) -> Result<Vec<ModelOutput>, String> {
        match network {
            DETECTOR => {
                let outputs = self.networks.detect_batch(inputs);
                outputs.map(|outputs| outputs.into_iter().map(pack_detector).collect())
            }
            LANDMARKS => {
                let outputs = self.networks.landmarks_batch(inputs);
                outputs.map(|outputs| outputs.into_iter().map(pack_landmarks).collect())
            }
            NetworkId(other) => return Err(format!("this model has no network {other}")),
        }
        .map_err(|error| self.failed(&error))
    }

    fn infer_regions(
        &mut self,
        network: NetworkId,
        inputs: &[ModelInput<'_>],
    ) -> Result<Vec<ModelOutput>, String> {
        let inputs: Vec<NetworkInput<'_>> = inputs.iter().map(on_device).collect::<Result<_, _>>()?;
        match network {
            DETECTOR => {
                let outputs = self.networks.detect_inputs(&inputs);
                outputs.map(|outputs| outputs.into_iter().map(pack_detector).collect())
            }
            LANDMARKS => {
                let outputs = self.networks.landmarks_inputs(&inputs);
                outputs.map(|outputs| outputs.into_iter().map(pack_landmarks).collect())
            }
            NetworkId(other) => return Err(format!("this model has no network {other}")),
        }
        .map_err(|error| self.failed(&error))
    }

    fn health(&mut self) -> ModelHealth {
        match self.device_failed {
            false => ModelHealth::Sound,
            true if self.networks.is_lost() => ModelHealth::Lost,
            true => ModelHealth::Broken,
        }
    }
}

/// An input as the networks of a device take it.
fn on_device<'a>(input: &ModelInput<'a>) -> Result<NetworkInput<'a>, String> {
    match input {
        ModelInput::Sampled(floats) => Ok(NetworkInput::Floats(floats)),
        ModelInput::Region(picture, request) => {
            let handle = picture.device_handle().and_then(|handle| handle.downcast_ref::<DevicePicture>());
            let picture = handle.ok_or("a picture has no place in the device's memory")?;
            let (region, output) = (sampler::region(request), sampler::output(request, Sampling::MediaPipe));
            Ok(NetworkInput::Region(picture, region, output))
        }
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
