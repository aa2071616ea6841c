//! The model that commands run: its networks, its workers, and what events tell of it.

use std::sync::Arc;

use kinora_actors::domain::Provenance;
use kinora_actors::ports::ModelFactory;
use kinora_models::{Execution, PoseNetworks};

use super::CliError;
use crate::adapters::CandlePoseModel;
use crate::config::Settings;

/// Loads the networks; each matrix product runs on the thread that asks for it.
pub(super) fn load_networks(settings: &Settings) -> Result<PoseNetworks, CliError> {
    kinora_models::one_thread_per_product();
    let device = candle_core::Device::Cpu;
    let execution = Execution::best(&device, settings.inference.precision);
    PoseNetworks::load_with(&settings.models.directory, &device, execution)
        .map_err(|error| CliError::unavailable(error.to_string()))
}

/// Fresh models that share the weights.
pub(super) fn model_factory(networks: PoseNetworks) -> ModelFactory {
    Arc::new(move || Box::new(CandlePoseModel(networks.clone())))
}

/// What the first event of a session tells.
pub(super) fn provenance(networks: &PoseNetworks, settings: &Settings) -> Provenance {
    let card = networks.describe();
    Provenance {
        model: card.name.to_string(),
        model_files: card.files.iter().map(|file| (file.file.to_string(), file.sha256.to_string())).collect(),
        device: "cpu".into(),
        configuration_revision: settings.revision.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        lease: None,
    }
}
