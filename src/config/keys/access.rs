//! Keys of what the network sees: agents' connections, accounts, the API, mail.

use super::Key;
use crate::config::value::Kind;

/// In the order of the shipped file.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "websocket.max_per_user",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "16",
        doc: "Connections of one user.",
    },
    Key {
        name: "websocket.max_total",
        kind: Kind::Integer { min: 1, max: 100_000 },
        default: "256",
        doc: "Connections of all users.",
    },
    Key {
        name: "websocket.queue_events",
        kind: Kind::Integer { min: 16, max: 1_000_000 },
        default: "1024",
        doc: "Events that may wait for a slow agent before they become a gap.",
    },
    Key {
        name: "websocket.ping_every",
        kind: Kind::Duration { min_ms: 100, max_ms: 600_000 },
        default: "30s",
        doc: "From ping to ping; an agent that missed two pongs is ended at the third.",
    },
    Key {
        name: "websocket.stall_after",
        kind: Kind::Duration { min_ms: 100, max_ms: 600_000 },
        default: "15s",
        doc: "An agent that reads nothing for so long, while events wait for it, is ended with 4408.",
    },
    Key {
        name: "auth.signup",
        kind: Kind::Choice(&["off", "invite", "open"]),
        default: "off",
        doc: "Who may make an account at /signup: nobody, who was invited, everybody (as a viewer).",
    },
    Key {
        name: "auth.access_token_lifetime",
        kind: Kind::Duration { min_ms: 60_000, max_ms: 86_400_000 },
        default: "15m",
        doc: "How long an access token is good; a login is kept by refresh tokens.",
    },
    Key {
        name: "auth.refresh_token_lifetime",
        kind: Kind::Duration { min_ms: 3_600_000, max_ms: 31_536_000_000 },
        default: "30d",
        doc: "How long a login is kept at most.",
    },
    Key {
        name: "auth.development_login",
        kind: Kind::Choice(&["off", "on"]),
        default: "off",
        doc: "Whether programs on this machine may sign in as any role without a password; an error outside the environment local.",
    },
    Key {
        name: "auth.oidc.issuer",
        kind: Kind::Text,
        default: "none",
        doc: "Address of the identity provider, such as https://login.microsoftonline.com/<tenant>/v2.0; none: there is none.",
    },
    Key {
        name: "auth.oidc.client_id",
        kind: Kind::Text,
        default: "none",
        doc: "What the identity provider calls this server.",
    },
    Key {
        name: "auth.oidc.client_secret",
        kind: Kind::Text,
        default: "none",
        doc: "This server's password there; better in KINORA__AUTH__OIDC__CLIENT_SECRET or in a file than here.",
    },
    Key {
        name: "auth.oidc.client_secret_file",
        kind: Kind::Text,
        default: "none",
        doc: "File whose first line is that password.",
    },
    Key {
        name: "auth.oidc.scopes",
        kind: Kind::Text,
        default: "openid profile email",
        doc: "What is asked for, with blanks between; openid has to be among it.",
    },
    Key {
        name: "auth.oidc.redirect_url",
        kind: Kind::Text,
        default: "auto",
        doc: "Where the identity provider sends people back; auto is mail.link with /api/v1/auth/oidc/callback behind it.",
    },
    Key {
        name: "auth.oidc.roles_claim",
        kind: Kind::Text,
        default: "roles",
        doc: "The claim that is looked at for roles, such as roles or groups.",
    },
    Key {
        name: "auth.oidc.role_mapping",
        kind: Kind::Text,
        default: "none",
        doc: "Which value of that claim gives which role, such as Kinora.Admins=admin, with blanks between; applied at each login.",
    },
    Key {
        name: "auth.oidc.default_role",
        kind: Kind::Text,
        default: "viewer",
        doc: "The role of who is given none by the mapping; none: they may not come in.",
    },
    Key {
        name: "auth.oidc.login_lifetime",
        kind: Kind::Duration { min_ms: 300_000, max_ms: 2_592_000_000 },
        default: "12h",
        doc: "How long such a login is kept; then the identity provider is asked again, so that who left cannot sign in again.",
    },
    Key {
        name: "http.allowed_origins",
        kind: Kind::Origins,
        default: "none",
        doc: "Pages of other addresses that may use API and WebSocket; a page of the server's own address always may.",
    },
    Key {
        name: "http.trusted_proxies",
        kind: Kind::Networks,
        default: "none",
        doc: "Proxies in front of the server: what they say in X-Forwarded-For is believed.",
    },
    Key {
        name: "http.source_folders",
        kind: Kind::Text,
        default: "none",
        doc: "Folders, with blanks between, whose files may be sources of streams that are made over HTTP; none is no file.",
    },
    Key {
        name: "http.forbidden_networks",
        kind: Kind::Networks,
        default: "169.254.0.0/16 fe80::/10 fd00:ec2::254",
        doc: "Networks where no source of a stream that is made over HTTP may be; by default those of cloud metadata.",
    },
    Key {
        name: "http.body_timeout",
        kind: Kind::Duration { min_ms: 1_000, max_ms: 600_000 },
        default: "30s",
        doc: "How long the body of a request may take to arrive.",
    },
    Key {
        name: "http.rate_limit",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: "100",
        doc: "Requests of one caller a minute.",
    },
    Key {
        name: "http.rate_limit_heavy",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: "10",
        doc: "Requests of one caller a minute that cost much: logins, sign-ups, resets, trying a source, exports.",
    },
    Key {
        name: "http.metrics",
        kind: Kind::Choice(&["open", "operators"]),
        default: "open",
        doc: "Who may read /metrics.",
    },
    Key {
        name: "mail.transport",
        kind: Kind::Choice(&["folder", "smtp"]),
        default: "folder",
        doc: "folder: mail is written to the folder mail in the data directory, for development; smtp: it is sent.",
    },
    Key {
        name: "mail.smtp_host",
        kind: Kind::Text,
        default: "127.0.0.1",
        doc: "The mail relay; it is spoken to without TLS, so it is on this machine or in a private network.",
    },
    Key {
        name: "mail.smtp_port",
        kind: Kind::Integer { min: 1, max: 65_535 },
        default: "25",
        doc: "Its port.",
    },
    Key {
        name: "mail.from",
        kind: Kind::Text,
        default: "Kinora <kinora@localhost>",
        doc: "Who mail is from.",
    },
    Key {
        name: "mail.link",
        kind: Kind::Text,
        default: "http://127.0.0.1:8080",
        doc: "The address of the server as people reach it, for links in mail.",
    },
];
