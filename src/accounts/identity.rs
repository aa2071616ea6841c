//! Who somebody is now: what their roles allow and which streams they may see.

use super::{Permission, Permissions, roles};

/// A user as the database knows them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Number.
    pub(crate) user: i64,
    /// Name.
    pub(crate) username: String,
    /// Names of roles.
    pub(crate) roles: Vec<String>,
    /// What the roles allow.
    pub(crate) permissions: Permissions,
    /// Streams that are kept from the user, by name.
    pub(crate) hidden: Vec<String>,
    /// Whether logins are refused.
    pub(crate) disabled: bool,
    /// Grows with each change of the password; tokens of another version are void.
    pub(crate) password_version: i64,
}

/// What a key is limited to; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyScope {
    /// Names of streams.
    pub(crate) streams: Option<Vec<String>>,
    /// Kinds of events.
    pub(crate) events: Option<Vec<String>>,
}

impl Identity {
    /// Puts together what rows say.
    pub(crate) fn with_roles(mut self, names: Vec<String>, granted: &[String]) -> Self {
        self.permissions =
            Permissions::of_roles(names.iter().map(String::as_str), granted.iter().map(String::as_str));
        if names.iter().any(|name| name == roles::ADMIN) {
            self.hidden.clear();
        }
        self.roles = names;
        self
    }

    /// The same user as a key acts for them: it watches, whatever else its owner may do.
    pub(crate) fn for_key(mut self) -> Self {
        self.permissions = self.permissions.and(Permissions::of(&[Permission::Watch]));
        self
    }
}
