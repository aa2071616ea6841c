//! H.265 in RTP (RFC 7798): single NAL units, aggregation packets and fragmentation units.

use super::assembler::Piece;
use super::nal::{Kind, split};

const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

/// Cuts a payload into NAL units or a part of one; [`Piece::Unreadable`] for what is in neither form.
pub(super) fn pieces<'a>(payload: &'a [u8], out: &mut Vec<Piece<'a>>) {
    let [first, second, rest @ ..] = payload else { return };
    match Kind::H265.unit_type(*first) {
        AGGREGATION => super::assembler::aggregated(rest, out),
        FRAGMENTATION => out.push(fragment([*first, *second], rest)),
        0..=47 => out.extend(split(payload).map(Piece::Whole)),
        _ => out.push(Piece::Unreadable),
    }
}

/// A fragmentation unit (section 4.4.3): the type of the whole is in the third byte.
fn fragment(indicator: [u8; 2], rest: &[u8]) -> Piece<'_> {
    let [header, data @ ..] = rest else { return Piece::Unreadable };
    let nal_header = [indicator[0] & 0x81 | (header & 0x3f) << 1, indicator[1]];
    Piece::Fragment { is_first: header & 0x80 != 0, is_last: header & 0x40 != 0, header: nal_header, data }
}
