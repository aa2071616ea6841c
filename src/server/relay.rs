//! Brings events of other servers to the agents of this one.
//!
//! What others stored is read and offered to the hub, each event once and in order of its session's numbers. Notices
//! of commits say where to look; every [`LOOK`] and after each new connection it looks without them. What was stored
//! before this server began is history, which agents ask for, and is not offered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kinora_actors::domain::{EventKind, SessionId};
use kinora_actors::hub::Hub;
use slog::{Logger, warn};
use tokio::time::{MissedTickBehavior, interval};

use crate::adapters::{Elsewhere, StoredHistory};
use crate::http::ports::{EventHistory, HistoryPage, Unavailable};
use crate::store::{Heard, KnownHere, Notices, Store, StoreError};

/// From look to look without a notice.
const LOOK: Duration = Duration::from_secs(5);
/// Events that are read at once.
const PAGE: usize = 256;
/// Sessions whose last number is remembered; beyond that, those are forgotten that ended some time ago.
const REMEMBERED: usize = 4_096;

/// The relay.
pub(super) struct Relay {
    store: Store,
    history: StoredHistory,
    hub: Arc<Hub>,
    elsewhere: Arc<Elsewhere>,
    here: KnownHere,
    notices: Arc<Notices>,
    /// The newest row when this server began.
    newest_row: i64,
    /// The last number of each session that the hub was offered, or that was there before.
    told: HashMap<SessionId, u64>,
    log: Logger,
}

impl Relay {
    /// A relay of everything that is stored from now on by others than those who are `here`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn new(
        store: &Store,
        (hub, elsewhere): (&Arc<Hub>, &Arc<Elsewhere>),
        here: KnownHere,
        log: Logger,
    ) -> Result<Self, StoreError> {
        let newest_row = store.newest_row().await?;
        Ok(Self {
            notices: store.follow_notices(&here.owner),
            history: StoredHistory(store.clone()),
            store: store.clone(),
            hub: Arc::clone(hub),
            elsewhere: Arc::clone(elsewhere),
            here,
            newest_row,
            told: HashMap::new(),
            log,
        })
    }

    /// Relays on the current System for as long as that lives.
    pub(super) fn start(self) {
        actix::spawn(self.run());
    }

    async fn run(mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let notices = Arc::clone(&self.notices);
            let heard = tokio::select! {
                heard = notices.next() => heard,
                _ = looks.tick() => Heard::Anything,
            };
            let relayed = self.relay(heard).await;
            if let (Err(error), false) = (&relayed, failing) {
                warn!(self.log, "events of other servers cannot be read"; "error" => %error);
            }
            failing = relayed.is_err();
        }
    }

    async fn relay(&mut self, heard: Heard) -> Result<(), Unavailable> {
        let sessions = match heard {
            Heard::Sessions(sessions) => sessions.into_iter().collect(),
            Heard::Anything => self.look().await?,
        };
        let mut relayed = Ok(());
        for (session, last) in sessions {
            let session = SessionId(session.into());
            // A session of this server's is told by its journal, whoever else wrote rows of it.
            if !self.here.recovered.iter().any(|own| **own == *session.0) {
                // One whose rows cannot be read does not hold up the others.
                relayed = relayed.and(self.follow(&session, last).await);
            }
        }
        relayed
    }

    /// All sessions of others that there may be more of.
    async fn look(&mut self) -> Result<Vec<(String, u64)>, Unavailable> {
        let extents = self.store.sessions_elsewhere(&self.here).await.map_err(unavailable)?;
        let listed: HashSet<&str> = extents.iter().map(|extent| extent.session.as_str()).collect();
        self.elsewhere.keep(|session| listed.contains(&*session.0));
        // Over for a while, and perhaps without a word: memory must not be kept for it.
        let over = self.told.keys().filter(|session| !listed.contains(&*session.0));
        over.for_each(|session| self.hub.retire(session));
        if self.told.len() > REMEMBERED {
            self.told.retain(|session, _| listed.contains(&*session.0));
        }
        Ok(extents.into_iter().map(|extent| (extent.session, extent.last)).collect())
    }

    /// Offers what is stored of a session up to `last`, and beyond it if there is more by now.
    async fn follow(&mut self, session: &SessionId, last: u64) -> Result<(), Unavailable> {
        let mut after = match self.told.get(session) {
            Some(told) => *told,
            None => self.begin(session).await?,
        };
        while after < last {
            let page = HistoryPage { session: session.clone(), after, limit: PAGE, kinds: None };
            let events = self.history.events_after(page).await?;
            let Some(newest) = events.last() else { break };
            after = newest.seq;
            let is_over = newest.kind == EventKind::SessionEnded;
            for event in events {
                self.elsewhere.note(&event);
                self.hub.publish(&Arc::new(event));
            }
            // Noted page by page: what was offered is not offered again after a failure.
            self.told.insert(session.clone(), after);
            if is_over {
                break;
            }
        }
        self.told.insert(session.clone(), after);
        Ok(())
    }
    /// The last number that was there before this server; how the stream was by then is noted.
    async fn begin(&self, session: &SessionId) -> Result<u64, Unavailable> {
        let before = self.store.last_seq_up_to_row(&session.0, self.newest_row).await.map_err(unavailable)?;
        for kind in [EventKind::StreamState, EventKind::SessionEnded] {
            if let Some(event) = self.history.last_of(session, kind, before).await? {
                self.elsewhere.note(&event);
            }
        }
        Ok(before)
    }
}

fn unavailable(error: StoreError) -> Unavailable {
    Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use kinora_actors::hub::{Delivery, Filter, QueueBound, Subscription};
    use slog::o;

    use super::*;
    use crate::store::testing::{now_us, store};
    use crate::store::{EventRow, SessionRow};

    fn begin(store: &Store, session: &str, owner: &str) {
        let row = SessionRow {
            id: session.into(),
            stream: "door".into(),
            started_at_us: now_us(),
            end: None,
            provenance: format!(r#"{{"lease": {{"owner": "{owner}", "fence": 1}}}}"#),
            account: "{}".into(),
            last_seq: 1,
            epoch: 0,
        };
        store.wait(store.upsert_session(&row)).unwrap();
    }

    fn write(store: &Store, session: &str, seqs: std::ops::RangeInclusive<i64>) {
        let row = |seq: i64| EventRow {
            session_id: session.into(),
            seq,
            timestamp_us: now_us(),
            recorded_at_us: now_us(),
            event: "streamState".into(),
            payload: format!(
                r#"{{"seq":{seq},"prevSeq":{},"stream":"door","state":"running","reason":"r","message":"m"}}"#,
                seq - 1
            ),
        };
        store.wait(store.insert_events(&seqs.map(row).collect::<Vec<_>>())).unwrap();
    }

    fn received(subscription: &Subscription) -> Vec<(String, u64)> {
        let deliveries = std::iter::from_fn(|| subscription.try_next());
        let event = |delivery| match delivery {
            Delivery::Event(event) => (event.session.0.to_string(), event.seq),
            other => panic!("an event should come, got {other:?}"),
        };
        deliveries.map(event).collect()
    }

    fn numbers(session: &str, seqs: std::ops::RangeInclusive<u64>) -> Vec<(String, u64)> {
        seqs.map(|seq| (session.to_owned(), seq)).collect()
    }

    #[test]
    fn what_others_store_is_offered_once_in_order_with_a_notice_or_without() {
        let store = store();
        begin(&store, "a", "other");
        write(&store, "a", 1..=3);
        let (hub, elsewhere) = (Hub::new(), Arc::new(Elsewhere::default()));
        let here = KnownHere { owner: "me".into(), recovered: vec!["recovered".into()] };
        let log = Logger::root(slog::Discard, o!());
        let mut relay = store.wait(Relay::new(&store, (&hub, &elsewhere), here, log)).unwrap();
        let subscription = hub.subscribe(Filter::default(), QueueBound { events: 2_000, bytes: 1 << 20 });

        // Nobody told of these.
        write(&store, "a", 4..=6);
        for (session, owner) in [("b", "other"), ("mine", "me"), ("recovered", "me before")] {
            begin(&store, session, owner);
            write(&store, session, 1..=2);
        }
        store.wait(relay.relay(Heard::Anything)).unwrap();
        let mut first = received(&subscription);
        first.sort();
        assert_eq!(first, [numbers("a", 4..=6), numbers("b", 1..=2)].concat(), "history is not told");
        // More than a page, told late and twice.
        write(&store, "a", 7..=600);
        let told = |last| Heard::Sessions([("a".to_owned(), last), ("recovered".to_owned(), 2)].into());
        for heard in [told(300), told(600), told(600), Heard::Anything] {
            store.wait(relay.relay(heard)).unwrap();
        }
        assert_eq!(received(&subscription), numbers("a", 7..=600));
    }
}
