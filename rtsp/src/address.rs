//! Addresses of cameras, and what a description's `control` attributes make of them.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::auth::Credentials;
use crate::error::{Error, ErrorKind};

/// `rtsp://host[:port]/path` or `rtsps://`; `Display` and `Debug` show neither credentials nor the query, which may hold some.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    host: String,
    port: u16,
    /// Path and query as they were given.
    resource: String,
    credentials: Option<Credentials>,
}

impl Address {
    /// Whether a text is meant to be such an address: it begins with `rtsp:` or `rtsps:`.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        let scheme = text.trim().split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("rtsp" | "rtsps"))
    }

    /// Reads an address. User and password may be in it, percent-encoded where they hold `/ ? #`.
    ///
    /// # Errors
    /// `Invalid`; the message does not repeat what may be a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid =
            |why: &str| Error::new(ErrorKind::Invalid, format!("an RTSP address is malformed: {why}"));
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(|| invalid("it has no ://"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "rtsp" => false,
            "rtsps" => true,
            _ => return Err(invalid("it begins with neither rtsp:// nor rtsps://")),
        };
        if rest.contains(char::is_control) {
            return Err(invalid("it holds a control character"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        let (user, host_port) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
        let (host, port) = split_port(host_port).ok_or_else(|| {
            invalid("the port is not a number from 1 to 65535 (write / ? # in a password as %2F %3F %23)")
        })?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(invalid("it has no host"));
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: port.unwrap_or(if secure { 322 } else { 554 }),
            resource: resource.replace(' ', "%20"),
            credentials: user.map(credentials),
        })
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Name or number of the host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: 554, or 322 for `rtsps:`, when none is given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The credentials that were written into it.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// What requests name: the address without credentials.
    pub(crate) fn uri(&self) -> String {
        format!("{}{}", self.origin(), self.resource)
    }

    fn origin(&self) -> String {
        let (scheme, default) = if self.secure { ("rtsps", 322) } else { ("rtsp", 554) };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            port if port == default => format!("{scheme}://{host}"),
            port => format!("{scheme}://{host}:{port}"),
        }
    }

    /// Whether credentials for this address may be sent to `other`: the same host, and no step down from encryption.
    pub(crate) fn trusts(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && (other.secure || !self.secure)
    }

    /// Whether both mean one server: host, port and encryption are the same.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        let same_host = self.host.eq_ignore_ascii_case(&other.host);
        same_host && (self.port, self.secure) == (other.port, other.secure)
    }

    /// The address that a redirect names: absolute, or a path on the same server.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, Error> {
        match location.trim() {
            path if path.starts_with('/') && path.contains(char::is_control) => {
                Err(Error::protocol("the path holds a control character"))
            }
            path if path.starts_with('/') => Ok(Self { resource: path.to_owned(), ..self.clone() }),
            absolute => Self::parse(absolute),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = if self.credentials.is_some() { "***@" } else { "" };
        let (scheme, rest) = (if self.secure { "rtsps://" } else { "rtsp://" }, self.origin());
        let authority = rest.strip_prefix(scheme).unwrap_or(&rest);
        match self.resource.split_once('?') {
            Some((path, _)) => write!(f, "{scheme}{secret}{authority}{path}?***"),
            None => write!(f, "{scheme}{secret}{authority}{}", self.resource),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// The URI of a `control` attribute (RFC 2326, section C.1.1): absolute, `*` for the base, or appended to the base.
///
/// Appended as text, with one slash between: cameras put tracks behind a query, which URI resolution would cut off.
pub(crate) fn control(base: &str, control: &str) -> String {
    match control.trim() {
        "" | "*" => base.to_owned(),
        absolute if is_rtsp(absolute) => absolute.to_owned(),
        relative => format!("{}/{}", base.trim_end_matches('/'), relative.trim_start_matches('/')),
    }
}

/// Whether the text begins as an absolute RTSP address.
pub(crate) fn is_rtsp(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("rtsp" | "rtsps" | "rtspu"))
}

fn credentials(user: &str) -> Credentials {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Credentials::new(decoded(name), decoded(password))
}

/// (host, port) of `host`, `host:1`, `[::1]` or `[::1]:1`; `None` when the port is not one.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    match rest.strip_prefix(':') {
        None | Some("") => Some((host, None)),
        Some(port) => port.parse().ok().filter(|&port| port > 0).map(|port| (host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_taken_apart() {
        let address = parse("rtsp://us%40er:p%3Aa%2F%25%23:x@[::1]:8554/live?channel=1&password=y");
        assert_eq!((address.host(), address.port(), address.is_secure()), ("::1", 8554, false));
        assert_eq!(address.credentials(), Some(&Credentials::new("us@er", "p:a/%#:x")));
        assert_eq!(address.uri(), "rtsp://[::1]:8554/live?channel=1&password=y");
        assert_eq!(address.to_string(), "rtsp://***@[::1]:8554/live?***");
        assert_eq!(parse("rtsp://h").port(), 554);
        assert_eq!(
            (parse("RTSPS://h/a b").port(), parse("rtsps://h/a b").uri()),
            (322, "rtsps://h/a%20b".to_owned())
        );
    }

    #[test]
    fn what_is_meant_for_a_camera_is_told_from_other_sources() {
        for text in ["rtsp://h/x", " RTSPS://h", "rtsp:h"] {
            assert!(Address::is_meant_by(text), "{text}");
        }
        for text in ["/rtsp://h", "http://h/rtsp://x", "rtsp", "udp://0.0.0.0:5000"] {
            assert!(!Address::is_meant_by(text), "{text}");
        }
    }

    #[test]
    fn a_raw_at_sign_or_percent_sign_in_a_password_is_read() {
        let address = parse("rtsp://viewer:a@b%zz@host/x");
        assert_eq!(
            (address.host(), address.credentials()),
            ("host", Some(&Credentials::new("viewer", "a@b%zz")))
        );
    }

    #[test]
    fn malformed_addresses_are_refused_without_being_shown() {
        for text in
            ["http://h/", "rtsp:h", "rtsp://u:hunter2@/", "rtsp://u:hunter2/x@h/", "rtsp://u:hunter2@h/\r\nx"]
        {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_redirect_to_a_path_with_a_control_character_is_refused() {
        let error = parse("rtsp://h/a").redirected("/b\0c").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }

    #[test]
    fn control_attributes_are_appended_or_taken_whole() {
        let base = "rtsp://h/cam?channel=1/";
        assert_eq!(control(base, "trackID=1"), "rtsp://h/cam?channel=1/trackID=1");
        assert_eq!(control("rtsp://h/cam", "/trackID=1"), "rtsp://h/cam/trackID=1");
        assert_eq!(control(base, " * "), base);
        assert_eq!(control(base, "rtsp://10.0.0.1/x/track1 "), "rtsp://10.0.0.1/x/track1");
    }

    #[test]
    fn credentials_follow_a_redirect_on_the_same_host_only() {
        let from = parse("rtsp://Host:554/a");
        assert!(from.trusts(&from.redirected("rtsp://host:8554/b").unwrap()));
        assert!(from.trusts(&from.redirected("/b").unwrap()));
        assert!(from.trusts(&from.redirected("rtsps://host/b").unwrap()));
        assert!(!from.trusts(&from.redirected("rtsp://other/b").unwrap()));
        assert!(!parse("rtsps://host/a").trusts(&parse("rtsp://host/a")));
    }
}
