//! `kinora models`: imports and checks the weights of the networks.

use std::io::Write;
use std::path::PathBuf;

use kinora_models::weights::{self, WeightState};

use super::CliError;
use crate::config::Settings;

/// What to do with the weights.
#[derive(clap::Subcommand)]
pub(crate) enum Action {
    /// Tell of each file whether it is there and whether it is the published one.
    Status,
    /// Take the weights out of the Python wheel mediapipe 0.10.14 and check their SHA-256.
    Import {
        /// The wheel, as `pip download --no-deps mediapipe==0.10.14` leaves it.
        wheel: PathBuf,
    },
}

/// Runs the command.
pub(crate) fn run(action: &Action, settings: &Settings) -> Result<(), CliError> {
    match action {
        Action::Status => status(settings),
        Action::Import { wheel } => import(wheel, settings),
    }
}

fn status(settings: &Settings) -> Result<(), CliError> {
    let mut report = String::new();
    let mut whole = true;
    let states = weights::status(&settings.models.directory);
    for (file, state) in states.map_err(|error| CliError::failed(error.to_string()))? {
        let state = match state {
            WeightState::Ok => "ok".into(),
            WeightState::Missing => "missing".into(),
            WeightState::WrongHash { found } => format!("wrong, its SHA-256 is {found}"),
        };
        whole &= state == "ok";
        report.push_str(&format!("{}\t{}\t{state}\n", file.file, file.sha256));
    }
    print(&report)?;
    if whole {
        return Ok(());
    }
    Err(CliError::unavailable(format!(
        "weights in {} are missing or wrong; `make setup` or `kinora models import WHEEL` brings them",
        settings.models.directory.display()
    )))
}

fn import(wheel: &std::path::Path, settings: &Settings) -> Result<(), CliError> {
    let directory = &settings.models.directory;
    let imported =
        weights::import_wheel(wheel, directory).map_err(|error| CliError::failed(error.to_string()))?;
    let lines: String =
        imported.iter().map(|file| format!("{}\t{}\n", file.path.display(), file.weights.sha256)).collect();
    print(&lines)
}

fn print(text: &str) -> Result<(), CliError> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))
}
