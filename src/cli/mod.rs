//! The command line: what can be asked for, and what the exit code says.
//!
//! Standard output carries data only; messages for people go to standard error. A command returns an error
//! instead of printing it, so that each is printed once and in one form.

mod access_args;
mod analyze;
mod config;
mod dance;
mod database;
mod draw;
mod exit;
mod key;
mod model;
mod models;
mod openapi;
mod probe;
mod serve;
mod summary;
#[cfg(test)]
mod tests;
mod user;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Settings, Sources};

pub(crate) use exit::{CliError, Exit, tell};

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
    /// Run the server: streams, events over WebSocket, rows in PostgreSQL.
    Serve,
    /// Watch a server's events as an agent that resumes without loss.
    Watch(watch::Args),
    /// Look after users.
    #[command(subcommand)]
    User(user::Action),
    /// Look after the keys of agents.
    #[command(subcommand)]
    Key(key::Action),
    /// Look after the database's schema.
    #[command(subcommand)]
    Migrate(database::Migrate),
    /// Analyse one source and write its events as one JSON object a line.
    Analyze(analyze::Args),
    /// Tell what a source is, what would be done with it, and what stands in the way.
    Probe(probe::Args),
    /// Draw the skeletons of recorded events on a copy of their clip.
    Draw(draw::Args),
    /// Render the test dancer, a person whose joints are known, as an MP4 clip.
    Dancer(dance::Args),
    /// Look after the weights of the networks.
    #[command(subcommand)]
    Models(models::Action),
    /// Print the OpenAPI document of the server.
    Openapi,
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
        if let Command::Openapi = self.command {
            return openapi::run();
        }
        // `config` reports on the configuration itself; every other command needs a valid one.
        if let Command::Config(action) = &self.command {
            return config::run(action, &sources);
        }
        let settings = settings(&sources)?;
        match self.command {
            Command::Serve => serve::run(&settings),
            Command::Watch(args) => watch::run(&args),
            Command::User(action) => user::run(&action, &settings),
            Command::Key(action) => key::run(&action, &settings),
            Command::Migrate(action) => database::migrate(&action, &settings),
            Command::Analyze(args) => analyze::run(&args, &settings),
            Command::Probe(args) => probe::run(&args, &settings),
            Command::Draw(args) => draw::run(&args),
            Command::Dancer(args) => dance::run(&args),
            Command::Models(action) => models::run(&action, &settings),
            Command::Config(action) => config::run(&action, &sources),
            Command::Openapi => openapi::run(),
        }
    }
}

impl Global {
    fn sources(&self) -> Sources {
        Sources::of_process(self.config.clone(), self.set.clone())
    }
}

fn settings(sources: &Sources) -> Result<Settings, CliError> {
    crate::config::load(sources).map_err(|errors| CliError::usage(errors.to_string()))
}
