//! What the documents list is what the source has: log messages and metrics.

use std::collections::BTreeSet;
use std::fs;

use crate::invariants;
use crate::support::root;

/// The server's source files without their tests.
fn server_sources() -> Vec<String> {
    let files =
        invariants::sources("src").into_iter().filter(|file| !file.iter().any(|part| part == "tests"));
    let texts = files.map(|file| fs::read_to_string(file).unwrap());
    texts.filter_map(|text| text.split("#[cfg(test)]\nmod tests {").next().map(str::to_owned)).collect()
}

/// The first text literal after each of these words.
fn literals_after(words: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in server_sources() {
        for word in words {
            for (at, _) in text.match_indices(word) {
                let literal = text[at + word.len()..].split('"').nth(1);
                found.extend(literal.map(str::to_owned));
            }
        }
    }
    found
}

/// What the first column of a document's tables names in backticks, behind this heading, up to any of its labels.
fn listed(document: &str, heading: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let (_, behind) = text.split_once(heading).unwrap();
    let rows = behind.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split(['`', '{']).next()).map(str::to_owned).collect()
}

#[test]
fn every_log_message_is_in_the_document_and_no_other() {
    let mut messages = literals_after(&["info!(", "warn!(", "error!(", "debug!(", "crit!("]);
    // One message for three levels.
    assert!(messages.remove("{message}"));
    messages.insert("stream state changed".to_owned());
    assert_eq!(messages, listed("docs/reference/logging.md", "\n## Happenings"));
}

#[test]
fn every_metric_is_in_the_document_and_no_other() {
    let makers =
        ["IntGauge::new(", "IntCounter::new(", "Opts::new(", "counters(", "counter(", "gauges(", "_name("];
    let is_metric = |name: &String| ["kinora_", "http_", "db_"].iter().any(|prefix| name.starts_with(prefix));
    let made: BTreeSet<String> = literals_after(&makers).into_iter().filter(is_metric).collect();
    assert_eq!(made, listed("docs/reference/metrics.md", "\n## Streams"));
}
