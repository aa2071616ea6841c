//! `kinora config`: checks the configuration, prints the defaults.

use std::io::Write;

use super::{CliError, settings};
use crate::config::{Sources, shipped_file};

/// What to do with the configuration.
#[derive(clap::Subcommand)]
pub(crate) enum Action {
    /// Read all layers and report every error at once; prints the revision of a valid configuration.
    Check,
    /// Print a configuration file with every key, its default and its meaning.
    Defaults,
}

/// Runs the command.
pub(crate) fn run(action: &Action, sources: &Sources) -> Result<(), CliError> {
    let text = match action {
        Action::Check => format!("{}\n", settings(sources)?.revision),
        Action::Defaults => shipped_file(),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))
}
