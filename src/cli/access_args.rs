//! Options of every command that asks a camera.

use super::CliError;
use crate::config::{Access, AccessKeys};

/// How a camera is asked; what is given for another source is refused.
#[derive(clap::Args)]
pub(super) struct AccessArgs {
    /// How a camera may be told the password: auto, basic or digest; with digest it is never sent as it is.
    #[arg(long, default_value = "auto", value_parser = ["auto", "basic", "digest"])]
    auth: String,
    /// User at the camera, instead of one in the address.
    #[arg(long, value_name = "NAME", default_value = "none", hide_default_value = true)]
    username: String,
    /// File whose first line is that user's password: what stands on a command line, everybody can read.
    #[arg(long, value_name = "FILE", default_value = "none", hide_default_value = true)]
    password_file: String,
    /// Whom rtsps:// trusts: system, anybody, or a file of certificates (PEM).
    #[arg(long, value_name = "WHOM", default_value = "system")]
    trust: String,
}

impl AccessArgs {
    /// How `source` is asked.
    ///
    /// # Errors
    /// Wrong use, with the option's name.
    pub(super) fn access(&self, source: &str) -> Result<Access, CliError> {
        let keys = AccessKeys {
            auth: &self.auth,
            username: &self.username,
            password_file: &self.password_file,
            trust: &self.trust,
        };
        Access::to(source, keys)
            .map_err(|error| CliError::usage(format!("--{}: {}", error.key.replace('_', "-"), error.why)))
    }
}
