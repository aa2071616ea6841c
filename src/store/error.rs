//! What goes wrong in the store, by what can be done about it.
//!
//! Messages name the operation's object and PostgreSQL's own words, never a password, a payload or the text
//! of a statement.

use std::path::PathBuf;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// An error of the store; its kind decides what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database is away, busy or too slow: try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A newer Kinora has been here: install that one, or migrate down with it.
    #[error("the database has schema {database}, which is newer than schema {binary} of this program")]
    NewerSchema {
        /// Newest migration in the database.
        database: i32,
        /// Newest migration that this program knows.
        binary: i32,
    },
    /// Migrations have to be applied first.
    #[error(
        "the database has schema {database}, this program needs schema {binary}: run `kinora migrate up`"
    )]
    NotMigrated {
        /// Newest migration in the database; 0 for an empty one.
        database: i32,
        /// Newest migration that this program knows.
        binary: i32,
    },
    /// An applied migration is not the one that this program carries.
    #[error("migration {version} ({name}) was changed after it had been applied")]
    Drift {
        /// Number of the migration.
        version: i32,
        /// Its name.
        name: String,
    },
    /// A value that has to be unique exists already.
    #[error("{field} is taken")]
    Conflict {
        /// What has to be unique, such as `username`.
        field: String,
    },
    /// What was asked for does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// Its kind and name.
        what: String,
    },
    /// Without an administrator nobody could make one.
    #[error("the last administrator cannot be removed, disabled or lose the role")]
    LastAdmin,
    /// The file owns it.
    #[error("the stream is managed by config.toml")]
    ManagedByConfig,
    /// Somebody else changed it since the caller looked.
    #[error("it was changed by somebody else in between")]
    Stale,
    /// PostgreSQL's programs are not on this machine.
    #[error(
        "PostgreSQL's programs (initdb, postgres, pg_ctl) were not found in {}; \
         install PostgreSQL 15 or later (Debian: postgresql), name their folder in \
         database.programs, or give database.url a server",
        list(looked_in)
    )]
    ProgramsMissing {
        /// Folders that were searched.
        looked_in: Vec<PathBuf>,
    },
    /// The folder of the private cluster cannot be used.
    #[error("the database folder {} cannot be used: {why}", path.display())]
    DataDirectory {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The settings are wrong.
    #[error("[database] {0}")]
    Settings(String),
    /// PostgreSQL refused a statement: trying again will not help.
    #[error("the database refused: {message} (SQLSTATE {code})")]
    Query {
        /// PostgreSQL's five letters, or `client` for an error on this side.
        code: String,
        /// PostgreSQL's words.
        message: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's doing.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A folder that cannot be used because of `why`.
    pub(super) fn directory(path: impl Into<PathBuf>, why: impl std::fmt::Display) -> Self {
        Self::DataDirectory { path: path.into(), why: why.to_string() }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(kind) => Self::Unavailable(format!("no connection in time ({kind:?})")),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return without_answer(&error) };
        let code = db.code();
        if *code == SqlState::UNIQUE_VIOLATION {
            return Self::Conflict { field: unique_field(db.constraint(), db.table()) };
        }
        if *code == SqlState::UNDEFINED_TABLE {
            return Self::NotMigrated { database: 0, binary: super::migrations::newest() };
        }
        let message = db.message().to_owned();
        if is_passing(code) {
            return Self::Unavailable(message);
        }
        Self::Query { code: code.code().to_owned(), message }
    }
}

/// Errors of the connection pass by; errors of encoding and decoding do not.
fn without_answer(error: &tokio_postgres::Error) -> StoreError {
    let why = with_sources(error);
    let io = std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
    if error.is_closed() || io || why.starts_with("error connecting") || why.contains("timeout") {
        StoreError::Unavailable(why)
    } else {
        StoreError::Query { code: "client".into(), message: why }
    }
}

/// Whether PostgreSQL's refusal is about its present state and not about the statement.
fn is_passing(code: &SqlState) -> bool {
    // 08 connection, 40 serialisation and deadlock, 53 resources, 57 operator (shutdown, restart, time-out),
    // 58 system error, 55P03 lock not available in time.
    ["08", "40", "53", "57", "58"].iter().any(|class| code.code().starts_with(class))
        || *code == SqlState::LOCK_NOT_AVAILABLE
}

/// PostgreSQL names the unique constraint of a column `<table>_<column>_key`; where letters count in no case, the index is
/// called `<table>_<column>_lower_key`.
fn unique_field(constraint: Option<&str>, table: Option<&str>) -> String {
    let constraint = constraint.unwrap_or("a unique value");
    let bare = table.and_then(|table| constraint.strip_prefix(table)).unwrap_or(constraint);
    bare.trim_start_matches('_').trim_end_matches("_key").trim_end_matches("_lower").to_owned()
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_a_unique_constraint_is_its_column() {
        assert_eq!(unique_field(Some("users_email_key"), Some("users")), "email");
        assert_eq!(unique_field(Some("users_email_lower_key"), Some("users")), "email");
        assert_eq!(unique_field(Some("streams_name_key"), Some("streams")), "name");
        assert_eq!(unique_field(Some("odd"), None), "odd");
    }

    #[test]
    fn a_refused_password_is_final_and_a_shutdown_passes() {
        assert!(!is_passing(&SqlState::INVALID_PASSWORD));
        assert!(is_passing(&SqlState::ADMIN_SHUTDOWN));
        assert!(is_passing(&SqlState::QUERY_CANCELED));
    }
}
