//! Pixels in, poses out: the networks of MediaPipe Pose in candle, and the tracker around them.
//!
//! Knows no video, no clock and no database. `unsafe` is forbidden here; what needs it lives in
//! `kinora-kernels`.
#![forbid(unsafe_code)]

mod device;
#[cfg(any(feature = "cuda", feature = "cuda-host"))]
mod device_network;
mod error;
mod graph;
mod network;
mod plan;
pub mod pose;
mod pose_networks;
mod pose_outputs;
mod tflite;
mod threads;
pub mod weights;

pub use device::DeviceChoice;
pub use error::ModelError;
pub use plan::{Instructions, LayerCard, Precision};
pub use pose_networks::{Execution, ModelCard, PoseNetwork, PoseNetworks};
pub use pose_outputs::{
    DETECTOR_ANCHORS, DETECTOR_BOX_VALUES, DETECTOR_SIDE, DetectorOutput, HEATMAP_SIDE, LANDMARK_COUNT,
    LANDMARK_SIDE, LANDMARK_VALUES, LandmarkOutput, WORLD_VALUES,
};
pub use threads::one_thread_per_product;
