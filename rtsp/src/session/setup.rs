//! SETUP: which track, under which name, on which channels.

use super::keep_alive::SessionId;
use super::open::{Opened, check};
use crate::Options;
use crate::address::control;
use crate::error::{Error, ErrorKind};
use crate::message::{Request, Response};
use crate::sdp::{Codec, Presentation, Track};

/// Media over the connection itself, packets on channel 0 and reports on channel 1.
const TRANSPORT: &str = "RTP/AVP/TCP;unicast;interleaved=0-1";

/// A track that is ready to play.
pub(super) struct Ready {
    pub(super) track: Track,
    pub(super) codec: Codec,
    pub(super) channels: Channels,
    pub(super) session: SessionId,
    pub(super) aggregate: String,
}

/// The channels that a track's packets come on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channels {
    media: u8,
    control: u8,
}

impl Channels {
    pub(super) fn contains(self, channel: u8) -> bool {
        channel == self.media || channel == self.control
    }

    /// The channels of `interleaved=2-3`; those that were asked for when the server names none.
    ///
    /// # Errors
    /// `Unsupported` when the server chose another transport.
    fn read(transport: Option<&str>) -> Result<Self, Error> {
        let transport = transport.unwrap_or(TRANSPORT).to_ascii_lowercase();
        let mut parts = transport.split([';', ',']).map(str::trim);
        let named = parts.find_map(|part| part.strip_prefix("interleaved"));
        match named.map(|value| value.trim_start_matches([' ', '='])) {
            Some(value) => {
                let mut numbers = value.split('-').map(|number| number.trim().parse().ok());
                let media = numbers.next().flatten().unwrap_or(0);
                Ok(Self { media, control: numbers.next().flatten().unwrap_or(media.wrapping_add(1)) })
            }
            None if transport.contains("tcp") => Ok(Self { media: 0, control: 1 }),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "the server insists on sending media over UDP; it has to be allowed to send over TCP",
            )),
        }
    }
}

/// The place of the first video track that is known here; a transport stream only where there is no plain video.
pub(super) fn choose(tracks: &[Track]) -> Option<usize> {
    let plain = |track: &Track| matches!(track.codec, Some(Codec::H264 | Codec::H265));
    tracks.iter().position(plain).or_else(|| tracks.iter().position(|track| track.codec.is_some()))
}

/// Sets the video track up.
///
/// # Errors
/// `Unsupported` without one; otherwise what the server makes of it.
pub(super) fn set_up(opened: &mut Opened, options: &Options) -> Result<Ready, Error> {
    let chosen = choose(&opened.presentation.tracks).map(|place| opened.presentation.tracks[place].clone());
    let Some((track, codec)) = chosen.and_then(|track| Some((track.codec?, track))).map(|(c, t)| (t, c))
    else {
        return Err(Error::new(ErrorKind::Unsupported, nothing_known(&opened.presentation)));
    };
    let mut last = None;
    // A wrong Content-Base is common; what was asked for itself is then the base.
    for base in opened.bases.clone() {
        let aggregate = control(&base, opened.presentation.control.as_deref().unwrap_or_default());
        let request = Request::new("SETUP", control(&base, &track.control)).with("Transport", TRANSPORT);
        let response = opened.connection.request(&request, options.request_timeout)?;
        let is_about_the_name = matches!(response.status, 400 | 404 | 451 | 455 | 459 | 460);
        last = Some(response);
        if !is_about_the_name {
            return ready(last.as_ref(), track, codec, aggregate);
        }
    }
    ready(last.as_ref(), track, codec, String::new())
}

fn ready(response: Option<&Response>, track: Track, codec: Codec, aggregate: String) -> Result<Ready, Error> {
    let response = response.ok_or_else(|| Error::protocol("there is nothing to set up"))?;
    check(response, "SETUP")?;
    let session = SessionId::read(&response.headers).unwrap_or_else(SessionId::nameless);
    Ok(Ready {
        track,
        codec,
        channels: Channels::read(response.headers.get("Transport"))?,
        session,
        aggregate,
    })
}

fn nothing_known(presentation: &Presentation) -> String {
    let names: Vec<_> =
        presentation.tracks.iter().map(|track| format!("{} {}", track.media, track.encoding)).collect();
    let has = if names.is_empty() { "no track at all".to_owned() } else { names.join(", ") };
    format!(
        "there is no video in H.264, H.265 or MPEG-TS; the server has {has}. Choose H.264 in the camera's settings"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse;

    #[test]
    fn channels_are_read_however_they_are_written() {
        let read =
            |text: &str| Channels::read(Some(text)).map(|channels| (channels.media, channels.control)).ok();
        assert_eq!(read("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=1"), Some((2, 3)));
        assert_eq!(read("rtp/avp/tcp; interleaved = 4 "), Some((4, 5)));
        assert_eq!(read("RTP/AVP/TCP;unicast"), Some((0, 1)));
        assert_eq!(Channels::read(None).unwrap(), Channels { media: 0, control: 1 });
        assert_eq!(read("RTP/AVP;unicast;client_port=1-2"), None);
    }

    #[test]
    fn the_video_is_chosen_among_several_tracks() {
        let chosen = |lines: &str| choose(&parse(lines.as_bytes()).unwrap().tracks);
        let audio = "m=audio 0 RTP/AVP 0\n";
        let jpeg = "m=video 0 RTP/AVP 26\n";
        let h264 = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
        assert_eq!(chosen(&format!("{audio}{jpeg}{h264}{h264}")), Some(2));
        assert_eq!(chosen(&format!("m=video 0 RTP/AVP 33\n{h264}")), Some(1));
        assert_eq!(chosen(&format!("{audio}m=video 0 RTP/AVP 33\n")), Some(1));
        assert_eq!(chosen(&format!("{audio}{jpeg}")), None);
    }
}
