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
    /// Units received, and led to their end, when the connection opened.
    before: (u64, u64),
    /// Units of the connection that were led to their end; `None` before it received any.
    reach: Option<u64>,
    /// When a frame of the connection was published last.
    flowed_us: Option<u64>,
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
        entries.before = (entries.received, led_to_end(&entries.settled));
        (entries.reach, entries.flowed_us) = (None, None);
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
            entries.reach.get_or_insert(0);
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
            let done = led_to_end(&account).saturating_sub(entries.before.1);
            entries.reach = entries.reach.map(|_| done);
        }
        is_current
    }

    /// Broadcaster: event `seq` is kept, with this account; the monotonic time, if it is that of a frame.
    pub fn publish(&self, seq: u64, account: FrameAccount, frame_at_us: Option<u64>) {
        let mut entries = self.entries();
        entries.last_seq = seq;
        entries.published = account;
        // Frames of a connection that was thrown away may still be on their way.
        if account.received > entries.before.0 {
            entries.flowed_us = frame_at_us.or(entries.flowed_us);
        }
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

    /// How many units of the connection in force, or of the last one, were led to their end; `None` if it received none.
    /// Those that a part dropped when it failed have no end.
    #[must_use]
    pub fn reach(&self) -> Option<u64> {
        self.entries().reach
    }

    /// The reach of the last connection is known to whoever counts its tries; nothing has come of the next one yet.
    pub fn forget_reach(&self) {
        self.entries().reach = None;
    }

    /// When a frame of the connection in force was published last, in monotonic microseconds.
    #[must_use]
    pub fn flowed_us(&self) -> Option<u64> {
        self.entries().flowed_us
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

fn led_to_end(account: &FrameAccount) -> u64 {
    account.received.saturating_sub(account.dropped_for(DropReason::WorkerRestart))
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
        ledger.publish(6, analyzed(5), None);
        ledger.settle(ticket, analyzed(9));
        let account = ledger.close_connection(true, DropReason::WorkerRestart);
        assert_eq!((account.analyzed, account.dropped_for(DropReason::WorkerRestart)), (5, 5));
    }

    #[test]
    fn the_reach_of_a_connection_is_what_it_led_to_its_end() {
        let ledger = SessionLedger::default();
        let first = ledger.open_connection(0);
        assert_eq!(ledger.reach(), None);
        ledger.receive(first, 10, 5);
        assert_eq!(ledger.reach(), Some(0));
        ledger.settle(first, analyzed(7));
        ledger.close_connection(false, DropReason::WorkerRestart);
        assert_eq!(ledger.reach(), Some(7), "what it dropped at its end is not part of it");
        let second = ledger.open_connection(20);
        assert_eq!(ledger.reach(), None);
        ledger.receive(second, 4, 25);
        let mut account = ledger.settled_account();
        account.add(&analyzed(2));
        ledger.settle(second, account);
        assert_eq!(ledger.reach(), Some(2));
        ledger.forget_reach();
        assert_eq!(ledger.reach(), None);
    }

    #[test]
    fn frames_flow_when_one_of_the_connection_in_force_is_published() {
        let ledger = SessionLedger::default();
        let first = ledger.open_connection(0);
        ledger.receive(first, 3, 5);
        ledger.close_connection(false, DropReason::WorkerRestart);
        ledger.open_connection(10);
        ledger.publish(4, analyzed(3), Some(11));
        assert_eq!(ledger.flowed_us(), None, "that frame is of the first connection");
        ledger.publish(5, analyzed(4), None);
        assert_eq!(ledger.flowed_us(), None, "that event is of no frame");
        ledger.publish(6, analyzed(4), Some(13));
        assert_eq!(ledger.flowed_us(), Some(13));
    }
}
