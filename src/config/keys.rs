//! The table of keys: name, kind, default and documentation of every setting.
//!
//! To add a setting, add a row here and read it in `config::load`; the shipped `config.toml`, the checks and
//! the error messages follow from the row.

use super::value::Kind;

/// One setting.
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) name: &'static str,
    /// What values are allowed.
    pub(crate) kind: Kind,
    /// The default, as it is written in a file (without quotes).
    pub(crate) default: &'static str,
    /// A sentence for the shipped file.
    pub(crate) doc: &'static str,
}

/// A section's name and its documentation.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("server", "Where the server listens and keeps its files."),
    ("log", "What is logged, and how."),
    ("database", "Where events are kept."),
    ("journal", "The file that an event is in before anyone is told of it."),
    ("retention", "How long events stay in the database."),
    ("models", "The networks and where they are."),
    ("analysis", "Which frames are analysed, and how."),
    ("decoder", "How sources are opened, read and decoded."),
    ("inference", "Where the networks run."),
    ("scale", "When another server is needed, and who is told."),
    ("supervision", "When a stream counts as silent, and how it is tried again."),
    ("cluster", "Whether other servers use the same database, and how they share the streams."),
    ("websocket", "Limits of the agents' connections."),
    ("auth", "Who may have an account, and how long a login lasts."),
    ("auth.oidc", "Sign-in by an identity provider that speaks OpenID Connect, such as Azure AD."),
    ("http", "What stands between the network and the API."),
    ("mail", "How mail is sent: password resets and invitations."),
];

/// Every setting, in the order of the shipped file.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "server.listen",
        kind: Kind::Listen,
        default: "127.0.0.1:8080",
        doc: "Address and port of the HTTP and WebSocket server; 0.0.0.0 is every network.",
    },
    Key {
        name: "server.data_directory",
        kind: Kind::Text,
        default: "auto",
        doc: "Folder of database, journal and secrets; auto is /var/lib/kinora as root, else $XDG_DATA_HOME/kinora.",
    },
    Key {
        name: "log.level",
        kind: Kind::Choice(&["error", "warning", "info", "debug"]),
        default: "info",
        doc: "The least important level that is logged.",
    },
    Key {
        name: "log.format",
        kind: Kind::Choice(&["auto", "json", "text"]),
        default: "auto",
        doc: "auto is text on a terminal and JSON elsewhere.",
    },
    Key {
        name: "database.url",
        kind: Kind::Text,
        default: "embedded",
        doc: "embedded: a private PostgreSQL that the server runs; else postgres://user:password@host/database.",
    },
    Key {
        name: "database.programs",
        kind: Kind::Text,
        default: "auto",
        doc: "Folder of initdb, postgres and pg_ctl for the private PostgreSQL; auto looks in the usual folders, then in PATH.",
    },
    Key {
        name: "database.pool_size",
        kind: Kind::Integer { min: 1, max: 100 },
        default: "5",
        doc: "Connections that are kept.",
    },
    Key {
        name: "database.pool_overflow",
        kind: Kind::Integer { min: 0, max: 100 },
        default: "10",
        doc: "Connections beyond these at a rush.",
    },
    Key {
        name: "journal.max_bytes",
        kind: Kind::Bytes { min: 16_000_000, max: 1_000_000_000_000 },
        default: "2GB",
        doc: "Size at which live streams drop frames and files wait until the database takes events again.",
    },
    Key {
        name: "retention.max_age",
        kind: Kind::Duration { min_ms: 86_400_000, max_ms: 315_360_000_000 },
        default: "7d",
        doc: "Events older than this are removed, a day at a time.",
    },
    Key {
        name: "retention.max_bytes",
        kind: Kind::Bytes { min: 100_000_000, max: 1_000_000_000_000_000 },
        default: "20GB",
        doc: "Above this size the oldest days are removed.",
    },
    Key {
        name: "models.directory",
        kind: Kind::Text,
        default: "models/weights",
        doc: "Folder of the weights that `make setup` imported; relative to the working directory.",
    },
    Key {
        name: "analysis.tracking",
        kind: Kind::Choice(&["on", "off"]),
        default: "on",
        doc: "on: a person is followed from frame to frame and smoothed; off: each frame is analysed by itself.",
    },
    Key {
        name: "analysis.every_nth",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "1",
        doc: "Analyse one frame of so many; the others are counted as skipped.",
    },
    Key {
        name: "analysis.max_fps",
        kind: Kind::Integer { min: 0, max: 1_000 },
        default: "0",
        doc: "Analyse at most so many frames of a second of media time; 0 is all.",
    },
    Key {
        name: "analysis.sampling",
        kind: Kind::Choice(&["mediapipe", "antialiased"]),
        default: "mediapipe",
        doc: "How a region is scaled to the network's input: as MediaPipe does (bilinear), or averaged where it shrinks.",
    },
    Key {
        name: "decoder.threads",
        kind: Kind::Integer { min: 0, max: 64 },
        default: "1",
        doc: "Threads that decode one stream; 0 leaves the choice to FFmpeg. With more than 1, frames of a damaged stream may differ from run to run.",
    },
    Key {
        name: "decoder.frames_ahead",
        kind: Kind::Integer { min: 1, max: 64 },
        default: "4",
        doc: "Frames of a file that are decoded ahead of inference.",
    },
    Key {
        name: "decoder.hardware",
        kind: Kind::Choice(&["off", "auto"]),
        default: "off",
        doc: "auto lets the GPU of inference.device decode; where it cannot, the CPU does, and sessionStarted says why.",
    },
    Key {
        name: "decoder.open_timeout",
        kind: Kind::Duration { min_ms: 100, max_ms: 300_000 },
        default: "5s",
        doc: "How long opening a source may take.",
    },
    Key {
        name: "decoder.read_timeout",
        kind: Kind::Duration { min_ms: 100, max_ms: 300_000 },
        default: "5s",
        doc: "How long a source may stay silent.",
    },
    Key {
        name: "inference.device",
        kind: Kind::Device,
        default: "auto",
        doc: "What the networks run on: auto is the first GPU that a binary with CUDA finds, else the CPU; cuda:0 demands it.",
    },
    Key {
        name: "inference.batch_deadline",
        kind: Kind::Duration { min_ms: 1, max_ms: 100 },
        default: "4ms",
        doc: "How long a request may wait on a GPU for those of other streams, to be run with them.",
    },
    Key {
        name: "inference.workers",
        kind: Kind::Integer { min: 0, max: 64 },
        default: "0",
        doc: "Inference workers of the server on the CPU, a thread each; 0 is one a core.",
    },
    Key {
        name: "inference.precision",
        kind: Kind::Choice(&["auto", "f32", "bf16"]),
        default: "auto",
        doc: "Products of the networks: auto is the fastest that keeps landmarks within 0.2 % of the image, f32 single precision.",
    },
    Key {
        name: "scale.command",
        kind: Kind::Text,
        default: "none",
        doc: "A program that is run when the need for another server changes; it finds KINORA_SCALE_OUT and KINORA_SCALE_REASON.",
    },
    Key {
        name: "scale.latency_budget",
        kind: Kind::Duration { min_ms: 1, max_ms: 60_000 },
        default: "150ms",
        doc: "Another server is needed when the 99th percentile of a stream, preprocessing to extraction, passes this.",
    },
    Key {
        name: "supervision.stall_after",
        kind: Kind::Duration { min_ms: 100, max_ms: 60_000 },
        default: "2s",
        doc: "A stream without a frame for so long is stalled.",
    },
    Key {
        name: "supervision.retry_max",
        kind: Kind::Duration { min_ms: 10, max_ms: 300_000 },
        default: "5s",
        doc: "The longest wait before a stream is tried again; waits begin at 1 s and 2 s.",
    },
    Key {
        name: "cluster.servers",
        kind: Kind::Choice(&["one", "several"]),
        default: "one",
        doc: "several: each server runs the streams that it can lease, so database.url has to be a server; the same on all of them.",
    },
    Key {
        name: "cluster.lease",
        kind: Kind::Duration { min_ms: 1_500, max_ms: 60_000 },
        default: "6s",
        doc: "How long a server that is lost keeps its streams; they run elsewhere after that and a third of it.",
    },
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

/// The keys of one `[[streams]]` table.
pub(crate) const STREAM_KEYS: &[Key] = &[
    Key { name: "name", kind: Kind::Name, default: "", doc: "Unique name: letters, digits, - and _." },
    Key { name: "source", kind: Kind::Text, default: "", doc: "A path or address as for `kinora analyze`." },
    Key {
        name: "auth",
        kind: Kind::Choice(&["auto", "basic", "digest"]),
        default: "auto",
        doc: "How a camera may be told the password; with digest it is never sent as it is.",
    },
    Key {
        name: "username",
        kind: Kind::Text,
        default: "none",
        doc: "User at the camera, any characters; instead of one in the address.",
    },
    Key {
        name: "password_file",
        kind: Kind::Text,
        default: "none",
        doc: "File whose first line is the password of username.",
    },
    Key {
        name: "trust",
        kind: Kind::Text,
        default: "system",
        doc: "Whom rtsps:// trusts: the system's authorities, a file of certificates (PEM), or anybody.",
    },
    Key {
        name: "enabled",
        kind: Kind::Switch,
        default: "true",
        doc: "Whether it is started with the server.",
    },
    Key {
        name: "loop",
        kind: Kind::Switch,
        default: "false",
        doc: "A file begins again at its end, at the speed of its clock.",
    },
    Key { name: "tracking", kind: Kind::Choice(&["on", "off"]), default: "on", doc: "As analysis.tracking." },
    Key {
        name: "every_nth",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "1",
        doc: "As analysis.every_nth.",
    },
    Key {
        name: "max_fps",
        kind: Kind::Integer { min: 0, max: 1_000 },
        default: "0",
        doc: "As analysis.max_fps.",
    },
    Key {
        name: "sampling",
        kind: Kind::Choice(&["mediapipe", "antialiased"]),
        default: "mediapipe",
        doc: "As analysis.sampling.",
    },
    Key {
        name: "read_marks",
        kind: Kind::Switch,
        default: "false",
        doc: "Tell the number that the test dancer carries in its picture, as frame.mark.",
    },
];

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// A sentence that helps with an unknown `name`: the nearest key, or the keys of its section.
pub(crate) fn hint(name: &str) -> String {
    let nearest =
        KEYS.iter().min_by_key(|key| distance(key.name, name)).filter(|key| distance(key.name, name) <= 3);
    if let Some(key) = nearest {
        return format!("did you mean {}?", key.name);
    }
    let section = name.split('.').next().unwrap_or_default();
    let of_section: Vec<_> =
        KEYS.iter().map(|key| key.name).filter(|key| key.split('.').next() == Some(section)).collect();
    if of_section.is_empty() {
        let sections: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        format!("the sections are {}", sections.join(", "))
    } else {
        format!("the keys are {}", of_section.join(", "))
    }
}

/// Edits that turn one name into the other (Levenshtein, by rows).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
