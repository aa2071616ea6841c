//! From a track's packets to timed media. Pure: the connection hands packets in.

use std::collections::VecDeque;
use std::time::Instant;

use crate::connection::Packet;
use crate::depacketise::{Depacketiser, Payload, Unit};
use crate::rtp::{self, Sequence, Step};
use crate::sdp::{Codec, Track};
use crate::time::{HostClock, Stamp, StreamClock};

/// A whole access unit, or transport-stream packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// H.264 and H.265: NAL units in Annex B, with parameter sets in front of each key frame. MPEG-TS: whole packets of
    /// 188 bytes; [`is_key`](Self::is_key) means nothing then.
    pub data: Vec<u8>,
    /// Decoding may begin here; the parameter sets are in it.
    pub is_key: bool,
    /// When it was taken and what its timestamp means. The arrival of its first packet counts.
    pub stamp: Stamp,
    /// Packets that were lost before or in it and after the last unit.
    pub lost_packets: u32,
    /// A part of it is missing.
    pub is_corrupt: bool,
    /// It, or a picture back to the last key frame, is damaged or missing: what is decoded may look wrong.
    pub after_loss: bool,
    /// When its first packet arrived.
    pub received_at: Instant,
}

/// Counts of a stream, from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets of the track.
    pub packets: u64,
    /// Packets that are missing by their sequence numbers.
    pub lost: u64,
    /// Packets that came twice, or are of another format than the track's.
    pub ignored: u64,
    /// Sender reports.
    pub reports: u64,
    /// Units that were given out, and how many of them are key frames.
    pub units: u64,
    /// A decoder that sees none for ten seconds has nothing to begin with.
    pub key_frames: u64,
}

/// See the module.
pub(crate) struct Receiver {
    payload_type: u8,
    sequence: Sequence,
    ssrc: Option<u32>,
    depacketiser: Depacketiser,
    clock: StreamClock,
    host: HostClock,
    /// Monotonic time counts from here.
    origin: Instant,
    counts: Counts,
    ready: VecDeque<AccessUnit>,
    units: Vec<Unit>,
    is_over: bool,
}

impl Receiver {
    /// For a track; `unix_us` is the wall clock at `origin`.
    pub(crate) fn new(codec: Codec, track: &Track, origin: Instant, unix_us: i64) -> Self {
        Self {
            payload_type: track.payload_type,
            sequence: Sequence::default(),
            ssrc: None,
            depacketiser: Depacketiser::new(codec, track),
            clock: StreamClock::new(track.clock_rate),
            host: HostClock::new(0, unix_us),
            origin,
            counts: Counts::default(),
            ready: VecDeque::new(),
            units: Vec::new(),
            is_over: false,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn clock(&mut self) -> &mut StreamClock {
        &mut self.clock
    }

    /// The two clocks of the host, read now.
    pub(crate) fn observe_host(&mut self, now: Instant, unix_us: i64) {
        let monotonic_us = self.monotonic_us(now);
        self.host.observe(monotonic_us, unix_us);
    }

    /// The next unit that is whole.
    pub(crate) fn pop(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    /// Whether the source said good-bye.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Gives out the unit that is in work.
    pub(crate) fn finish(&mut self) {
        self.depacketiser.finish(&mut self.units);
        self.stamp_units();
    }

    /// Takes a packet of the media channel or of its control channel.
    pub(crate) fn take(&mut self, packet: &Packet) {
        if rtp::is_rtcp(&packet.data) {
            self.control(&packet.data);
        } else {
            self.media(&packet.data, packet.received_at);
        }
    }

    fn control(&mut self, data: &[u8]) {
        let reports = rtp::reports(data);
        // A report of another source says nothing about this one's timestamps.
        if let Some(report) = reports.sender.filter(|report| self.ssrc.is_none_or(|ssrc| ssrc == report.ssrc))
        {
            self.counts.reports += 1;
            self.clock.report(report.ntp, report.rtp);
        }
        if reports.bye {
            self.is_over = true;
            self.finish();
        }
    }

    fn media(&mut self, data: &[u8], received_at: Instant) {
        let packet = rtp::parse(data).filter(|packet| packet.payload_type() == self.payload_type);
        let Some(packet) = packet else {
            self.counts.ignored += 1;
            return;
        };
        self.counts.packets += 1;
        let is_new_source = self.ssrc.replace(packet.ssrc()).is_some_and(|ssrc| ssrc != packet.ssrc());
        if is_new_source {
            self.sequence = Sequence::default();
            self.finish();
            self.clock.begin_epoch();
        }
        let lost = match self.sequence.see(packet.sequence_number()) {
            Step::Forward(lost) => lost,
            Step::Repeated => {
                self.counts.ignored += 1;
                return;
            }
            // At least one is missing, or the server would not have begun anew.
            Step::Restarted => 1,
        };
        self.counts.lost += u64::from(lost);
        let (marker, timestamp) = (packet.marker_bit(), packet.timestamp());
        let payload = Payload { data: packet.payload(), marker, timestamp, lost, received_at };
        self.depacketiser.push(&payload, &mut self.units);
        self.stamp_units();
    }

    fn stamp_units(&mut self) {
        for unit in std::mem::take(&mut self.units) {
            let arrived_us = self.monotonic_us(unit.received_at);
            self.counts.units += 1;
            self.counts.key_frames += u64::from(unit.is_key);
            self.ready.push_back(AccessUnit {
                stamp: self.clock.frame(unit.timestamp, arrived_us, &self.host),
                data: unit.data,
                is_key: unit.is_key,
                lost_packets: unit.lost,
                is_corrupt: unit.is_corrupt,
                after_loss: unit.after_loss,
                received_at: unit.received_at,
            });
        }
    }

    fn monotonic_us(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.origin).as_micros()).unwrap_or(i64::MAX)
    }
}
