//! The writing side: one segment that grows, and the bookkeeping of the others. Used under the journal's mutex.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinora_actors::domain::LoggedEvent;

use super::record::encode;
use super::recovery::Sessions;
use super::segment::{self, HEADER, sync_directory};
use super::state::{CommitFile, write_sessions};
use super::{JournalError, JournalLimits, Layout, Position, Shared};

pub(super) struct Writer {
    dir: PathBuf,
    limits: JournalLimits,
    file: Arc<File>,
    base: u64,
    end: u64,
    /// Written since the last fsync began.
    dirty: bool,
    committed: u64,
    commit: CommitFile,
    sessions: Sessions,
    record: Vec<u8>,
}

impl Writer {
    /// Goes on after what recovery found.
    pub(super) fn open(
        dir: &Path,
        limits: JournalLimits,
        commit: CommitFile,
        committed: u64,
        sessions: Sessions,
        bases: Vec<u64>,
        end: u64,
    ) -> io::Result<(Self, Layout)> {
        let mut bases = VecDeque::from(bases);
        // After a power loss the store may hold more than the journal: no position is used twice.
        let end = end.max(committed);
        let whole = bases.back().filter(|&&base| end_of(dir, base).is_ok_and(|file_end| file_end == end));
        let (file, base) = match whole {
            Some(&base) => (fs::OpenOptions::new().write(true).open(segment::path(dir, base))?, base),
            None => {
                bases.push_back(end);
                (segment::create(dir, end)?, end)
            }
        };
        // A segment is the unit of removal, so several have to fit into the whole.
        let segment_bytes = limits.segment_bytes.min(limits.max_bytes / 4);
        let writer = Self {
            dir: dir.to_owned(),
            limits: JournalLimits { segment_bytes, ..limits },
            file: Arc::new(file),
            base,
            end,
            dirty: true,
            committed,
            commit,
            sessions,
            record: Vec::new(),
        };
        Ok((writer, Layout { bases, end }))
    }

    pub(super) fn append(&mut self, event: &LoggedEvent, shared: &Shared) -> Result<Position, JournalError> {
        let mut record = std::mem::take(&mut self.record);
        encode(event, &mut record);
        let written = self.write(&record, shared);
        self.record = record;
        written?;
        self.sessions.note(event);
        Ok(Position(self.end))
    }

    fn write(&mut self, record: &[u8], shared: &Shared) -> Result<(), JournalError> {
        let size = record.len() as u64;
        if size > self.limits.segment_bytes {
            let message = format!("an event of {size} bytes is larger than a segment");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
        }
        if shared.layout().bytes() + size > self.limits.max_bytes {
            return Err(JournalError::Full);
        }
        if self.end - self.base + size > self.limits.segment_bytes {
            self.roll(shared).map_err(refusal)?;
        }
        let offset = HEADER + (self.end - self.base);
        if let Err(error) = self.file.write_all_at(record, offset) {
            // The next record goes to the same place; half of this one must not follow it. Should that fail,
            // it is cut at the next start like any torn tail.
            let _ = self.file.set_len(offset);
            return Err(refusal(error));
        }
        self.end += size;
        self.dirty = true;
        shared.layout().end = self.end;
        Ok(())
    }

    /// Begins the next segment. The full one is synced first, so that only the last one can ever be torn.
    fn roll(&mut self, shared: &Shared) -> io::Result<()> {
        self.file.sync_data()?;
        self.file = Arc::new(segment::create(&self.dir, self.end)?);
        self.base = self.end;
        shared.layout().bases.push_back(self.base);
        Ok(())
    }

    pub(super) fn truncate_to(&mut self, position: u64, shared: &Shared) -> io::Result<()> {
        self.committed = position.min(self.end).max(self.committed);
        self.commit.write(self.committed)?;
        let stored: Vec<u64> = {
            let layout = shared.layout();
            let next = layout.bases.iter().skip(1);
            let pairs = layout.bases.iter().zip(next);
            pairs.take_while(|(_, next)| **next <= self.committed).map(|(base, _)| *base).collect()
        };
        if stored.is_empty() {
            return Ok(());
        }
        write_sessions(&self.dir, self.sessions.iter())?;
        for base in stored {
            fs::remove_file(segment::path(&self.dir, base))?;
            shared.layout().bases.pop_front();
        }
        sync_directory(&self.dir)
    }

    pub(super) fn committed(&self) -> Position {
        Position(self.committed)
    }

    /// The file to sync, if anything was written since the last call.
    pub(super) fn take_dirty(&mut self) -> Option<Arc<File>> {
        std::mem::take(&mut self.dirty).then(|| Arc::clone(&self.file))
    }

    /// The sync failed: it is tried again.
    pub(super) fn mark_dirty(&mut self) {
        self.dirty = true;
    }
}

fn end_of(dir: &Path, base: u64) -> io::Result<u64> {
    Ok(base + fs::metadata(segment::path(dir, base))?.len().saturating_sub(HEADER))
}

/// A full disk is the bound of the journal as much as its own limit.
pub(super) fn refusal(error: io::Error) -> JournalError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalError::Full,
        _ => JournalError::Io(error),
    }
}
