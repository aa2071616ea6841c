//! One event as bytes in a segment: length, checksum, body.
//!
//! `u32` length of the body, `u32` CRC-32 of that length and the body, the body; all numbers little-endian. The
//! length is part of the checksum, so that a stretch of zeros, which a file system may leave, is no record.

use std::sync::Arc;

use kinora_actors::domain::{EventFacts, EventKind, FrameAccount, LoggedEvent, SessionId};

/// Bytes before the body.
pub(super) const PREFIX: usize = 8;
/// No event is nearly as large; a length above it is damage.
pub(super) const MAX_BODY: usize = 16 << 20;

/// Writes `event` to `out`, which is emptied first. Names longer than 64 kB are cut; configuration forbids them.
pub(super) fn encode(event: &LoggedEvent, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; PREFIX]);
    out.extend_from_slice(&event.seq.to_le_bytes());
    out.extend_from_slice(&event.facts.timestamp_us.to_le_bytes());
    out.extend_from_slice(&event.facts.recorded_at_us.to_le_bytes());
    out.extend_from_slice(&event.facts.epoch.to_le_bytes());
    let counters = event.facts.account.counters();
    out.extend_from_slice(&short(counters.len()).to_le_bytes());
    counters.iter().for_each(|counter| out.extend_from_slice(&counter.to_le_bytes()));
    for text in [&*event.session.0, &*event.stream, event.kind.name()] {
        let length = short(text.len());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
    }
    out.extend_from_slice(&event.payload);
    let length = u32::try_from(out.len() - PREFIX).unwrap_or(u32::MAX).to_le_bytes();
    let crc = checksum(length, &out[PREFIX..]).to_le_bytes();
    out[..4].copy_from_slice(&length);
    out[4..PREFIX].copy_from_slice(&crc);
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The length of the body that follows this prefix, if it can be one.
pub(super) fn body_length(prefix: [u8; PREFIX]) -> Option<usize> {
    let length = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
    (length <= MAX_BODY).then_some(length)
}

/// The event of a prefix and its body; `None` when it is damaged.
pub(super) fn decode(prefix: [u8; PREFIX], body: &[u8]) -> Option<LoggedEvent> {
    let [l0, l1, l2, l3, c0, c1, c2, c3] = prefix;
    if checksum([l0, l1, l2, l3], body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return None;
    }
    let mut fields = Fields(body);
    let seq = fields.u64()?;
    let timestamp_us = fields.u64()?.cast_signed();
    let recorded_at_us = fields.u64()?.cast_signed();
    let epoch = u32::from_le_bytes(fields.take()?);
    let counters = (0..fields.u16()?).map(|_| fields.u64()).collect::<Option<Vec<_>>>()?;
    let session = SessionId(fields.text()?);
    let stream = fields.text()?;
    let kind = EventKind::from_name(&fields.text()?)?;
    Some(LoggedEvent {
        session,
        stream,
        seq,
        kind,
        facts: EventFacts {
            timestamp_us,
            recorded_at_us,
            epoch,
            account: FrameAccount::from_counters(&counters),
        },
        payload: fields.0.into(),
    })
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

/// What of a body was not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = usize::from(self.u16()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Into::into)
    }
}
