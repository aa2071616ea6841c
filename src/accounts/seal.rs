//! Seals what has to come back: addresses with their passwords, in the database.
//!
//! XChaCha20-Poly1305: its nonce of 24 bytes is random each time, so that none is used twice. The name of the
//! stream goes into the seal: a sealed address that was copied to another row does not open there.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::secret::{self, NoRandomness};

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of a nonce, which is in front of what is sealed.
const NONCE_BYTES: usize = 24;

/// Seals and opens with one key.
pub(crate) struct Sealer(XChaCha20Poly1305);

/// It was sealed with another key, for another name, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was sealed cannot be opened with this key")]
pub(crate) struct Unsealable;

impl Sealer {
    /// With the bytes of a key.
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Seals a text for a name.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn seal(&self, name: &str, text: &str) -> Result<Vec<u8>, NoRandomness> {
        let nonce = secret::random::<NONCE_BYTES>()?;
        let payload = Payload { msg: text.as_bytes(), aad: name.as_bytes() };
        // The cipher refuses only what is longer than 256 GB.
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|_| NoRandomness)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for the same name.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<String, Unsealable> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Unsealable)?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        let text = self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| Unsealable)?;
        String::from_utf8(text).map_err(|_| Unsealable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_name_open_what_was_not_changed() {
        let sealer = Sealer::new(&[7; KEY_BYTES]);
        let source = "rtsp://user:hunter2@camera/1";
        let mut sealed = sealer.seal("door", source).unwrap();
        assert_ne!(sealed, sealer.seal("door", source).unwrap(), "the nonce is never the same");
        assert!(!String::from_utf8_lossy(&sealed).contains("hunter2"));
        assert_eq!(sealer.open("door", &sealed).as_deref(), Ok(source));
        assert_eq!(sealer.open("garage", &sealed), Err(Unsealable));
        assert_eq!(Sealer::new(&[8; KEY_BYTES]).open("door", &sealed), Err(Unsealable));
        sealed[30] ^= 1;
        assert_eq!(sealer.open("door", &sealed), Err(Unsealable));
        assert_eq!(sealer.open("door", b"short"), Err(Unsealable));
    }
}
