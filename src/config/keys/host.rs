//! Keys of the server itself: its files, its log, where events are kept.

use super::Key;
use crate::config::value::Kind;

/// In the order of the shipped file.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "server.listen",
        kind: Kind::Listen,
        default: "127.0.0.1:8080",
        doc: "Address and port of the HTTP and WebSocket server; 0.0.0.0 is every network.",
    },
    Key {
        name: "server.data_directory",
        kind: Kind::Text,
        default: "auto",
        doc: "Folder of database, journal and secrets; auto is /var/lib/kinora as root, else $XDG_DATA_HOME/kinora.",
    },
    Key {
        name: "log.level",
        kind: Kind::Choice(&["error", "warning", "info", "debug"]),
        default: "info",
        doc: "The least important level that is logged.",
    },
    Key {
        name: "log.format",
        kind: Kind::Choice(&["auto", "json", "text"]),
        default: "auto",
        doc: "auto is text on a terminal and JSON elsewhere.",
    },
    Key {
        name: "database.url",
        kind: Kind::Text,
        default: "embedded",
        doc: "embedded: a private PostgreSQL that the server runs; else postgres://user:password@host/database.",
    },
    Key {
        name: "database.programs",
        kind: Kind::Text,
        default: "auto",
        doc: "Folder of initdb, postgres and pg_ctl for the private PostgreSQL; auto looks in the usual folders, then in PATH.",
    },
    Key {
        name: "database.pool_size",
        kind: Kind::Integer { min: 1, max: 100 },
        default: "5",
        doc: "Connections that are kept.",
    },
    Key {
        name: "database.pool_overflow",
        kind: Kind::Integer { min: 0, max: 100 },
        default: "10",
        doc: "Connections beyond these at a rush.",
    },
    Key {
        name: "journal.max_bytes",
        kind: Kind::Bytes { min: 16_000_000, max: 1_000_000_000_000 },
        default: "2GB",
        doc: "Size at which live streams drop frames and files wait until the database takes events again.",
    },
    Key {
        name: "retention.max_age",
        kind: Kind::Duration { min_ms: 86_400_000, max_ms: 315_360_000_000 },
        default: "7d",
        doc: "Events older than this are removed, a day at a time.",
    },
    Key {
        name: "retention.max_bytes",
        kind: Kind::Bytes { min: 100_000_000, max: 1_000_000_000_000_000 },
        default: "20GB",
        doc: "Above this size the oldest days are removed.",
    },
    Key {
        name: "models.directory",
        kind: Kind::Text,
        default: "models/weights",
        doc: "Folder of the weights that `make setup` imported; relative to the working directory.",
    },
];
