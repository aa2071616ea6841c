//! Addresses of sources: parsed once, shown without their secrets.

use std::fmt;

use crate::error::{ErrorKind, MediaError};

mod device;
mod redact;
mod remote;

pub(crate) use device::Capture;

const ALLOWED: &str =
    "a file path, file:, rtsp://, rtsps://, udp://, tcp://, srt://, http://, https:// and device:";

/// Where video comes from. `Display` and `Debug` show it with `***` in place of user, password and tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    /// What FFmpeg is given.
    target: String,
    /// What a person is shown.
    shown: String,
    /// Host and port that have to be reached; none for files, devices and UDP, which only listens.
    remote: Option<(String, u16)>,
    /// What a device is asked for.
    capture: Capture,
}

/// The kind of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A file on this machine.
    File,
    /// MPEG-TS in datagrams sent to a port of this machine, or to a multicast group that it joins.
    Udp,
    /// A byte stream from a TCP server.
    Tcp,
    /// MPEG-TS by Secure Reliable Transport, called or (`?mode=listener`) waited for, if FFmpeg was built with it.
    Srt,
    /// A file or stream from a web server.
    Http,
    /// The same over TLS.
    Https,
    /// A capture device of this machine (Video4Linux), by its path.
    Device,
    /// Live bytes that somebody else receives.
    Received,
    /// A test picture that libavdevice makes (`device:lavfi:testsrc2=size=640x360:rate=30`).
    Synthetic,
}

impl Address {
    /// Reads an address: a local path, `file:`, `udp://`, `tcp://`, `srt://`, `http://`, `https://` or `device:`. Cameras
    /// (`rtsp://`) are not opened here; a client of its own receives them.
    ///
    /// A path that itself contains a colon before its first slash is written `./a:b.mp4` or `file:a:b.mp4`.
    ///
    /// # Errors
    /// `UnknownScheme`, `BadAddress`; the text lists what is allowed.
    pub fn parse(text: &str) -> Result<Self, MediaError> {
        if text.is_empty() || text.contains('\0') {
            return Err(bad(format!("an address is empty or holds a zero byte; allowed are {ALLOWED}")));
        }
        match split_scheme(text) {
            None => Ok(Self::file(text)),
            Some(("file", rest)) => Ok(Self::file(file_path(rest)?)),
            Some(("device", rest)) => device::parse(rest),
            Some((scheme, _)) => {
                let scheme = network_scheme(scheme).ok_or_else(|| {
                    let message = format!("the scheme `{scheme}:` is not allowed; allowed are {ALLOWED}");
                    MediaError::new(ErrorKind::UnknownScheme, message)
                })?;
                Self::network(scheme, text)
            }
        }
    }

    /// The address of a local path, whatever characters are in it.
    pub fn file(path: &str) -> Self {
        // With its protocol named, no path can be mistaken for another protocol.
        Self {
            scheme: Scheme::File,
            target: format!("file:{path}"),
            shown: path.to_owned(),
            remote: None,
            capture: Capture::default(),
        }
    }

    /// The name of a live stream whose bytes somebody else receives; nothing is opened by it. `shown` holds no secret.
    pub fn received(shown: &str) -> Self {
        Self {
            scheme: Scheme::Received,
            target: shown.to_owned(),
            shown: shown.to_owned(),
            remote: None,
            capture: Capture::default(),
        }
    }

    /// The kind of the address.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the source goes on by itself, so that a late reader loses pictures: all but files and HTTP.
    pub fn is_live(&self) -> bool {
        !matches!(self.scheme, Scheme::File | Scheme::Http | Scheme::Https)
    }

    /// The path of a local file.
    pub fn path(&self) -> Option<&str> {
        (self.scheme == Scheme::File).then_some(&*self.shown)
    }

    /// What FFmpeg opens.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The host and port that a connection will be made to.
    pub(crate) fn remote(&self) -> Option<(&str, u16)> {
        self.remote.as_ref().map(|(host, port)| (&**host, *port))
    }

    /// What a device is asked for.
    pub(crate) fn capture(&self) -> &Capture {
        &self.capture
    }

    /// A line of FFmpeg's own about this address, without what the address keeps secret. A text that shows the address
    /// already is none of FFmpeg's.
    pub(crate) fn clean(&self, line: &str) -> String {
        match self.scheme {
            Scheme::File | Scheme::Device => line.replace(&self.target, &self.shown),
            // The target is a word like `color`, which may mean anything.
            Scheme::Synthetic | Scheme::Received => line.to_owned(),
            _ => redact::text(line, &self.target, &self.shown),
        }
    }

    fn network(scheme: Scheme, text: &str) -> Result<Self, MediaError> {
        let rest =
            text.strip_prefix(name(scheme)).and_then(|rest| rest.strip_prefix("://")).ok_or_else(|| {
                // What follows the scheme is not repeated: it may begin with a password.
                let scheme = name(scheme);
                bad(format!("`{scheme}:` must be followed by //, as in {scheme}://camera.example/stream1"))
            })?;
        let shown = redact::address(name(scheme), rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // No part of the address is repeated here: a misplaced password would be in it.
        let (host, port) = split_port(host_port).ok_or_else(|| {
            let hint = "the port is not a number from 1 to 65535 (write / : @ in a password as %2F %3A %40)";
            bad(format!("a {} address is malformed: {hint}", name(scheme)))
        })?;
        let port = port.or(default_port(scheme)).ok_or_else(|| {
            bad(format!("`{shown}`: a port is needed, as in {}://127.0.0.1:5000", name(scheme)))
        })?;
        if host.is_empty() && scheme != Scheme::Udp {
            return Err(bad(format!("`{shown}`: a host is needed, as in {}://host/", name(scheme))));
        }
        let remote = (scheme != Scheme::Udp).then(|| (host.trim_matches(['[', ']']).to_owned(), port));
        Ok(Self { scheme, target: text.to_owned(), shown, remote, capture: Capture::default() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?})", self.shown)
    }
}

fn bad(message: String) -> MediaError {
    MediaError::new(ErrorKind::BadAddress, message)
}

/// (scheme, rest) of a text that begins with two or more letters and a colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let well_formed = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-_".contains(c));
    // `holiday.mp4:` and such are names, not schemes; `holiday.mp4://` would be neither.
    (well_formed && (!scheme.contains('.') || rest.starts_with("//"))).then_some((scheme, rest))
}

/// The path of `file:rest`: `/a`, `a`, `///a` or `//localhost/a`.
fn file_path(rest: &str) -> Result<&str, MediaError> {
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    if path.is_empty() || (rest.starts_with("//") && !path.starts_with('/')) {
        return Err(bad(format!(
            "`file:{rest}`: a path on this machine is needed, file:///clip.mp4 for example"
        )));
    }
    Ok(path)
}

fn network_scheme(text: &str) -> Option<Scheme> {
    [Scheme::Udp, Scheme::Tcp, Scheme::Srt, Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|&scheme| name(scheme) == text)
}

fn name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::File => "file",
        Scheme::Udp => "udp",
        Scheme::Tcp => "tcp",
        Scheme::Srt => "srt",
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::Device | Scheme::Synthetic => "device",
        Scheme::Received => "received",
    }
}

fn default_port(scheme: Scheme) -> Option<u16> {
    match scheme {
        Scheme::Http => Some(80),
        Scheme::Https => Some(443),
        _ => None,
    }
}

/// (host, port) of `host`, `host:1`, `[::1]` or `[::1]:1`; `None` when the port is not one.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after_host = text.rfind(']').map_or(0, |end| end + 1);
    match text[after_host..].split_once(':') {
        None => Some((text, None)),
        Some((host, port)) => {
            let port = port.parse().ok().filter(|&port| port > 0)?;
            Some((&text[..after_host + host.len()], Some(port)))
        }
    }
}

#[cfg(test)]
mod tests;
