//! The model port on the networks of `kinora-models`, and the numbers by which tracker and networks understand
//! each other.

use std::borrow::Cow;

use super::sampler::{self, KernelSampler};
use kinora_actors::ports::{ModelHealth, ModelInput, ModelOutput, NetworkId, PoseModel, Sampler};
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

    /// Runs a network; without one of that number, nothing.
    fn run(
        &mut self,
        network: NetworkId,
        inputs: &[NetworkInput<'_>],
    ) -> Option<Result<Vec<ModelOutput>, ModelError>> {
        match network {
            DETECTOR => {
                let outputs = self.networks.detect_inputs(inputs);
                Some(outputs.map(|outputs| outputs.into_iter().map(pack_detector).collect()))
            }
            LANDMARKS => {
                let outputs = self.networks.landmarks_inputs(inputs);
                Some(outputs.map(|outputs| outputs.into_iter().map(pack_landmarks).collect()))
            }
            NetworkId(_) => None,
        }
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
        let unknown = || format!("this model has no network {}", network.0);
        let given: Vec<NetworkInput<'_>> = inputs.iter().map(on_device).collect::<Result<_, _>>()?;
        let error = match self.run(network, &given).ok_or_else(unknown)? {
            Ok(outputs) => return Ok(outputs),
            Err(error) => error,
        };
        // A picture that the device cannot read costs a fetch, and not the lane.
        let is_refused = matches!(error, ModelError::Device(_)) && !self.networks.is_lost();
        let Some(sampled) = is_refused.then(|| on_host(inputs)).and_then(Result::ok) else {
            return Err(self.failed(&error));
        };
        let floats: Vec<NetworkInput<'_>> =
            sampled.iter().map(|floats| NetworkInput::Floats(floats)).collect();
        let outputs = self.run(network, &floats).ok_or_else(unknown)?;
        outputs.map_err(|error| self.failed(&error))
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

/// All inputs as floats: regions are sampled on the CPU, which fetches their pictures.
fn on_host<'a>(inputs: &[ModelInput<'a>]) -> Result<Vec<Cow<'a, [f32]>>, String> {
    let mut sampler = KernelSampler::new(Sampling::MediaPipe, "cpu");
    let sampled = inputs.iter().map(|input| match input {
        ModelInput::Sampled(floats) => Ok(Cow::Borrowed(*floats)),
        ModelInput::Region(picture, request) => {
            let mut floats = Vec::new();
            sampler.sample(*picture, request, &mut floats).map(|()| Cow::Owned(floats))
        }
    });
    sampled.collect()
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
