//! What the API tells of networks and devices, from what the server was started with and from its lanes.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use kinora_actors::domain::Provenance;
use kinora_actors::lanes::Lanes;
use kinora_models::weights::{POSE_DETECTION, WEIGHT_FILES, WeightFile};
use kinora_models::{DETECTOR_SIDE, Instructions, LANDMARK_SIDE, Precision};

use crate::http::ports::{DeviceStatus, LaneStatus, MachineView, ModelStatus, Utilization};

/// The one device of this server and the networks on it.
pub(crate) struct Machine {
    /// What was loaded, and on which device.
    pub(crate) provenance: Provenance,
    /// How exact products have to be.
    pub(crate) precision: Precision,
    /// The lanes of the device.
    pub(crate) lanes: Arc<Lanes>,
    /// How busy it was.
    pub(crate) utilization: Arc<LastUtilization>,
}

/// What was measured last, if anything was.
#[derive(Default)]
pub(crate) struct LastUtilization(Mutex<Option<Utilization>>);

impl LastUtilization {
    /// This was measured.
    pub(crate) fn set(&self, utilization: Utilization) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(utilization);
    }

    fn get(&self) -> Option<Utilization> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MachineView for Machine {
    fn models(&self) -> Vec<ModelStatus> {
        WEIGHT_FILES.iter().map(|file| self.model(file)).collect()
    }

    fn devices(&self) -> Vec<DeviceStatus> {
        let (workers_replaced, threads_abandoned) = self.lanes.losses();
        let lanes = self.lanes.loads().into_iter();
        vec![DeviceStatus {
            device: self.provenance.device.clone(),
            name: processor(),
            processors: std::thread::available_parallelism().map_or(1, |count| number(count.get())),
            lanes: lanes.map(|(streams, busy)| LaneStatus { streams: number(streams), busy }).collect(),
            utilization: self.utilization.get(),
            workers_replaced,
            threads_abandoned,
        }]
    }
}

impl Machine {
    fn model(&self, file: &WeightFile) -> ModelStatus {
        let side = number(if *file == POSE_DETECTION { DETECTOR_SIDE } else { LANDMARK_SIDE });
        ModelStatus {
            model: self.provenance.model.clone(),
            network: file.name.to_owned(),
            file: file.file.to_owned(),
            sha256: file.sha256.to_owned(),
            input_size: [side, side],
            precision: match self.precision {
                Precision::Auto => "auto",
                Precision::F32 => "f32",
                Precision::Bf16 => "bf16",
            }
            .to_owned(),
            kernels: Instructions::best(self.precision).name(),
            device: self.provenance.device.clone(),
        }
    }
}

/// What Linux says of the first processor.
fn processor() -> Option<String> {
    let facts = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = facts.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
