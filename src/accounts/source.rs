//! The source of a stream as it is sealed: its address, and user and password where they were given apart from it.
//!
//! They are sealed together, so that no change of one can meet an older state of the other.

use serde::{Deserialize, Serialize};

use super::seal::{Sealer, Unsealable};
use super::secret::NoRandomness;

/// Begins what is more than an address: none holds this character.
const APART: char = '\0';

/// An address, credentials included. Neither `Debug` nor `Display`: it is for those who open the source.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PrivateSource {
    /// As it was given.
    pub(crate) address: String,
    /// Given apart from it.
    pub(crate) login: Option<CameraLogin>,
}

/// A user at a camera, of any characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CameraLogin {
    /// Who.
    pub(crate) username: String,
    /// Their password.
    pub(crate) password: String,
}

impl PrivateSource {
    /// Seals it for a stream.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn seal(&self, stream: &str, sealer: &Sealer) -> Result<Vec<u8>, NoRandomness> {
        let text = match &self.login {
            None => self.address.clone(),
            Some(_) => {
                let fields = serde_json::to_string(self).expect("a source should have only string keys");
                format!("{APART}{fields}")
            }
        };
        sealer.seal(stream, &text)
    }

    /// Opens what was sealed for the same stream.
    ///
    /// # Errors
    /// When it was not, or not by this program.
    pub(crate) fn open(stream: &str, sealed: &[u8], sealer: &Sealer) -> Result<Self, Unsealable> {
        let text = sealer.open(stream, sealed)?;
        match text.strip_prefix(APART) {
            None => Ok(Self { address: text, login: None }),
            Some(fields) => serde_json::from_str(fields).map_err(|_| Unsealable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::KEY_BYTES;

    #[test]
    fn an_address_and_any_login_come_back_and_are_not_to_be_read_before() {
        let sealer = Sealer::new(&[7; KEY_BYTES]);
        let login = CameraLogin { username: "vie:wer".to_owned(), password: "p@ss/%#\0\"ö \n".to_owned() };
        for login in [None, Some(login)] {
            let source = PrivateSource { address: "rtsp://camera/{1}".to_owned(), login };
            let sealed = source.seal("door", &sealer).unwrap();
            assert!(!String::from_utf8_lossy(&sealed).contains("p@ss"));
            assert!(PrivateSource::open("door", &sealed, &sealer).is_ok_and(|opened| opened == source));
            assert!(PrivateSource::open("garage", &sealed, &sealer).is_err());
        }
    }

    #[test]
    fn an_address_that_was_sealed_before_there_were_logins_is_read() {
        let sealer = Sealer::new(&[7; KEY_BYTES]);
        let sealed = sealer.seal("door", "rtsp://user:hunter2@camera/1").unwrap();
        let opened = PrivateSource::open("door", &sealed, &sealer).ok().unwrap();
        assert!(opened.address == "rtsp://user:hunter2@camera/1" && opened.login.is_none());
    }
}
