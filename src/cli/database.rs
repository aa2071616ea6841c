//! `kinora migrate`: the schema. And what every command on the database does: open the store, tell the outcome.

use std::io::Write;

use super::CliError;
use crate::config::Settings;
use crate::server::store_settings;
use crate::store::{MigrationRecord, MigrationState, Store, StoreError};

/// What to do with the schema.
#[derive(clap::Subcommand)]
pub(crate) enum Migrate {
    /// Apply all migrations, or those up to a number.
    Up {
        /// The last one.
        #[arg(long, value_name = "N")]
        to: Option<i32>,
    },
    /// Take the last migration back.
    Down,
    /// Tell what is applied and what is pending.
    Status,
}

/// The store, beside a running server or without one.
pub(super) fn open(settings: &Settings) -> Result<Store, CliError> {
    Store::connect_blocking(store_settings(settings, true))
        .map_err(|error| CliError::unavailable(error.to_string()))
}

/// Runs `kinora migrate`.
pub(crate) fn migrate(action: &Migrate, settings: &Settings) -> Result<(), CliError> {
    let store = open(settings)?;
    let report = store.wait(async {
        match action {
            Migrate::Up { to } => Ok(store.migrate_up(*to).await?.iter().map(line).collect()),
            Migrate::Down => Ok(store.migrate_down().await?.as_ref().map_or(String::new(), line)),
            Migrate::Status => Ok(status(&store.migration_status().await?)),
        }
    });
    finish(&store, report)
}

/// A step that was done, in columns: when, which way, number, name.
fn line(step: &MigrationRecord) -> String {
    let way = if step.up { "up" } else { "down" };
    let at = jiff::Timestamp::from_microsecond(step.applied_at_us).unwrap_or_default();
    format!("{at:.0}\t{way}\t{}\t{}\n", step.version, step.name)
}

/// The history, then what is pending.
fn status(state: &MigrationState) -> String {
    let done: String = state.history.iter().map(line).collect();
    let pending = state.pending.iter().map(|(version, name)| format!("-\tpending\t{version}\t{name}\n"));
    done + &pending.collect::<String>()
}

/// Prints the report, or tells the error; the store is closed either way.
pub(super) fn finish(store: &Store, report: Result<String, StoreError>) -> Result<(), CliError> {
    store.wait(store.close());
    let report = report.map_err(|error| match error {
        error if error.is_transient() => CliError::unavailable(error.to_string()),
        error => CliError::failed(error.to_string()),
    })?;
    std::io::stdout()
        .write_all(report.as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))
}

/// Does one thing that has no answer.
pub(super) fn change(
    settings: &Settings,
    change: impl FnOnce(&Store) -> Result<(), StoreError>,
) -> Result<(), CliError> {
    let store = open(settings)?;
    let changed = change(&store);
    finish(&store, changed.map(|()| String::new()))
}
