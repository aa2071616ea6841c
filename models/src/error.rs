//! What can go wrong between a weights directory and a network's output, told so that the reader can mend it.

use std::path::PathBuf;

use thiserror::Error;

/// The command that mends a weights directory, repeated in each message about one.
const MEND: &str = "run `make setup`, or `kinora models import WHEEL` with the wheel of mediapipe 0.10.14";

/// An error of this crate. `needs_setup` tells a missing component from a bug or a broken machine.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A weight file is not in the weights directory.
    #[error("weights of `{name}` are missing: {} does not exist; {MEND}", path.display())]
    WeightsMissing {
        /// Name of the weights in the registry.
        name: &'static str,
        /// Where the file was looked for.
        path: PathBuf,
    },
    /// A weight file is there and is not the one that this version was built and tested with.
    #[error(
        "weights of `{name}` are not the expected ones: {} has SHA-256 {found}, expected {expected}; {MEND}",
        path.display()
    )]
    WeightsWrong {
        /// Name of the weights in the registry.
        name: &'static str,
        /// The file that was read.
        path: PathBuf,
        /// Its hash, in hexadecimal.
        found: String,
        /// The hash compiled into this binary, in hexadecimal.
        expected: &'static str,
    },
    /// The wheel given for an import cannot be used.
    #[error(
        "cannot import weights from {}: {reason}; expected the wheel of mediapipe 0.10.14, any platform",
        path.display()
    )]
    Wheel {
        /// The wheel.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A model file is not a readable TensorFlow Lite file, or uses what this reader does not know.
    #[error("model file is not usable: {0}")]
    Format(String),
    /// A network was loaded whose inputs, outputs or operations are not those that the code was written for.
    #[error("network `{network}`: {reason}")]
    Network {
        /// Name of the network.
        network: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// An input has the wrong number of values: a bug of the caller.
    #[error("network `{network}` takes {expected} values, got {got}")]
    Input {
        /// Name of the network.
        network: &'static str,
        /// Values it takes.
        expected: usize,
        /// Values it was given.
        got: usize,
    },
    /// A device is not there, or failed.
    #[error("{0}")]
    Device(String),
    /// candle refused an operation, for example because a device ran out of memory.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// Whether the cure is to set up or import the weights: a needed component is away, nothing is broken.
    pub fn needs_setup(&self) -> bool {
        matches!(self, Self::WeightsMissing { .. } | Self::WeightsWrong { .. })
    }

    /// An error about the content of a model file.
    pub(crate) fn format(reason: impl Into<String>) -> Self {
        Self::Format(reason.into())
    }
}
