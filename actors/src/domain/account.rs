//! The frame account: every access unit that was offered to the decoder ends in exactly one place.
//!
//! `received = analyzed + skipped + sum(dropped)` holds for each account that the pipeline shows. The same type
//! is a total and a difference: a frame carries the account of what happened since the frame before it, and
//! totals are sums of those, so that an event's account does not depend on how far ahead decoding was.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Why a received frame was neither analysed nor skipped on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// A newer frame of a live source took its place before inference was free.
    Replaced,
    /// The decoder refused or lost it, or delivered it with visible damage.
    Corrupt,
    /// The inference worker failed while it held the frame.
    WorkerRestart,
    /// The stream was stopped while the frame waited.
    Stopped,
}

impl DropReason {
    /// Every reason, in the order in which events list them.
    pub const ALL: [DropReason; 4] =
        [DropReason::Replaced, DropReason::Corrupt, DropReason::WorkerRestart, DropReason::Stopped];

    /// The reason's name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::Replaced => "replaced",
            DropReason::Corrupt => "corrupt",
            DropReason::WorkerRestart => "worker_restart",
            DropReason::Stopped => "stopped",
        }
    }
}

/// Plain numbers of an account.
const COUNTERS: usize = 3 + DropReason::ALL.len();

/// Counts of frames by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FrameAccount {
    /// Access units offered to the decoder.
    pub received: u64,
    /// Frames with a `frameAnalyzed` event.
    pub analyzed: u64,
    /// Frames left out by the stream's policy (`every_nth`, `max_fps`).
    pub skipped: u64,
    /// Frames lost, by reason.
    pub dropped: Drops,
}

impl FrameAccount {
    /// Counts `count` units as received and dropped for `reason`.
    pub fn lose(&mut self, count: u64, reason: DropReason) {
        self.received += count;
        self.drop_received(count, reason);
    }

    /// Counts `count` units that were received before as dropped for `reason`.
    pub fn drop_received(&mut self, count: u64, reason: DropReason) {
        self.dropped.0[reason as usize] += count;
    }

    /// Adds another account to this one.
    pub fn add(&mut self, other: &FrameAccount) {
        self.received += other.received;
        self.analyzed += other.analyzed;
        self.skipped += other.skipped;
        for (total, part) in self.dropped.0.iter_mut().zip(other.dropped.0) {
            *total += part;
        }
    }

    /// Frames dropped for `reason`.
    #[must_use]
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.0[reason as usize]
    }

    /// Frames that were received and whose end is still open.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let ended = self.analyzed + self.skipped + self.dropped.total();
        self.received.saturating_sub(ended)
    }

    /// Closes the account at `received` units: whatever has no end yet was dropped for `reason`.
    pub fn balance(&mut self, received: u64, reason: DropReason) {
        self.received = self.received.max(received);
        let open = self.in_flight();
        self.drop_received(open, reason);
    }

    /// The account as plain numbers for a journal: received, analysed, skipped, then drops in the order of
    /// [`DropReason::ALL`], to which reasons are only ever added at the end.
    #[must_use]
    pub fn counters(&self) -> [u64; COUNTERS] {
        let mut counters = [0; COUNTERS];
        counters[..3].copy_from_slice(&[self.received, self.analyzed, self.skipped]);
        counters[3..].copy_from_slice(&self.dropped.0);
        counters
    }

    /// The account of these counters; those that are missing are zero, those that are unknown are left out.
    #[must_use]
    pub fn from_counters(counters: &[u64]) -> Self {
        let at = |index: usize| counters.get(index).copied().unwrap_or(0);
        Self {
            received: at(0),
            analyzed: at(1),
            skipped: at(2),
            dropped: Drops(std::array::from_fn(|reason| at(3 + reason))),
        }
    }

    /// Whether each received frame is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.received == self.analyzed + self.skipped + self.dropped.total()
    }
}

/// Drops by reason; serialised as an object that names only the reasons that occurred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// The sum over all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Serialize for Drops {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for reason in DropReason::ALL {
            let count = self.0[reason as usize];
            if count > 0 {
                map.serialize_entry(reason.name(), &count)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_received_and_dropped_at_once() {
        let mut account = FrameAccount::default();
        account.lose(3, DropReason::Corrupt);
        assert!(account.is_balanced());
        account.received += 1;
        assert!(!account.is_balanced(), "a frame in flight must unbalance the account");
        account.analyzed += 1;
        assert!(account.is_balanced());
    }

    #[test]
    fn only_reasons_that_occurred_are_named() {
        let mut account = FrameAccount::default();
        account.lose(2, DropReason::Replaced);
        let json = serde_json::to_value(account).unwrap();
        assert_eq!(json["dropped"], serde_json::json!({"replaced": 2}));
    }

    #[test]
    fn an_account_survives_as_plain_numbers_and_is_closed_by_balance() {
        let mut account = FrameAccount { received: 5, analyzed: 2, skipped: 1, ..FrameAccount::default() };
        account.balance(9, DropReason::WorkerRestart);
        assert!(account.is_balanced());
        assert_eq!((account.received, account.dropped_for(DropReason::WorkerRestart)), (9, 6));
        assert_eq!(FrameAccount::from_counters(&account.counters()), account);
    }

    #[test]
    fn sums_keep_the_balance() {
        let mut a = FrameAccount { received: 2, analyzed: 1, skipped: 1, ..FrameAccount::default() };
        let mut b = FrameAccount::default();
        b.lose(4, DropReason::WorkerRestart);
        a.add(&b);
        assert_eq!((a.received, a.dropped_for(DropReason::WorkerRestart)), (6, 4));
        assert!(a.is_balanced());
    }
}
