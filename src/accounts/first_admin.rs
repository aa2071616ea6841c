//! The file that tells the first administrator's password. It goes when that password is changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where it is in a data directory.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("first-admin")
}

/// What is in it.
pub(crate) fn text(username: &str, password: &str) -> String {
    format!("username: {username}\npassword: {password}\n")
}

/// Removes the file if it is about `username`, whose password was changed.
///
/// # Errors
/// What the file system says.
pub(crate) fn forget(data: &Path, username: &str) -> io::Result<()> {
    let path = path(data);
    let told = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let about = told.lines().find_map(|line| line.strip_prefix("username: "));
    if about == Some(username) { fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_goes_with_the_password_that_it_tells() {
        let data = tempfile::tempdir().unwrap();
        forget(data.path(), "admin").unwrap();
        fs::write(path(data.path()), text("admin", "secret")).unwrap();
        forget(data.path(), "somebody").unwrap();
        assert!(path(data.path()).exists());
        forget(data.path(), "admin").unwrap();
        assert!(!path(data.path()).exists());
    }
}
