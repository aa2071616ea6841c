//! Reading a journal from a position on, and following its tail.

use std::io;
use std::sync::Arc;

use super::segment::{self, HEADER, Scan, Step};
use super::{Position, Shared};
use kinora_actors::domain::LoggedEvent;

/// Reads records in order. Segments that it has not read must not be removed.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    base: u64,
    scan: Scan,
    /// How far the file may be read, as of the last look.
    limit: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> io::Result<Self> {
        let base = shared.layout().base_of(from.0);
        // A position in a segment that was removed or cut is read on from the next record there is.
        let file = segment_file(&shared, base)?;
        let length = file.metadata()?.len();
        let offset = HEADER + from.0.saturating_sub(base);
        Ok(Self { scan: Scan::new(file, offset.min(length)), limit: 0, base, shared })
    }

    /// The next record, or `None` at the tail.
    ///
    /// # Errors
    /// When a segment cannot be read or is damaged; recovery has cut what was damaged before.
    pub(crate) fn next(&mut self) -> io::Result<Option<LoggedEvent>> {
        loop {
            let next_base = if self.scan.offset() < self.limit { None } else { self.look_further()? };
            match self.scan.next(self.limit)? {
                Step::Record(event) => return Ok(Some(event)),
                Step::End => match next_base {
                    Some(base) => self.enter(base)?,
                    None => return Ok(None),
                },
                Step::Damaged => return Err(self.damage()),
            }
        }
    }

    /// Where the next record begins: what to commit once all records read so far are stored.
    pub(crate) fn position(&self) -> Position {
        Position(self.base + self.scan.offset() - HEADER)
    }

    /// Renews the limit; returns the next segment, if there is one.
    fn look_further(&mut self) -> io::Result<Option<u64>> {
        let (next_base, end) = self.shared.layout().after(self.base);
        self.limit = match next_base {
            Some(_) => self.scan.length()?,
            None => HEADER + (end - self.base),
        };
        Ok(next_base)
    }

    fn enter(&mut self, base: u64) -> io::Result<()> {
        self.scan = Scan::new(segment_file(&self.shared, base)?, HEADER);
        (self.base, self.limit) = (base, 0);
        Ok(())
    }

    fn damage(&self) -> io::Error {
        let path = segment::path(&self.shared.dir, self.base);
        let message = format!("{}: damaged at byte {}", path.display(), self.scan.offset());
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

fn segment_file(shared: &Shared, base: u64) -> io::Result<std::fs::File> {
    std::fs::File::open(segment::path(&shared.dir, base))
}
