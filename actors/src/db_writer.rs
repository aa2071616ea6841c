//! `DbWriter`: follows the journal, writes batches of events into the store, and commits what is stored.
//!
//! It reads only the journal, so it never delays a stream, and a store that is away costs nothing but room in the
//! journal. An event is committed after the store has it and may be offered twice, never left out; the store
//! leaves alone what it has. A fresh writer goes on at the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;

use crate::backoff::{Backoff, BackoffPolicy};
use crate::domain::LoggedEvent;
use crate::ports::{EventLog, EventLogFactory, EventStore, RefusedEvent, StoreError};

/// How a writer works.
#[derive(Clone, Copy, Debug)]
pub struct DbWriterPolicy {
    /// Most events of a batch.
    pub batch: usize,
    /// Wait at the tail of the journal; batches grow by it.
    pub idle: Duration,
    /// Waits while the store is away.
    pub backoff: BackoffPolicy,
}

impl Default for DbWriterPolicy {
    fn default() -> Self {
        let retry_max = Duration::from_secs(5);
        let backoff = BackoffPolicy { retry_max, reset_after: Duration::ZERO, ..BackoffPolicy::default() };
        Self { batch: 500, idle: Duration::from_millis(50), backoff }
    }
}

/// What writers did, for the metrics. Shared with whoever reads it, and with the next writer.
#[derive(Debug, Default)]
pub struct DbWriterCounters {
    written: AtomicU64,
    batches: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    store_away: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DbWriterCounts {
    /// Events stored.
    pub written: u64,
    /// Batches stored.
    pub batches: u64,
    /// Batches and reads that failed and were tried again.
    pub failures: u64,
    /// Events that the store will never take.
    pub refused: u64,
    /// Whether the last try failed.
    pub store_away: bool,
}

impl DbWriterCounters {
    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> DbWriterCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DbWriterCounts {
            written: read(&self.written),
            batches: read(&self.batches),
            failures: read(&self.failures),
            refused: read(&self.refused),
            store_away: read(&self.store_away) > 0,
        }
    }
}

/// Write until the tail of the journal is reached, then answer: everything journalled before is stored then.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

/// What goes wrong with storing.
#[derive(Clone, Debug)]
pub enum StoreNews<'a> {
    /// A try failed; there will be another one.
    Failed(&'a str),
    /// These of a batch will never be stored.
    Refused(&'a [RefusedEvent]),
}

/// Hears of what goes wrong, for the log.
pub type StoreObserver = Arc<dyn Fn(StoreNews<'_>) + Send + Sync>;

/// What a writer is built from.
#[derive(Clone)]
pub struct DbWriterParts {
    /// Opens the journal at its commit.
    pub log: EventLogFactory,
    /// Takes the events.
    pub store: Arc<dyn EventStore>,
    /// How it works.
    pub policy: DbWriterPolicy,
    /// What it did.
    pub counters: Arc<DbWriterCounters>,
    /// Who hears of failures.
    pub observer: StoreObserver,
}

/// The actor. Runs on an Arbiter of its own, since reading the journal blocks.
pub struct DbWriter {
    parts: DbWriterParts,
    log: Option<Box<dyn EventLog>>,
    backoff: Backoff,
    /// The batch that was read and is not committed.
    open: Option<Arc<[LoggedEvent]>>,
    draining: Vec<oneshot::Sender<()>>,
}

impl DbWriter {
    /// A writer that begins at the commit.
    #[must_use]
    pub fn new(parts: DbWriterParts) -> Self {
        let backoff = Backoff::new(parts.policy.backoff);
        Self { parts, log: None, backoff, open: None, draining: Vec::new() }
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        let batch = match self.open.clone() {
            Some(batch) => batch,
            None => match self.read() {
                Ok(events) if events.is_empty() => return self.rest(ctx),
                Ok(events) => Arc::clone(self.open.insert(events.into())),
                Err(error) => return self.log_failed(&error, ctx),
            },
        };
        let events = batch.len();
        let written = self.parts.store.write(batch).into_actor(self);
        ctx.spawn(written.map(move |result, actor, ctx| actor.written(events, result, ctx)));
    }

    fn read(&mut self) -> std::io::Result<Vec<LoggedEvent>> {
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert((self.parts.log)()?),
        };
        log.read(self.parts.policy.batch)
    }

    /// So many events were offered.
    fn written(
        &mut self,
        events: usize,
        result: Result<Vec<RefusedEvent>, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let refused = match result {
            Ok(refused) => refused,
            Err(error) => {
                self.parts.counters.store_away.store(1, Ordering::Relaxed);
                return self.fail(&error.to_string(), ctx);
            }
        };
        if !refused.is_empty() {
            (self.parts.observer)(StoreNews::Refused(&refused));
        }
        let counters = &self.parts.counters;
        counters.written.fetch_add(events.saturating_sub(refused.len()) as u64, Ordering::Relaxed);
        counters.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.store_away.store(0, Ordering::Relaxed);
        self.backoff.healthy_for(Duration::MAX);
        self.open = None;
        match self.log.as_mut().map(|log| log.commit()) {
            Some(Err(error)) => self.log_failed(&error, ctx),
            _ => self.work(ctx),
        }
    }

    /// At the tail.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        for waiting in self.draining.drain(..) {
            // Nobody may be waiting any more.
            let _ = waiting.send(());
        }
        ctx.run_later(self.parts.policy.idle, |actor, ctx| actor.work(ctx));
    }

    /// A log that failed is opened anew, at its commit; what was stored and not committed is offered again.
    fn log_failed(&mut self, error: &std::io::Error, ctx: &mut Context<Self>) {
        self.log = None;
        self.open = None;
        self.fail(&format!("journal: {error}"), ctx);
    }

    fn fail(&mut self, why: &str, ctx: &mut Context<Self>) {
        self.parts.counters.failures.fetch_add(1, Ordering::Relaxed);
        (self.parts.observer)(StoreNews::Failed(why));
        // One writer has nobody to keep apart from: no jitter.
        let wait = self.backoff.after_failure(0.0);
        ctx.run_later(wait, |actor, ctx| actor.work(ctx));
    }
}

impl Actor for DbWriter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Handler<Drain> for DbWriter {
    type Result = actix::ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let (teller, drained) = oneshot::channel();
        self.draining.push(teller);
        Box::pin(async move {
            // A teller that is gone means that the writer is.
            let _ = drained.await;
        })
    }
}
