//! H.264 in RTP (RFC 6184): single NAL units, STAP-A and FU-A.

use super::assembler::Piece;
use super::nal::{Kind, split};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Cuts a payload into NAL units or a part of one; [`Piece::Unreadable`] for the interleaved modes and damage.
pub(super) fn pieces<'a>(payload: &'a [u8], out: &mut Vec<Piece<'a>>) {
    let [first, rest @ ..] = payload else { return };
    match Kind::H264.unit_type(*first) {
        1..=23 => out.extend(split(payload).map(Piece::Whole)),
        // A start code in front of the first NAL unit makes its header a zero.
        0 if payload.starts_with(&[0, 0]) => out.extend(split(payload).map(Piece::Whole)),
        STAP_A => super::assembler::aggregated(rest, out),
        FU_A => out.push(fragment(*first, rest)),
        _ => out.push(Piece::Unreadable),
    }
}

/// A fragmentation unit (section 5.8): the header of the whole is split over indicator and header.
fn fragment(indicator: u8, rest: &[u8]) -> Piece<'_> {
    let [header, data @ ..] = rest else { return Piece::Unreadable };
    let nal_header = [indicator & 0xe0 | header & 0x1f, 0];
    Piece::Fragment { is_first: header & 0x80 != 0, is_last: header & 0x40 != 0, header: nal_header, data }
}
