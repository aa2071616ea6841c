//! What can be allowed, and what the built-in roles are allowed.

/// Names of the built-in roles, as in the table `roles`.
pub(crate) mod roles {
    /// May do everything.
    pub(crate) const ADMIN: &str = "admin";
    /// Looks after streams.
    pub(crate) const OPERATOR: &str = "operator";
    /// A person who watches.
    pub(crate) const VIEWER: &str = "viewer";
    /// A program that watches.
    pub(crate) const AGENT: &str = "agent";
}

/// Something that a role allows. The table of the whole server: what is not here cannot be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Permission {
    /// Read streams, sessions and events, and subscribe.
    Watch,
    /// Start, stop and restart streams.
    ControlStreams,
    /// Make, change and delete streams, and try a source.
    EditStreams,
    /// Make and revoke keys of one's own.
    OwnKeys,
    /// See and revoke everybody's keys.
    AllKeys,
    /// Make, change and delete users, and invite them.
    ManageUsers,
    /// Make, change and delete roles.
    ManageRoles,
    /// Read who changed what.
    ReadAudit,
    /// See how the server's parts are.
    ReadHealth,
}

impl Permission {
    /// Every permission.
    pub(crate) const ALL: [Permission; 9] = [
        Permission::Watch,
        Permission::ControlStreams,
        Permission::EditStreams,
        Permission::OwnKeys,
        Permission::AllKeys,
        Permission::ManageUsers,
        Permission::ManageRoles,
        Permission::ReadAudit,
        Permission::ReadHealth,
    ];

    /// Its name in the API and in the table `roles`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Permission::Watch => "watch",
            Permission::ControlStreams => "streams:control",
            Permission::EditStreams => "streams:edit",
            Permission::OwnKeys => "keys:own",
            Permission::AllKeys => "keys:all",
            Permission::ManageUsers => "users",
            Permission::ManageRoles => "roles",
            Permission::ReadAudit => "audit",
            Permission::ReadHealth => "health",
        }
    }

    /// The permission of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permissions(u16);

impl Permissions {
    /// Exactly these.
    pub(crate) fn of(list: &[Permission]) -> Self {
        Self(list.iter().fold(0, |bits, permission| bits | bit(*permission)))
    }

    /// What a role of this name allows by itself; nothing for a role that is not built in.
    pub(crate) fn of_built_in(role: &str) -> Self {
        match role {
            roles::ADMIN => Self::of(&Permission::ALL),
            roles::OPERATOR => Self::of(&[
                Permission::Watch,
                Permission::ControlStreams,
                Permission::EditStreams,
                Permission::OwnKeys,
                Permission::ReadHealth,
            ]),
            roles::VIEWER | roles::AGENT => Self::of(&[Permission::Watch]),
            _ => Self::default(),
        }
    }

    /// What roles allow together: the built-in ones by their names, and what own roles name.
    pub(crate) fn of_roles<'a>(
        names: impl IntoIterator<Item = &'a str>,
        granted: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let built_in = names.into_iter().fold(0, |bits, role| bits | Self::of_built_in(role).0);
        // A permission that this version does not know allows nothing.
        let own = granted.into_iter().filter_map(Permission::from_name).fold(0, |bits, one| bits | bit(one));
        Self(built_in | own)
    }

    /// Whether it holds `permission`.
    pub(crate) fn allow(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Whether everything in `other` is in here.
    pub(crate) fn cover(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// What is in both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The names, in the order of the table.
    pub(crate) fn names(self) -> Vec<&'static str> {
        Permission::ALL.into_iter().filter(|one| self.allow(*one)).map(Permission::name).collect()
    }
}

const fn bit(permission: Permission) -> u16 {
    1 << permission as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_permissions_are_one_to_one() {
        for permission in Permission::ALL {
            assert_eq!(Permission::from_name(permission.name()), Some(permission));
        }
        assert_eq!(Permissions::of(&Permission::ALL).names().len(), Permission::ALL.len());
    }

    #[test]
    fn roles_add_up_and_strangers_allow_nothing() {
        let viewer = Permissions::of_roles(["viewer"], []);
        assert!(viewer.allow(Permission::Watch) && !viewer.allow(Permission::EditStreams));
        let own = Permissions::of_roles(["viewer", "night-shift"], ["streams:control", "no-such-thing"]);
        assert_eq!(own.names(), ["watch", "streams:control"]);
        assert_eq!(Permissions::of_roles(["night-shift"], []), Permissions::default());
        assert!(
            Permissions::of_built_in("admin").cover(own) && !own.cover(Permissions::of_built_in("admin"))
        );
    }
}
