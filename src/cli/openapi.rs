//! `kinora openapi`: prints the document that the server serves at `/openapi.json`.

use std::io::Write;

use super::CliError;

/// Runs the command.
pub(crate) fn run() -> Result<(), CliError> {
    std::io::stdout()
        .write_all(crate::http::document().as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))
}
