//! `kinora serve`: the server, until it is stopped.

use kinora_actors::domain::Provenance;
use kinora_actors::ports::ModelFactory;
use slog::{error, warn};
use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use super::model::{load_networks, model_factory, provenance};
use crate::config::Settings;
use crate::server::{self, Ended, StartError};
use crate::telemetry;

/// Runs the command.
pub(crate) fn run(settings: &Settings) -> Result<(), CliError> {
    let networks = load_networks(settings)?;
    let provenance = provenance(&networks, settings);
    serve(settings, provenance, model_factory(networks))
}

/// The server with this model.
pub(super) fn serve(
    settings: &Settings,
    provenance: Provenance,
    model: ModelFactory,
) -> Result<(), CliError> {
    let (log, _written) = telemetry::logger(&settings.log);
    if let Err(error) = kinora_media::raise_descriptor_limit() {
        warn!(log, "the limit of open files cannot be raised"; "error" => %error);
    }
    let settings = settings.clone();
    actix::System::new().block_on(async move {
        let stop = stop_signal().map_err(|error| CliError::internal(format!("signals: {error}")))?;
        let started = server::start(settings, provenance, model, log.clone()).await;
        let running = started.map_err(|error| {
            error!(log, "the server cannot start"; "error" => %error);
            start_error(error)
        })?;
        match running.until(stop).await {
            Ended::Stopped => Ok(()),
            Ended::Fatal => {
                Err(CliError::internal("too many threads hang; the service manager starts afresh"))
            }
        }
    })
}

fn start_error(error: StartError) -> CliError {
    match error {
        StartError::Configuration(message) => CliError::usage(message),
        StartError::Unavailable(message) => CliError::unavailable(message),
    }
}

/// Resolves at SIGINT or SIGTERM.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
