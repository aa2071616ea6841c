//! What a track's description says of its codec's profile, for people: `High, level 4.1`.

use crate::sdp::Codec;

/// The profile by the sequence parameter set, which the encoder wrote, else by the description's own words.
///
/// `sets` are NAL units; `parameter` gives a parameter of the format's line.
pub(crate) fn of<'a>(
    codec: Codec,
    sets: &[Vec<u8>],
    parameter: impl Fn(&str) -> Option<&'a str>,
) -> Option<String> {
    match codec {
        Codec::H264 => sets.iter().find_map(|set| h264_set(set)).or_else(|| h264_words(parameter)),
        Codec::H265 => sets.iter().find_map(|set| h265_set(set)).or_else(|| h265_words(parameter)),
        Codec::MpegTs => None,
    }
}

/// ITU-T H.264, section 7.3.2.1.1: type 7, then profile, constraints and level in a byte each.
fn h264_set(set: &[u8]) -> Option<String> {
    match set {
        [head, profile, constraints, level, ..] if head & 0x1f == 7 => {
            Some(h264(*profile, *constraints, *level))
        }
        _ => None,
    }
}

/// RFC 6184, section 8.1: the same three bytes in hexadecimal.
fn h264_words<'a>(parameter: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let number = u32::from_str_radix(parameter("profile-level-id")?, 16).ok()?;
    let [_, profile, constraints, level] = number.to_be_bytes();
    Some(h264(profile, constraints, level))
}

fn h264(profile: u8, constraints: u8, level: u8) -> String {
    let name = match profile {
        66 if constraints & 0x40 != 0 => "Constrained Baseline",
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        _ => return format!("profile {profile}, {}", level_of(level, 10)),
    };
    format!("{name}, {}", level_of(level, 10))
}

/// ITU-T H.265, sections 7.3.2.2.1 and 7.3.3: type 33, a byte of identifiers, the profile's byte, four of compatibility,
/// six of constraints, the level.
fn h265_set(set: &[u8]) -> Option<String> {
    let set = unescaped(set);
    match (set.first().map(|head| head >> 1 & 0x3f), set.get(3), set.get(14)) {
        (Some(33), Some(profile), Some(level)) => Some(h265(profile & 0x1f, *level)),
        _ => None,
    }
}

/// RFC 7798, section 7.1; Main and level 3.1 are meant where nothing is said.
fn h265_words<'a>(parameter: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let profile = parameter("profile-id");
    let level = parameter("level-id");
    profile.or(level)?;
    Some(h265(profile.map_or(Some(1), |id| id.parse().ok())?, level.map_or(Some(93), |id| id.parse().ok())?))
}

fn h265(profile: u8, level: u8) -> String {
    let name = match profile {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        _ => return format!("profile {profile}, {}", level_of(level, 30)),
    };
    format!("{name}, {}", level_of(level, 30))
}

fn level_of(number: u8, unit: u8) -> String {
    format!("level {:.1}", f32::from(number) / f32::from(unit))
}

/// Without the bytes that keep start codes out of a NAL unit: each 3 after two zeros.
fn unescaped(nal: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let is_kept = |byte: &&u8| {
        let is_escape = zeros >= 2 && **byte == 3;
        zeros = if **byte == 0 { zeros + 1 } else { 0 };
        !is_escape
    };
    nal.iter().filter(is_kept).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<&'static str> {
        None
    }

    #[test]
    fn parameter_sets_tell_profile_and_level() {
        let set = |bytes: &[u8]| vec![bytes.to_vec()];
        let h264 = |bytes: &[u8]| of(Codec::H264, &set(bytes), nothing);
        assert_eq!(h264(&[0x67, 100, 0, 41]).as_deref(), Some("High, level 4.1"));
        assert_eq!(h264(&[0x67, 66, 0xc0, 30]).as_deref(), Some("Constrained Baseline, level 3.0"));
        assert_eq!(h264(&[0x68, 100, 0, 41]), None, "a picture parameter set tells nothing");
        // As x265 writes it, with bytes that keep start codes out.
        let escaped = [0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 93, 0xa0];
        assert_eq!(of(Codec::H265, &set(&escaped), nothing).as_deref(), Some("Main, level 3.1"));
    }

    #[test]
    fn a_description_without_sets_tells_it_in_words() {
        let words = |name: &str| match name {
            "profile-level-id" => Some("4d401f"),
            "profile-id" => Some("2"),
            _ => None,
        };
        assert_eq!(of(Codec::H264, &[], words).as_deref(), Some("Main, level 3.1"));
        assert_eq!(of(Codec::H265, &[], words).as_deref(), Some("Main 10, level 3.1"));
        assert_eq!(of(Codec::H264, &[], nothing), None);
        assert_eq!(of(Codec::MpegTs, &[], nothing), None);
    }
}
