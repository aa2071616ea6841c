//! What the header of a NAL unit says, for both codecs (H.264, section 7.4.1; H.265, section 7.4.2).

/// The start code of Annex B; four bytes everywhere, which every decoder takes.
pub(super) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Whose NAL units they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    H264,
    H265,
}

/// What a NAL unit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Part of a picture.
    Slice {
        /// Decoding may begin with this picture.
        is_key: bool,
        /// It is the picture's first.
        is_first: bool,
    },
    /// Parameters that pictures refer to; the number is its place among the kinds of sets.
    ParameterSet(usize),
    /// Supplemental information; `true` when decoding may begin with its picture.
    Information(bool),
    /// Separates access units and says nothing else.
    Delimiter,
    /// Anything else, which belongs to the access unit that it is found in.
    Other,
}

impl Kind {
    /// The bytes of a NAL unit's header.
    pub(super) fn header_length(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::H265 => 2,
        }
    }

    /// How many kinds of parameter sets a picture needs: SPS and PPS, or VPS, SPS and PPS.
    pub(super) fn parameter_set_kinds(self) -> usize {
        match self {
            Self::H264 => 2,
            Self::H265 => 3,
        }
    }

    /// The type in a NAL unit's first byte.
    pub(super) fn unit_type(self, first: u8) -> u8 {
        match self {
            Self::H264 => first & 0x1f,
            Self::H265 => (first >> 1) & 0x3f,
        }
    }

    pub(super) fn role(self, nal: &[u8]) -> Role {
        let unit_type = nal.first().map_or(0, |&first| self.unit_type(first));
        let body = nal.get(self.header_length()..).unwrap_or_default();
        // `first_mb_in_slice` is 0, or `first_slice_segment_in_pic_flag` is set: the same bit in both.
        let is_first = body.first().is_some_and(|byte| byte & 0x80 != 0);
        match (self, unit_type) {
            (Self::H264, 1) => Role::Slice { is_key: false, is_first },
            // Data partitions: A begins with the address, B and C do not and never come first.
            (Self::H264, 2) => Role::Slice { is_key: false, is_first },
            (Self::H264, 3 | 4) => Role::Slice { is_key: false, is_first: false },
            (Self::H264, 5) => Role::Slice { is_key: true, is_first },
            (Self::H264, 6) => Role::Information(is_recovery_point(body)),
            (Self::H264, 7 | 8) => Role::ParameterSet(usize::from(unit_type) - 7),
            (Self::H264, 9) => Role::Delimiter,
            (Self::H265, 0..=31) => Role::Slice { is_key: (16..=23).contains(&unit_type), is_first },
            (Self::H265, 32..=34) => Role::ParameterSet(usize::from(unit_type) - 32),
            (Self::H265, 35) => Role::Delimiter,
            (Self::H265, 39) => Role::Information(false),
            _ => Role::Other,
        }
    }
}

/// Whether the first message is a recovery point at this very picture: what an encoder without IDR pictures sends.
fn is_recovery_point(body: &[u8]) -> bool {
    // Payload type 6, any size, then `recovery_frame_cnt` 0 as the single bit 1 (H.264, section D.1.8).
    matches!(body, [6, _, first, ..] if first & 0x80 != 0)
}

/// The NAL units in bytes that should be one, but may hold start codes: some cameras send Annex B as it is.
pub(super) fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = text.windows(3).position(|three| three == [0, 0, 1]);
        rest = found.map(|at| &text[at + 3..]);
        Some(&text[..found.unwrap_or(text.len())])
    })
    .map(|nal| if nal.len() == bytes.len() { nal } else { without_trailing_zeros(nal) })
    .filter(|nal| !nal.is_empty())
}

fn without_trailing_zeros(nal: &[u8]) -> &[u8] {
    &nal[..nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_of_both_codecs() {
        let h264 = |bytes: &[u8]| Kind::H264.role(bytes);
        assert_eq!(h264(&[0x65, 0x88]), Role::Slice { is_key: true, is_first: true });
        assert_eq!(h264(&[0x41, 0x20]), Role::Slice { is_key: false, is_first: false });
        assert_eq!((h264(&[0x67]), h264(&[0x68])), (Role::ParameterSet(0), Role::ParameterSet(1)));
        assert_eq!(h264(&[6, 6, 1, 0xc4]), Role::Information(true));
        assert_eq!(h264(&[6, 5, 1, 0xc4]), Role::Information(false));
        assert_eq!((h264(&[9, 0xf0]), h264(&[])), (Role::Delimiter, Role::Other));
        let h265 = |unit_type: u8| Kind::H265.role(&[unit_type << 1, 1, 0x80]);
        assert_eq!(h265(19), Role::Slice { is_key: true, is_first: true });
        assert_eq!(h265(1), Role::Slice { is_key: false, is_first: true });
        assert_eq!(
            (h265(32), h265(34), h265(35)),
            (Role::ParameterSet(0), Role::ParameterSet(2), Role::Delimiter)
        );
    }

    #[test]
    fn start_codes_inside_are_cut_at() {
        let units = |bytes: &'static [u8]| split(bytes).collect::<Vec<_>>();
        assert_eq!(units(&[0x67, 1, 0, 2]), [&[0x67, 1, 0, 2]]);
        assert_eq!(units(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2]), [&[0x67, 1], &[0x68, 2]]);
        assert_eq!(units(&[0x41, 9, 0]), [&[0x41, 9, 0]]);
    }
}
