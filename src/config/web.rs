//! What accounts, API and mail are told: the sections `[auth]`, `[http]` and `[mail]`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::layers::{LOCAL, Values};
use super::oidc::{self, Oidc};
use super::value::{Network, words};

/// Who may have an account.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    /// `off`, `invite` or `open`.
    pub(crate) signup: String,
    /// Life of an access token.
    pub(crate) access_token_lifetime: Duration,
    /// Life of a login.
    pub(crate) refresh_token_lifetime: Duration,
    /// Whether programs on this machine may sign in without a password.
    pub(crate) development_login: bool,
    /// The identity provider.
    pub(crate) oidc: Option<Oidc>,
}

/// What stands between the network and the API.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Pages of other addresses that may come.
    pub(crate) allowed_origins: Vec<String>,
    /// Proxies that are believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Folders whose files may be sources.
    pub(crate) source_folders: Vec<PathBuf>,
    /// Networks where no source may be.
    pub(crate) forbidden_networks: Vec<Network>,
    /// Limit of a body's arrival.
    pub(crate) body_timeout: Duration,
    /// Requests of one caller a minute.
    pub(crate) rate_limit: NonZeroU32,
    /// Requests of one caller a minute that cost much.
    pub(crate) rate_limit_heavy: NonZeroU32,
    /// Whether everybody may read `/metrics`.
    pub(crate) open_metrics: bool,
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// Host and port of the relay; `None`: mail is written to a folder.
    pub(crate) relay: Option<(String, u16)>,
    /// Who mail is from.
    pub(crate) from: String,
    /// The server's address for people.
    pub(crate) link: String,
}

/// The sections `[auth]` and `[auth.oidc]`; what is wrong between their keys goes to `errors`.
pub(super) fn auth(values: &Values, environment: &str, errors: &mut Vec<String>) -> Auth {
    let (local, development_login) = (environment == LOCAL, values.text("auth.development_login") == "on");
    if development_login && !local {
        errors.push(format!(
            "auth.development_login: on is not allowed in the environment {environment}; it is for {LOCAL} only"
        ));
    }
    Auth {
        development_login,
        oidc: oidc::read(values, local, errors),
        signup: values.text("auth.signup").into(),
        access_token_lifetime: values.duration("auth.access_token_lifetime"),
        refresh_token_lifetime: values.duration("auth.refresh_token_lifetime"),
    }
}

/// The `[http]` section.
pub(super) fn http(values: &Values) -> Http {
    let at_least_one =
        |name: &str| NonZeroU32::new(values.count(name)).expect("the table of keys should demand at least 1");
    Http {
        allowed_origins: words(values.text("http.allowed_origins")).map(str::to_owned).collect(),
        trusted_proxies: words(values.text("http.trusted_proxies")).filter_map(Network::parse).collect(),
        source_folders: words(values.text("http.source_folders")).map(PathBuf::from).collect(),
        forbidden_networks: words(values.text("http.forbidden_networks"))
            .filter_map(Network::parse)
            .collect(),
        body_timeout: values.duration("http.body_timeout"),
        rate_limit: at_least_one("http.rate_limit"),
        rate_limit_heavy: at_least_one("http.rate_limit_heavy"),
        open_metrics: values.text("http.metrics") == "open",
    }
}

/// The `[mail]` section.
pub(super) fn mail(values: &Values) -> Mail {
    let port = u16::try_from(values.count("mail.smtp_port")).expect("the table of keys should bound ports");
    let relay = (values.text("mail.smtp_host").to_owned(), port);
    Mail {
        relay: Some(relay).filter(|_| values.text("mail.transport") == "smtp"),
        from: values.text("mail.from").into(),
        link: values.text("mail.link").trim_end_matches('/').to_owned(),
    }
}
