//! `kinora config`: checks the configuration, prints the defaults.

use std::io::Write;

use super::{CliError, settings};
use crate::config::{Settings, Sources, shipped_file};

/// What to do with the configuration.
#[derive(clap::Subcommand)]
pub(crate) enum Action {
    /// Read all layers and report every error at once; prints the revision of a valid configuration, and on standard error
    /// which files it was read from.
    Check,
    /// Print a configuration file with every key, its default and its meaning.
    Defaults,
}

/// Runs the command.
pub(crate) fn run(action: &Action, sources: &Sources) -> Result<(), CliError> {
    let text = match action {
        Action::Check => {
            let settings = settings(sources)?;
            tell_files(&settings);
            format!("{}\n", settings.revision)
        }
        Action::Defaults => shipped_file(),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))
}

/// A file of another environment is not read, which is easily overlooked.
fn tell_files(settings: &Settings) {
    let files: Vec<String> = settings.files.iter().map(|file| file.display().to_string()).collect();
    let files = if files.is_empty() { "no file".to_owned() } else { files.join(", ") };
    let line = format!("read {files}; KINORA_ENVIRONMENT is {}\n", settings.environment);
    // The revision is what was asked for; this is a help.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
