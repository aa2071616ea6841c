//! `kinora key`: keys of agents, beside a running server or without one.

use super::CliError;
use super::database::{change, finish, open};
use crate::accounts::{AgentKey, KeyScope};
use crate::config::Settings;
use crate::store::{AuditEntry, KeyRow, NewKey};

/// What to do with keys.
#[derive(clap::Subcommand)]
pub(crate) enum Action {
    /// Create a key; its text is printed once and kept nowhere.
    Create {
        /// What it is for.
        name: String,
        /// The user for whom it acts.
        #[arg(long, value_name = "NAME")]
        user: String,
        /// A stream that it may see; may be repeated [default: all that the user may].
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
        /// A kind of event that it may see; may be repeated [default: all].
        #[arg(long = "event", value_name = "KIND", value_parser = kind)]
        events: Vec<String>,
    },
    /// List keys: id, name, user, last use, state.
    List,
    /// Make a key void; what it opened ends within seconds.
    Revoke {
        /// Its id, the part between the underscores.
        id: String,
    },
}

/// Runs the command.
pub(crate) fn run(action: &Action, settings: &Settings) -> Result<(), CliError> {
    match action {
        Action::Create { name, user, streams, events } => {
            let key = AgentKey::new().map_err(|error| CliError::internal(error.to_string()))?;
            let scope = KeyScope { streams: limit(streams), events: limit(events) };
            let row = NewKey { id: key.id, name: name.clone(), hash: key.hash, owner: user.clone(), scope };
            let entry = AuditEntry::of_command_line("key.create", &row.id);
            let store = open(settings)?;
            let created = store.wait(store.create_key(row, Some(entry)));
            finish(&store, created.map(|()| format!("{}\n", key.text)))
        }
        Action::List => {
            let store = open(settings)?;
            let keys = store.wait(store.list_keys(None));
            finish(&store, keys.map(|keys| keys.iter().map(line).collect()))
        }
        Action::Revoke { id } => {
            let entry = AuditEntry::of_command_line("key.revoke", id);
            change(settings, |store| store.wait(store.revoke_key(id, None, Some(entry))))
        }
    }
}

fn kind(name: &str) -> Result<String, String> {
    let known = kinora_actors::domain::EventKind::ALL.map(|kind| kind.name());
    if known.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("the kinds are {}", known.join(", ")))
    }
}

fn limit(names: &[String]) -> Option<Vec<String>> {
    Some(names.to_vec()).filter(|names| !names.is_empty())
}

fn line(key: &KeyRow) -> String {
    let used = key.last_used_at_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    let used = used.map_or("never".to_owned(), |at| format!("{at:.0}"));
    let state = if key.revoked_at_us.is_some() { "revoked" } else { "good" };
    format!("{}\t{}\t{}\t{used}\t{state}\n", key.id, key.name, key.owner)
}
