//! `SessionLedger`: what a session's parts know together, so that a fresh part goes on where a failed one stopped.
//!
//! Shared memory and not messages, because the word of a part that panicked never arrives. Each connection writes
//! with its own ticket; what a connection that was thrown away still writes is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{DropReason, FrameAccount, StageLatency};
use crate::stats::{LatencyStats, LatencySummary};

/// The ledger of one session.
#[derive(Debug, Default)]
pub struct SessionLedger(Mutex<Entries>);

/// Names the connection that may write; from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTicket(u64);

#[derive(Debug, Default)]
struct Entries {
    connection: ConnectionTicket,
    /// Access units received: the next frame's index.
    received: u64,
    epoch: u32,
    last_frame_us: u64,
    /// As of the last frame that the preprocessor took or finished.
    settled: FrameAccount,
    /// As of the last event.
    published: FrameAccount,
    last_seq: u64,
    latency: LatencyStats,
    decoder: Option<Arc<str>>,
}

impl SessionLedger {
    /// A new connection writes from now on.
    pub fn open_connection(&self, now_us: u64) -> ConnectionTicket {
        let mut entries = self.entries();
        entries.connection.0 += 1;
        entries.last_frame_us = now_us;
        entries.connection
    }

    /// The connection writes no more; every unit without an end was dropped with it for `reason`.
    ///
    /// Events that were on their way to a broadcaster that is lost are not kept, so then the last event counts.
    pub fn close_connection(&self, broadcaster_lost: bool, reason: DropReason) -> FrameAccount {
        let mut entries = self.entries();
        entries.connection.0 += 1;
        if broadcaster_lost {
            entries.settled = entries.published;
        }
        let received = entries.received;
        entries.settled.balance(received, reason);
        entries.settled
    }

    /// Decoder: `units` more were received at `now_us`.
    pub fn receive(&self, ticket: ConnectionTicket, units: u64, now_us: u64) {
        let mut entries = self.entries();
        if entries.connection == ticket {
            entries.received += units;
            entries.last_frame_us = now_us;
        }
    }

    /// Decoder: begins the next epoch, from 1.
    pub fn next_epoch(&self) -> u32 {
        let mut entries = self.entries();
        entries.epoch += 1;
        entries.epoch
    }

    /// Preprocessor: the account as it is now. False when the connection was thrown away: nothing may follow.
    pub fn settle(&self, ticket: ConnectionTicket, account: FrameAccount) -> bool {
        let mut entries = self.entries();
        let is_current = entries.connection == ticket;
        if is_current {
            entries.settled = account;
        }
        is_current
    }

    /// Broadcaster: event `seq` is kept, with this account.
    pub fn publish(&self, seq: u64, account: FrameAccount) {
        let mut entries = self.entries();
        entries.last_seq = seq;
        entries.published = account;
    }

    /// Broadcaster: counts the latency of one frame.
    pub fn record(&self, latency: &StageLatency) {
        self.entries().latency.record(latency);
    }

    /// Decoder: who decodes from now on, in words; `None`: the CPU, as asked.
    pub fn decoded_by(&self, decoder: Option<Arc<str>>) {
        self.entries().decoder = decoder;
    }

    /// Who decodes, where a GPU was asked for: it, or the CPU and why.
    #[must_use]
    pub fn decoder(&self) -> Option<Arc<str>> {
        self.entries().decoder.clone()
    }

    /// Units received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.entries().received
    }

    /// When something was received last, or the connection opened, in monotonic microseconds.
    #[must_use]
    pub fn last_frame_us(&self) -> u64 {
        self.entries().last_frame_us
    }

    /// The epoch in force.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.entries().epoch
    }

    /// The last number of the session.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.entries().last_seq
    }

    /// The account as the preprocessor left it.
    #[must_use]
    pub fn settled_account(&self) -> FrameAccount {
        self.entries().settled
    }

    /// The account with what is still in flight.
    #[must_use]
    pub fn live_account(&self) -> FrameAccount {
        let entries = self.entries();
        let mut account = entries.settled;
        account.received = account.received.max(entries.received);
        account
    }

    /// The account at the last event.
    #[must_use]
    pub fn published_account(&self) -> FrameAccount {
        self.entries().published
    }

    /// Latency percentiles so far.
    #[must_use]
    pub fn latency(&self) -> LatencySummary {
        self.entries().latency.summary()
    }

    /// The 99th percentile of the extraction of recent frames, in milliseconds.
    #[must_use]
    pub fn recent_p99_ms(&self) -> f64 {
        self.entries().latency.recent_p99_ms()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Plain numbers: nothing in the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyzed(frames: u64) -> FrameAccount {
        FrameAccount { received: frames, analyzed: frames, ..FrameAccount::default() }
    }

    #[test]
    fn what_was_in_flight_when_a_connection_was_lost_is_dropped_and_counted() {
        let ledger = SessionLedger::default();
        let ticket = ledger.open_connection(0);
        ledger.receive(ticket, 10, 5);
        assert!(ledger.settle(ticket, analyzed(7)));
        assert_eq!(ledger.live_account().in_flight(), 3);
        let account = ledger.close_connection(false, DropReason::WorkerRestart);
        assert!(account.is_balanced());
        assert_eq!((account.received, account.dropped_for(DropReason::WorkerRestart)), (10, 3));
        ledger.receive(ticket, 1, 6);
        assert!(!ledger.settle(ticket, analyzed(8)), "a connection that was thrown away is not heard");
        assert_eq!(ledger.live_account(), account);
    }

    #[test]
    fn a_lost_broadcaster_takes_its_unwritten_events_out_of_the_account() {
        let ledger = SessionLedger::default();
        let ticket = ledger.open_connection(0);
        ledger.receive(ticket, 10, 5);
        ledger.publish(6, analyzed(5));
        ledger.settle(ticket, analyzed(9));
        let account = ledger.close_connection(true, DropReason::WorkerRestart);
        assert_eq!((account.analyzed, account.dropped_for(DropReason::WorkerRestart)), (5, 5));
    }
}
