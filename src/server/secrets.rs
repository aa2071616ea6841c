//! Secrets made at the first start: files of mode 0600 in the data directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::accounts::{KEY_BYTES, Sealer};

/// Bytes of the key that signs access tokens.
const TOKEN_KEY_BYTES: usize = 64;
/// Bytes of the first administrator's password before it is written in hexadecimal.
const PASSWORD_BYTES: usize = 12;

/// Makes the data directory, closed to others.
///
/// # Errors
/// What the file system says.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    // PostgreSQL's own user has to pass through it to the cluster, whose folder is closed.
    DirBuilder::new().recursive(true).mode(0o711).create(path)
}

/// The key that signs access tokens, made at the first start.
///
/// # Errors
/// What the file system says.
pub(super) fn token_key(directory: &Path) -> io::Result<Vec<u8>> {
    let path = directory.join("token-key");
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = random(TOKEN_KEY_BYTES)?;
            write_private(&path, &key)?;
            Ok(key)
        }
        found => found,
    }
}

/// What seals the sources of operators, with a key made at the first start.
///
/// # Errors
/// What the file system says, or that the file is no key.
pub(super) fn sealer(directory: &Path) -> io::Result<Sealer> {
    let path = directory.join("stream-key");
    if !path.exists() {
        write_private(&path, &random(KEY_BYTES)?)?;
    }
    let key: [u8; KEY_BYTES] = fs::read(&path)?
        .try_into()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file stream-key is no key"))?;
    Ok(Sealer::new(&key))
}

/// A new password that nobody can guess.
///
/// # Errors
/// When the system has no random numbers.
pub(super) fn new_password() -> io::Result<String> {
    Ok(random(PASSWORD_BYTES)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// What the file system says.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn random(count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_token_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let key = token_key(folder.path()).unwrap();
        assert_eq!(key, token_key(folder.path()).unwrap());
        assert_eq!(key.len(), TOKEN_KEY_BYTES);
        assert_eq!(fs::metadata(folder.path().join("token-key")).unwrap().mode() & 0o777, 0o600);
        assert_ne!(new_password().unwrap(), new_password().unwrap());
    }
}
