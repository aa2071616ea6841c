//! How cameras are asked: which authentication, whose name, whom to trust.

use std::path::Path;

use kinora_rtsp::{AuthPolicy, Credentials, Trust};

use super::layers::Values;

/// What a text means that is not set.
const NONE: &str = "none";

/// How a camera is asked. `Debug` shows no credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Which ways to authenticate may be used.
    pub(crate) auth: AuthPolicy,
    /// Instead of those in the address.
    pub(crate) credentials: Option<Credentials>,
    /// Whom an encrypted connection trusts.
    pub(crate) trust: Trust,
}

impl Access {
    /// From plain words; `none` is nothing. Reads the password's file.
    ///
    /// # Errors
    /// A sentence that names what is wrong, without the password.
    pub(crate) fn new(auth: &str, username: &str, password_file: &str, trust: &str) -> Result<Self, String> {
        let credentials = match (username, password_file) {
            (NONE, NONE) => None,
            (NONE, _) => return Err("password_file: it needs a username".into()),
            (username, NONE) => Some(Credentials::new(username, "")),
            (username, file) => {
                let password =
                    first_line(Path::new(file)).map_err(|error| format!("password_file: {error}"))?;
                Some(Credentials::new(username, password))
            }
        };
        Ok(Self {
            auth: auth.parse().map_err(|error: kinora_rtsp::Error| format!("auth: {error}"))?,
            credentials,
            trust: match trust {
                "system" => Trust::System,
                "anybody" => Trust::Anybody,
                file => Trust::File(file.into()),
            },
        })
    }

    /// From the keys of a stream.
    ///
    /// # Errors
    /// As [`Access::new`], with the stream's name.
    pub(super) fn of_stream(values: &Values) -> Result<Self, String> {
        let text = |name| values.text(name);
        Self::new(text("auth"), text("username"), text("password_file"), text("trust"))
            .map_err(|error| format!("stream {}: {error}", text("name")))
    }
}

/// The first line of a file that holds a secret.
///
/// # Errors
/// A sentence that names the file.
pub(super) fn first_line(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "p@ss: w/ö rd#\nmore\n").unwrap();
        let access = Access::new("digest", "viewer", file.to_str().unwrap(), "anybody").unwrap();
        assert_eq!(access.credentials, Some(Credentials::new("viewer", "p@ss: w/ö rd#")));
        assert_eq!((access.auth, &access.trust), (AuthPolicy::Digest, &Trust::Anybody));
        assert!(!format!("{access:?}").contains("p@ss"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let missing = Access::new("auto", "viewer", "/nonexistent/password", "system").unwrap_err();
        assert!(missing.starts_with("password_file: /nonexistent/password cannot be read"), "{missing}");
        let nobody = Access::new("auto", "none", "/etc/hostname", "system").unwrap_err();
        assert_eq!(nobody, "password_file: it needs a username");
        assert!(Access::new("md5", "none", "none", "system").unwrap_err().starts_with("auth: `md5`"));
    }
}
