//! A decoded frame on its way through the pipeline: the picture, its times, and the account since the last one.

use std::sync::Arc;

use super::{ClockSource, FrameAccount, Picture};

/// Seconds of one tick as a fraction, for example 1/90000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timebase {
    /// Numerator.
    pub num: i32,
    /// Denominator, greater than zero.
    pub den: i32,
}

/// When a frame was captured, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureTime {
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
    /// Which clock said so.
    pub source: ClockSource,
    /// Half the width of the interval in which the true time lies.
    pub uncertainty_ms: u32,
}

/// One decoded frame.
#[derive(Clone)]
pub struct VideoFrame {
    /// The picture, shared and never copied.
    pub picture: Arc<dyn Picture>,
    /// Number of the frame in its session, in display order, counting lost ones; from 0.
    pub index: u64,
    /// Presentation time stamp in ticks of `timebase`.
    pub pts: i64,
    /// The unit of `pts`.
    pub timebase: Timebase,
    /// Media time: `pts` in microseconds of the source's own clock.
    pub media_us: i64,
    /// Which continuous stretch of the media clock this frame belongs to; from 1.
    pub epoch: u32,
    /// When it was captured.
    pub captured: CaptureTime,
    /// Whether the decoder saw damage.
    pub corrupt: bool,
    /// Time spent decoding, in microseconds.
    pub decode_us: u64,
    /// Monotonic time at which decoding finished, in microseconds.
    pub decoded_at_us: u64,
    /// What happened since the frame before this one, this one's reception included.
    pub account: FrameAccount,
}
