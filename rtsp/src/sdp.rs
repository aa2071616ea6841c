//! Descriptions of presentations (SDP, RFC 8866): which tracks there are and how each is packed.
//!
//! Only the lines that say something about tracks are given to the parser. Cameras write nonsense into the others
//! (origins without numbers, bandwidths with a point), and none of it is needed.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::Error;
use crate::profile;
use crate::text::printable;

/// Video that can be received here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 access units (RFC 6184).
    H264,
    /// H.265 access units (RFC 7798).
    H265,
    /// An MPEG-2 transport stream (RFC 2250), to be taken apart elsewhere.
    MpegTs,
}

/// One track of a presentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// `video`, `audio`, `application`, ...
    pub media: String,
    /// The name of its payload format, in upper case: `H264`, `MPEG4-GENERIC`, ...
    pub encoding: String,
    /// Its profile and level, `High, level 4.1` for example, where the description tells.
    pub profile: Option<String>,
    /// The payload type of its packets.
    pub payload_type: u8,
    /// Ticks of its timestamps in a second.
    pub clock_rate: u32,
    /// How it is received, if it is video that is known here.
    pub codec: Option<Codec>,
    /// NAL units of parameter sets, where the description holds them.
    pub parameter_sets: Vec<Vec<u8>>,
    pub(crate) control: String,
}

/// What a description says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presentation {
    pub(crate) control: Option<String>,
    pub(crate) tracks: Vec<Track>,
}

/// Reads a description.
///
/// # Errors
/// `Protocol` when it is none.
pub(crate) fn parse(body: &[u8]) -> Result<Presentation, Error> {
    let text = String::from_utf8_lossy(body);
    let needed = |line: &&str| line.starts_with("m=") || line.starts_with("a=");
    let lines: Vec<&str> =
        text.lines().map(|line| line.trim_matches(['\0', ' ', '\t', '\r'])).filter(needed).collect();
    let cleaned = format!("v=0\r\n{}\r\n", lines.join("\r\n"));
    let session = sdp_types::Session::parse(cleaned.as_bytes())
        .map_err(|error| Error::protocol(format!("the description cannot be read: {error}")))?;
    Ok(Presentation {
        control: session.get_first_attribute_value("control").flatten().map(str::to_owned),
        tracks: session.medias.iter().filter_map(track).collect(),
    })
}

/// A track, unless its payload type is no number.
fn track(media: &sdp_types::Media) -> Option<Track> {
    let payload_type: u8 = media.fmt.split_whitespace().next()?.parse().ok()?;
    let of_type = |name| {
        let values = media.get_attribute_values(name).flatten().map(str::trim);
        values
            .filter_map(|value| value.split_once(char::is_whitespace))
            .find(|(number, _)| *number == payload_type.to_string())
    };
    let (encoding, clock_rate) = match of_type("rtpmap") {
        Some((_, map)) => rtp_map(map),
        None => static_map(payload_type),
    };
    let codec = match (&*media.media, &*encoding) {
        ("video", "H264") => Some(Codec::H264),
        ("video", "H265" | "HEVC") => Some(Codec::H265),
        (_, "MP2T") => Some(Codec::MpegTs),
        _ => None,
    };
    let format = of_type("fmtp").map(|(_, format)| format).unwrap_or_default();
    let parameter_sets = parameter_sets(format);
    Some(Track {
        media: printable(&media.media),
        codec: codec.filter(|_| is_plain(format)),
        profile: codec.and_then(|codec| profile::of(codec, &parameter_sets, |name| parameter(format, name))),
        parameter_sets,
        encoding: printable(&encoding),
        payload_type,
        clock_rate,
        control: media.get_first_attribute_value("control").flatten().unwrap_or_default().to_owned(),
    })
}

/// (name, rate) of `H264/90000`.
fn rtp_map(map: &str) -> (String, u32) {
    let mut parts = map.trim().split('/');
    let name = parts.next().unwrap_or_default().trim().to_ascii_uppercase();
    let rate = parts.next().and_then(crate::message::leading_number).filter(|&rate| rate > 0);
    (name, rate.unwrap_or(90_000))
}

/// Payload types that need no `rtpmap` (RFC 3551, section 6); those that cameras use.
fn static_map(payload_type: u8) -> (String, u32) {
    let (name, rate) = match payload_type {
        0 => ("PCMU", 8_000),
        8 => ("PCMA", 8_000),
        26 => ("JPEG", 90_000),
        32 => ("MPV", 90_000),
        33 => ("MP2T", 90_000),
        _ => ("", 90_000),
    };
    (name.to_owned(), rate)
}

fn parameter<'a>(format: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = format.split(';').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// NAL units come in decoding order; the interleaved modes, which no camera uses, are not read.
fn is_plain(format: &str) -> bool {
    parameter(format, "packetization-mode") != Some("2")
        && parameter(format, "sprop-max-don-diff").is_none_or(|most| most == "0")
}

fn parameter_sets(format: &str) -> Vec<Vec<u8>> {
    /// Some cameras leave the padding out.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let names = ["sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets"];
    let encoded = names.iter().filter_map(|name| parameter(format, name)).flat_map(|sets| sets.split(','));
    encoded.filter_map(|set| LENIENT.decode(set.trim()).ok()).filter(|set| !set.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\na=control:rtsp://h/cam/\r\nt=0 0\r\n\
        m=audio 0 RTP/AVP 8\r\na=control:track0\r\n\
        m=video 0 RTP/AVP 96 97\r\nb=AS:5000.5\r\na=rtpmap:97 X/1\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0IAKQ==,aM48gA; profile-level-id=420029\r\na=control:track1\r\n\
        m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n";

    #[test]
    fn tracks_and_their_parameter_sets_are_found() {
        let presentation = parse(CAMERA.as_bytes()).unwrap();
        assert_eq!(presentation.control.as_deref(), Some("rtsp://h/cam/"));
        let names: Vec<_> =
            presentation.tracks.iter().map(|track| (&*track.media, &*track.encoding)).collect();
        assert_eq!(names, [("audio", "PCMA"), ("video", "H264"), ("application", "VND.ONVIF.METADATA")]);
        let video = &presentation.tracks[1];
        assert_eq!((video.codec, video.payload_type, video.clock_rate), (Some(Codec::H264), 96, 90_000));
        assert_eq!(video.parameter_sets, [vec![0x67, 0x42, 0, 0x29], vec![0x68, 0xce, 0x3c, 0x80]]);
        assert_eq!(video.control, "track1");
    }

    #[test]
    fn careless_descriptions_mean_the_same() {
        let expected = parse(CAMERA.as_bytes()).unwrap();
        for careless in [
            CAMERA.replace("\r\n", "\n"),
            CAMERA.replace("\r\n", " \r\n"),
            CAMERA.replace("o=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\n", "o=-\r\ns=\r\n"),
            format!("{CAMERA}\r\n\0"),
        ] {
            assert_eq!(parse(careless.as_bytes()).unwrap(), expected, "{careless}");
        }
    }

    #[test]
    fn other_formats_are_known_or_named() {
        let track = |lines: &str| parse(lines.as_bytes()).unwrap().tracks.remove(0);
        let hevc = track(
            "m=video 0 RTP/AVP 98\na=rtpmap:98 h265/90000\na=fmtp:98 sprop-vps=QAE=;sprop-sps=QgE=;sprop-pps=RAE=\n",
        );
        assert_eq!((hevc.codec, hevc.parameter_sets.len()), (Some(Codec::H265), 3));
        assert_eq!(track("m=video 0 RTP/AVP 33\n").codec, Some(Codec::MpegTs));
        let jpeg = track("m=video 0 RTP/AVP 26\n");
        assert_eq!((jpeg.codec, &*jpeg.encoding), (None, "JPEG"));
        let interleaved =
            track("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=2\n");
        assert_eq!(interleaved.codec, None);
    }
}
