//! `kinora migrate` and `kinora user`: administration of the database, beside a running server or without one.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use super::CliError;
use crate::config::Settings;
use crate::http::Passwords;
use crate::server::store_settings;
use crate::store::{MigrationRecord, MigrationState, NewUser, Store, StoreError};

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

/// What to do with users.
#[derive(clap::Subcommand)]
pub(crate) enum User {
    /// Create a user; the password is the first line of standard input or of a file.
    Create {
        /// The name.
        username: String,
        /// A role: admin, operator, viewer or agent; may be repeated.
        #[arg(long = "role", value_name = "ROLE", default_value = "agent")]
        roles: Vec<String>,
        /// A mail address.
        #[arg(long)]
        email: Option<String>,
        /// The file whose first line is the password [default: standard input].
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List users with their roles.
    List,
    /// Refuse a user's logins and end what runs under the name.
    Disable {
        /// The name.
        username: String,
    },
    /// Allow a user's logins again.
    Enable {
        /// The name.
        username: String,
    },
    /// Set a user's password, the first line of standard input or of a file.
    Password {
        /// The name.
        username: String,
        /// The file whose first line is the password [default: standard input].
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

fn open(settings: &Settings) -> Result<Store, CliError> {
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

/// Runs `kinora user`.
pub(crate) fn user(action: &User, settings: &Settings) -> Result<(), CliError> {
    match action {
        User::List => {
            let store = open(settings)?;
            let users = store.wait(store.list_users());
            let line = |user: &crate::store::User| format!("{}\t{}\n", user.username, user.roles.join(","));
            finish(&store, users.map(|users| users.iter().map(line).collect()))
        }
        User::Disable { username } => {
            change(settings, |store| store.wait(store.set_user_disabled(username, true)))
        }
        User::Enable { username } => {
            change(settings, |store| store.wait(store.set_user_disabled(username, false)))
        }
        User::Password { username, password_file } => {
            let hash = hash_of_first_line(password_file.as_deref())?;
            change(settings, |store| store.wait(store.set_password_hash(username, &hash)))
        }
        User::Create { username, roles, email, password_file } => {
            let user = NewUser {
                username: username.clone(),
                email: email.clone(),
                password_hash: hash_of_first_line(password_file.as_deref())?,
                roles: roles.clone(),
            };
            let store = open(settings)?;
            let created = store.wait(async {
                store.check_schema().await?;
                store.create_user(user).await
            });
            finish(&store, created.map(|id| format!("{id}\n")))
        }
    }
}

/// Prints the report, or tells the error; the store is closed either way.
fn finish(store: &Store, report: Result<String, StoreError>) -> Result<(), CliError> {
    store.wait(store.close());
    let report = report.map_err(|error| match error {
        error if error.is_transient() => CliError::unavailable(error.to_string()),
        error => CliError::failed(error.to_string()),
    })?;
    std::io::stdout()
        .write_all(report.as_bytes())
        .map_err(|error| CliError::failed(format!("standard output: {error}")))
}

fn change(
    settings: &Settings,
    change: impl FnOnce(&Store) -> Result<(), StoreError>,
) -> Result<(), CliError> {
    let store = open(settings)?;
    let changed = change(&store);
    finish(&store, changed.map(|()| String::new()))
}

fn hash_of_first_line(file: Option<&std::path::Path>) -> Result<String, CliError> {
    let password = first_line(file)?;
    let hash = Passwords::new().and_then(|passwords| passwords.hash_blocking(&password));
    hash.map_err(|error| CliError::usage(error.to_string()))
}

fn first_line(file: Option<&std::path::Path>) -> Result<String, CliError> {
    let read = |reader: &mut dyn BufRead| {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line)
    };
    let line = match file {
        Some(path) => std::fs::File::open(path)
            .and_then(|file| read(&mut std::io::BufReader::new(file)))
            .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?,
        None => read(&mut std::io::stdin().lock())
            .map_err(|error| CliError::failed(format!("standard input: {error}")))?,
    };
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CliError::usage(
            "the password is empty; it must be the first line of standard input or of a file",
        ));
    }
    Ok(password.to_owned())
}
