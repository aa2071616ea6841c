//! Configuration: one table of keys drives reading, checking, documenting and writing it.
//!
//! Layers, later ones win: the defaults of [`keys`], `config.toml`, `config.<environment>.toml` beside it,
//! `KINORA__SECTION__KEY` in the environment, `--set section.key=value`. All errors of all layers are
//! reported at once, each naming its key, where it was set, and what is allowed. Only this module reads
//! configuration files and the environment. It builds nothing: [`Settings`] is plain data.

mod keys;
mod layers;
mod shipped;
mod value;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub(crate) use layers::Sources;
pub(crate) use shipped::shipped_file;

/// The settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The `[models]` section.
    pub(crate) models: Models,
    /// The `[analysis]` section.
    pub(crate) analysis: Analysis,
    /// The `[decoder]` section.
    pub(crate) decoder: Decoder,
    /// Identifies these settings: the start of the SHA-256 of all keys with their values.
    pub(crate) revision: String,
}

/// Where models are and where they run.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    /// The folder of the weights.
    pub(crate) directory: PathBuf,
}

/// What is analysed.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    /// Whether a frame's region comes from the frame before it.
    pub(crate) tracking: bool,
    /// Analyse one frame of so many.
    pub(crate) every_nth: NonZeroU32,
    /// Analyse at most so many frames of a second.
    pub(crate) max_fps: Option<NonZeroU32>,
}

/// How sources are read.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    /// Decoding threads; `None`: FFmpeg's choice.
    pub(crate) threads: Option<usize>,
    /// Frames of a file decoded ahead.
    pub(crate) frames_ahead: usize,
    /// Limit of opening a source.
    pub(crate) open_timeout: Duration,
    /// Limit of waiting for data.
    pub(crate) read_timeout: Duration,
}

/// Everything that is wrong with the configuration.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<String>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        write!(f, "{count} configuration error{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// Reads and checks all layers.
///
/// # Errors
/// All errors of all layers.
pub(crate) fn load(sources: &Sources) -> Result<Settings, ConfigErrors> {
    let values = layers::read(sources)?;
    let revision = revision(&values.canonical());
    Ok(Settings {
        models: Models { directory: values.text("models.directory").into() },
        analysis: Analysis {
            tracking: values.text("analysis.tracking") == "on",
            every_nth: NonZeroU32::new(values.count("analysis.every_nth"))
                .expect("the table of keys should demand at least 1"),
            max_fps: NonZeroU32::new(values.count("analysis.max_fps")),
        },
        decoder: Decoder {
            threads: Some(values.count("decoder.threads") as usize).filter(|&threads| threads > 0),
            frames_ahead: values.count("decoder.frames_ahead") as usize,
            open_timeout: values.duration("decoder.open_timeout"),
            read_timeout: values.duration("decoder.read_timeout"),
        },
        revision,
    })
}

fn revision(canonical: &str) -> String {
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_overrides(overrides: &[&str]) -> Result<Settings, ConfigErrors> {
        let overrides = overrides.iter().map(ToString::to_string).collect();
        load(&Sources { file: None, environment: Vec::new(), overrides })
    }

    #[test]
    fn the_shipped_file_equals_the_defaults() {
        assert_eq!(
            shipped_file(),
            include_str!("../../config.toml"),
            "`kinora config defaults > config.toml` writes it"
        );
    }

    #[test]
    fn the_shipped_file_parses_to_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, shipped_file()).unwrap();
        let shipped =
            load(&Sources { file: Some(file), environment: Vec::new(), overrides: Vec::new() }).unwrap();
        assert_eq!(shipped.revision, with_overrides(&[]).unwrap().revision);
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[analysis]\nevery_nth = 2\nmax_fps = 20\n[decoder]\nthreads = 2\n").unwrap();
        std::fs::write(folder.path().join("config.staging.toml"), "[analysis]\nmax_fps = 30\n").unwrap();
        let sources = Sources {
            file: Some(file),
            environment: vec![
                ("KINORA_ENVIRONMENT".into(), "staging".into()),
                ("KINORA__DECODER__THREADS".into(), "3".into()),
            ],
            overrides: vec!["decoder.frames_ahead=7".into()],
        };
        let settings = load(&sources).unwrap();
        assert_eq!(settings.analysis.every_nth.get(), 2);
        assert_eq!(settings.analysis.max_fps.unwrap().get(), 30);
        assert_eq!(settings.decoder.threads, Some(3));
        assert_eq!(settings.decoder.frames_ahead, 7);
    }

    #[test]
    fn all_errors_are_told_at_once_and_each_names_its_key() {
        let errors = with_overrides(&[
            "decoder.threads=-1",
            "decoder.open_timeout=soon",
            "analysis.tracking=maybe",
            "analysis.evry_nth=1",
            "nonsense",
        ])
        .unwrap_err();
        assert_eq!(errors.0.len(), 5, "{errors}");
        let text = errors.to_string();
        for word in
            ["decoder.threads", "decoder.open_timeout", "analysis.tracking", "analysis.every_nth", "nonsense"]
        {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn the_revision_changes_with_a_value_and_only_then() {
        let default = with_overrides(&[]).unwrap().revision;
        assert_eq!(with_overrides(&["analysis.every_nth=1"]).unwrap().revision, default);
        assert_ne!(with_overrides(&["analysis.every_nth=2"]).unwrap().revision, default);
    }
}
