//! Logs: one JSON object a line for machines, readable text on a terminal.
//!
//! Lines go to standard error by a thread of their own; when it cannot keep up they are dropped and counted by
//! `slog-async`, and nobody waits. `docs/reference/logging.md` lists the fields. No line holds a secret or pixels.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use serde_json::{Map, Value};
use slog::{Drain, Fuse, KV, Key, Level, LevelFilter, Logger, OwnedKVList, Record, Serializer, o};
use slog_async::{Async, AsyncGuard};

use crate::config::Log;

/// Lines that may wait for a slow terminal.
const QUEUE: usize = 1_024;

/// The logger, and the guard that writes what is left when it is dropped.
pub(crate) fn logger(settings: &Log) -> (Logger, AsyncGuard) {
    let level = match settings.level.as_str() {
        "error" => Level::Error,
        "warning" => Level::Warning,
        "debug" => Level::Debug,
        _ => Level::Info,
    };
    let text = match settings.format.as_str() {
        "auto" => std::io::stderr().is_terminal(),
        format => format == "text",
    };
    let (drain, guard) = match text {
        true => {
            let decorator = slog_term::TermDecorator::new().stderr().build();
            background(LevelFilter::new(slog_term::FullFormat::new(decorator).build().fuse(), level).fuse())
        }
        false => background(LevelFilter::new(JsonLines.fuse(), level).fuse()),
    };
    (Logger::root(drain.fuse(), o!()), guard)
}

fn background<D>(drain: Fuse<D>) -> (Mutex<Async>, AsyncGuard)
where
    D: Drain + Send + 'static,
    D::Err: std::fmt::Debug,
{
    let (drain, guard) = Async::new(drain).chan_size(QUEUE).build_with_guard();
    (Mutex::new(drain), guard)
}

/// Writes a record as one line of JSON: `time`, `level`, `message`, then the record's own fields.
struct JsonLines;

impl Drain for JsonLines {
    type Ok = ();
    type Err = std::io::Error;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), std::io::Error> {
        let mut fields = Fields(Map::new());
        let now = jiff::Timestamp::now();
        fields.put("time", format!("{now:.6}"));
        fields.put("level", record.level().as_str().to_ascii_lowercase());
        fields.put("logger", record.module().to_owned());
        fields.put("message", record.msg().to_string());
        values.serialize(record, &mut fields).map_err(std::io::Error::other)?;
        record.kv().serialize(record, &mut fields).map_err(std::io::Error::other)?;
        writeln!(std::io::stderr(), "{}", Value::Object(fields.0))
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        self.put(key.as_ref(), value.to_string());
        Ok(())
    }

    // The library writes a number whose kind is not named here as text.
    fn emit_u8(&mut self, key: Key, value: u8) -> slog::Result {
        self.emit_u64(key, value.into())
    }

    fn emit_u16(&mut self, key: Key, value: u16) -> slog::Result {
        self.emit_u64(key, value.into())
    }

    fn emit_u32(&mut self, key: Key, value: u32) -> slog::Result {
        self.emit_u64(key, value.into())
    }

    fn emit_usize(&mut self, key: Key, value: usize) -> slog::Result {
        self.emit_u64(key, value as u64)
    }

    fn emit_i32(&mut self, key: Key, value: i32) -> slog::Result {
        self.emit_i64(key, value.into())
    }

    fn emit_f64(&mut self, key: Key, value: f64) -> slog::Result {
        self.put(key.as_ref(), value);
        Ok(())
    }

    fn emit_u64(&mut self, key: Key, value: u64) -> slog::Result {
        self.put(key.as_ref(), value);
        Ok(())
    }

    fn emit_i64(&mut self, key: Key, value: i64) -> slog::Result {
        self.put(key.as_ref(), value);
        Ok(())
    }

    fn emit_bool(&mut self, key: Key, value: bool) -> slog::Result {
        self.put(key.as_ref(), value);
        Ok(())
    }
}
