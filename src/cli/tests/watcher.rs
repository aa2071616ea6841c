//! `kinora watch` in the test's own process: every event of all sessions, and what it noticed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::scripted::{Home, Server, wait_for};
use crate::store::{Store, StoreSettings, StoreTarget};
use crate::watch::tests::Lines;
use crate::watch::{Credentials, Notice, Timing, WatchOptions, watch};

/// Rows that are asked for at once.
const PAGE: u64 = 500;

/// The agent.
pub(super) struct Watcher {
    lines: Lines,
    notices: Arc<Mutex<Vec<Notice>>>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Logs in as the first administrator and watches all streams.
    pub(super) fn of(server: &Server, home: &Home) -> Self {
        let login = std::fs::read_to_string(home.data().join("first-admin")).unwrap();
        let value = |name: &str| login.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let options = WatchOptions {
            url: format!("http://{}", server.address),
            credentials: Credentials::Password {
                username: value("username: "),
                password: value("password: "),
            },
            timing: Timing { backoff_unit: Duration::from_millis(100), ..Timing::default() },
        };
        let (lines, notices) = (Lines::default(), Arc::<Mutex<Vec<Notice>>>::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let (mut out, noticed) = (lines.clone(), Arc::clone(&notices));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut notice = |notice| noticed.lock().unwrap().push(notice);
            let stopped = async { drop(stopped.await) };
            runtime.block_on(watch(options, &mut out, &mut notice, stopped)).unwrap();
        });
        Self { lines, notices, stop, thread }
    }

    /// How many events it printed.
    pub(super) fn count(&self) -> usize {
        self.lines.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count()
    }

    /// Waits until it printed so many more.
    pub(super) fn until_more(&self, more: usize) {
        let wanted = self.count() + more;
        wait_for(&format!("{wanted} events"), || (self.count() >= wanted).then_some(()));
    }

    /// What it noticed so far.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap().clone()
    }

    /// Ends it; gives the payloads of each session by their numbers, of which none is missing and none came twice.
    pub(super) fn end(self) -> BTreeMap<String, BTreeMap<u64, Value>> {
        let _ = self.stop.send(());
        self.thread.join().unwrap();
        let bytes = self.lines.0.lock().unwrap();
        let mut sessions: BTreeMap<String, BTreeMap<u64, Value>> = BTreeMap::new();
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            let mut event: Value = serde_json::from_str(line).unwrap();
            assert_ne!(event["event"], "gap", "{line}");
            let session = sessions.entry(event["sessionId"].as_str().unwrap().to_owned()).or_default();
            let payload = event["payload"].take();
            let seq = payload["seq"].as_u64().unwrap();
            if let Some((last, _)) = session.last_key_value() {
                assert_eq!(seq, last + 1, "each once and in order");
            }
            session.insert(seq, payload);
        }
        sessions
    }
}

/// Asserts that what an agent received of each session is in the database, where no number is missing.
pub(super) fn assert_rows_are(received: &BTreeMap<String, BTreeMap<u64, Value>>, home: &Home) {
    let connect = || Store::connect_blocking(StoreSettings::new(StoreTarget::Url(home.database()))).ok();
    let store = wait_for("PostgreSQL's return", connect);
    let rows = |what: &str, session: &str, last: u64| {
        let query = format!(
            "select concat_ws(' ', {what}) from analysis_results where session_id = '{session}' and seq <= {last}"
        );
        crate::store::testing::text(&store, &query)
    };
    for (session, payloads) in received {
        let (last, _) = payloads.last_key_value().unwrap();
        wait_for("the last row", || (rows("max(seq)", session, *last) == last.to_string()).then_some(()));
        let counted = rows("min(seq), count(distinct seq), count(*)", session, *last);
        assert_eq!(counted, format!("1 {last} {last}"), "{session}");
        for first in (1..=*last).step_by(usize::try_from(PAGE).unwrap()) {
            let query = format!(
                "select json_agg(payload order by seq) from analysis_results \
                 where session_id = '{session}' and seq >= {first} and seq < {first} + {PAGE} and seq <= {last}"
            );
            let rows: Vec<Value> =
                serde_json::from_str(&crate::store::testing::text(&store, &query)).unwrap();
            let wanted: Vec<u64> = (first..=*last).take(rows.len()).collect();
            let numbers: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
            assert_eq!(numbers, wanted, "each number once");
            for (seq, row) in numbers.iter().zip(&rows) {
                assert!(payloads.get(seq).is_none_or(|payload| payload == row), "{session} {seq}: {row}");
            }
        }
    }
}
