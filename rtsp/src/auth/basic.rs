//! Basic (RFC 7617): the password itself, in base64. Only for a policy that allows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Credentials, Strategy};
use crate::error::{Error, ErrorKind};

/// Sends name and password with each request.
pub(crate) struct Basic {
    header: String,
}

impl Basic {
    /// # Errors
    /// `Invalid` for a name with a colon, which Basic cannot express.
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, Error> {
        if credentials.username().contains(':') {
            let message =
                "a user name with a colon cannot be sent in Basic; use a camera's Digest or another name";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let pair = format!("{}:{}", credentials.username(), credentials.password());
        Ok(Self { header: format!("Basic {}", STANDARD.encode(pair)) })
    }
}

impl Strategy for Basic {
    fn authorize(&mut self, _method: &str, _uri: &str) -> Result<String, Error> {
        Ok(self.header.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(username: &str, password: &str) -> String {
        Basic::new(&Credentials::new(username, password)).unwrap().authorize("DESCRIBE", "rtsp://h/").unwrap()
    }

    #[test]
    fn the_example_of_rfc_2617_is_reproduced() {
        assert_eq!(sent("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn the_example_of_rfc_7617_in_utf_8_is_reproduced() {
        assert_eq!(sent("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
    }

    #[test]
    fn a_name_with_a_colon_is_refused_without_being_shown() {
        let error = Basic::new(&Credentials::new("us:er", "hunter2")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("us:er"));
    }
}
