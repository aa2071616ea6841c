//! What the tests and the bench of the networks share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod inputs;

use std::path::PathBuf;

use candle_core::Device;
use kinora_models::{Execution, PoseNetworks, Precision};

/// The directory with the published weights: `KINORA_TEST_WEIGHTS`, or the workspace's own.
pub(crate) fn weights_dir() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("weights");
    std::env::var_os("KINORA_TEST_WEIGHTS").map_or_else(own, PathBuf::from)
}

/// Both networks. A test without weights fails and says what to do: it is never skipped.
pub(crate) fn networks() -> PoseNetworks {
    networks_with(Execution::best(&Device::Cpu, Precision::default()))
}

/// Both networks, run the given way.
pub(crate) fn networks_with(execution: Execution) -> PoseNetworks {
    PoseNetworks::load_with(&weights_dir(), &Device::Cpu, execution)
        .unwrap_or_else(|error| panic!("this test needs the published weights: {error}"))
}
