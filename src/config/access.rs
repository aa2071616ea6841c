//! How cameras are asked: which authentication, whose name, whom to trust.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use kinora_rtsp::{AuthPolicy, Credentials, Trust};

use super::layers::Values;
use super::value::Network;

/// What a text means that is not set.
const NONE: &str = "none";

/// How a source is asked. `Debug` shows no credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Which ways to authenticate may be used.
    pub(crate) auth: AuthPolicy,
    /// Instead of those in the address.
    pub(crate) credentials: Option<Credentials>,
    /// Whom an encrypted connection trusts.
    pub(crate) trust: Trust,
    /// Networks that nothing may lead into: no name, and no redirect.
    pub(crate) forbidden: Arc<[Network]>,
}

/// The keys as they are written; `none` and the defaults are nothing.
#[derive(Clone, Copy)]
pub(crate) struct AccessKeys<'a> {
    /// `auto`, `basic` or `digest`.
    pub(crate) auth: &'a str,
    /// User at the camera.
    pub(crate) username: &'a str,
    /// Path of a file with the password.
    pub(crate) password_file: &'a str,
    /// `system`, `anybody` or the path of a file.
    pub(crate) trust: &'a str,
}

/// Which key is wrong, and why; without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessError {
    /// Its name in a configuration.
    pub(crate) key: &'static str,
    /// A sentence without the key.
    pub(crate) why: String,
}

impl std::fmt::Display for AccessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

impl AccessKeys<'_> {
    /// The first key that says something.
    fn given(&self) -> Option<&'static str> {
        let said = [
            ("auth", self.auth != "auto"),
            ("username", self.username != NONE),
            ("password_file", self.password_file != NONE),
            ("trust", self.trust != "system"),
        ];
        said.into_iter().find_map(|(key, is_said)| is_said.then_some(key))
    }
}

impl Access {
    /// How `source` is asked. Reads the password's file.
    ///
    /// # Errors
    /// For a key with a wrong value, and for any key where the source is no camera: it would do nothing.
    pub(crate) fn to(source: &str, keys: AccessKeys<'_>) -> Result<Self, AccessError> {
        let wrong = |key, why: String| AccessError { key, why };
        if let Some(key) = keys.given().filter(|_| !kinora_rtsp::Address::is_meant_by(source)) {
            let why = "only cameras are asked by it, and the source is none; it is allowed with rtsp:// and rtsps:// \
                       (other sources take user and password in their address)";
            return Err(wrong(key, why.to_owned()));
        }
        let credentials = match (keys.username, keys.password_file) {
            (NONE, NONE) => None,
            (NONE, _) => return Err(wrong("password_file", "it needs a username".to_owned())),
            (username, NONE) => Some(Credentials::new(username, "")),
            (username, file) => {
                let password = first_line(Path::new(file)).map_err(|why| wrong("password_file", why))?;
                Some(Credentials::new(username, password))
            }
        };
        let auth = keys.auth.parse().map_err(|error: kinora_rtsp::Error| wrong("auth", error.to_string()))?;
        let trust = match keys.trust {
            "system" => Trust::System,
            "anybody" => Trust::Anybody,
            file => Trust::File(file.into()),
        };
        Ok(Self { auth, credentials, trust, forbidden: Arc::default() })
    }

    /// Of a source that came over HTTP: nothing leads into these networks.
    pub(crate) fn outside(forbidden: &[Network]) -> Self {
        Self { forbidden: forbidden.into(), ..Self::default() }
    }

    /// Where a camera may be.
    pub(crate) fn camera_reach(&self) -> kinora_rtsp::Reach {
        self.judge().map(kinora_rtsp::Reach::only).unwrap_or_default()
    }

    /// Where a source may be that FFmpeg connects to.
    pub(crate) fn media_reach(&self) -> kinora_media::Reach {
        self.judge().map(kinora_media::Reach::only).unwrap_or_default()
    }

    /// Who says which hosts may be connected to, where some may not.
    fn judge(&self) -> Option<impl Fn(IpAddr) -> bool + Send + Sync + 'static> {
        let forbidden = Arc::clone(&self.forbidden);
        let is_forbidden = move |host| forbidden.iter().any(|network| network.contains(host));
        (!self.forbidden.is_empty()).then_some(move |host| !is_forbidden(meant(host)))
    }

    /// From the keys of a stream.
    ///
    /// # Errors
    /// As [`Access::to`], with the stream's name.
    pub(super) fn of_stream(values: &Values) -> Result<Self, String> {
        let text = |name| values.text(name);
        let keys = AccessKeys {
            auth: text("auth"),
            username: text("username"),
            password_file: text("password_file"),
            trust: text("trust"),
        };
        Self::to(text("source"), keys).map_err(|error| format!("stream {}: {error}", text("name")))
    }
}

/// Whom a connection to this number reaches: the system takes "any" for this machine.
fn meant(host: IpAddr) -> IpAddr {
    match host.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        host => host,
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

    const CAMERA: &str = "rtsp://192.0.2.7/1";

    fn keys<'a>(auth: &'a str, username: &'a str, password_file: &'a str, trust: &'a str) -> AccessKeys<'a> {
        AccessKeys { auth, username, password_file, trust }
    }

    #[test]
    fn a_password_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "p@ss: w/ö rd#\nmore\n").unwrap();
        let access = Access::to(CAMERA, keys("digest", "viewer", file.to_str().unwrap(), "anybody")).unwrap();
        assert_eq!(access.credentials, Some(Credentials::new("viewer", "p@ss: w/ö rd#")));
        assert_eq!((access.auth, &access.trust), (AuthPolicy::Digest, &Trust::Anybody));
        assert!(!format!("{access:?}").contains("p@ss"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |keys| Access::to(CAMERA, keys).unwrap_err().to_string();
        let missing = wrong(keys("auto", "viewer", "/nonexistent/password", "system"));
        assert!(missing.starts_with("password_file: /nonexistent/password cannot be read"), "{missing}");
        let nobody = wrong(keys("auto", "none", "/etc/hostname", "system"));
        assert_eq!(nobody, "password_file: it needs a username");
        assert!(wrong(keys("md5", "none", "none", "system")).starts_with("auth: `md5`"));
    }

    #[test]
    fn nothing_leads_into_a_forbidden_network_whatever_form_its_number_has() {
        let forbidden = ["127.0.0.0/8", "169.254.0.0/16"].map(|text| Network::parse(text).unwrap());
        let reach = Access::outside(&forbidden).media_reach();
        for (number, allowed) in [
            ("192.0.2.7", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("0.0.0.0", false),
            ("::ffff:0.0.0.0", false),
        ] {
            assert_eq!(reach.allows(number.parse().unwrap()), allowed, "{number}");
        }
        assert!(!Access::outside(&[]).media_reach().is_limited(), "where nothing is forbidden all is free");
    }

    #[test]
    fn a_key_that_would_do_nothing_is_refused() {
        for (key, keys) in [
            ("auth", keys("digest", "none", "none", "system")),
            ("username", keys("auto", "viewer", "none", "system")),
            ("password_file", keys("auto", "none", "/etc/hostname", "system")),
            ("trust", keys("auto", "none", "none", "anybody")),
        ] {
            for source in
                ["clip.mp4", "udp://0.0.0.0:5000", "https://host/a.ts", "device:/dev/video0", "dancer:"]
            {
                let error = Access::to(source, keys).unwrap_err();
                assert_eq!(error.key, key, "{source}");
                assert!(error.why.contains("rtsp:// and rtsps://"), "{error}");
            }
        }
        assert!(Access::to("clip.mp4", keys("auto", "none", "none", "system")).is_ok());
    }
}
