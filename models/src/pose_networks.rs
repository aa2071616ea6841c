//! The two networks of MediaPipe Pose with their weights: pixels in, raw outputs out.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::error::ModelError;
use crate::graph::Graph;
use crate::network::Network;
use crate::pose_outputs::{
    DETECTOR_ANCHORS, DETECTOR_BOX_VALUES, DETECTOR_SIDE, DetectorOutput, HEATMAP_SIDE, LANDMARK_COUNT,
    LANDMARK_SIDE, LANDMARK_VALUES, LandmarkOutput, WORLD_VALUES,
};
use crate::tflite;
use crate::weights::{POSE_DETECTION, POSE_LANDMARK_FULL, WEIGHT_FILES, WeightFile, read_verified};

/// What a network is, for events and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCard {
    /// Name of the model.
    pub name: &'static str,
    /// Its weight files, whose hashes were checked when it was loaded.
    pub files: Vec<WeightFile>,
}

/// Detector and landmark network on one device. Immutable; threads share it, and clones share the weights.
#[derive(Debug, Clone)]
pub struct PoseNetworks {
    detector: Network,
    landmarks: Network,
    device: Device,
}

impl PoseNetworks {
    /// Reads, checks and builds both networks from a weights directory.
    ///
    /// Errors: `WeightsMissing`, `WeightsWrong`, `Io`; `Format`, `Network` and `Tensor` would mean a bug,
    /// since the files are the known ones.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, ModelError> {
        let detector = graph(dir, &POSE_DETECTION, &[0, 1])?;
        // The file's third output is the segmentation: never asked for, so never computed.
        let landmarks = graph(dir, &POSE_LANDMARK_FULL, &[0, 1, 3, 4])?;
        Ok(Self {
            detector: network(
                &POSE_DETECTION,
                &detector,
                device,
                DETECTOR_SIDE,
                &[vec![1, DETECTOR_ANCHORS, DETECTOR_BOX_VALUES], vec![1, DETECTOR_ANCHORS, 1]],
            )?,
            landmarks: network(
                &POSE_LANDMARK_FULL,
                &landmarks,
                device,
                LANDMARK_SIDE,
                &[
                    vec![1, LANDMARK_COUNT * LANDMARK_VALUES],
                    vec![1, 1],
                    vec![1, HEATMAP_SIDE, HEATMAP_SIDE, LANDMARK_COUNT],
                    vec![1, LANDMARK_COUNT * WORLD_VALUES],
                ],
            )?,
            device: device.clone(),
        })
    }

    /// Looks for persons. `input` is `DETECTOR_SIDE` x `DETECTOR_SIDE` x RGB, row-major, -1 to 1.
    /// Errors: `Input` for another number of values, `Tensor`.
    pub fn detect(&self, input: &[f32]) -> Result<DetectorOutput, ModelError> {
        let [boxes, scores] = self.run(&self.detector, &POSE_DETECTION, DETECTOR_SIDE, input)?;
        Ok(DetectorOutput { boxes, scores })
    }

    /// Finds the landmarks of the person in a region. `input` is `LANDMARK_SIDE` x `LANDMARK_SIDE` x RGB,
    /// row-major, 0 to 1. Errors: `Input` for another number of values, `Tensor`.
    pub fn landmarks(&self, input: &[f32]) -> Result<LandmarkOutput, ModelError> {
        let [landmarks, flag, heatmap, world] =
            self.run(&self.landmarks, &POSE_LANDMARK_FULL, LANDMARK_SIDE, input)?;
        Ok(LandmarkOutput { landmarks, flag: flag[0], heatmap, world })
    }

    /// What this is.
    pub fn describe(&self) -> ModelCard {
        ModelCard { name: "mediapipe-pose-full", files: WEIGHT_FILES.to_vec() }
    }

    /// One image through a network of `N` outputs.
    fn run<const N: usize>(
        &self,
        network: &Network,
        weights: &WeightFile,
        side: usize,
        input: &[f32],
    ) -> Result<[Vec<f32>; N], ModelError> {
        let expected = side * side * 3;
        if input.len() != expected {
            return Err(ModelError::Input { network: weights.name, expected, got: input.len() });
        }
        let image = Tensor::from_slice(input, (1, side, side, 3), &self.device)?;
        let outputs = network.forward(&[image])?;
        let outputs = outputs.iter().map(|output| output.flatten_all()?.to_vec1());
        let outputs = outputs.collect::<candle_core::Result<Vec<Vec<f32>>>>()?;
        Ok(outputs.try_into().expect("loading should have checked the number of outputs"))
    }
}

/// The graph of a weight file, with only these of its outputs (by their place in the file).
fn graph(dir: &Path, weights: &WeightFile, outputs: &[usize]) -> Result<Graph, ModelError> {
    let graph = tflite::read(&read_verified(dir, weights)?)?;
    let found = graph.outputs().to_vec();
    let outputs: Option<Vec<_>> = outputs.iter().map(|place| found.get(*place).copied()).collect();
    let outputs = outputs.ok_or_else(|| differs(weights, format!("has only {} outputs", found.len())))?;
    graph.prune(&outputs)?.fold_padding()
}

/// A network whose input and outputs have the shapes that this code is written for.
fn network(
    weights: &WeightFile,
    graph: &Graph,
    device: &Device,
    side: usize,
    outputs: &[Vec<usize>],
) -> Result<Network, ModelError> {
    let network = Network::load(weights.name, graph, device)?;
    if network.input_shapes() != [vec![1, side, side, 3]] || network.output_shapes() != outputs {
        let (inputs, outputs) = (network.input_shapes(), network.output_shapes());
        return Err(differs(weights, format!("has inputs {inputs:?} and outputs {outputs:?}")));
    }
    Ok(network)
}

fn differs(weights: &WeightFile, reason: String) -> ModelError {
    ModelError::Network { network: weights.name, reason }
}
