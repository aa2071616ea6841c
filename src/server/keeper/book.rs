//! What has to be done so that streams are as the table wants them, under the leases that this server has.
//!
//! Pure: it reads what was found (rows, leases, the time) and answers with [`Act`]s, to be done in their order. A
//! stream runs while it is wanted and, among several servers, its lease is in force. That is counted from the moment
//! at which the renewal that succeeded last was sent, by this server's own clock, and ends a margin early: so a stream
//! has stopped here before another server may begin it. What stops keeps its lease until it has stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::store::Lease;

/// Times of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTimes {
    /// How long a lease lasts from its last renewal.
    pub(crate) length: Duration,
}

impl LeaseTimes {
    /// From renewal to renewal, and from look to look for free streams: two may fail.
    pub(crate) fn renew_every(self) -> Duration {
        self.length / 3
    }

    /// How long before the end of its lease a stream is stopped.
    fn margin(self) -> Duration {
        self.length / 6
    }
}

/// What a stream is made of: the row's number, since a name may be used again, and its revision.
pub(super) type Revision = (i64, i64);

/// What the table wants of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Another one when the stream is made of something else.
    pub(super) revision: Revision,
    /// Grows with each order to start.
    pub(super) starts: i64,
    /// Grows with each order to restart.
    pub(super) restarts: i64,
    /// Whether it shall run.
    pub(super) runs: bool,
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Make the stream what its newest revision says; one that runs goes on as that.
    Build {
        /// Which.
        stream: String,
        /// Whether it is started.
        start: bool,
    },
    /// Begin, under the lease with this fence if there are leases.
    Start {
        /// Which.
        stream: String,
        /// Of its lease.
        fence: Option<i64>,
    },
    /// End in order, then tell [`Book::stopped`].
    Stop(String),
    /// End in order, then begin again.
    Restart(String),
    /// Forget a stream that does not run.
    Remove(String),
    /// Give a lease back.
    Release(Lease),
}

/// The book of one server.
pub(super) struct Book {
    /// `None`: this server is the only one and needs no leases.
    times: Option<LeaseTimes>,
    streams: BTreeMap<String, Entry>,
    /// The fence of the last lease of each stream that was given back: a renewal that was under way may still name it, also
    /// after the stream was removed and made again.
    given_back: BTreeMap<String, i64>,
    closed: bool,
}

struct Entry {
    wish: Wish,
    phase: Phase,
    lease: Option<Held>,
    /// The table has it no more.
    gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    /// Between [`Act::Stop`] and [`Book::stopped`].
    Stopping,
}

/// A lease that is believed in; the newer of two is the greater one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    fence: i64,
    until_us: u64,
}

impl Book {
    /// An empty book.
    pub(super) fn new(times: Option<LeaseTimes>) -> Self {
        Self { times, streams: BTreeMap::new(), given_back: BTreeMap::new(), closed: false }
    }

    /// The revision that a stream is made of, if it is known.
    pub(super) fn revision(&self, stream: &str) -> Option<Revision> {
        self.streams.get(stream).filter(|entry| !entry.gone).map(|entry| entry.wish.revision)
    }

    /// The whole table was read; what it does not name is gone.
    pub(super) fn read(&mut self, wishes: &BTreeMap<String, Wish>) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.closed {
            return acts;
        }
        for (stream, wish) in wishes {
            self.wish(stream, *wish, &mut acts);
        }
        let missing: Vec<String> =
            self.streams.keys().filter(|stream| !wishes.contains_key(*stream)).cloned().collect();
        for stream in missing {
            self.change(&stream, &mut acts, |entry| entry.gone = true);
        }
        acts
    }

    fn wish(&mut self, stream: &str, wish: Wish, acts: &mut Vec<Act>) {
        let Some(entry) = self.streams.get_mut(stream) else {
            acts.push(Act::Build { stream: stream.to_owned(), start: false });
            let entry = Entry { wish, phase: Phase::Idle, lease: None, gone: false };
            self.streams.insert(stream.to_owned(), entry);
            return self.settle(stream, acts);
        };
        let old = std::mem::replace(&mut entry.wish, wish);
        let came_back = std::mem::take(&mut entry.gone);
        let goes_on = entry.phase == Phase::Running && wish.runs;
        if old.revision != wish.revision || came_back {
            acts.push(Act::Build { stream: stream.to_owned(), start: goes_on });
        } else if goes_on && old.restarts != wish.restarts {
            acts.push(Act::Restart(stream.to_owned()));
        } else if goes_on && old.starts != wish.starts {
            // It may have come to its end by itself; one that runs goes on.
            let fence = entry.lease.map(|lease| lease.fence);
            acts.push(Act::Start { stream: stream.to_owned(), fence });
        }
        self.settle(stream, acts);
    }

    /// Streams that shall run and whose lease this server does not have.
    pub(super) fn wanted(&self) -> Vec<String> {
        let wanted = |entry: &Entry| {
            entry.wish.runs && !entry.gone && entry.lease.is_none() && entry.phase == Phase::Idle
        };
        let open = self.times.is_some() && !self.closed;
        let streams = self.streams.iter().filter(|(_, entry)| open && wanted(entry));
        streams.map(|(stream, _)| stream.clone()).collect()
    }

    /// Leases were taken by a question that was sent at `sent_us`.
    pub(super) fn acquired(&mut self, leases: &[Lease], sent_us: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        leases.iter().for_each(|lease| self.hold(lease, sent_us, &mut acts));
        acts
    }

    /// A renewal that was sent at `sent_us`, when there were `before`, named these. What it does not name of those is lost;
    /// what was taken meanwhile it may not know.
    pub(super) fn renewed(&mut self, before: &[Lease], named: &[Lease], sent_us: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        let streams: BTreeSet<&str> = named.iter().map(|lease| lease.stream.as_str()).collect();
        for lost in before.iter().filter(|lease| !streams.contains(lease.stream.as_str())) {
            self.change(&lost.stream, &mut acts, |entry| {
                entry.lease.take_if(|held| held.fence == lost.fence);
            });
        }
        named.iter().for_each(|lease| self.hold(lease, sent_us, &mut acts));
        acts
    }

    /// Time passed: leases that could not be renewed are not believed in any more.
    pub(super) fn expire(&mut self, now_us: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        let is_over = |entry: &Entry| entry.lease.is_some_and(|lease| lease.until_us <= now_us);
        let over: Vec<String> = self
            .streams
            .iter()
            .filter(|(_, entry)| is_over(entry))
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in over {
            self.change(&stream, &mut acts, |entry| entry.lease = None);
        }
        acts
    }

    /// What an [`Act::Stop`] began is done.
    pub(super) fn stopped(&mut self, stream: &str) -> Vec<Act> {
        let mut acts = Vec::new();
        self.change(stream, &mut acts, |entry| entry.phase = Phase::Idle);
        acts
    }

    /// From here on nothing begins: the server ends. Leases stay until they are given back.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The leases that are believed in.
    pub(super) fn leases(&self) -> Vec<Lease> {
        let lease = |(stream, entry): (&String, &Entry)| {
            entry.lease.map(|lease| Lease { stream: stream.clone(), fence: lease.fence })
        };
        self.streams.iter().filter_map(lease).collect()
    }

    /// A lease that nobody here asked for is one whose answer was lost; one of a stream that is not wanted is given
    /// back, and so is once more what was given back before.
    fn hold(&mut self, lease: &Lease, sent_us: u64, acts: &mut Vec<Act>) {
        let Some(times) = self.times else { return };
        let believed = (times.length - times.margin()).as_micros();
        let until_us = sent_us.saturating_add(u64::try_from(believed).unwrap_or(u64::MAX));
        let is_news = self.given_back.get(&lease.stream).is_none_or(|given_back| *given_back < lease.fence);
        if !is_news || !self.streams.contains_key(&lease.stream) {
            acts.push(Act::Release(lease.clone()));
            return;
        }
        self.change(&lease.stream, acts, |entry| {
            let held = Held { fence: lease.fence, until_us };
            // Of two questions that were under way the older one may be answered last.
            entry.lease = Some(entry.lease.map_or(held, |before| before.max(held)));
        });
    }

    fn change(&mut self, stream: &str, acts: &mut Vec<Act>, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.streams.get_mut(stream) {
            change(entry);
            self.settle(stream, acts);
        }
    }

    /// Brings one stream to where it has to be, as far as that can be done now.
    fn settle(&mut self, stream: &str, acts: &mut Vec<Act>) {
        let (leased, closed) = (self.times.is_some(), self.closed);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let wanted = entry.wish.runs && !entry.gone;
        let may_run = wanted && (!leased || entry.lease.is_some());
        match entry.phase {
            Phase::Idle if closed => {}
            Phase::Idle if may_run => {
                entry.phase = Phase::Running;
                let fence = entry.lease.map(|lease| lease.fence);
                acts.push(Act::Start { stream: stream.to_owned(), fence });
            }
            Phase::Idle => {
                if let Some(lease) = entry.lease.take_if(|_| !wanted) {
                    self.given_back.insert(stream.to_owned(), lease.fence);
                    acts.push(Act::Release(Lease { stream: stream.to_owned(), fence: lease.fence }));
                }
                if entry.gone {
                    self.streams.remove(stream);
                    acts.push(Act::Remove(stream.to_owned()));
                }
            }
            Phase::Running if !may_run => {
                entry.phase = Phase::Stopping;
                acts.push(Act::Stop(stream.to_owned()));
            }
            Phase::Running | Phase::Stopping => {}
        }
    }
}
