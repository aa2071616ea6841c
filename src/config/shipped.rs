//! Writes the shipped `config.toml`: every key with its default and a comment.

use super::keys::{self, SECTIONS, STREAM_KEYS};
use super::layers::defaults;

/// The whole file.
pub(crate) fn shipped_file() -> String {
    let mut file = String::from(
        "# Kinora's configuration: every key with its default. A key that is left out has its default.\n\
         # Layers over this file: config.<environment>.toml beside it (KINORA_ENVIRONMENT is local, staging or\n\
         # production), KINORA__SECTION__KEY in the environment, --set section.key=value.\n",
    );
    let values = defaults();
    for (section, doc) in SECTIONS {
        file.push_str(&format!("\n# {doc}\n[{section}]\n"));
        let of_section =
            keys::all().filter_map(|key| Some((key, key.name.strip_prefix(section)?.strip_prefix('.')?)));
        // A dot more belongs to a section below this one.
        for (key, name) in of_section.filter(|(_, name)| !name.contains('.')) {
            let allowed = key.kind.allowed();
            file.push_str(&format!("# {}\n# Allowed: {allowed}.\n{name} = {}\n", key.doc, values[key.name]));
        }
    }
    file.push_str(&streams_example());
    file
}

/// The keys of a stream, as a commented example.
fn streams_example() -> String {
    let mut text = String::from(
        "\n# The streams of the server, one table each. They are read-only over HTTP. An example:\n# [[streams]]\n",
    );
    for key in STREAM_KEYS {
        let (doc, allowed) = (key.doc, key.kind.allowed());
        let value = match key.name {
            "name" => "\"front-door\"".into(),
            "source" => "\"rtsp://user:password@192.0.2.7/stream1\"".into(),
            _ => key.kind.parse(key.default).expect("the default of a key should be allowed").to_string(),
        };
        text.push_str(&format!("# {} = {value}  # {doc} Allowed: {allowed}.\n", key.name));
    }
    text
}
