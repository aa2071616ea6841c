//! The table of keys: name, kind, default and documentation of every setting.
//!
//! To add a setting, add a row to the file of its section and read it in `config::load`; the shipped `config.toml`, the checks and
//! the error messages follow from the row.

mod access;
mod host;
mod pipeline;
mod streams;

use super::value::Kind;
pub(crate) use streams::STREAM_KEYS;

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
    ("server", "Where the server listens and keeps its files."),
    ("log", "What is logged, and how."),
    ("database", "Where events are kept."),
    ("journal", "The file that an event is in before anyone is told of it."),
    ("retention", "How long events stay in the database."),
    ("models", "The networks and where they are."),
    ("analysis", "Which frames are analysed, and how."),
    ("decoder", "How sources are opened, read and decoded."),
    ("inference", "Where the networks run."),
    ("scale", "When another server is needed, and who is told."),
    ("supervision", "When a stream counts as silent, and how it is tried again."),
    ("cluster", "Whether other servers use the same database, and how they share the streams."),
    ("websocket", "Limits of the agents' connections."),
    ("auth", "Who may have an account, and how long a login lasts."),
    ("auth.oidc", "Sign-in by an identity provider that speaks OpenID Connect, such as Azure AD."),
    ("http", "What stands between the network and the API."),
    ("mail", "How mail is sent: password resets and invitations."),
];

/// Every setting, in the order of the shipped file.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    [host::KEYS, pipeline::KEYS, access::KEYS].into_iter().flatten()
}

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// A sentence that helps with an unknown `name`: the nearest key, or the keys of its section.
pub(crate) fn hint(name: &str) -> String {
    let nearest =
        all().min_by_key(|key| distance(key.name, name)).filter(|key| distance(key.name, name) <= 3);
    if let Some(key) = nearest {
        return format!("did you mean {}?", key.name);
    }
    let section = name.split('.').next().unwrap_or_default();
    let of_section: Vec<_> =
        all().map(|key| key.name).filter(|key| key.split('.').next() == Some(section)).collect();
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
