//! The journal: an append-only file that an event is in before anyone is told of it.
//!
//! Segments in a directory of its own, one process at a time. [`Journal::append`] returns after `write(2)`, so a
//! killed process loses nothing; a thread calls fsync every 200 ms and at the close, so a power loss takes no more
//! than that. The writer of rows follows with a [`Reader`] and tells by [`Journal::truncate_to`] what is stored;
//! whole segments before that are removed. It is bounded: a full journal refuses, and what the pipeline then does
//! is the pipeline's policy. It knows nothing of SQL and sends nothing to anyone.

mod flusher;
mod reader;
mod record;
mod recovery;
mod segment;
mod sink;
mod state;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::flusher::Flusher;
pub(crate) use self::reader::Reader;
pub(crate) use self::recovery::Recovered;
pub(crate) use self::sink::{JournalLog, JournalSink};
use self::writer::{Writer, refusal};
use kinora_actors::domain::LoggedEvent;

/// A place in the journal, in bytes since its beginning of time; always between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u64);

/// Bounds of a journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalLimits {
    /// Bytes of all segments, above which appending is refused.
    pub(crate) max_bytes: u64,
    /// Bytes of one segment, the unit of removal; at most a quarter of `max_bytes` is used.
    pub(crate) segment_bytes: u64,
    /// Time between calls of fsync.
    pub(crate) sync_every: Duration,
}

/// Why an event was not appended. Nothing of it is in the journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The journal is at its bound, or the disk is full: the store has to catch up, or room to be made.
    #[error("the journal is full")]
    Full,
    /// The operating system refused.
    #[error("the journal cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Why a journal was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another process writes it.
    #[error("{path}: another process uses this journal")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A newer Kinora wrote it.
    #[error("{path}: written in version {version} of the journal's format, which this Kinora does not know")]
    UnknownVersion {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u8,
    },
    /// Something else lies under a segment's name.
    #[error("{path}: not a segment of a journal")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl OpenError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// The journal. Shared by all writers; one mutex orders their events.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    flusher: Mutex<Flusher>,
    /// Why the last event was refused, unless one was taken since.
    refused: Mutex<Option<Refusal>>,
    /// Whether there is one: looked at for each event.
    is_refusing: AtomicBool,
    is_closed: AtomicBool,
    /// Locked as long as the journal is open.
    lock: File,
}

struct Refusal {
    why: String,
    /// When it is over by itself. Who finds no room tries again many times a second, or is gone; another error ends a session, and
    /// stands until an event is taken.
    until: Option<Instant>,
}

/// How long a want of room counts.
const FULL_COUNTS: Duration = Duration::from_secs(3);

/// What the journal shares with its readers and its flusher.
struct Shared {
    dir: PathBuf,
    layout: Mutex<Layout>,
    writer: Mutex<Writer>,
    /// What the last fsync said, if it failed. While it stands, nothing is appended.
    sync_error: Mutex<Option<SyncError>>,
}

/// What an fsync said that failed, in words that can be told again and again.
type SyncError = (io::ErrorKind, String);

/// Which segments there are. Apart from the writer, so that readers never wait for a disk.
#[derive(Default)]
struct Layout {
    bases: VecDeque<u64>,
    end: u64,
}

impl Journal {
    /// Opens the journal in `dir`, which is created if it is missing.
    ///
    /// # Errors
    /// See [`OpenError`]; each names the path.
    pub(crate) fn open(dir: &Path, limits: JournalLimits) -> Result<(Self, Recovered), OpenError> {
        Self::open_in_boot(dir, limits, &state::boot_id())
    }

    fn open_in_boot(
        dir: &Path,
        limits: JournalLimits,
        boot_id: &str,
    ) -> Result<(Self, Recovered), OpenError> {
        fs::create_dir_all(dir).map_err(OpenError::io(dir))?;
        let lock = lock(dir)?;
        let (commit, committed) = state::CommitFile::open(dir).map_err(OpenError::io(dir))?;
        let found = recovery::recover(dir, committed, boot_id)?;
        let recovered = found.recovered;
        let (writer, layout) =
            Writer::open(dir, limits, commit, committed, found.sessions, found.bases, found.end)
                .map_err(OpenError::io(dir))?;
        state::write_boot(dir, boot_id, false).map_err(OpenError::io(dir))?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            layout: Mutex::new(layout),
            writer: Mutex::new(writer),
            sync_error: Mutex::default(),
        });
        let flusher = Flusher::start(Arc::clone(&shared), limits.sync_every, boot_id.to_owned())
            .map_err(OpenError::io(dir))?;
        let journal = Self {
            shared,
            flusher: Mutex::new(flusher),
            refused: Mutex::default(),
            is_refusing: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            lock,
        };
        Ok((journal, recovered))
    }

    /// Appends `event`; returns the position after it. The event is with the operating system then.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub(crate) fn append(&self, event: &LoggedEvent) -> Result<Position, JournalError> {
        let appended = match self.sync_error() {
            Some((kind, message)) => Err(refusal(io::Error::new(kind, message))),
            None => self.shared.writer().append(event, &self.shared),
        };
        match &appended {
            Ok(_) if !self.is_refusing.load(Ordering::Relaxed) => {}
            Ok(_) => self.note(None),
            Err(error) => {
                let until = matches!(error, JournalError::Full).then(|| Instant::now() + FULL_COUNTS);
                self.note(Some(Refusal { why: error.to_string(), until }));
            }
        }
        appended
    }

    /// Why no events are taken, if none are.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.is_closed.load(Ordering::Relaxed) {
            return None;
        }
        let stands = |refusal: &&Refusal| refusal.until.is_none_or(|until| Instant::now() < until);
        let refused = self.refused().as_ref().filter(stands).map(|refusal| refusal.why.clone());
        self.sync_error().map(|(_, why)| why).or(refused)
    }

    fn note(&self, refusal: Option<Refusal>) {
        let mut refused = self.refused();
        self.is_refusing.store(refusal.is_some(), Ordering::Relaxed);
        *refused = refusal;
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of everything from `from` on.
    ///
    /// # Errors
    /// When the segment cannot be opened.
    pub(crate) fn reader(&self, from: Position) -> io::Result<Reader> {
        Reader::new(Arc::clone(&self.shared), from)
    }

    /// Everything before `position` is stored: remembers that, and removes the segments that end before it.
    ///
    /// # Errors
    /// When the position or the open sessions could not be written, or a segment not be removed.
    pub(crate) fn truncate_to(&self, position: Position) -> io::Result<()> {
        self.shared.writer().truncate_to(position.0, &self.shared)
    }

    /// Where the store stopped.
    pub(crate) fn committed(&self) -> Position {
        self.shared.writer().committed()
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.layout().bytes()
    }

    /// The position after the last record.
    pub(crate) fn end(&self) -> Position {
        Position(self.shared.layout().end)
    }

    /// What the last fsync said, if it failed.
    fn sync_error(&self) -> Option<SyncError> {
        self.shared.sync_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Syncs everything and marks the journal as closed, so that the next boot knows that nothing is missing. What
    /// comes later is refused.
    ///
    /// # Errors
    /// When the last events may not be on disk.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = flusher.finish();
        self.is_closed.store(true, Ordering::Relaxed);
        let mut refusal = self.shared.sync_error.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.get_or_insert_with(|| (io::ErrorKind::Other, "it is closed".to_owned()));
        // The lock file goes with this value at the latest; a failure to let go early only makes the next wait.
        let _ = self.lock.unlock();
        finished
    }
}

/// One process at a time: the lock ends with the process, however it ends.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(OpenError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(OpenError::io(&path)(error)),
    }
}

impl Shared {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A writer changes itself only after the file was written, so it is whole whenever it panics.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layout(&self) -> MutexGuard<'_, Layout> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layout {
    fn bytes(&self) -> u64 {
        self.bases.front().map_or(0, |first| self.end - first)
    }

    /// The segment that holds `position`, or the first one.
    fn base_of(&self, position: u64) -> u64 {
        let holder = self.bases.iter().rev().find(|&&base| base <= position);
        holder.or(self.bases.front()).copied().unwrap_or(self.end)
    }

    /// The segment after the one at `base`, and the end of all.
    fn after(&self, base: u64) -> (Option<u64>, u64) {
        (self.bases.iter().copied().find(|&other| other > base), self.end)
    }
}
