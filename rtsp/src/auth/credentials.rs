//! A user's name and password, which no message shows.

use std::fmt;

/// What a server is told when it asks who is there. `Debug` shows neither part; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// Any characters are allowed; they are sent as UTF-8.
    #[must_use]
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }

    pub(super) fn username(&self) -> &str {
        &self.username
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_name_nor_password() {
        let shown = format!("{:?}", Credentials::new("viewer", "hunter2"));
        assert!(!shown.contains("viewer") && !shown.contains("hunter2"), "{shown}");
    }
}
