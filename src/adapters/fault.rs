//! What stands between Kinora and a source: a stable word for programs, a sentence and a hint for people.

use kinora_actors::ports::{SourceError, SourceErrorKind};
use kinora_media::{MediaError, Scheme};
use kinora_rtsp::Error;
use serde::Serialize;

/// Why a source cannot be used as it is.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    /// A word that stays.
    pub(crate) code: &'static str,
    /// What is wrong and where, without credentials.
    pub(crate) message: String,
    /// What to try.
    pub(crate) hint: Option<&'static str>,
}

/// The address or an option cannot be used.
pub(crate) const INVALID: &str = "invalid";
/// This FFmpeg cannot decode it, or does not speak its protocol.
pub(crate) const FFMPEG_LACKS_IT: &str = "ffmpeg_lacks_it";

const MANUAL: &str = "the path is in the camera's manual, or in what it tells by ONVIF";
const WRONG_PASSWORD: &str = "check the user and the password; some cameras have accounts of their own for streaming, and \
                              some lock an account after a few tries";

impl Fault {
    /// Of a camera that was asked what it has.
    pub(super) fn of_camera(error: &Error, has_credentials: bool) -> Self {
        use kinora_rtsp::ErrorKind as Kind;
        let (code, hint) = match error.kind() {
            Kind::Unavailable | Kind::Cancelled => ("unavailable", None),
            Kind::NotFound => ("not_found", Some(MANUAL)),
            Kind::Unauthorized if has_credentials => ("unauthorized", Some(WRONG_PASSWORD)),
            Kind::Unauthorized => ("unauthorized", Some("give --username and --password-file")),
            Kind::OutOfReach => ("forbidden", None),
            Kind::Unsupported => ("unsupported", None),
            Kind::Protocol => ("unavailable", Some("is it RTSP that listens there? 554 is the usual port")),
            Kind::Invalid => (INVALID, None),
        };
        Self { code, message: error.to_string(), hint }
    }

    /// Of a source that FFmpeg was asked to open.
    pub(super) fn of_media(error: &MediaError, address: &kinora_media::Address) -> Self {
        use kinora_media::ErrorKind as Kind;
        let hint = match (error.kind(), address.scheme()) {
            (Kind::Timeout, Scheme::Udp) => {
                Some("does the sender send to this host and port, and does a firewall let it in?")
            }
            (Kind::Timeout, Scheme::Tcp | Scheme::Srt | Scheme::Http | Scheme::Https) => {
                Some("the server is there and says nothing; is it the right port?")
            }
            (Kind::Unauthorized | Kind::Forbidden, _) => Some(WRONG_PASSWORD),
            (Kind::NotFoundRemote, _) => Some("is the path right?"),
            (Kind::PermissionDenied, Scheme::Device) => Some("devices belong to the group video, as a rule"),
            (Kind::NotFound, Scheme::Device) => Some("`ls /dev/video*` shows what is there"),
            (Kind::UnsupportedCodec | Kind::UnknownScheme, _) => {
                Some("an FFmpeg that was built with it is needed")
            }
            _ => None,
        };
        let code = match error.kind() {
            Kind::UnsupportedCodec | Kind::UnknownScheme => FFMPEG_LACKS_IT,
            Kind::NotFound => "not_found",
            _ => code(super::media_source::source_error(error.clone()).kind),
        };
        Self { code, message: error.to_string(), hint }
    }

    /// Of a source that was open.
    pub(super) fn of_source(error: SourceError) -> Self {
        Self { code: code(error.kind), message: error.message, hint: None }
    }

    /// Of a source that ended before there was a picture.
    pub(super) fn of_nothing(source: &str) -> Self {
        Self { code: "damaged", message: format!("{source}: no picture could be decoded"), hint: None }
    }
}

fn code(kind: SourceErrorKind) -> &'static str {
    match kind {
        SourceErrorKind::Unavailable | SourceErrorKind::Cancelled => "unavailable",
        SourceErrorKind::NotFound => "not_found",
        SourceErrorKind::Unauthorized => "unauthorized",
        SourceErrorKind::Forbidden => "forbidden",
        SourceErrorKind::Unsupported => "unsupported",
        SourceErrorKind::Damaged => "damaged",
    }
}
