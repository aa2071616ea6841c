//! Reads the layers over each other and gathers every error on the way.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ConfigErrors;
use super::keys::{self, Key, SECTIONS, STREAM_KEYS};
use super::value::Value;

/// The environments that exist (requirement E1).
const ENVIRONMENTS: [&str; 3] = [LOCAL, "staging", "production"];
/// The one where things are tried out, and the one that is meant when none is named.
pub(super) const LOCAL: &str = "local";
/// The file that is read when none is named.
const DEFAULT_FILE: &str = "config.toml";

/// Where configuration comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The file named on the command line; it must exist.
    pub(crate) file: Option<PathBuf>,
    /// The process's environment, or a test's.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// `section.key=value` from the command line.
    pub(crate) overrides: Vec<String>,
}

impl Sources {
    /// What the command line says, and the environment of this process.
    pub(crate) fn of_process(file: Option<PathBuf>, overrides: Vec<String>) -> Self {
        Self { file, environment: std::env::vars_os().collect(), overrides }
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }
}

/// The checked value of every key of a table.
pub(crate) struct Values(BTreeMap<&'static str, Value>);

/// The checked values of all layers.
pub(crate) struct Layers {
    /// The keys of all sections.
    pub(crate) values: Values,
    /// One table for each `[[streams]]`.
    pub(crate) streams: Vec<Values>,
    /// Name of the environment.
    pub(crate) environment: String,
    /// The files that were there, in their order.
    pub(crate) files: Vec<PathBuf>,
}

impl Values {
    /// The text of `name`.
    pub(crate) fn text(&self, name: &str) -> &str {
        match &self.0[name] {
            Value::Text(text) => text,
            other => unreachable!("{name} should be text in the table of keys, and is {other:?}"),
        }
    }

    /// The number of `name`, which the table bounds to 32 bits without a sign.
    pub(crate) fn count(&self, name: &str) -> u32 {
        match &self.0[name] {
            Value::Integer(number) => u32::try_from(*number).expect("the table of keys should bound counts"),
            other => unreachable!("{name} should be a number in the table of keys, and is {other:?}"),
        }
    }

    /// The duration of `name`.
    pub(crate) fn duration(&self, name: &str) -> Duration {
        match &self.0[name] {
            Value::Duration(duration) => *duration,
            other => unreachable!("{name} should be a duration in the table of keys, and is {other:?}"),
        }
    }

    /// The size of `name` in bytes.
    pub(crate) fn bytes(&self, name: &str) -> u64 {
        match &self.0[name] {
            Value::Bytes(bytes) => *bytes,
            other => unreachable!("{name} should be a size in the table of keys, and is {other:?}"),
        }
    }

    /// The address of `name`.
    pub(crate) fn listen(&self, name: &str) -> SocketAddr {
        match &self.0[name] {
            Value::Listen(address) => *address,
            other => unreachable!("{name} should be an address in the table of keys, and is {other:?}"),
        }
    }

    /// The switch `name`.
    pub(crate) fn switch(&self, name: &str) -> bool {
        match &self.0[name] {
            Value::Switch(on) => *on,
            other => unreachable!("{name} should be a switch in the table of keys, and is {other:?}"),
        }
    }

    /// All keys with their values, a line each, in the order of names.
    pub(crate) fn canonical(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
    }
}

/// Reads all layers.
pub(crate) fn read(sources: &Sources) -> Result<Layers, ConfigErrors> {
    let mut reader =
        Reader { values: defaults(), streams: Vec::new(), files: Vec::new(), errors: Vec::new() };
    let environment = reader.environment_name(sources);
    match &sources.file {
        Some(file) => reader.file(file, true),
        None => reader.file(Path::new(DEFAULT_FILE), false),
    }
    let base = sources.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    reader.file(&base.with_file_name(format!("config.{environment}.toml")), false);
    reader.environment(sources);
    reader.overrides(sources);
    if !reader.errors.is_empty() {
        return Err(ConfigErrors(reader.errors));
    }
    let Reader { values, mut streams, files, .. } = reader;
    for stream in &mut streams {
        // What a stream does not say is as for all.
        for key in STREAM_KEYS {
            if let Some(value) = values.get(&*usual(key.name)) {
                stream.entry(key.name).or_insert_with(|| value.clone());
            }
        }
    }
    let streams = streams.into_iter().map(Values).collect();
    Ok(Layers { values: Values(values), streams, environment, files })
}

/// What is wrong with a file and where. The line itself is not shown: it may hold a password.
fn in_words(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!(":{}:{column}", before.matches('\n').count() + 1)
    });
    format!("{}: {}", place.unwrap_or_default(), error.message())
}

/// The key that says for all streams what this one says for one, if there is such a key.
fn usual(stream_key: &str) -> String {
    format!("analysis.{stream_key}")
}

/// The value of every key when nobody says anything.
pub(crate) fn defaults() -> BTreeMap<&'static str, Value> {
    keys::all()
        .map(|key| (key.name, key.kind.parse(key.default).expect("the default of a key should be allowed")))
        .collect()
}

fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

struct Reader {
    values: BTreeMap<&'static str, Value>,
    streams: Vec<BTreeMap<&'static str, Value>>,
    /// Those that are there.
    files: Vec<PathBuf>,
    errors: Vec<String>,
}

impl Reader {
    fn environment_name(&mut self, sources: &Sources) -> String {
        let named = sources.variable("KINORA_ENVIRONMENT");
        let name = named.map_or(LOCAL.into(), OsStr::to_string_lossy);
        if !ENVIRONMENTS.contains(&&*name) {
            self.errors.push(format!(
                "KINORA_ENVIRONMENT: {name:?} is not allowed; it must be one of {}",
                ENVIRONMENTS.join(", ")
            ));
        }
        name.into_owned()
    }

    fn file(&mut self, path: &Path, required: bool) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return,
            Err(error) => {
                return self.errors.push(format!("{}: cannot be read: {error}", path.display()));
            }
        };
        self.files.push(path.to_owned());
        match text.parse::<toml::Table>() {
            Ok(table) => self.table("", &table, &path.display().to_string()),
            Err(error) => self.errors.push(format!("{}{}", path.display(), in_words(&error, &text))),
        }
    }

    fn table(&mut self, prefix: &str, table: &toml::Table, origin: &str) {
        for (name, value) in table {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match (keys::find(&name), value) {
                (Some(key), value) => self.set(&name, key.kind.take(value), origin),
                (None, toml::Value::Array(tables)) if name == "streams" => self.streams(tables, origin),
                (None, toml::Value::Table(inner)) if prefix.is_empty() || is_section(&name) => {
                    self.table(&name, inner, origin);
                }
                (None, _) => self.unknown(&name, origin),
            }
        }
    }

    /// A later file that has streams replaces all of an earlier one.
    fn streams(&mut self, tables: &[toml::Value], origin: &str) {
        self.streams.clear();
        for (number, table) in tables.iter().enumerate() {
            let place = format!("streams[{number}]");
            match table.as_table() {
                Some(table) => self.stream(&place, table, origin),
                None => self.errors.push(format!("{place} ({origin}): it must be a table, [[streams]]")),
            }
        }
    }

    fn stream(&mut self, place: &str, table: &toml::Table, origin: &str) {
        let mut values: BTreeMap<&'static str, Value> = BTreeMap::new();
        for (name, value) in table {
            match STREAM_KEYS.iter().find(|key| key.name == name).map(|key| (key.name, key.kind.take(value)))
            {
                Some((name, Ok(value))) => drop(values.insert(name, value)),
                Some((name, Err(refusal))) => {
                    self.errors.push(format!("{place}.{name} ({origin}): {refusal}"))
                }
                None => {
                    let allowed: Vec<_> = STREAM_KEYS.iter().map(|key| key.name).collect();
                    let allowed = allowed.join(", ");
                    self.errors.push(format!(
                        "{place}.{name} ({origin}): there is no such key; the keys are {allowed}"
                    ));
                }
            }
        }
        let is_open = |key: &&Key| !table.contains_key(key.name) && keys::find(&usual(key.name)).is_none();
        for key in STREAM_KEYS.iter().filter(is_open) {
            match key.kind.parse(key.default) {
                Ok(value) => drop(values.insert(key.name, value)),
                Err(_) => {
                    self.errors.push(format!("{place}.{} ({origin}): it is needed: {}", key.name, key.doc))
                }
            }
        }
        let name = values.get("name");
        if name.is_some() && self.streams.iter().any(|other| other.get("name") == name) {
            self.errors.push(format!("{place}.name ({origin}): another stream has this name already"));
        }
        self.streams.push(values);
    }

    fn environment(&mut self, sources: &Sources) {
        for (variable, text) in &sources.environment {
            let variable = variable.to_string_lossy();
            let Some(path) = variable.strip_prefix("KINORA__") else {
                continue;
            };
            let name = path.replace("__", ".").to_ascii_lowercase();
            match text.to_str() {
                Some(text) => self.text(&name, text, &format!("environment ({variable})")),
                None => self.errors.push(format!("{name} (environment ({variable})): it is not UTF-8")),
            }
        }
    }

    fn overrides(&mut self, sources: &Sources) {
        for assignment in &sources.overrides {
            match assignment.split_once('=') {
                Some((name, text)) => self.text(name.trim(), text.trim(), "command line"),
                None => self.errors.push(format!("--set {assignment}: it must be section.key=value")),
            }
        }
    }

    fn text(&mut self, name: &str, text: &str, origin: &str) {
        match keys::find(name) {
            Some(key) => self.set(name, key.kind.parse(text), origin),
            None => self.unknown(name, origin),
        }
    }

    fn set(&mut self, name: &str, value: Result<Value, String>, origin: &str) {
        let key = keys::find(name).expect("only known keys should be set");
        match value {
            Ok(value) => {
                self.values.insert(key.name, value);
            }
            Err(refusal) => self.errors.push(format!("{name} ({origin}): {refusal}")),
        }
    }

    fn unknown(&mut self, name: &str, origin: &str) {
        self.errors.push(format!("{name} ({origin}): there is no such key; {}", keys::hint(name)));
    }
}
