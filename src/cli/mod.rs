//! The command line: what can be asked for, and what the exit code says.
//!
//! Standard output carries data only; messages for people go to standard error. A command returns an error
//! instead of printing it, so that each is printed once and in one form.

mod analyze;
mod config;
mod dance;
mod draw;
mod exit;
mod models;
mod summary;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Settings, Sources};

pub(crate) use exit::{CliError, Exit};

/// Real-time video analysis: poses of people as JSON events.
#[derive(Parser)]
#[command(name = "kinora", version, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(clap::Args)]
struct Global {
    /// Configuration file [default: config.toml, if it is there].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Sets one configuration key, for example analysis.tracking=off; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Analyse one source and write its events as one JSON object a line.
    Analyze(analyze::Args),
    /// Draw the skeletons of recorded events on a copy of their clip.
    Draw(draw::Args),
    /// Render the test dancer, a person whose joints are known, as an MP4 clip.
    Dancer(dance::Args),
    /// Look after the weights of the networks.
    #[command(subcommand)]
    Models(models::Action),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Action),
}

/// Runs the command line and says how the process ends.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let exit = match Cli::try_parse_from(args) {
        Ok(cli) => cli.run().map_or_else(|error| error.report(), |()| Exit::Done),
        Err(error) => exit::report_usage(&error),
    };
    exit.into()
}

impl Cli {
    fn run(self) -> Result<(), CliError> {
        let sources = self.global.sources();
        match self.command {
            Command::Analyze(args) => analyze::run(&args, &settings(&sources)?),
            Command::Draw(args) => draw::run(&args),
            Command::Dancer(args) => dance::run(&args),
            Command::Models(action) => models::run(&action, &settings(&sources)?),
            Command::Config(action) => config::run(&action, &sources),
        }
    }
}

impl Global {
    fn sources(&self) -> Sources {
        // Variables that are not UTF-8 cannot be ours: all our names and values are.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources { file: self.config.clone(), environment, overrides: self.set.clone() }
    }
}

fn settings(sources: &Sources) -> Result<Settings, CliError> {
    crate::config::load(sources).map_err(|errors| CliError::usage(errors.to_string()))
}
