//! The account of access units: each one that was offered to the decoder ends as a frame or as lost, and is counted once.
//!
//! Pure bookkeeping without FFmpeg. Decoders do not tell what became of a packet: its frame may come 16 packets later,
//! or never. So each unit gets a number that its frame carries out again, and one whose turn has passed is lost.

use std::collections::VecDeque;
use std::fmt;

/// Units that may be in a decoder before the oldest must have come out: twice H.264's 16 reference pictures, because the
/// two fields of an interlaced frame may be two units, and some for parsers.
const DEPTH: usize = 40;

/// The account up to now. `received == frames + lost + in_flight` always, and `in_flight` is 0 at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Access units that were offered to the decoder (not those that the container marks as discard). Two units that
    /// are the fields of one frame count once; until that is known, as two.
    pub received: u64,
    /// Frames that were delivered.
    pub frames: u64,
    /// Units that were reported lost.
    pub lost: u64,
    /// Units still in the decoder.
    pub in_flight: u64,
}

/// Access units that never became a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// How many, at least 1.
    pub count: u64,
    /// Why.
    pub reason: LossReason,
    /// What the decoder said, if it said something.
    pub detail: Option<String>,
}

/// Why an access unit did not become a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossReason {
    /// It came before the first key frame, and what it refers to was never seen.
    BeforeKeyFrame,
    /// The decoder refused it.
    Refused,
    /// The decoder took it and gave no frame.
    NoFrame,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeKeyFrame => "before the first key frame",
            Self::Refused => "refused by the decoder",
            Self::NoFrame => "no frame came of it",
        })
    }
}

/// Keeps the account.
#[derive(Debug)]
pub(crate) struct Ledger {
    depth: usize,
    newest: i64,
    pending: VecDeque<Unit>,
    /// Units of the last interlaced frames; the unit after one may be its second field.
    interlaced: VecDeque<i64>,
    frames: u64,
    lost: u64,
    key_seen: bool,
    /// Whether frames come in the order of their timestamps. A stream where one did not is judged by depth alone.
    ordered: bool,
}

#[derive(Debug)]
struct Unit {
    number: i64,
    pts: Option<i64>,
    before_key: bool,
    refused: Option<String>,
}

impl Ledger {
    /// For a decoder that holds `threads` frames in work beside those it reorders.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            depth: DEPTH + threads,
            newest: 0,
            pending: VecDeque::new(),
            interlaced: VecDeque::new(),
            frames: 0,
            lost: 0,
            key_seen: false,
            ordered: true,
        }
    }

    /// A unit is about to be offered; gives its number, from 1.
    pub(crate) fn offer(&mut self, pts: Option<i64>, key: bool) -> i64 {
        self.newest += 1;
        self.key_seen |= key;
        let unit = Unit { number: self.newest, pts, before_key: !self.key_seen, refused: None };
        self.pending.push_back(unit);
        self.newest
    }

    /// The decoder complained when it got the newest unit. It may yet give a (damaged) frame of it.
    pub(crate) fn refuse(&mut self, why: String) {
        if let Some(unit) = self.pending.back_mut() {
            unit.refused = Some(why);
        }
    }

    /// A frame came out with the number `tag`: the units that it overtook are lost. `Ok` gives them and the frame's
    /// index; `Err` says that its unit is accounted for already, so that the frame must not be delivered.
    pub(crate) fn deliver(
        &mut self,
        tag: i64,
        pts: Option<i64>,
        interlaced: bool,
    ) -> Result<(Vec<Lost>, u64), ()> {
        let Some(position) = self.position(tag, pts) else {
            // A repetition, or a frame that was given up because of timestamps that do not tell the order.
            self.ordered = false;
            return Err(());
        };
        let number = self.pending.remove(position).map_or(0, |unit| unit.number);
        if interlaced {
            self.interlaced.push_back(number);
            let surplus = self.interlaced.len().saturating_sub(self.depth);
            self.interlaced.drain(..surplus);
        }
        let ordered = self.ordered;
        let overtaken =
            |unit: &Unit| ordered && unit.number < number && unit.pts.zip(pts).is_some_and(|(u, p)| u < p);
        let lost = self.give_up(overtaken);
        let index = self.frames + self.lost;
        self.frames += 1;
        Ok((lost, index))
    }

    /// Units that are too old to come out of any decoder.
    pub(crate) fn overdue(&mut self) -> Vec<Lost> {
        let oldest = self.newest - self.depth as i64;
        if self.pending.front().is_none_or(|unit| unit.number > oldest) {
            return Vec::new();
        }
        self.give_up(|unit| unit.number <= oldest)
    }

    /// Nothing will come out any more.
    pub(crate) fn finish(&mut self) -> Vec<Lost> {
        self.give_up(|_| true)
    }

    /// The number of the oldest unit whose fate is open; the next one's when there is none.
    pub(crate) fn oldest(&self) -> i64 {
        self.pending.front().map_or(self.newest + 1, |unit| unit.number)
    }

    pub(crate) fn account(&self) -> Account {
        let in_flight = self.pending.len() as u64;
        Account {
            received: self.frames + self.lost + in_flight,
            frames: self.frames,
            lost: self.lost,
            in_flight,
        }
    }

    /// Where the unit of a frame is. A decoder that does not carry numbers out is matched by timestamp, or by order.
    fn position(&self, tag: i64, pts: Option<i64>) -> Option<usize> {
        if (1..=self.newest).contains(&tag) {
            return self.pending.iter().position(|unit| unit.number == tag);
        }
        let same = self.pending.iter().position(|unit| unit.pts.is_some() && unit.pts == pts);
        same.or(if self.pending.is_empty() { None } else { Some(0) })
    }

    fn give_up(&mut self, is_lost: impl Fn(&Unit) -> bool) -> Vec<Lost> {
        let mut all: Vec<Lost> = Vec::new();
        let interlaced = &self.interlaced;
        self.pending.retain(|unit| {
            if !is_lost(unit) {
                return true;
            }
            // The second field of a frame that was delivered is in it.
            if unit.refused.is_none() && interlaced.contains(&(unit.number - 1)) {
                return false;
            }
            let reason = unit.reason();
            match all.last_mut().filter(|last| last.reason == reason && last.detail == unit.refused) {
                Some(last) => last.count += 1,
                None => all.push(Lost { count: 1, reason, detail: unit.refused.clone() }),
            }
            false
        });
        self.lost += all.iter().map(|lost| lost.count).sum::<u64>();
        all
    }
}

impl Unit {
    fn reason(&self) -> LossReason {
        match &self.refused {
            _ if self.before_key => LossReason::BeforeKeyFrame,
            Some(_) => LossReason::Refused,
            None => LossReason::NoFrame,
        }
    }
}

#[cfg(test)]
mod tests;
