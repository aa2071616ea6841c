//! User and password of a camera, given apart from its address: what may be said of them, and when kept ones stay.
//!
//! Kept ones stay with the server that they were given for. A source of another server needs them again: whoever may
//! change a stream must not be able to have a password sent to a server of their own.

use actix_web::http::StatusCode;
use kinora_rtsp::Address;

use crate::accounts::{CameraLogin, PrivateSource};
use crate::http::problem::ApiError;

/// Characters of the longest user name and password.
const LONGEST: usize = 1_024;

/// What a body says of user and password.
pub(super) enum Said {
    /// Neither field is there.
    Nothing,
    /// There is none: the user's name is empty.
    Without,
    /// These.
    Login(CameraLogin),
}

impl Said {
    /// Reads the fields of a body.
    ///
    /// # Errors
    /// 400 `invalid_login` for one without the other, and for one that is too long.
    pub(super) fn of(username: Option<String>, password: Option<String>) -> Result<Self, ApiError> {
        let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > LONGEST);
        if too_long(&username) || too_long(&password) {
            return Err(invalid("username and password have at most 1024 bytes."));
        }
        match (username, password) {
            (None, None) => Ok(Self::Nothing),
            (Some(username), password)
                if username.is_empty() && password.as_deref().is_none_or(str::is_empty) =>
            {
                Ok(Self::Without)
            }
            (Some(username), Some(password)) if !username.is_empty() => {
                Ok(Self::Login(CameraLogin { username, password }))
            }
            (Some(_), None) => Err(invalid("username needs a password; an empty one is \"\".")),
            _ => Err(invalid("password needs a username.")),
        }
    }

    /// The source of a new stream.
    ///
    /// # Errors
    /// 400 `invalid_login` where a login would do nothing, or is given twice.
    pub(super) fn with(self, address: String) -> Result<PrivateSource, ApiError> {
        let login = match self {
            Self::Nothing | Self::Without => None,
            Self::Login(login) => Some(login),
        };
        if login.is_some() {
            match camera(&address) {
                None => {
                    let detail = "username and password are for cameras: rtsp:// and rtsps:// sources. Others take \
                                  them in their address.";
                    return Err(invalid(detail));
                }
                Some(camera) if camera.credentials().is_some() => {
                    let detail = "User and password are given twice. Send the source without them, or username and \
                                  password not at all.";
                    return Err(invalid(detail));
                }
                Some(_) => {}
            }
        }
        Ok(PrivateSource { address, login })
    }

    /// The source of a stream that had `old`; `address` is a new one.
    ///
    /// # Errors
    /// As [`Said::with`]; 422 `login_needed` for a kept login that the new address must not get.
    pub(super) fn after(
        self,
        old: PrivateSource,
        address: Option<String>,
    ) -> Result<PrivateSource, ApiError> {
        match (self, address) {
            (Self::Nothing, None) => Ok(old),
            (Self::Nothing, Some(address)) => {
                let login = kept(&old, &address)?;
                Ok(PrivateSource { address, login })
            }
            (said, address) => said.with(address.unwrap_or(old.address)),
        }
    }
}

/// The login that stays when the address changes. One that is no camera's, or that has credentials of its own, has no
/// use for it.
fn kept(old: &PrivateSource, address: &str) -> Result<Option<CameraLogin>, ApiError> {
    let Some(login) = &old.login else { return Ok(None) };
    match camera(address) {
        None => Ok(None),
        Some(new) if new.credentials().is_some() => Ok(None),
        Some(new) if camera(&old.address).is_some_and(|old| old.is_same_server(&new)) => {
            Ok(Some(login.clone()))
        }
        Some(_) => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "login_needed",
            "The source is another server: send username and password too, or an empty username for none.",
        )),
    }
}

fn camera(address: &str) -> Option<Address> {
    Address::is_meant_by(address).then(|| Address::parse(address).ok()).flatten()
}

const fn invalid(detail: &'static str) -> ApiError {
    ApiError::bad_request("invalid_login", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> CameraLogin {
        CameraLogin { username: "viewer".to_owned(), password: "s3:cret@#".to_owned() }
    }

    fn said(username: Option<&str>, password: Option<&str>) -> Result<Said, ApiError> {
        Said::of(username.map(str::to_owned), password.map(str::to_owned))
    }

    /// Whether the login stays with a stream whose address changes.
    fn stays(from: &str, to: &str) -> Option<bool> {
        let old = PrivateSource { address: from.to_owned(), login: Some(login()) };
        Said::Nothing.after(old, Some(to.to_owned())).ok().map(|source| source.login.is_some())
    }

    #[test]
    fn one_field_without_the_other_is_refused_and_an_empty_name_is_none() {
        assert!(matches!(said(None, None), Ok(Said::Nothing)));
        assert!(matches!(said(Some(""), None), Ok(Said::Without)));
        assert!(matches!(said(Some(""), Some("")), Ok(Said::Without)));
        assert!(matches!(said(Some("viewer"), Some("")), Ok(Said::Login(_))));
        for (username, password) in [(None, Some("x")), (Some("viewer"), None), (Some(""), Some("x"))] {
            assert!(said(username, password).is_err(), "{username:?} {password:?}");
        }
        assert!(said(Some("viewer"), Some(&"x".repeat(1_025))).is_err());
    }

    #[test]
    fn a_login_is_for_cameras_and_given_once() {
        let with = |address: &str| Said::Login(login()).with(address.to_owned()).is_ok();
        assert!(with("rtsp://camera/1") && with("RTSPS://camera/1"));
        for address in ["udp://0.0.0.0:5000", "https://camera/a.ts", "/a.mp4", "rtsp://user:x@camera/1"] {
            assert!(!with(address), "{address}");
        }
    }

    #[test]
    fn a_kept_login_stays_with_its_server() {
        assert_eq!(stays("rtsp://camera/1", "rtsp://CAMERA:554/2"), Some(true));
        assert_eq!(stays("rtsp://camera/1", "rtsp://user:other@elsewhere/1"), Some(false));
        assert_eq!(stays("rtsp://camera/1", "udp://0.0.0.0:5000"), Some(false));
        for to in ["rtsp://elsewhere/1", "rtsp://camera:8554/1", "rtsps://camera/1"] {
            assert!(stays("rtsp://camera/1", to).is_none(), "{to}");
        }
        assert!(stays("rtsps://camera:322/1", "rtsp://camera:322/1").is_none(), "nothing steps down");
    }

    #[test]
    fn what_is_said_replaces_what_was_kept() {
        let old = || PrivateSource { address: "rtsp://camera/1".to_owned(), login: Some(login()) };
        let other = || CameraLogin { username: "a".to_owned(), password: "b".to_owned() };
        let after = |said: Said, address: Option<&str>| {
            said.after(old(), address.map(str::to_owned)).ok().map(|source| (source.address, source.login))
        };
        let camera = "rtsp://camera/1".to_owned();
        assert!(after(Said::Nothing, None) == Some((camera.clone(), Some(login()))));
        assert!(after(Said::Without, None) == Some((camera.clone(), None)));
        assert!(after(Said::Login(other()), None) == Some((camera, Some(other()))));
        let elsewhere = "rtsp://elsewhere/1";
        assert!(after(Said::Without, Some(elsewhere)) == Some((elsewhere.to_owned(), None)));
        assert!(after(Said::Login(other()), Some(elsewhere)) == Some((elsewhere.to_owned(), Some(other()))));
    }
}
