//! Kinora: real-time video analysis. Video in, numbered JSON events out.
//!
//! This is the composition root: the only place that knows all parts, and the only one that ends the process.

#![forbid(unsafe_code)]

mod accounts;
mod adapters;
mod cli;
mod config;
mod dancer;
mod dancer_options;
mod http;
mod journal;
mod overlay;
mod server;
mod store;
mod telemetry;
mod tls;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
