//! The keeper of streams: makes true what the table `streams` says, and holds the leases of those that run here.
//!
//! Whoever changes a stream writes the table and asks for a look; each look reads the table as it is then, one look
//! at a time. So two changes at once end in the state of the later one, and among several servers it does not matter
//! which of them was asked: the one that runs a stream finds the change at its next look. What follows from what was
//! found is decided by the [`book`]; here it is done. Leases are renewed by a loop of their own, which
//! no look holds up, and run out by another one, which waits for no database.

mod book;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use kinora_actors::registry::{AddStream, Command, Halt, Order, StreamRegistry};
use kinora_actors::supervisor::StreamParts;
use slog::{Logger, info, warn};
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::Instant;

use super::streams::{self, Shared};
use crate::accounts::Sealer;
use crate::store::{Lease, ManagedStream, Store, StoreError};
pub(crate) use book::LeaseTimes;
use book::{Act, Book, Revision, Wish};

/// From look to look of the only server: for a change whose caller went away before it was asked for.
const SLOW_LOOK: Duration = Duration::from_secs(60);
/// After a look that failed, and the longest that one waits for the table.
const RETRY: Duration = Duration::from_secs(2);
/// From a renewal that failed to the next one, while leases run out.
const RENEW_AGAIN: Duration = Duration::from_millis(250);
/// Limit of giving all leases back, since somebody waits for the end of the server.
const GIVE_BACK: Duration = Duration::from_secs(1);
/// From look to look at the clock.
const EXPIRE_EVERY: Duration = Duration::from_millis(100);

/// What a keeper works with.
pub(super) struct KeeperParts {
    /// Runs the streams.
    pub(super) registry: Addr<StreamRegistry>,
    /// What streams are made of.
    pub(super) shared: Shared,
    /// Has the table.
    pub(super) store: Store,
    /// Opens the sources of operators.
    pub(super) sealer: Arc<Sealer>,
    /// Hears what happens.
    pub(super) log: Logger,
}

/// The keeper.
pub(super) struct Keeper {
    parts: KeeperParts,
    book: Mutex<Book>,
    looking: Mutex<Looking>,
    /// A look failed, whoever looked.
    failed: Notify,
}

/// What looks remember of each other; locked by the one that looks.
#[derive(Default)]
struct Looking {
    /// Told to the log once.
    unreadable: BTreeSet<(String, Revision)>,
    failing: bool,
}

type Built = BTreeMap<String, StreamParts>;

impl Keeper {
    /// A keeper that knows no stream yet.
    pub(super) fn new(parts: KeeperParts) -> Arc<Self> {
        let times = parts.shared.membership.as_ref().map(|member| member.times);
        Arc::new(Self {
            parts,
            book: Mutex::new(Book::new(times)),
            looking: Mutex::default(),
            failed: Notify::new(),
        })
    }

    /// Looks now, and from then on again and again on the current System.
    pub(super) async fn start(self: &Arc<Self>) {
        let mut begun = Instant::now();
        // What failed is tried again by the loop.
        let _ = self.look().await;
        let keeper = Arc::clone(self);
        actix::spawn(async move {
            let look_every = keeper.times().map_or(SLOW_LOOK, LeaseTimes::renew_every);
            loop {
                // Counted from the beginning of a look: one that took long does not delay the next renewal, nor does
                // one that failed, which took until its time-out.
                tokio::select! {
                    () = tokio::time::sleep_until(begun + look_every) => {}
                    () = keeper.failed.notified() => tokio::time::sleep_until(begun + RETRY.min(look_every)).await,
                }
                begun = Instant::now();
                let _ = keeper.look().await;
            }
        });
        if let Some((owner, times)) = self.membership() {
            actix::spawn(Arc::clone(self).keep_renewing(owner, times));
            actix::spawn(Arc::clone(self).keep_expiring());
        }
    }

    /// Reads the table and makes it true; takes free leases on the way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was changed is found by the next look.
    pub(super) async fn look(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut looking = self.looking.lock().await;
        let looked = self.try_look(&mut looking).await;
        match &looked {
            Err(error) if !looking.failing => {
                warn!(self.parts.log, "the table of streams cannot be read"; "error" => %error);
            }
            Ok(()) if looking.failing => info!(self.parts.log, "the table of streams is read again"),
            _ => {}
        }
        looking.failing = looked.is_err();
        if looking.failing {
            self.failed.notify_one();
        }
        looked
    }

    /// [`Keeper::look`] to its end, even if who asked for it goes away: what was decided has to be done.
    ///
    /// # Errors
    /// See there.
    pub(super) async fn look_through(self: &Arc<Self>) -> Result<(), StoreError> {
        let keeper = Arc::clone(self);
        let looked = actix::spawn(async move { keeper.look().await });
        looked
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a look ended early: {error}"))))
    }

    /// From here on no stream begins, so that the server can end those that run.
    pub(super) async fn close(&self) {
        self.book.lock().await.close();
    }

    /// Gives back the leases of all streams but those that did not stop.
    pub(super) async fn give_back(&self, left: &[Arc<str>]) {
        let leases = self.book.lock().await.leases();
        let give_back = async {
            for lease in leases.iter().filter(|lease| !left.iter().any(|name| **name == lease.stream)) {
                self.release(lease).await;
            }
        };
        // What is not given back by then is over by itself.
        let _ = tokio::time::timeout(GIVE_BACK, give_back).await;
    }

    async fn try_look(self: &Arc<Self>, looking: &mut Looking) -> Result<(), StoreError> {
        let late = |_| StoreError::Unavailable("the table of streams is not read in time".to_owned());
        let rows = tokio::time::timeout(RETRY, self.parts.store.managed_streams()).await.map_err(late)??;
        let mut book = self.book.lock().await;
        let (wishes, built) = self.read(&book, rows, looking);
        let acts = book.read(&wishes);
        self.perform(&mut book, acts, built).await;
        let wanted = book.wanted();
        drop(book);
        match self.membership() {
            Some((owner, times)) if !wanted.is_empty() => self.acquire(&wanted, &owner, times).await,
            Some(_) => {
                // What was left to others is forgotten: it runs there, or nobody wants it.
                self.parts.shared.admission.choose(&[]);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn acquire(
        self: &Arc<Self>,
        wanted: &[String],
        owner: &str,
        times: LeaseTimes,
    ) -> Result<(), StoreError> {
        let admission = &self.parts.shared.admission;
        let wanted = admission.choose(&self.parts.store.free_streams(wanted).await?);
        if wanted.is_empty() {
            return Ok(());
        }
        let sent_us = self.now_us();
        let leases = self.parts.store.acquire_leases(&wanted, owner, times.length).await?;
        for stream in wanted.iter().filter(|name| !leases.iter().any(|lease| lease.stream == **name)) {
            admission.forget(stream);
        }
        let mut book = self.book.lock().await;
        let acts = book.acquired(&leases, sent_us);
        self.perform(&mut book, acts, Built::new()).await;
        Ok(())
    }

    /// What the rows want, and the parts of those that are new or changed.
    fn read(
        &self,
        book: &Book,
        rows: Vec<ManagedStream>,
        looking: &mut Looking,
    ) -> (BTreeMap<String, Wish>, Built) {
        let (mut wishes, mut built) = (BTreeMap::new(), Built::new());
        for row in rows {
            let revision = (row.id, row.revision);
            if book.revision(&row.name) != Some(revision) {
                match streams::of_row(&row, &self.parts.shared, &self.parts.sealer) {
                    Ok(parts) => drop(built.insert(row.name.clone(), parts)),
                    Err(why) => {
                        if looking.unreadable.insert((row.name.clone(), revision)) {
                            warn!(self.parts.log, "a stream is left out"; "stream" => &row.name, "error" => why);
                        }
                        continue;
                    }
                }
            }
            let ManagedStream { starts, restarts, enabled, wanted, .. } = row;
            wishes.insert(row.name, Wish { revision, starts, restarts, runs: enabled && wanted });
        }
        (wishes, built)
    }

    /// Does what the book says, in order, while nobody else may ask the book.
    async fn perform(self: &Arc<Self>, _: &mut MutexGuard<'_, Book>, acts: Vec<Act>, mut built: Built) {
        for act in acts {
            match act {
                Act::Build { stream, start } => {
                    if let Some(parts) = built.remove(&stream) {
                        // A registry that is gone has no streams to be made true.
                        let _ = self.parts.registry.send(AddStream { parts, enabled: start }).await;
                    }
                }
                Act::Start { stream, fence } => {
                    if let Some(fence) = fence {
                        self.parts.shared.fences.set(&stream, fence);
                        info!(self.parts.log, "a stream is leased"; "stream" => &stream, "fence" => fence);
                    }
                    self.order(&stream, Order::Start).await;
                }
                Act::Stop(stream) => {
                    self.parts.shared.admission.dismiss(&stream);
                    self.order(&stream, Order::Stop).await;
                    actix::spawn(Arc::clone(self).await_stop(stream));
                }
                Act::Restart(stream) => self.order(&stream, Order::Restart).await,
                Act::Remove(stream) => {
                    self.parts.shared.admission.remove(&stream);
                    self.order(&stream, Order::Remove).await;
                }
                Act::Release(lease) => {
                    let keeper = Arc::clone(self);
                    actix::spawn(async move { keeper.release(&lease).await });
                }
            }
        }
    }

    async fn order(&self, stream: &str, order: Order) {
        // A stream that is not there any more needs no order.
        let _ = self.parts.registry.send(Command { name: stream.into(), order }).await;
    }

    async fn await_stop(self: Arc<Self>, stream: String) {
        // A registry that is gone runs nothing.
        let _ = self.parts.registry.send(Halt(stream.as_str().into())).await;
        let mut book = self.book.lock().await;
        let acts = book.stopped(&stream);
        self.perform(&mut book, acts, Built::new()).await;
    }

    async fn release(&self, lease: &Lease) {
        let Some((owner, _)) = self.membership() else { return };
        if let Err(error) = self.parts.store.release_lease(lease, &owner).await {
            warn!(self.parts.log, "a lease is not given back and will be over by itself";
                "stream" => &lease.stream, "error" => %error);
        }
    }

    async fn keep_renewing(self: Arc<Self>, owner: Arc<str>, times: LeaseTimes) {
        loop {
            // Counted from the sending: an answer that took long does not delay the next renewal, nor does a failure, which
            // took until its time-out.
            let begun = Instant::now();
            // What is wrong is told by the look, which fails too, or by the end of leases.
            let is_renewed = self.renew(&owner, times).await.is_ok();
            let wait = if is_renewed { times.renew_every() } else { RENEW_AGAIN };
            tokio::time::sleep_until(begun + wait).await;
        }
    }

    async fn renew(self: &Arc<Self>, owner: &str, times: LeaseTimes) -> Result<(), StoreError> {
        let (before, sent_us) = (self.book.lock().await.leases(), self.now_us());
        let leases = self.parts.store.renew_leases(owner, times.length).await?;
        let mut book = self.book.lock().await;
        let acts = book.renewed(&before, &leases, sent_us);
        self.perform(&mut book, acts, Built::new()).await;
        Ok(())
    }

    async fn keep_expiring(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EXPIRE_EVERY).await;
            let mut book = self.book.lock().await;
            let acts = book.expire(self.now_us());
            if !acts.is_empty() {
                warn!(self.parts.log, "leases could not be renewed: their streams stop"; "streams" => acts.len());
            }
            self.perform(&mut book, acts, Built::new()).await;
        }
    }

    fn times(&self) -> Option<LeaseTimes> {
        self.membership().map(|(_, times)| times)
    }

    fn membership(&self) -> Option<(Arc<str>, LeaseTimes)> {
        let member = self.parts.shared.membership.as_ref()?;
        Some((Arc::clone(&member.owner), member.times))
    }

    fn now_us(&self) -> u64 {
        self.parts.shared.clock.monotonic_us()
    }
}
