//! Exit codes, and how an error reaches the person at the terminal.

use std::io::Write;
use std::process::ExitCode;

use kinora_media::{ErrorKind, MediaError};

/// The last paragraph of `--help`.
pub(crate) const HELP: &str = "Exit codes: 0 done, 1 failed, 64 wrong use or configuration, \
    69 a needed component is away, 70 internal error.";

/// What an exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It failed: the source, a file, the network.
    Failed = 1,
    /// Wrong use of the command line, or a wrong configuration.
    Usage = 64,
    /// A component is away: the weights, FFmpeg's encoder.
    Unavailable = 69,
    /// A fault of Kinora's own.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
}

impl CliError {
    /// What was asked for failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    /// It was asked for in a wrong way.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// Something that is needed is not there.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unavailable, message: message.into() }
    }

    /// A fault of our own.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { exit: Exit::Internal, message: message.into() }
    }

    /// Prints the message and gives the exit code.
    pub(crate) fn report(self) -> Exit {
        tell(&format!("kinora: {}", self.message));
        self.exit
    }
}

impl From<MediaError> for CliError {
    /// An encoder that this FFmpeg lacks is a missing component; everything else of media failed.
    fn from(error: MediaError) -> Self {
        match error.kind() {
            ErrorKind::UnsupportedCodec => Self::unavailable(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

/// Writes a line for people to standard error. One that is full or gone stops nothing.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints clap's message: help and version are answers, everything else is wrong use.
pub(crate) fn report_usage(error: &clap::Error) -> Exit {
    // A terminal that is gone cannot be told.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
