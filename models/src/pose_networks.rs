//! The two networks of MediaPipe Pose with their weights: pixels in, raw outputs out.

use std::path::Path;

use candle_core::{Device, Tensor};
use kinora_kernels::device::NetworkInput;

use crate::device::{DeviceChoice, OpenDevice};
#[cfg(any(feature = "cuda", feature = "cuda-host"))]
use crate::device_network::{DeviceNetwork, MOST_BATCH, Machine};
use crate::error::ModelError;
use crate::graph::{Graph, ValueId};
use crate::network::Network;
use crate::plan::{Instructions, LayerCard, PlannedNetwork, Precision};
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

/// How networks are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// Node by node with candle: the reference that plans are compared with.
    Plain,
    /// A compiled plan with the given instructions; on the CPU only.
    Plan(Instructions),
    /// As on a GPU, by the host that plays one; for tests.
    #[cfg(feature = "cuda-host")]
    CudaHost(Precision),
}

impl Execution {
    /// The fastest one for a device that is as exact as asked for.
    pub fn best(device: &Device, precision: Precision) -> Self {
        if device.is_cpu() { Self::Plan(Instructions::best(precision)) } else { Self::Plain }
    }
}

/// Which of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoseNetwork {
    /// Looks for persons in a whole frame.
    Detector,
    /// Finds the landmarks of one person.
    Landmarks,
}

/// Detector and landmark network on one device, for one lane. Clones share the weights and have memory of their
/// own: each thread takes one.
#[derive(Debug, Clone)]
pub struct PoseNetworks {
    detector: Executor,
    landmarks: Executor,
}

/// A network and what runs it.
#[derive(Debug, Clone)]
enum Executor {
    Plain(Network, Device),
    Plan(PlannedNetwork),
    #[cfg(any(feature = "cuda", feature = "cuda-host"))]
    Device(DeviceNetwork),
}

impl PoseNetworks {
    /// Reads, checks and builds both networks from a weights directory, to be run the fastest way.
    ///
    /// Errors: `WeightsMissing`, `WeightsWrong`, `Io`; `Format`, `Network` and `Tensor` would mean a bug,
    /// since the files are the known ones.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::load_with(dir, device, Execution::best(device, Precision::default()))
    }

    /// As `load`, run the given way. Errors: as `load`, and `Network` for a plan on another device than the CPU.
    pub fn load_with(dir: &Path, device: &Device, execution: Execution) -> Result<Self, ModelError> {
        Self::build(dir, |weights, graph| Executor::load(weights, graph, device, execution))
    }

    /// Both networks on the device that was chosen, run the fastest way that is as exact as asked for. Memory of a GPU is
    /// taken and tried at once. Errors: as `load`, and `Device` for a GPU that is not there or does not work.
    pub fn open(dir: &Path, choice: DeviceChoice, precision: Precision) -> Result<Self, ModelError> {
        let on_cpu = || Self::load_with(dir, &Device::Cpu, Execution::best(&Device::Cpu, precision));
        match choice.open()? {
            OpenDevice::Cpu => on_cpu(),
            #[cfg(feature = "cuda")]
            OpenDevice::Gpu(gpu, number) => {
                match Self::on_machine(dir, precision, &Machine::Gpu(gpu, number)) {
                    // A GPU that nobody named may have no room.
                    Err(ModelError::Device(_)) if choice == DeviceChoice::Auto => on_cpu(),
                    opened => opened,
                }
            }
        }
    }

    /// Both networks on a device, warm.
    #[cfg(feature = "cuda")]
    fn on_machine(dir: &Path, precision: Precision, machine: &Machine) -> Result<Self, ModelError> {
        let networks =
            Self::build(dir, |weights, graph| Executor::device(weights, graph, precision, machine.clone()))?;
        networks.clone().warm_up()?;
        Ok(networks)
    }

    /// Reads and checks both networks, and makes an executor of each.
    fn build(
        dir: &Path,
        executor: impl Fn(&WeightFile, &Graph) -> Result<Executor, ModelError>,
    ) -> Result<Self, ModelError> {
        let detector = graph(dir, &POSE_DETECTION, &[0, 1])?;
        // The file's third output is the segmentation: never asked for, so never computed.
        let landmarks = graph(dir, &POSE_LANDMARK_FULL, &[0, 1, 3, 4])?;
        let detector_outputs = [vec![1, DETECTOR_ANCHORS, DETECTOR_BOX_VALUES], vec![1, DETECTOR_ANCHORS, 1]];
        let landmark_outputs = [
            vec![1, LANDMARK_COUNT * LANDMARK_VALUES],
            vec![1, 1],
            vec![1, HEATMAP_SIDE, HEATMAP_SIDE, LANDMARK_COUNT],
            vec![1, LANDMARK_COUNT * WORLD_VALUES],
        ];
        expect_shapes(&POSE_DETECTION, &detector, DETECTOR_SIDE, &detector_outputs)?;
        expect_shapes(&POSE_LANDMARK_FULL, &landmarks, LANDMARK_SIDE, &landmark_outputs)?;
        Ok(Self {
            detector: executor(&POSE_DETECTION, &detector)?,
            landmarks: executor(&POSE_LANDMARK_FULL, &landmarks)?,
        })
    }

    /// The device that both run on: `cpu` or `cuda:N`.
    pub fn device(&self) -> String {
        match &self.detector {
            Executor::Plain(..) | Executor::Plan(_) => "cpu".into(),
            #[cfg(any(feature = "cuda", feature = "cuda-host"))]
            Executor::Device(network) => network.device(),
        }
    }

    /// Whether their device will not do anything in this process again.
    pub fn is_lost(&self) -> bool {
        match &self.detector {
            Executor::Plain(..) | Executor::Plan(_) => false,
            #[cfg(any(feature = "cuda", feature = "cuda-host"))]
            Executor::Device(network) => network.is_lost(),
        }
    }

    #[cfg(feature = "cuda")]
    fn warm_up(&mut self) -> Result<(), ModelError> {
        for executor in [&mut self.detector, &mut self.landmarks] {
            if let Executor::Device(network) = executor {
                network.warm_up()?;
            }
        }
        Ok(())
    }

    /// Looks for persons in several images at once; each as for `detect`. Errors: as `detect`.
    pub fn detect_batch(&mut self, inputs: &[&[f32]]) -> Result<Vec<DetectorOutput>, ModelError> {
        self.detect_inputs(&floats(inputs))
    }

    /// The same for images of which some are regions of pictures that a device samples itself. Errors: as `detect`, and `Input`
    /// for a region where networks run on the CPU.
    pub fn detect_inputs(&mut self, inputs: &[NetworkInput<'_>]) -> Result<Vec<DetectorOutput>, ModelError> {
        let outputs = self.detector.run_batch(&POSE_DETECTION, DETECTOR_SIDE, inputs)?;
        Ok(outputs.into_iter().map(|[boxes, scores]| DetectorOutput { boxes, scores }).collect())
    }

    /// Finds the landmarks of several persons at once; each as for `landmarks`. Errors: as `landmarks`.
    pub fn landmarks_batch(&mut self, inputs: &[&[f32]]) -> Result<Vec<LandmarkOutput>, ModelError> {
        self.landmarks_inputs(&floats(inputs))
    }

    /// As `detect_inputs` for landmarks. Errors: likewise.
    pub fn landmarks_inputs(
        &mut self,
        inputs: &[NetworkInput<'_>],
    ) -> Result<Vec<LandmarkOutput>, ModelError> {
        let outputs = self.landmarks.run_batch(&POSE_LANDMARK_FULL, LANDMARK_SIDE, inputs)?;
        let outputs = outputs.into_iter().map(|[landmarks, flag, heatmap, world]| LandmarkOutput {
            landmarks,
            flag: flag[0],
            heatmap,
            world,
        });
        Ok(outputs.collect())
    }

    /// Looks for persons. `input` is `DETECTOR_SIDE` x `DETECTOR_SIDE` x RGB, row-major, -1 to 1.
    /// Errors: `Input` for another number of values, `Tensor`.
    pub fn detect(&mut self, input: &[f32]) -> Result<DetectorOutput, ModelError> {
        let [boxes, scores] = self.detector.run(&POSE_DETECTION, DETECTOR_SIDE, input)?;
        Ok(DetectorOutput { boxes, scores })
    }

    /// Finds the landmarks of the person in a region. `input` is `LANDMARK_SIDE` x `LANDMARK_SIDE` x RGB,
    /// row-major, 0 to 1. Errors: `Input` for another number of values, `Tensor`.
    pub fn landmarks(&mut self, input: &[f32]) -> Result<LandmarkOutput, ModelError> {
        let [landmarks, flag, heatmap, world] =
            self.landmarks.run(&POSE_LANDMARK_FULL, LANDMARK_SIDE, input)?;
        Ok(LandmarkOutput { landmarks, flag: flag[0], heatmap, world })
    }

    /// The layers of a network's plan; none where it is run node by node.
    pub fn layers(&self, network: PoseNetwork) -> Vec<LayerCard> {
        match self.executor(network) {
            Executor::Plan(plan) => plan.layers(),
            _ => Vec::new(),
        }
    }

    /// Runs a network's plan and tells after each piece of work for which of its layers it was, to find where time
    /// goes; nothing happens where there is no plan. Errors: `Input` for another number of values.
    pub fn watch(
        &mut self,
        network: PoseNetwork,
        input: &[f32],
        mut watch: impl FnMut(usize),
    ) -> Result<(), ModelError> {
        let name = [POSE_DETECTION.name, POSE_LANDMARK_FULL.name][network as usize];
        match self.executor_mut(network) {
            Executor::Plan(plan) if input.len() != plan.input_len() => {
                Err(ModelError::Input { network: name, expected: plan.input_len(), got: input.len() })
            }
            Executor::Plan(plan) => {
                plan.watch(input, &mut watch);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn executor(&self, network: PoseNetwork) -> &Executor {
        match network {
            PoseNetwork::Detector => &self.detector,
            PoseNetwork::Landmarks => &self.landmarks,
        }
    }

    fn executor_mut(&mut self, network: PoseNetwork) -> &mut Executor {
        match network {
            PoseNetwork::Detector => &mut self.detector,
            PoseNetwork::Landmarks => &mut self.landmarks,
        }
    }

    /// What this is.
    pub fn describe(&self) -> ModelCard {
        ModelCard { name: "mediapipe-pose-full", files: WEIGHT_FILES.to_vec() }
    }
}

impl Executor {
    fn load(
        weights: &WeightFile,
        graph: &Graph,
        device: &Device,
        execution: Execution,
    ) -> Result<Self, ModelError> {
        match execution {
            Execution::Plain => Ok(Self::Plain(Network::load(weights.name, graph, device)?, device.clone())),
            Execution::Plan(_) if !device.is_cpu() => {
                Err(differs(weights, "a compiled plan runs on the CPU only".into()))
            }
            Execution::Plan(instructions) => {
                Ok(Self::Plan(PlannedNetwork::load(weights.name, graph, instructions)?))
            }
            #[cfg(feature = "cuda-host")]
            Execution::CudaHost(precision) => Self::device(weights, graph, precision, Machine::Host),
        }
    }

    #[cfg(any(feature = "cuda", feature = "cuda-host"))]
    fn device(
        weights: &WeightFile,
        graph: &Graph,
        precision: Precision,
        machine: Machine,
    ) -> Result<Self, ModelError> {
        use kinora_kernels::device::Element;
        let element = if precision == Precision::F32 { Element::F32 } else { Element::F16 };
        let program = crate::plan::compile_for_device(weights.name, graph, element, MOST_BATCH)?;
        let outputs = graph.outputs().iter().map(|id| graph.value(*id).shape.iter().product());
        Ok(Self::Device(DeviceNetwork::new(program, outputs.collect(), machine)))
    }

    /// Several images through a network of `N` outputs: at once where the device can, else one after another.
    fn run_batch<const N: usize>(
        &mut self,
        weights: &WeightFile,
        side: usize,
        inputs: &[NetworkInput<'_>],
    ) -> Result<Vec<[Vec<f32>; N]>, ModelError> {
        #[cfg(any(feature = "cuda", feature = "cuda-host"))]
        if let Self::Device(network) = self {
            inputs.iter().try_for_each(|input| expect_input(weights, side, input.len()))?;
            let outputs = network.forward(inputs)?.into_iter().map(|outputs| outputs.try_into());
            let outputs = outputs.collect::<Result<_, _>>();
            return Ok(outputs.expect("loading should have checked the number of outputs"));
        }
        let run = |input: &NetworkInput<'_>| match input {
            NetworkInput::Floats(floats) => self.run(weights, side, floats),
            // The CPU reads no pictures of a device: a bug of the caller.
            NetworkInput::Region(..) => {
                expect_input(weights, side, 0).and_then(|()| self.run(weights, side, &[]))
            }
        };
        inputs.iter().map(run).collect()
    }

    /// One image through a network of `N` outputs.
    fn run<const N: usize>(
        &mut self,
        weights: &WeightFile,
        side: usize,
        input: &[f32],
    ) -> Result<[Vec<f32>; N], ModelError> {
        expect_input(weights, side, input.len())?;
        let outputs = match self {
            Self::Plain(network, device) => {
                let image = Tensor::from_slice(input, (1, side, side, 3), device)?;
                let outputs = network.forward(&[image])?;
                let outputs = outputs.iter().map(|output| output.flatten_all()?.to_vec1());
                outputs.collect::<candle_core::Result<Vec<Vec<f32>>>>()?
            }
            Self::Plan(plan) => plan.forward(input)?,
            #[cfg(any(feature = "cuda", feature = "cuda-host"))]
            Self::Device(network) => network.forward(&[NetworkInput::Floats(input)])?.swap_remove(0),
        };
        Ok(outputs.try_into().expect("loading should have checked the number of outputs"))
    }
}

fn floats<'a>(inputs: &[&'a [f32]]) -> Vec<NetworkInput<'a>> {
    inputs.iter().map(|input| NetworkInput::Floats(input)).collect()
}

/// Errors: `Input` unless so many floats are an image of this side.
fn expect_input(weights: &WeightFile, side: usize, len: usize) -> Result<(), ModelError> {
    let expected = side * side * 3;
    match len {
        got if got == expected => Ok(()),
        got => Err(ModelError::Input { network: weights.name, expected, got }),
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

/// Sees to it that input and outputs have the shapes that this code is written for.
fn expect_shapes(
    weights: &WeightFile,
    graph: &Graph,
    side: usize,
    outputs: &[Vec<usize>],
) -> Result<(), ModelError> {
    let shapes = |ids: &[ValueId]| -> Vec<Vec<usize>> {
        ids.iter().map(|id| graph.value(*id).shape.clone()).collect()
    };
    let (found_inputs, found) = (shapes(graph.inputs()), shapes(graph.outputs()));
    if found_inputs != [vec![1, side, side, 3]] || found != outputs {
        return Err(differs(weights, format!("has inputs {found_inputs:?} and outputs {found:?}")));
    }
    Ok(())
}

fn differs(weights: &WeightFile, reason: String) -> ModelError {
    ModelError::Network { network: weights.name, reason }
}
