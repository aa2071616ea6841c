//! The table of keys: name, kind, default and documentation of every setting.
//!
//! To add a setting, add a row here and read it in `config::load`; the shipped `config.toml`, the checks and
//! the error messages follow from the row.

use super::value::Kind;

/// One setting.
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) name: &'static str,
    /// What values are allowed.
    pub(crate) kind: Kind,
    /// The default, as it is written in a file (without quotes).
    pub(crate) default: &'static str,
    /// A sentence for the shipped file.
    pub(crate) doc: &'static str,
}

/// A section's name and its documentation.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("models", "The networks and where they are."),
    ("analysis", "Which frames are analysed, and how."),
    ("decoder", "How sources are opened, read and decoded."),
];

/// Every setting, in the order of the shipped file.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "models.directory",
        kind: Kind::Text,
        default: "models/weights",
        doc: "Folder of the weights that `make setup` imported; relative to the working directory.",
    },
    Key {
        name: "analysis.tracking",
        kind: Kind::Choice(&["on", "off"]),
        default: "on",
        doc: "on: a person is followed from frame to frame and smoothed; off: each frame is analysed by itself.",
    },
    Key {
        name: "analysis.every_nth",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "1",
        doc: "Analyse one frame of so many; the others are counted as skipped.",
    },
    Key {
        name: "analysis.max_fps",
        kind: Kind::Integer { min: 0, max: 1_000 },
        default: "0",
        doc: "Analyse at most so many frames of a second of media time; 0 is all.",
    },
    Key {
        name: "decoder.threads",
        kind: Kind::Integer { min: 0, max: 64 },
        default: "0",
        doc: "Threads that decode one stream; 0 leaves the choice to FFmpeg.",
    },
    Key {
        name: "decoder.frames_ahead",
        kind: Kind::Integer { min: 1, max: 64 },
        default: "4",
        doc: "Frames of a file that are decoded ahead of inference.",
    },
    Key {
        name: "decoder.open_timeout",
        kind: Kind::Duration { min_ms: 100, max_ms: 300_000 },
        default: "10s",
        doc: "How long opening a source may take.",
    },
    Key {
        name: "decoder.read_timeout",
        kind: Kind::Duration { min_ms: 100, max_ms: 300_000 },
        default: "10s",
        doc: "How long a source may stay silent.",
    },
];

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// A sentence that helps with an unknown `name`: the nearest key, or the keys of its section.
pub(crate) fn hint(name: &str) -> String {
    let nearest =
        KEYS.iter().min_by_key(|key| distance(key.name, name)).filter(|key| distance(key.name, name) <= 3);
    if let Some(key) = nearest {
        return format!("did you mean {}?", key.name);
    }
    let section = name.split('.').next().unwrap_or_default();
    let of_section: Vec<_> =
        KEYS.iter().map(|key| key.name).filter(|key| key.split('.').next() == Some(section)).collect();
    if of_section.is_empty() {
        let sections: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        format!("the sections are {}", sections.join(", "))
    } else {
        format!("the keys are {}", of_section.join(", "))
    }
}

/// Edits that turn one name into the other (Levenshtein, by rows).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
