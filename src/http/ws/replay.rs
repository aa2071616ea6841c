//! Catching up with one session: from memory where it reaches back, before that from the database, and then to
//! live without a loss or a repetition.
//!
//! A live subscription is opened before each look into memory, so that the two overlap; the trail leaves out what
//! was sent. When memory does not reach back, the database is read until it does.

use std::borrow::Borrow;

use actix_web::rt::time::{Instant, sleep};
use kinora_actors::domain::EventKind;
use kinora_actors::hub::{GapReason, Published, Recent, Subscription};

use super::end::End;
use super::feed::{Batch, Feed};
use super::query::Resume;
use super::session::Peer;
use crate::http::ports::HistoryPage;

/// A client that reads so slowly that live events overflow while memory is sent starts over so often, without a
/// loss; then it is told a gap like any slow client.
const ROUNDS: u32 = 16;

/// How far one replay is.
struct Progress {
    resume: Resume,
    /// Everything up to this number was sent, or does not match, or was told as a gap.
    cursor: u64,
    /// When waiting for the database is given up.
    deadline: Instant,
}

/// What one reading of the database brought.
#[derive(PartialEq, Eq)]
enum Read {
    /// The cursor moved.
    Onward,
    /// Nothing after the cursor is stored, or the database is away.
    Nothing,
}

impl Feed {
    /// Sends everything after `resume`; what follows comes from the subscription that is returned.
    pub(super) async fn catch_up(&mut self, peer: &Peer, resume: Resume) -> Result<Subscription, End> {
        self.trail.skip_to(&resume.session, resume.after);
        let deadline = Instant::now() + self.app.ws.history_patience;
        let mut progress = Progress { cursor: resume.after, resume, deadline };
        let mut round = 0;
        loop {
            round += 1;
            let subscription = self.subscribe();
            match self.app.hub.recent(&progress.resume.session, progress.cursor) {
                Recent::Complete(events) => self.send(peer, &events, &mut progress).await?,
                Recent::From { .. } => {
                    drop(subscription);
                    self.read_on(peer, &mut progress).await?;
                    continue;
                }
                Recent::Unknown if progress.is_behind() => {
                    self.read_on_or_give_up(peer, &mut progress).await?;
                    continue;
                }
                Recent::Unknown => {}
            }
            if progress.resume.over {
                return Err(End::SessionOver);
            }
            if subscription.dropped() == 0 || round >= ROUNDS {
                return Ok(subscription);
            }
        }
    }

    /// Reads on in the database; when it has nothing yet, waits a little. Writing may lag behind memory.
    async fn read_on(&mut self, peer: &Peer, progress: &mut Progress) -> Result<(), End> {
        if self.read_history(peer, progress).await? == Read::Onward {
            progress.deadline = Instant::now() + self.app.ws.history_patience;
            return Ok(());
        }
        if Instant::now() >= progress.deadline {
            return Err(End::HistoryAway);
        }
        sleep(self.app.ws.history_retry).await;
        Ok(())
    }

    /// The same for a session that memory does not know: if an answering database has no row of it at all, its
    /// rows were retired.
    async fn read_on_or_give_up(&mut self, peer: &Peer, progress: &mut Progress) -> Result<(), End> {
        let session = &progress.resume.session;
        let extent = self.app.ask("history", self.app.ports.history.extent(session)).await;
        if !matches!(extent, Ok(None)) {
            return self.read_on(peer, progress).await;
        }
        let mut batch = Batch::default();
        let missing = (progress.cursor + 1, progress.resume.last_seq);
        self.take_gap(session, missing, GapReason::Retention, &mut batch);
        progress.cursor = progress.resume.last_seq;
        self.give(peer, batch).await
    }

    /// Sends what the database has after the cursor, page by page.
    async fn read_history(&mut self, peer: &Peer, progress: &mut Progress) -> Result<Read, End> {
        let session = progress.resume.session.clone();
        let extent = self.app.ask("history", self.app.ports.history.extent(&session)).await;
        let Ok(Some(extent)) = extent else { return Ok(Read::Nothing) };
        let before = progress.cursor;
        if extent.oldest > progress.cursor + 1 {
            self.skip_retired(peer, progress, extent.oldest - 1).await?;
        }
        loop {
            let limit = self.app.ws.history_page;
            let kinds = self.filter.kinds.clone();
            let page = HistoryPage { session: session.clone(), after: progress.cursor, limit, kinds };
            let events = self.app.ask("history", self.app.ports.history.events_after(page)).await;
            let Ok(events) = events else { return Ok(read(before, progress)) };
            self.send(peer, &events, progress).await?;
            if events.len() < limit {
                break;
            }
        }
        // Rows are written in order: up to here nothing more can match.
        progress.cursor = progress.cursor.max(extent.last);
        Ok(read(before, progress))
    }

    async fn skip_retired(&mut self, peer: &Peer, progress: &mut Progress, to: u64) -> Result<(), End> {
        let mut batch = Batch::default();
        let missing = (progress.cursor + 1, to);
        self.take_gap(&progress.resume.session, missing, GapReason::Retention, &mut batch);
        progress.cursor = to;
        self.give(peer, batch).await
    }

    async fn send<E: Borrow<Published>>(
        &mut self,
        peer: &Peer,
        events: &[E],
        progress: &mut Progress,
    ) -> Result<(), End> {
        let mut batch = Batch::default();
        for event in events.iter().map(Borrow::borrow) {
            self.tell_hole(event, progress, &mut batch);
            self.take_event(event, &mut batch);
            progress.cursor = progress.cursor.max(event.seq);
            if batch.is_full() {
                self.give(peer, std::mem::take(&mut batch)).await?;
            }
        }
        self.give(peer, batch).await
    }

    /// Rows can be retired while they are read. A recorded gap tells its own hole, and behind a filter a hole
    /// cannot be told from what does not match.
    fn tell_hole(&mut self, event: &Published, progress: &Progress, batch: &mut Batch) {
        let hole = event.seq > progress.cursor + 1 && event.kind != EventKind::Gap;
        if hole && self.filter.kinds.is_none() {
            let missing = (progress.cursor + 1, event.seq - 1);
            self.take_gap(&progress.resume.session, missing, GapReason::Retention, batch);
        }
    }
}

impl Progress {
    /// Whether there is more than what was sent.
    fn is_behind(&self) -> bool {
        self.cursor < self.resume.last_seq
    }
}

fn read(before: u64, progress: &Progress) -> Read {
    if progress.cursor > before { Read::Onward } else { Read::Nothing }
}
