//! `kill -9` in full flow, with a real process: this test binary runs itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{append, event, open, seqs};

/// Names the journal of a child; without it the child's part is not played.
const CHILD: &str = "KINORA_TEST_JOURNAL_CHILD";

/// Not a test by itself: appends and tells each number, until it is killed.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let (journal, recovered) = open(Path::new(&dir));
    let first = recovered.sessions.first().map_or(1, |session| session.last_seq + 1);
    let mut out = std::io::stderr().lock();
    for seq in first.. {
        journal.append(&event("s", seq)).unwrap();
        writeln!(out, "told {seq}").unwrap();
    }
}

#[test]
fn what_was_told_before_kill_9_is_in_the_journal_and_numbering_goes_on_exactly() {
    let dir = TempDir::new().unwrap();
    let mut last_told = 0;
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::kill::child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        for _ in 0..500 * round {
            line.clear();
            told.read_line(&mut line).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        told.read_to_string(&mut rest).unwrap();
        let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let last = whole.lines().next_back().unwrap_or(line.trim());
        let number: u64 = last.strip_prefix("told ").unwrap().parse().unwrap();
        assert!(number > last_told, "numbering should go on after the last number told");
        last_told = number;
    }
    let (journal, recovered) = open(dir.path());
    assert!(!recovered.lost_power, "a killed process loses nothing");
    let kept = seqs(&journal);
    assert_eq!(kept, (1..=kept.len() as u64).collect::<Vec<_>>());
    assert!(kept.len() as u64 >= last_told);
    append(&journal, [kept.len() as u64 + 1]);
}
