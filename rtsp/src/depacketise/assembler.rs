//! Joins NAL units into access units in Annex B, for both codecs.
//!
//! An access unit ends with the marker bit. Cameras that forget the marker end it with the next timestamp, and those
//! that repeat a timestamp with a NAL unit that can only begin a picture. Some set the marker on every packet: once a
//! picture goes on after its marker, the marker is not believed any more.

use std::time::Instant;

use super::nal::{Kind, Role, START_CODE};
use super::{Payload, Unit, h264, h265};

/// An access unit larger than this is damage: the largest level of H.265 allows 100 MB, no camera comes near this.
const MOST_UNIT: usize = 32 * 1024 * 1024;

/// What is found in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Whole(&'a [u8]),
    Fragment {
        is_first: bool,
        is_last: bool,
        /// The header of the whole NAL unit; one byte of it for H.264.
        header: [u8; 2],
        data: &'a [u8],
    },
    Unreadable,
}

/// The NAL units of an aggregation packet, each with its length in two bytes in front.
pub(super) fn aggregated<'a>(mut rest: &'a [u8], out: &mut Vec<Piece<'a>>) {
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((nal, after)) = after.split_at_checked(length).filter(|_| length > 0) else {
            // Zeros fill some cameras' packets up; anything else is cut short.
            if length > 0 {
                out.push(Piece::Unreadable);
            }
            return;
        };
        out.push(Piece::Whole(nal));
        rest = after;
    }
}

/// See the module.
pub(crate) struct Assembler {
    kind: Kind,
    /// The sets that pictures refer to, by their place; each with its start code.
    sets: Vec<Vec<u8>>,
    unit: Option<Pending>,
    /// Where the NAL unit that is being put together from fragments begins in the unit's data.
    fragment_at: Option<usize>,
    /// Packets that were lost since the last unit was begun.
    lost: u32,
    /// A picture back to the last key frame is missing or damaged, or there was no key frame yet.
    after_loss: bool,
    /// The timestamp of the last unit, if a marker ended it.
    ended_by_marker: Option<u32>,
    believes_marker: bool,
}

/// An access unit that is not finished.
struct Pending {
    data: Vec<u8>,
    timestamp: u32,
    received_at: Instant,
    has_slice: bool,
    is_key: bool,
    /// Which kinds of parameter sets are in it.
    sets: Vec<bool>,
    lost: u32,
    is_corrupt: bool,
}

impl Assembler {
    /// `sets` are the parameter sets of a description, without start codes.
    pub(super) fn new(kind: Kind, sets: &[Vec<u8>]) -> Self {
        let mut assembler = Self {
            kind,
            sets: vec![Vec::new(); kind.parameter_set_kinds()],
            unit: None,
            fragment_at: None,
            lost: 0,
            after_loss: true,
            ended_by_marker: None,
            believes_marker: true,
        };
        for set in sets {
            if let Role::ParameterSet(place) = kind.role(set) {
                append(&mut assembler.sets[place], set);
            }
        }
        assembler
    }

    pub(super) fn push(&mut self, payload: &Payload<'_>, out: &mut Vec<Unit>) {
        if payload.lost > 0 {
            self.lose(payload.lost);
        }
        if self.unit.as_ref().is_some_and(|unit| unit.timestamp != payload.timestamp) {
            self.finish(out);
        }
        let mut pieces = Vec::new();
        match self.kind {
            Kind::H264 => h264::pieces(payload.data, &mut pieces),
            Kind::H265 => h265::pieces(payload.data, &mut pieces),
        }
        for piece in pieces {
            self.take(piece, payload, out);
        }
        self.mark(payload, out);
    }

    /// Gives the unit that is being put together, if there is a picture in it.
    pub(super) fn finish(&mut self, out: &mut Vec<Unit>) {
        self.drop_fragment();
        let Some(unit) = self.unit.take() else { return };
        if unit.has_slice {
            out.push(self.finished(unit));
        } else {
            // Its packets were nothing but parameters, which are remembered, or the picture was lost.
            self.lost += unit.lost;
            self.after_loss |= unit.is_corrupt;
        }
    }

    /// Packets are missing: the unit in work lacks a part if they were its own, and pictures after it a reference.
    fn lose(&mut self, count: u32) {
        self.drop_fragment();
        self.after_loss = true;
        match &mut self.unit {
            Some(unit) => {
                unit.lost += count;
                unit.is_corrupt = true;
            }
            None => self.lost += count,
        }
    }

    /// The marker ends a unit that has a picture; parameters alone wait for theirs.
    fn mark(&mut self, payload: &Payload<'_>, out: &mut Vec<Unit>) {
        let is_whole = self.fragment_at.is_none() && self.unit.as_ref().is_some_and(|unit| unit.has_slice);
        if payload.marker && self.believes_marker && is_whole {
            self.finish(out);
            self.ended_by_marker = Some(payload.timestamp);
        }
    }

    fn take(&mut self, piece: Piece<'_>, payload: &Payload<'_>, out: &mut Vec<Unit>) {
        match piece {
            Piece::Whole(nal) => {
                self.drop_fragment();
                self.begin(self.kind.role(nal), payload, out);
                append(&mut self.unit(payload).data, nal);
                self.complete(nal);
            }
            Piece::Fragment { is_first: true, is_last, header, data } => {
                self.drop_fragment();
                // The role of a NAL unit is in its header and the byte after it.
                let header = &header[..self.kind.header_length()];
                let head: Vec<u8> = header.iter().chain(data.first()).copied().collect();
                self.begin(self.kind.role(&head), payload, out);
                let unit = self.unit(payload);
                let at = unit.data.len();
                append(&mut unit.data, header);
                self.fragment_at = Some(at);
                self.go_on(data, is_last, payload);
            }
            Piece::Fragment { is_last, data, .. } => self.go_on(data, is_last, payload),
            Piece::Unreadable => self.damage(payload),
        }
    }

    /// A part of the NAL unit that was begun.
    fn go_on(&mut self, data: &[u8], is_last: bool, payload: &Payload<'_>) {
        let (Some(unit), Some(at)) = (&mut self.unit, self.fragment_at) else {
            // Its beginning is missing.
            return self.damage(payload);
        };
        if unit.data.len() + data.len() > MOST_UNIT {
            return self.give_up();
        }
        unit.data.extend_from_slice(data);
        if is_last {
            self.fragment_at = None;
            let nal = unit.data[at + START_CODE.len()..].to_vec();
            self.complete(&nal);
        }
    }

    /// Ends the unit in work if a NAL unit of this role can only begin another one; begins one if there is none.
    fn begin(&mut self, role: Role, payload: &Payload<'_>, out: &mut Vec<Unit>) {
        let begins = match role {
            Role::Slice { is_first, .. } => is_first,
            Role::ParameterSet(_) | Role::Delimiter | Role::Information(_) => true,
            Role::Other => false,
        };
        if begins && self.unit.as_ref().is_some_and(|unit| unit.has_slice) {
            self.finish(out);
        }
        if self.unit.as_ref().is_some_and(|unit| unit.data.len() > MOST_UNIT) {
            self.give_up();
        }
        let goes_on = matches!(role, Role::Slice { is_first: false, .. });
        if self.unit.is_none()
            && goes_on
            && self.ended_by_marker == Some(payload.timestamp)
            && payload.lost == 0
        {
            self.believes_marker = false;
        }
        let unit = self.unit(payload);
        // The picture's first slice was lost.
        unit.is_corrupt |= goes_on && !unit.has_slice;
    }

    /// The unit in work; a new one if there is none.
    fn unit(&mut self, payload: &Payload<'_>) -> &mut Pending {
        let (lost, kinds) = (&mut self.lost, self.sets.len());
        self.unit.get_or_insert_with(|| Pending {
            data: Vec::new(),
            timestamp: payload.timestamp,
            received_at: payload.received_at,
            has_slice: false,
            is_key: false,
            sets: vec![false; kinds],
            lost: std::mem::take(lost),
            is_corrupt: false,
        })
    }

    /// A NAL unit is in the unit's data, all of it.
    fn complete(&mut self, nal: &[u8]) {
        let Some(unit) = &mut self.unit else { return };
        match self.kind.role(nal) {
            Role::Slice { is_key, .. } => {
                unit.has_slice = true;
                unit.is_key |= is_key;
            }
            Role::Information(is_key) => unit.is_key |= is_key,
            Role::ParameterSet(place) => {
                // The first set of its kind in a unit replaces those of earlier units.
                if !std::mem::replace(&mut unit.sets[place], true) {
                    self.sets[place].clear();
                }
                append(&mut self.sets[place], nal);
            }
            Role::Delimiter | Role::Other => {}
        }
    }

    /// The unit in work has grown beyond all pictures.
    fn give_up(&mut self) {
        self.lost += self.unit.take().map_or(0, |unit| unit.lost);
        self.fragment_at = None;
        self.after_loss = true;
    }

    /// Something of the unit in work cannot be read.
    fn damage(&mut self, payload: &Payload<'_>) {
        self.drop_fragment();
        self.after_loss = true;
        self.unit(payload).is_corrupt = true;
    }

    /// Half a NAL unit is worth nothing to a decoder.
    fn drop_fragment(&mut self) {
        if let (Some(at), Some(unit)) = (self.fragment_at.take(), &mut self.unit) {
            unit.data.truncate(at);
            unit.is_corrupt = true;
            self.after_loss = true;
        }
    }

    fn finished(&mut self, unit: Pending) -> Unit {
        let is_key = unit.is_key && self.sets.iter().all(|sets| !sets.is_empty());
        self.after_loss = (self.after_loss && !is_key) || unit.is_corrupt;
        Unit {
            is_key,
            timestamp: unit.timestamp,
            lost: unit.lost,
            is_corrupt: unit.is_corrupt,
            after_loss: self.after_loss,
            received_at: unit.received_at,
            data: if is_key { self.with_parameter_sets(unit) } else { unit.data },
        }
    }

    /// The unit's data; all parameter sets are put in front if it lacks any, since each refers to the one before.
    fn with_parameter_sets(&self, unit: Pending) -> Vec<u8> {
        if unit.sets.iter().all(|is_there| *is_there) {
            return unit.data;
        }
        self.sets.iter().flatten().chain(&unit.data).copied().collect()
    }
}

fn append(data: &mut Vec<u8>, nal: &[u8]) {
    data.extend_from_slice(&START_CODE);
    data.extend_from_slice(nal);
}

#[cfg(test)]
#[path = "assembler_tests.rs"]
mod tests;
