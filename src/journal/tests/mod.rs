//! The journal's promises: order, bounds, torn tails, restarts.

mod kill;

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinora_actors::domain::{EventFacts, EventKind, FrameAccount, LoggedEvent, SessionId};
use kinora_actors::ports::EventLog;
use tempfile::TempDir;

use super::{Journal, JournalError, JournalLimits, JournalLog, OpenError, Position, segment};

const LIMITS: JournalLimits =
    JournalLimits { max_bytes: 64 << 20, segment_bytes: 16 << 10, sync_every: Duration::from_millis(200) };

fn event(session: &str, seq: u64) -> LoggedEvent {
    let account = FrameAccount { received: seq, analyzed: seq, ..FrameAccount::default() };
    LoggedEvent {
        session: SessionId(session.into()),
        stream: "cam".into(),
        seq,
        kind: EventKind::FrameAnalyzed,
        facts: EventFacts { timestamp_us: -5, recorded_at_us: 7, epoch: 2, account },
        // Lengths differ, so that cuts fall into every part of a record.
        payload: format!(r#"{{"seq":{seq},"x":"{}"}}"#, "x".repeat(seq as usize % 97)).into_bytes().into(),
    }
}

fn open(dir: &Path) -> (Journal, super::Recovered) {
    Journal::open_in_boot(dir, LIMITS, "boot-a").unwrap()
}

fn append(journal: &Journal, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        journal.append(&event("s", seq)).unwrap();
    }
}

fn read_all(journal: &Journal, from: Position) -> Vec<LoggedEvent> {
    let mut reader = journal.reader(from).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn seqs(journal: &Journal) -> Vec<u64> {
    read_all(journal, Position::default()).iter().map(|event| event.seq).collect()
}

fn last_segment(dir: &Path) -> std::path::PathBuf {
    segment::path(dir, *segment::list(dir).unwrap().last().unwrap())
}

#[test]
fn events_come_back_as_they_were_across_segments_and_a_restart() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, 1..=1_000);
    journal.close().unwrap();
    let (journal, recovered) = open(dir.path());
    assert!(segment::list(dir.path()).unwrap().len() > 5);
    let events = read_all(&journal, Position::default());
    assert!(events.iter().zip(1..).all(|(found, seq)| *found == event("s", seq)));
    assert_eq!(events.len(), 1_000);
    let [session] = &recovered.sessions[..] else { panic!("one session should be open") };
    assert_eq!((session.last_seq, session.epoch, session.account.analyzed), (1_000, 2, 1_000));
    assert_eq!((recovered.cut_bytes, recovered.lost_power), (0, false));
}

#[test]
fn a_tail_torn_anywhere_costs_only_records_that_were_not_whole() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    for _ in 0..80 {
        let dir = TempDir::new().unwrap();
        let (journal, _) = open(dir.path());
        let count = 1 + below(200);
        let ends: Vec<u64> = (1..=count).map(|seq| journal.append(&event("s", seq)).unwrap().0).collect();
        journal.close().unwrap();
        let path = last_segment(dir.path());
        let base = *segment::list(dir.path()).unwrap().last().unwrap();
        let length = fs::metadata(&path).unwrap().len();
        let cut = below(length + 1);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(cut).unwrap();
        // What a file system may leave after the cut: zeros, or bytes of something else.
        match below(3) {
            0 => file.set_len(cut + below(5_000)).unwrap(),
            1 => fs::write(&path, [fs::read(&path).unwrap(), vec![0xa5; below(5_000) as usize]].concat())
                .unwrap(),
            _ => {}
        }
        if cut < segment::HEADER && fs::metadata(&path).unwrap().len() >= segment::HEADER {
            // A header of garbage is told as not ours; it is not what a crash leaves.
            continue;
        }
        let kept_bytes = base + cut.saturating_sub(segment::HEADER);
        let kept = ends.iter().filter(|&&end| end <= kept_bytes).count() as u64;
        let (journal, _) = open(dir.path());
        assert_eq!(seqs(&journal), (1..=kept).collect::<Vec<_>>());
        append(&journal, kept + 1..=kept + 50);
        assert_eq!(seqs(&journal), (1..=kept + 50).collect::<Vec<_>>());
    }
}

#[test]
fn readers_follow_while_writers_append() {
    let dir = TempDir::new().unwrap();
    let journal = Arc::new(open(dir.path()).0);
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let journal = &journal;
            scope.spawn(move || {
                for seq in 1..=5_000 {
                    journal.append(&event(name, seq)).unwrap();
                }
            });
        }
        let mut reader = journal.reader(Position::default()).unwrap();
        let mut last = std::collections::BTreeMap::from([("a".to_owned(), 0), ("b".to_owned(), 0)]);
        while last.values().sum::<u64>() < 10_000 {
            let Some(event) = reader.next().unwrap() else {
                std::thread::yield_now();
                continue;
            };
            let last = last.get_mut(&*event.session.0).unwrap();
            assert_eq!(event.seq, *last + 1);
            *last = event.seq;
            journal.truncate_to(reader.position()).unwrap();
        }
    });
    assert!(segment::list(dir.path()).unwrap().len() <= 2, "what is stored should be removed");
}

#[test]
fn a_full_journal_refuses_whole_events_until_something_is_stored() {
    let dir = TempDir::new().unwrap();
    let limits = JournalLimits { max_bytes: 20_000, segment_bytes: 1 << 20, ..LIMITS };
    let (journal, _) = Journal::open_in_boot(dir.path(), limits, "boot-a").unwrap();
    let mut next = 1;
    for round in 0..50 {
        while journal.append(&event("s", next)).is_ok() {
            next += 1;
        }
        assert!(matches!(journal.append(&event("s", next)), Err(JournalError::Full)));
        assert_eq!(journal.trouble().as_deref(), Some("the journal is full"));
        assert!(journal.bytes() <= 20_000 && next > 50 * (round + 1));
        journal.truncate_to(journal.end()).unwrap();
        journal.append(&event("s", next)).unwrap();
        assert_eq!(journal.trouble(), None);
        next += 1;
    }
    let events = read_all(&journal, Position::default());
    assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    assert_eq!(events.last().map(|event| event.seq), Some(next - 1));
}

#[test]
fn the_commit_position_and_open_sessions_outlive_the_segments_that_told_them() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    journal.append(&event("quiet", 41)).unwrap();
    journal.append(&event("ended", 1)).unwrap();
    let end = LoggedEvent { kind: EventKind::SessionEnded, ..event("ended", 2) };
    journal.append(&end).unwrap();
    append(&journal, 1..=500);
    journal.truncate_to(journal.end()).unwrap();
    let committed = journal.end();
    append(&journal, 501..=510);
    journal.close().unwrap();
    let (journal, recovered) = open(dir.path());
    assert_eq!(recovered.committed, committed);
    let open: Vec<_> = recovered.sessions.iter().map(|open| (&*open.session.0, open.last_seq)).collect();
    assert_eq!(open, [("quiet", 41), ("s", 510)]);
    let mut log = JournalLog::from_commit(Arc::new(journal)).unwrap();
    let rest: Vec<u64> = log.read(100).unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(rest, (501..=510).collect::<Vec<_>>());
    log.commit().unwrap();
}

#[test]
fn power_loss_is_told_and_positions_are_never_used_twice() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, 1..=100);
    let committed = journal.end();
    journal.truncate_to(committed).unwrap();
    // The process is gone without a close, and the disk has lost the tail.
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let path = last_segment(copy.path());
    OpenOptions::new().write(true).open(&path).unwrap().set_len(500).unwrap();
    let (again, recovered) = Journal::open_in_boot(copy.path(), LIMITS, "boot-b").unwrap();
    assert!(recovered.lost_power);
    append(&again, [1_000]);
    let mut reader = again.reader(recovered.committed).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().seq, 1_000);
    assert!(again.end() > committed);
    again.close().unwrap();
    let (_, closed) = Journal::open_in_boot(copy.path(), LIMITS, "boot-c").unwrap();
    assert!(!closed.lost_power, "a journal that was closed misses nothing");
}

#[test]
fn a_second_process_a_newer_version_and_a_foreign_file_are_refused() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append(&journal, 1..=3);
    let reopened = Journal::open_in_boot(dir.path(), LIMITS, "boot-a");
    assert!(matches!(reopened, Err(OpenError::InUse { .. })));
    journal.close().unwrap();
    let path = last_segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] = 9;
    fs::write(&path, &bytes).unwrap();
    let reopened = Journal::open_in_boot(dir.path(), LIMITS, "boot-a");
    assert!(matches!(reopened, Err(OpenError::UnknownVersion { version: 9, .. })));
    bytes[0] = b'X';
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        Journal::open_in_boot(dir.path(), LIMITS, "boot-a"),
        Err(OpenError::NotAJournal { .. })
    ));
}

#[test]
fn rate_of_appending() {
    let dir = TempDir::new().unwrap();
    let limits = JournalLimits { max_bytes: 1 << 30, segment_bytes: 64 << 20, ..LIMITS };
    let (journal, _) = Journal::open_in_boot(dir.path(), limits, "boot-a").unwrap();
    let large = LoggedEvent { payload: vec![b'x'; 2_500].into(), ..event("s", 1) };
    let begun = Instant::now();
    for seq in 1..=20_000 {
        journal.append(&LoggedEvent { seq, ..large.clone() }).unwrap();
    }
    println!("20000 events of 2.5 kB in {:?}", begun.elapsed());
}
