//! What one subscriber is sent: replay first if it resumes, then live events, each with its own `prevSeq`.
//!
//! Frames go to the socket in batches; the next batch is made when the writer took the last one. Meanwhile
//! events wait in the subscription's bounded queue, which turns into a gap when it is full.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use actix_web::rt::time::timeout;
use kinora_actors::domain::{Event, EventKind, SessionId, Timestamp};
use kinora_actors::hub::{Delivery, Filter, GapReason, Published, Subscription, Trail};
use serde::Serialize;

use super::end::End;
use super::query::{Resume, Wanted};
use super::session::Peer;
use super::sight::Sight;
use crate::http::app::App;
use crate::http::auth::Caller;

/// A batch is sent when it has so many events or bytes.
const BATCH_EVENTS: usize = 64;
const BATCH_BYTES: usize = 128 * 1024;

/// The feed of one subscriber.
pub(super) struct Feed {
    pub(super) app: Arc<App>,
    /// What is sent.
    pub(super) filter: Filter,
    pub(super) trail: Trail,
    sight: Sight,
    /// First and last event of sessions of which it could not be known whether the subscriber may see them.
    withheld: HashMap<SessionId, (u64, u64)>,
    sole_session: Option<SessionId>,
    start: Option<Start>,
    events_sent: u64,
}

/// Where a feed begins.
enum Start {
    Live(Subscription),
    Resume(Resume),
}

/// Frames that go out together, and what has to happen after them.
#[derive(Default)]
pub(super) struct Batch {
    frames: Vec<String>,
    bytes: usize,
    then: Option<End>,
}

/// Payload of a `gap` that concerns one subscriber: it has no number and is not stored.
#[derive(Serialize)]
struct GapTold {
    from: u64,
    to: u64,
    reason: GapReason,
}

impl Feed {
    /// Without a resume it is subscribed from here on.
    pub(super) fn new(app: Arc<App>, wanted: &Wanted, caller: &Caller) -> Self {
        let mut feed = Self {
            sight: Sight::new(&app, caller.clone()),
            withheld: HashMap::new(),
            app,
            filter: wanted.filter(),
            trail: Trail::default(),
            sole_session: wanted.sole_session().cloned(),
            start: None,
            events_sent: 0,
        };
        feed.start = Some(match wanted.resume() {
            Some(resume) => Start::Resume(resume),
            None => Start::Live(feed.subscribe()),
        });
        feed
    }

    /// Feeds until something ends it.
    pub(super) async fn run(&mut self, peer: &Peer) -> End {
        match self.try_run(peer).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Events given to the socket.
    pub(super) fn events_sent(&self) -> u64 {
        self.events_sent
    }

    async fn try_run(&mut self, peer: &Peer) -> Result<Infallible, End> {
        let subscription = match self.start.take() {
            Some(Start::Resume(resume)) => self.catch_up(peer, resume).await?,
            Some(Start::Live(subscription)) => subscription,
            None => self.subscribe(),
        };
        loop {
            let mut batch = Batch::default();
            self.take(subscription.next().await, &mut batch).await;
            // What is taken from the queue has to be sent: look only while there is room.
            while !batch.is_full() {
                let Some(delivery) = subscription.try_next() else { break };
                self.take(delivery, &mut batch).await;
            }
            self.give(peer, batch).await?;
        }
    }

    /// A subscription to what is sent, and to the end of the one session whatever the filter says of it.
    pub(super) fn subscribe(&self) -> Subscription {
        let mut filter = self.filter.clone();
        if let (Some(_), Some(kinds)) = (&self.sole_session, &mut filter.kinds) {
            kinds.push(EventKind::SessionEnded);
        }
        self.app.hub.subscribe(filter, self.app.ws.queue)
    }

    async fn take(&mut self, delivery: Delivery, batch: &mut Batch) {
        match delivery {
            Delivery::Event(event) => match self.sight.sees(&self.app, &event.stream).await {
                Some(true) => {
                    if let Some(range) = self.withheld.remove(&event.session) {
                        self.take_gap(&event.session, range, GapReason::Slow, batch);
                    }
                    self.take_event(&event, batch);
                }
                Some(false) => drop(self.withheld.remove(&event.session)),
                None => {
                    let range = self.withheld.entry(event.session.clone()).or_insert((event.seq, event.seq));
                    range.1 = event.seq;
                }
            },
            Delivery::Gap { session, from, to, reason } => self.take_gap(&session, (from, to), reason, batch),
            Delivery::Ended => batch.then = Some(End::ShuttingDown),
        }
    }

    /// Adds an event unless the subscriber has it or does not want it.
    pub(super) fn take_event(&mut self, event: &Published, batch: &mut Batch) {
        if self.filter.matches(event)
            && let Some(prev) = self.trail.step(event)
        {
            let json = event.json_with_prev_seq(prev).into_owned();
            batch.push(String::from_utf8(json).expect("an event should be JSON, which is UTF-8"));
        }
        if event.kind == EventKind::SessionEnded && self.sole_session.as_ref() == Some(&event.session) {
            batch.then = Some(End::SessionOver);
        }
    }

    /// Adds a gap unless the subscriber has what it is about.
    pub(super) fn take_gap(
        &mut self,
        session: &SessionId,
        (from, to): (u64, u64),
        reason: GapReason,
        batch: &mut Batch,
    ) {
        self.trail.skip_to(session, to);
        let gap = Event {
            session_id: session,
            timestamp: Timestamp(self.app.clock.unix_us()),
            event: EventKind::Gap,
            payload: GapTold { from, to, reason },
        };
        batch.push(serde_json::to_string(&gap).expect("a gap should have only string keys and a sane time"));
        self.app.metrics.gaps_told.with_label_values(&[gap_name(reason)]).inc();
    }

    /// Hands a batch to the socket's writer, which has to take it in time.
    pub(super) async fn give(&mut self, peer: &Peer, batch: Batch) -> Result<(), End> {
        let count = batch.frames.len() as u64;
        if count > 0 {
            let taken = timeout(self.app.ws.stall_limit, peer.send(batch.frames)).await;
            taken.map_err(|_| End::TooSlow)??;
            self.events_sent += count;
            self.app.metrics.events_sent.inc_by(count);
        }
        batch.then.map_or(Ok(()), Err)
    }
}

impl Batch {
    fn push(&mut self, frame: String) {
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    /// Whether it should go out.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= BATCH_EVENTS || self.bytes >= BATCH_BYTES || self.then.is_some()
    }
}

fn gap_name(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Slow => "slow",
        GapReason::Retention => "retention",
        GapReason::Crash => "crash",
    }
}
