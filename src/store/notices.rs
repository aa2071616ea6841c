//! Notices of what was stored, from server to server: PostgreSQL's `NOTIFY` and `LISTEN`.
//!
//! A notice is a hint and no more: it tells which session got rows, and the rows are read where they are. So notices
//! need no queue (a newer one of a session replaces the one that waits), and one that is lost costs a few seconds,
//! until the next look without one. The connection that listens is outside the pool and is made again when it breaks.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Config, NoTls};

use super::Store;
use super::error::StoreError;

/// Waits between tries of a connection that breaks; the last one stays.
const RETRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// One session's part of a batch that was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventNotice {
    /// The server that wrote it.
    pub(crate) owner: String,
    /// The session.
    pub(crate) session: String,
    /// Its stream.
    pub(crate) stream: String,
    /// The first number of the batch.
    pub(crate) first: u64,
    /// The last number.
    pub(crate) last: u64,
}

/// What was heard since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Sessions of other servers with the highest number that each is known to have.
    Sessions(BTreeMap<String, u64>),
    /// The connection is new: what came before it is unknown.
    Anything,
}

/// Where notices wait for the one who looks.
#[derive(Debug)]
pub(crate) struct Notices {
    me: String,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    sessions: BTreeMap<String, u64>,
    is_new: bool,
}

impl Notices {
    fn new(me: &str) -> Self {
        Self { me: me.to_owned(), waiting: Mutex::default(), arrived: Notify::new() }
    }

    /// Waits for something to be heard. For one listener.
    pub(crate) async fn next(&self) -> Heard {
        loop {
            if let Some(heard) = self.take() {
                return heard;
            }
            self.arrived.notified().await;
        }
    }

    fn take(&self) -> Option<Heard> {
        let Waiting { sessions, is_new } = std::mem::take(&mut *self.waiting());
        if is_new {
            return Some(Heard::Anything);
        }
        (!sessions.is_empty()).then_some(Heard::Sessions(sessions))
    }

    /// What is not understood comes from a newer server, and is found at the next look without a notice.
    fn hear(&self, payload: &str) {
        let Ok(notice) = serde_json::from_str::<EventNotice>(payload) else { return };
        if notice.owner == self.me {
            return;
        }
        let mut waiting = self.waiting();
        let last = waiting.sessions.entry(notice.session).or_default();
        *last = notice.last.max(*last);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn connected(&self) {
        self.waiting().is_new = true;
        self.arrived.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Tells all servers, this one too, of rows that are committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the rows are found without a notice too, later.
    pub(crate) async fn tell_events(&self, notices: &[EventNotice]) -> Result<(), StoreError> {
        let encode = |notice| serde_json::to_string(notice).expect("a notice should have only string keys");
        let payloads: Vec<String> = notices.iter().map(encode).collect();
        self.run(move |client| async move {
            let query = "select pg_notify('kinora_events', payload) from unnest($1::text[]) as payload";
            let statement = client.prepare_cached(query).await?;
            client.query(&statement, &[&payloads]).await?;
            Ok(())
        })
        .await
    }

    /// Listens to the notices of other servers than `me`, on a connection of its own, until what is returned is
    /// dropped or the store is closed.
    pub(crate) fn follow_notices(&self, me: &str) -> Arc<Notices> {
        let notices = Arc::new(Notices::new(me));
        let (config, pool) = (self.0.config.clone(), self.0.pool.clone());
        let listening = Arc::downgrade(&notices);
        self.handle().spawn(async move {
            let mut failures = 0;
            while listening.strong_count() > 0 && !pool.is_closed() {
                // Why it broke is told by everything else that uses the database.
                failures = if listen(&config, &listening).await { 0 } else { failures + 1 };
                tokio::time::sleep(RETRIES[failures.min(RETRIES.len() - 1)]).await;
            }
        });
        notices
    }
}

/// Listens until the connection breaks or nobody is interested. Whether it got as far as listening.
async fn listen(config: &Config, notices: &Weak<Notices>) -> bool {
    let Ok((client, mut connection)) = config.connect(NoTls).await else { return false };
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    let mut asking = pin!(client.batch_execute("listen kinora_events"));
    let mut is_listening = false;
    loop {
        tokio::select! {
            message = messages.next() => {
                let (Some(Ok(message)), Some(notices)) = (message, notices.upgrade()) else { return is_listening };
                if let AsyncMessage::Notification(notice) = message {
                    notices.hear(notice.payload());
                }
            }
            asked = &mut asking, if !is_listening => {
                let (Ok(()), Some(notices)) = (asked, notices.upgrade()) else { return false };
                is_listening = true;
                notices.connected();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{store, text};

    fn notice(owner: &str, session: &str, last: u64) -> EventNotice {
        EventNotice { owner: owner.into(), session: session.into(), stream: "cam".into(), first: 1, last }
    }

    /// Waits until what was heard is `wanted`; parts of it may come one by one.
    fn hear(store: &Store, notices: &Notices, wanted: &[(&str, u64)]) {
        let mut all = BTreeMap::new();
        let listening = async {
            while !wanted.iter().all(|(session, last)| all.get(*session) == Some(last)) {
                if let Heard::Sessions(sessions) = notices.next().await {
                    all.extend(sessions);
                }
            }
        };
        let limited = async { tokio::time::timeout(Duration::from_secs(5), listening).await };
        assert!(store.wait(limited).is_ok(), "{wanted:?} should be heard");
        assert_eq!(all.len(), wanted.len(), "{all:?}");
    }

    #[test]
    fn a_server_hears_of_others_and_not_of_itself() {
        let store = store();
        let notices = store.follow_notices("me");
        assert_eq!(store.wait(notices.next()), Heard::Anything, "what came before is unknown");
        let told = [notice("me", "mine", 9), notice("other", "a", 5), notice("other", "b", 7)];
        store.wait(store.tell_events(&told)).unwrap();
        hear(&store, &notices, &[("a", 5), ("b", 7)]);
        text(&store, "notify kinora_events, 'words of a newer server'");
        store.wait(store.tell_events(&[notice("other", "a", 6)])).unwrap();
        hear(&store, &notices, &[("a", 6)]);
    }

    #[test]
    fn a_connection_that_breaks_is_made_again_and_says_so() {
        let store = store();
        let notices = store.follow_notices("me");
        assert_eq!(store.wait(notices.next()), Heard::Anything);
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity
            where query = 'listen kinora_events' and datname = current_database()";
        text(&store, kill);
        let again = async { tokio::time::timeout(Duration::from_secs(5), notices.next()).await };
        assert_eq!(store.wait(again).unwrap(), Heard::Anything);
        store.wait(store.tell_events(&[notice("other", "a", 1)])).unwrap();
        hear(&store, &notices, &[("a", 1)]);
    }

    #[test]
    fn a_newer_notice_replaces_the_one_that_waits() {
        let notices = Notices::new("me");
        for last in [3, 9, 7] {
            notices.hear(&serde_json::to_string(&notice("other", "a", last)).unwrap());
        }
        assert_eq!(notices.take(), Some(Heard::Sessions(BTreeMap::from([("a".to_owned(), 9)]))));
        assert_eq!(notices.take(), None);
    }
}
