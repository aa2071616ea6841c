//! `kinora user`: accounts, beside a running server or without one.

use std::io::BufRead;
use std::path::PathBuf;

use super::CliError;
use super::database::{change, finish, open};
use crate::accounts::{SHORTEST_PASSWORD, first_admin};
use crate::config::Settings;
use crate::http::Passwords;
use crate::store::{AuditEntry, NewUser, User, UserChange};

/// What to do with users.
#[derive(clap::Subcommand)]
pub(crate) enum Action {
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
    /// Give a user exactly these roles.
    Roles {
        /// The name.
        username: String,
        /// Roles: admin, operator, viewer, agent or one of your own.
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
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

/// Runs `kinora user`.
pub(crate) fn run(action: &Action, settings: &Settings) -> Result<(), CliError> {
    match action {
        Action::List => {
            let store = open(settings)?;
            let users = store.wait(store.list_users());
            let line = |user: &User| format!("{}\t{}\n", user.username, user.roles.join(","));
            finish(&store, users.map(|users| users.iter().map(line).collect()))
        }
        Action::Disable { username } => {
            let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
            change_user(settings, username, disabled)
        }
        Action::Enable { username } => {
            let enabled = UserChange { disabled: Some(false), ..UserChange::default() };
            change_user(settings, username, enabled)
        }
        Action::Roles { username, roles } => {
            let roles = UserChange { roles: Some(roles.clone()), ..UserChange::default() };
            change_user(settings, username, roles)
        }
        Action::Password { username, password_file } => {
            let hash = hash_of_first_line(password_file.as_deref())?;
            let password = UserChange { password_hash: Some(hash), ..UserChange::default() };
            change_user(settings, username, password)?;
            let data = &settings.server.data_directory;
            first_admin::forget(data, username).map_err(|error| CliError::failed(error.to_string()))
        }
        Action::Create { username, roles, email, password_file } => {
            let user = NewUser {
                username: username.clone(),
                email: email.clone(),
                password_hash: hash_of_first_line(password_file.as_deref())?,
                roles: roles.clone(),
            };
            let store = open(settings)?;
            let created = store.wait(async {
                store.check_schema().await?;
                let entry = AuditEntry::of_command_line("user.create", username);
                store.create_user(user, Some(entry)).await
            });
            finish(&store, created.map(|id| format!("{id}\n")))
        }
    }
}

fn change_user(settings: &Settings, username: &str, wanted: UserChange) -> Result<(), CliError> {
    let entry = AuditEntry::of_command_line("user.change", username);
    change(settings, |store| store.wait(store.change_user(username, wanted, Some(entry))))
}

fn hash_of_first_line(file: Option<&std::path::Path>) -> Result<String, CliError> {
    let password = first_line(file)?;
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(CliError::usage(format!("a password has at least {SHORTEST_PASSWORD} characters")));
    }
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
