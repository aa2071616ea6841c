//! Segment files: names, header, and reading records out of them.
//!
//! A segment's name is the position of its first record. Only the last segment grows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kinora_actors::domain::LoggedEvent;

use super::OpenError;
use super::record::{PREFIX, body_length, decode};

/// Bytes before the first record.
pub(super) const HEADER: u64 = 16;
const MAGIC: &[u8; 7] = b"KINORAJ";
/// Version of the format of segments.
const VERSION: u8 = 1;
const SUFFIX: &str = ".journal";
/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// The file of the segment that begins at `base`.
pub(super) fn path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}{SUFFIX}"))
}

/// The first positions of all segments, in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let base: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        bases.extend(base);
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Creates the segment that begins at `base`. What a failed attempt left there is replaced.
pub(super) fn create(dir: &Path, base: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path(dir, base))?;
    let mut header = [0; HEADER as usize];
    header[..7].copy_from_slice(MAGIC);
    header[7] = VERSION;
    header[8..].copy_from_slice(&base.to_le_bytes());
    file.write_all_at(&header, 0)?;
    file.sync_all()?;
    sync_directory(dir)?;
    Ok(file)
}

/// Opens the segment that begins at `base`; `None` when it was never begun, since its header is not whole.
pub(super) fn open(dir: &Path, base: u64) -> Result<Option<File>, OpenError> {
    let path = path(dir, base);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(OpenError::io(&path))?;
    let mut header = [0; HEADER as usize];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(OpenError::io(&path)(error)),
    }
    if header == [0; HEADER as usize] {
        return Ok(None);
    }
    if header[..7] != *MAGIC || header[8..] != base.to_le_bytes() {
        return Err(OpenError::NotAJournal { path });
    }
    match header[7] {
        VERSION => Ok(Some(file)),
        version => Err(OpenError::UnknownVersion { path, version }),
    }
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads the records of one file in order.
pub(super) struct Scan {
    file: File,
    /// Place in the file of the next record.
    offset: u64,
    buffer: Vec<u8>,
    /// Place in the buffer of the next record.
    at: usize,
}

/// What a [`Scan`] finds.
pub(super) enum Step {
    Record(LoggedEvent),
    /// The limit is reached.
    End,
    /// What is there is no whole record.
    Damaged,
}

impl Scan {
    pub(super) fn new(file: File, offset: u64) -> Self {
        Self { file, offset, buffer: Vec::new(), at: 0 }
    }

    /// Place in the file of the next record.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the file.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads the next record of those that end at or before `limit`.
    pub(super) fn next(&mut self, limit: u64) -> io::Result<Step> {
        if self.offset >= limit {
            return Ok(Step::End);
        }
        let Some(prefix) = self.look(PREFIX, limit)?.and_then(|bytes| bytes.first_chunk().copied()) else {
            return Ok(Step::Damaged);
        };
        let Some(length) = body_length(prefix) else { return Ok(Step::Damaged) };
        let record = self.look(PREFIX + length, limit)?;
        let Some(event) = record.and_then(|record| decode(prefix, &record[PREFIX..])) else {
            return Ok(Step::Damaged);
        };
        self.at += PREFIX + length;
        self.offset += (PREFIX + length) as u64;
        Ok(Step::Record(event))
    }

    /// The next `count` bytes, or `None` when fewer are left before `limit`.
    fn look(&mut self, count: usize, limit: u64) -> io::Result<Option<&[u8]>> {
        let left = usize::try_from(limit - self.offset).unwrap_or(usize::MAX);
        if count > left {
            return Ok(None);
        }
        if self.buffer.len() - self.at < count {
            self.buffer.drain(..self.at);
            self.at = 0;
            let have = self.buffer.len();
            self.buffer.resize(count.max(CHUNK).min(left), 0);
            self.file.read_exact_at(&mut self.buffer[have..], self.offset + have as u64)?;
        }
        Ok(Some(&self.buffer[self.at..self.at + count]))
    }
}
