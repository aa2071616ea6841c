//! Random secrets: keys, tickets, refresh tokens. Who has one shows it; the server keeps its SHA-256.
//!
//! They have 256 random bits, so a plain hash is enough: there is nothing to guess, and nothing to slow down.

use sha2::{Digest as _, Sha256};

/// Random bytes of a secret.
const BYTES: usize = 32;

/// What is kept of a secret.
pub(crate) type Digest = [u8; 32];

/// A secret, as it is shown once: 64 hexadecimal digits. It has no `Debug`, so that no log can hold it.
pub(crate) struct Secret(String);

/// The operating system has no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random numbers")]
pub(crate) struct NoRandomness;

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        Ok(Self(hex(&random::<BYTES>()?)))
    }

    /// Its text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> Digest {
        digest(&self.0)
    }
}

/// What is kept of a secret that somebody shows; of anything else too.
pub(crate) fn digest(shown: &str) -> Digest {
    Sha256::digest(shown.as_bytes()).into()
}

/// Random bytes.
///
/// # Errors
/// When the system has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_bits_and_its_digest_knows_it() {
        let (one, other) = (Secret::new().unwrap(), Secret::new().unwrap());
        assert_eq!(one.expose().len(), 2 * BYTES);
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.digest(), digest(one.expose()));
        assert_ne!(one.digest(), other.digest());
    }
}
