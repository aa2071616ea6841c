//! Addresses of sources: which of the two readers takes one, and how it is opened.

use std::fmt;

use kinora_actors::ports::SourceFactory;
use kinora_media::{ErrorKind, MediaError};
use kinora_rtsp::Options;

use super::media_source::MediaSource;
use super::rtsp_source::{KEY_FRAME_PATIENCE, RtspSource};
use crate::config::{Access, Decoder};

/// Where video comes from; `Display` shows no secret.
#[derive(Clone)]
pub(crate) enum SourceAddress {
    /// A camera, read by `kinora-rtsp`.
    Rtsp(kinora_rtsp::Address),
    /// Anything else, read by FFmpeg.
    Media(kinora_media::Address),
}

/// Why a text is no address; says what is allowed and shows no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// For FFmpeg.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// For a camera.
    #[error(transparent)]
    Rtsp(#[from] kinora_rtsp::Error),
}

impl AddressError {
    /// Whether nothing of what is allowed begins like this.
    pub(crate) fn is_unknown_scheme(&self) -> bool {
        matches!(self, Self::Media(error) if error.kind() == ErrorKind::UnknownScheme)
    }
}

impl SourceAddress {
    /// Reads an address as `kinora analyze` and `[[streams]]` take it.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        match kinora_rtsp::Address::is_meant_by(text) {
            true => Ok(Self::Rtsp(kinora_rtsp::Address::parse(text)?)),
            false => Ok(Self::Media(kinora_media::Address::parse(text)?)),
        }
    }

    /// Whether the source goes on by itself, so that a late reader loses pictures.
    pub(crate) fn is_live(&self) -> bool {
        match self {
            Self::Rtsp(_) => true,
            Self::Media(address) => address.is_live(),
        }
    }

    /// What opens it.
    pub(crate) fn source(&self, access: &Access, decoder: &Decoder) -> Box<dyn SourceFactory> {
        match self {
            Self::Rtsp(address) => Box::new(RtspSource {
                address: address.clone(),
                options: camera_options(access, decoder),
                threads: decoder.threads,
                patience: KEY_FRAME_PATIENCE,
                gpu: decoder.gpu,
            }),
            Self::Media(address) => Box::new(MediaSource {
                address: address.clone(),
                threads: decoder.threads,
                gpu: decoder.gpu,
                open_timeout: decoder.open_timeout,
                read_timeout: decoder.read_timeout,
                reach: access.media_reach(),
            }),
        }
    }
}

/// How a camera is asked.
pub(super) fn camera_options(access: &Access, decoder: &Decoder) -> Options {
    Options {
        credentials: access.credentials.clone(),
        auth: access.auth,
        trust: access.trust.clone(),
        reach: access.camera_reach(),
        request_timeout: decoder.open_timeout,
        silence_timeout: decoder.read_timeout,
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp(address) => address.fmt(f),
            Self::Media(address) => address.fmt(f),
        }
    }
}
