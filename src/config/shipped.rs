//! Writes the shipped `config.toml`: every key with its default and a comment.

use super::keys::{KEYS, SECTIONS};
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
            KEYS.iter().filter_map(|key| Some((key, key.name.strip_prefix(section)?.strip_prefix('.')?)));
        for (key, name) in of_section {
            let allowed = key.kind.allowed();
            file.push_str(&format!("# {}\n# Allowed: {allowed}.\n{name} = {}\n", key.doc, values[key.name]));
        }
    }
    file
}
