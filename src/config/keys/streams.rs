//! Keys of one `[[streams]]` table.

use super::Key;
use crate::config::value::Kind;

/// In the order of the shipped file's example.
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
        name: "roles",
        kind: Kind::Text,
        default: "unchanged",
        doc: "Roles that see it, with blanks between, beside administrators; everybody; unchanged: as a stream of its name was limited to before.",
    },
    Key {
        name: "loop",
        kind: Kind::Switch,
        default: "false",
        doc: "A file begins again at its end, at the speed of its clock.",
    },
    Key {
        name: "tracking",
        kind: Kind::Choice(&["on", "off"]),
        default: "on",
        doc: "As analysis.tracking, whose value it has if it is left out.",
    },
    Key {
        name: "every_nth",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "1",
        doc: "As analysis.every_nth, whose value it has if it is left out.",
    },
    Key {
        name: "max_fps",
        kind: Kind::Integer { min: 0, max: 1_000 },
        default: "0",
        doc: "As analysis.max_fps, whose value it has if it is left out.",
    },
    Key {
        name: "sampling",
        kind: Kind::Choice(&["mediapipe", "antialiased"]),
        default: "mediapipe",
        doc: "As analysis.sampling, whose value it has if it is left out.",
    },
    Key {
        name: "read_marks",
        kind: Kind::Switch,
        default: "false",
        doc: "Tell the number that the test dancer carries in its picture, as frame.mark.",
    },
];
