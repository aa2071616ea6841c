//! Opening a journal that an earlier process left: torn tails are cut, open sessions are found.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use kinora_actors::domain::{EventKind, InterruptedSession, LoggedEvent, SessionId};

use super::segment::{self, HEADER, Scan, Step};
use super::state::{lost_power, read_sessions};
use super::{OpenError, Position};

/// What a journal found when it was opened.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Sessions without a `sessionEnded`, with their last numbers and accounts.
    pub(crate) sessions: Vec<InterruptedSession>,
    /// Where the store stopped; what follows has to be stored.
    pub(crate) committed: Position,
    /// Bytes at torn ends that were no whole record and were cut.
    pub(crate) cut_bytes: u64,
    /// The machine went down without a close: events of the last 200 ms may be missing, so numbering has to go
    /// on far beyond the last number (`kinora_actors::restart`).
    pub(crate) lost_power: bool,
}

/// Open sessions by their last events.
#[derive(Default)]
pub(super) struct Sessions(HashMap<SessionId, InterruptedSession>);

impl Sessions {
    pub(super) fn note(&mut self, event: &LoggedEvent) {
        if event.kind == EventKind::SessionEnded {
            self.0.remove(&event.session);
            return;
        }
        let known = self.0.entry(event.session.clone()).or_insert_with(|| InterruptedSession {
            session: event.session.clone(),
            stream: event.stream.clone(),
            last_seq: 0,
            epoch: 0,
            account: event.facts.account,
        });
        // Events that a checkpoint already counted are met again in the segments after it.
        if event.seq > known.last_seq {
            known.last_seq = event.seq;
            known.epoch = event.facts.epoch;
            known.account = event.facts.account;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InterruptedSession> {
        self.0.values()
    }

    fn sorted(&self) -> Vec<InterruptedSession> {
        let mut sessions: Vec<_> = self.iter().cloned().collect();
        sessions.sort_by(|a, b| a.session.cmp(&b.session));
        sessions
    }
}

/// The segments as they are after recovery.
pub(super) struct Found {
    /// First positions of the segments, in order; perhaps none.
    pub(super) bases: Vec<u64>,
    /// The position after the last record.
    pub(super) end: u64,
    pub(super) sessions: Sessions,
    pub(super) recovered: Recovered,
}

/// Reads everything once, and cuts what is torn.
pub(super) fn recover(dir: &Path, committed: u64, boot_id: &str) -> Result<Found, OpenError> {
    let mut sessions = Sessions::default();
    read_sessions(dir).map_err(OpenError::io(dir))?.iter().for_each(|event| sessions.note(event));
    let (mut bases, mut end, mut cut_bytes) = (Vec::new(), 0, 0);
    for base in segment::list(dir).map_err(OpenError::io(dir))? {
        let path = segment::path(dir, base);
        let Some(file) = segment::open(dir, base)? else {
            fs::remove_file(&path).map_err(OpenError::io(&path))?;
            continue;
        };
        let (length, cut) = read_segment(file, &mut sessions).map_err(OpenError::io(&path))?;
        bases.push(base);
        end = base + length;
        cut_bytes += cut;
    }
    let recovered = Recovered {
        sessions: sessions.sorted(),
        committed: Position(committed),
        cut_bytes,
        lost_power: lost_power(dir, boot_id),
    };
    Ok(Found { bases, end, sessions, recovered })
}

/// Notes the records of one segment. Returns the bytes of whole records, and of what was cut after them.
fn read_segment(file: fs::File, sessions: &mut Sessions) -> io::Result<(u64, u64)> {
    let keep = file.try_clone()?;
    let mut scan = Scan::new(file, HEADER);
    let limit = scan.length()?;
    loop {
        match scan.next(limit)? {
            Step::Record(event) => sessions.note(&event),
            Step::End => return Ok((scan.offset() - HEADER, 0)),
            Step::Damaged => {
                keep.set_len(scan.offset())?;
                keep.sync_all()?;
                return Ok((scan.offset() - HEADER, limit - scan.offset()));
            }
        }
    }
}
