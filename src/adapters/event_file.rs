//! The event sink port as newline-delimited JSON in a file or on standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use kinora_actors::domain::{EncodedEvent, EventKind};
use kinora_actors::ports::EventSink;

/// Called with each event that was written.
pub(crate) type Watcher = Box<dyn FnMut(&EncodedEvent) + Send>;

/// Writes one event a line.
pub(crate) struct EventFile {
    out: Box<dyn Write + Send>,
    watcher: Watcher,
}

impl EventFile {
    /// Events go to the file at `path`, which is created or emptied.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn create(path: &Path, watcher: Watcher) -> io::Result<Self> {
        Ok(Self { out: Box::new(BufWriter::new(File::create(path)?)), watcher })
    }

    /// Events go to standard output, each as soon as it is there.
    pub(crate) fn stdout(watcher: Watcher) -> Self {
        Self { out: Box::new(io::stdout()), watcher }
    }
}

impl EventSink for EventFile {
    fn append(&mut self, event: &EncodedEvent) -> io::Result<()> {
        self.out.write_all(&event.json)?;
        self.out.write_all(b"\n")?;
        if event.kind != EventKind::FrameAnalyzed {
            self.out.flush()?;
        }
        (self.watcher)(event);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
