//! The small files beside the segments: how far events were committed, which sessions are open, and which boot
//! of the machine wrote last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kinora_actors::domain::{EventFacts, EventKind, InterruptedSession, LoggedEvent};

use super::record::encode;
use super::segment::{Scan, Step, sync_directory};

const COMMIT: &str = "commit";
const SESSIONS: &str = "sessions";
const BOOT: &str = "boot";

/// The committed position. Written in place and not synced: a position that is lost or torn is read as zero, and
/// what is committed twice is stored once.
pub(super) struct CommitFile(File);

impl CommitFile {
    /// Opens the file and reads the position.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, u64)> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(COMMIT))?;
        let mut bytes = [0; 12];
        let position = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => parse_commit(bytes),
            Err(_) => 0,
        };
        Ok((Self(file), position))
    }

    pub(super) fn write(&self, position: u64) -> io::Result<()> {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&position.to_le_bytes());
        bytes[8..].copy_from_slice(&crc32fast::hash(&position.to_le_bytes()).to_le_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

fn parse_commit(bytes: [u8; 12]) -> u64 {
    let (position, crc) = bytes.split_at(8);
    let sound = crc32fast::hash(position).to_le_bytes() == *crc;
    position.try_into().map_or(0, |position| if sound { u64::from_le_bytes(position) } else { 0 })
}

/// Keeps the open sessions durably, since the segments with their last events are about to be removed.
pub(super) fn write_sessions<'a>(
    dir: &Path,
    sessions: impl Iterator<Item = &'a InterruptedSession>,
) -> io::Result<()> {
    let (mut bytes, mut record) = (Vec::new(), Vec::new());
    for session in sessions {
        encode(&as_event(session), &mut record);
        bytes.extend_from_slice(&record);
    }
    replace(dir, SESSIONS, &bytes)
}

/// The open sessions as they were kept last.
pub(super) fn read_sessions(dir: &Path) -> io::Result<Vec<LoggedEvent>> {
    let file = match File::open(dir.join(SESSIONS)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut scan = Scan::new(file, 0);
    let limit = scan.length()?;
    let mut sessions = Vec::new();
    while let Step::Record(event) = scan.next(limit)? {
        sessions.push(event);
    }
    Ok(sessions)
}

fn as_event(session: &InterruptedSession) -> LoggedEvent {
    LoggedEvent {
        session: session.session.clone(),
        stream: session.stream.clone(),
        seq: session.last_seq,
        kind: EventKind::StreamState,
        facts: EventFacts { epoch: session.epoch, account: session.account, ..EventFacts::default() },
        payload: Vec::new().into(),
    }
}

/// Whether what was written before may be missing: another boot of the machine wrote last and did not close.
pub(super) fn lost_power(dir: &Path, boot_id: &str) -> bool {
    let Ok(last) = fs::read_to_string(dir.join(BOOT)) else { return false };
    !last.ends_with(CLOSED) && (last != boot_id || boot_id.is_empty())
}

/// Remembers which boot writes from now on, or that it has closed.
pub(super) fn write_boot(dir: &Path, boot_id: &str, is_closed: bool) -> io::Result<()> {
    let text = if is_closed { closed(boot_id) } else { boot_id.to_owned() };
    replace(dir, BOOT, text.as_bytes())
}

const CLOSED: &str = " closed";

fn closed(boot_id: &str) -> String {
    format!("{boot_id}{CLOSED}")
}

/// Identity of this boot of the machine; empty where the system does not tell, which counts as another boot.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Writes a whole file or leaves the old one.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    sync_directory(dir)
}
