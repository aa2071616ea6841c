//! `kinora watch`: an agent at the command line, events as one JSON object a line.

use std::path::{Path, PathBuf};

use super::{CliError, tell};
use crate::watch::{Credentials, Notice, Timing, WatchError, WatchOptions, watch};

/// Arguments of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server, http://host:port, or a subscription, ws://host:port/ws/analysis?stream=NAME.
    url: String,
    /// A file that holds an access token.
    #[arg(long, value_name = "FILE", required_unless_present = "login_file", conflicts_with = "login_file")]
    token_file: Option<PathBuf>,
    /// A file with the lines `username: NAME` and `password: WORD`, as the first administrator's.
    #[arg(long, value_name = "FILE")]
    login_file: Option<PathBuf>,
}

/// Runs the command until it is interrupted.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let options =
        WatchOptions { url: args.url.clone(), credentials: credentials(args)?, timing: Timing::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::internal(error.to_string()))?;
    let mut out = std::io::stdout();
    let stop = async {
        // Without signals there is still the end of the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let watched = runtime.block_on(watch(options, &mut out, &mut |notice| tell(&describe(&notice)), stop));
    watched.map_err(|error| match error {
        WatchError::Address(message) => CliError::usage(message),
        other => CliError::failed(other.to_string()),
    })
}

fn credentials(args: &Args) -> Result<Credentials, CliError> {
    match (&args.token_file, &args.login_file) {
        (Some(file), _) => Ok(Credentials::Token(read(file)?.trim().to_owned())),
        (None, Some(file)) => login(&read(file)?).ok_or_else(|| {
            let what = "must have the lines `username: NAME` and `password: WORD`";
            CliError::usage(format!("{}: {what}", file.display()))
        }),
        (None, None) => Err(CliError::usage("--token-file or --login-file is needed")),
    }
}

fn login(text: &str) -> Option<Credentials> {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    Some(Credentials::Password { username: value("username:")?, password: value("password:")? })
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))
}

fn describe(notice: &Notice) -> String {
    match notice {
        Notice::Connected => "kinora: connected".to_owned(),
        Notice::Lost { reason, retry_in } => {
            format!("kinora: {reason}; next try in {} s", retry_in.as_secs())
        }
        Notice::CatchingUp { session, after } => {
            format!("kinora: session {session} is resumed after {after}")
        }
        Notice::Forgotten { session } => format!("kinora: session {session} cannot be resumed"),
    }
}
