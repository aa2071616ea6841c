//! RTP payloads into access units (RFC 6184, RFC 7798) or transport-stream packets (RFC 2250).
//!
//! Pure: packets in, units out. A unit knows what was lost before and inside it; what to do about that is its reader's
//! business.

mod assembler;
mod h264;
mod h265;
mod nal;
mod transport;

use std::time::Instant;

use assembler::Assembler;
use transport::TransportStream;

use crate::sdp::{Codec, Track};

/// A packet's payload and what its header says about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) data: &'a [u8],
    /// The last packet of its access unit, if the server can be believed.
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    /// Packets that are missing since the one before.
    pub(crate) lost: u32,
    pub(crate) received_at: Instant,
}

/// A whole access unit, or as many transport-stream packets as came in one RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) data: Vec<u8>,
    pub(crate) is_key: bool,
    pub(crate) timestamp: u32,
    pub(crate) lost: u32,
    pub(crate) is_corrupt: bool,
    pub(crate) after_loss: bool,
    pub(crate) received_at: Instant,
}

/// Puts the units of one track together.
pub(crate) enum Depacketiser {
    Video(Assembler),
    Transport(TransportStream),
}

impl Depacketiser {
    /// For a track of this codec, with the parameter sets of its description.
    pub(crate) fn new(codec: Codec, track: &Track) -> Self {
        match codec {
            Codec::H264 => Self::Video(Assembler::new(nal::Kind::H264, &track.parameter_sets)),
            Codec::H265 => Self::Video(Assembler::new(nal::Kind::H265, &track.parameter_sets)),
            Codec::MpegTs => Self::Transport(TransportStream::default()),
        }
    }

    /// Takes the next packet; finished units are given to `out`.
    pub(crate) fn push(&mut self, payload: &Payload<'_>, out: &mut Vec<Unit>) {
        match self {
            Self::Video(assembler) => assembler.push(payload, out),
            Self::Transport(stream) => out.extend(stream.push(payload)),
        }
    }

    /// The unit that no packet ended, at the end of the stream.
    pub(crate) fn finish(&mut self, out: &mut Vec<Unit>) {
        if let Self::Video(assembler) = self {
            assembler.finish(out);
        }
    }
}
