//! The encoders: H.264 by x264, AAC by FFmpeg's own. Both give the same bytes for the same input.

use std::ffi::{CStr, c_int};
use std::ptr;

use crate::codec::CodecContext;
use crate::dict::Dict;
use crate::error::{ErrorKind, MediaError};
use crate::muxer::Muxer;
use crate::packet::Packet;
use crate::raw::{self, sys};
use crate::raw_frame::RawFrame;
use crate::settings::{AudioSettings, VideoSettings};

/// An open encoder.
pub(crate) struct Encoder {
    context: CodecContext,
    what: &'static str,
    /// Ticks that a frame of video is shown; 0 for sound, whose packets tell it.
    frame_ticks: i64,
}

impl Encoder {
    /// An H.264 encoder whose clock ticks a whole number of times a frame, and at least 90 000 times a second where an `int`
    /// can say so: constant rates are exact, and other times right to a tick of MPEG's clock.
    pub(crate) fn video(settings: &VideoSettings) -> Result<Self, MediaError> {
        settings.check()?;
        let (time_base, frame_ticks) = clock_of(settings.frame_rate);
        let encoder = Self { context: find(c"libx264")?, what: "encode H.264", frame_ticks };
        let raw = encoder.context.as_ptr();
        let rate = raw::rational(settings.frame_rate);
        // SAFETY: the context is fresh, not open yet, and owned here.
        unsafe {
            // `check` holds both far below the bounds of an `int`.
            ((*raw).width, (*raw).height) = (settings.width as c_int, settings.height as c_int);
            (*raw).pix_fmt = sys::AVPixelFormat::AV_PIX_FMT_YUV420P;
            ((*raw).time_base, (*raw).framerate) = (raw::rational(time_base), rate);
            (*raw).sample_aspect_ratio = sys::AVRational { num: 1, den: 1 };
            (*raw).gop_size = c_int::try_from(settings.gop).unwrap_or(c_int::MAX);
            (*raw).thread_count = c_int::try_from(settings.threads).unwrap_or(0);
            (*raw).color_range = sys::AVColorRange::AVCOL_RANGE_MPEG;
            (*raw).colorspace = sys::AVColorSpace::AVCOL_SPC_BT709;
            (*raw).color_primaries = sys::AVColorPrimaries::AVCOL_PRI_BT709;
            (*raw).color_trc = sys::AVColorTransferCharacteristic::AVCOL_TRC_BT709;
        }
        let mut options = Dict::new();
        options.set("preset", settings.preset.name());
        options.set("crf", &settings.crf.to_string());
        if avx512_is_used() {
            options.set("x264-params", "asm=avx2");
        }
        encoder.open(options)
    }

    /// An AAC encoder whose clock ticks once a sample.
    pub(crate) fn audio(settings: &AudioSettings) -> Result<Self, MediaError> {
        settings.check()?;
        let encoder = Self { context: find(c"aac")?, what: "encode AAC", frame_ticks: 0 };
        let raw = encoder.context.as_ptr();
        // SAFETY: the context is fresh, not open yet, and owned here; its channel layout is blank.
        unsafe {
            (*raw).sample_fmt = sys::AVSampleFormat::AV_SAMPLE_FMT_FLTP;
            (*raw).sample_rate = settings.sample_rate as c_int;
            (*raw).bit_rate = i64::from(settings.bit_rate);
            (*raw).time_base = sys::AVRational { num: 1, den: settings.sample_rate as c_int };
            sys::av_channel_layout_default(&raw mut (*raw).ch_layout, settings.channels as c_int);
        }
        encoder.open(Dict::new())
    }

    fn open(self, mut options: Dict) -> Result<Self, MediaError> {
        let raw = self.context.as_ptr();
        // SAFETY: the context is configured and owned; its codec is the one it was allocated for.
        let code = unsafe {
            // MP4 keeps the parameter sets in its index; nothing in the stream may depend on the day or the machine.
            (*raw).flags |= (sys::AV_CODEC_FLAG_GLOBAL_HEADER | sys::AV_CODEC_FLAG_BITEXACT) as c_int;
            sys::avcodec_open2(raw, ptr::null(), options.as_mut_ptr())
        };
        self.checked(code).map(|()| self)
    }

    pub(crate) fn context(&self) -> &CodecContext {
        &self.context
    }

    /// Seconds a tick, as (numerator, denominator).
    pub(crate) fn time_base(&self) -> (i32, i32) {
        // SAFETY: a plain field of the open context is copied out.
        raw::pair(unsafe { (*self.context.as_ptr()).time_base })
    }

    /// Ticks that a frame of video is shown at its nominal rate.
    pub(crate) fn frame_ticks(&self) -> i64 {
        self.frame_ticks
    }

    /// Samples a frame of audio must have; the last may be shorter.
    pub(crate) fn samples_a_frame(&self) -> usize {
        // SAFETY: an integer of the open context is read.
        unsafe { (*self.context.as_ptr()).frame_size }.max(1) as usize
    }

    /// Encodes a frame (`None`: there are no more) and writes what comes out to stream `index`.
    pub(crate) fn encode(
        &mut self,
        frame: Option<&RawFrame>,
        muxer: &mut Muxer,
        index: usize,
    ) -> Result<(), MediaError> {
        let raw = self.context.as_ptr();
        // SAFETY: the context is open and exclusively borrowed; the frame is null or lives during the call.
        self.checked(unsafe {
            sys::avcodec_send_frame(raw, frame.map_or(ptr::null(), |frame| frame.as_ptr()))
        })?;
        let time_base = self.time_base();
        let mut packet = Packet::new()?;
        loop {
            // SAFETY: the context is open and exclusively borrowed, the packet is owned.
            match unsafe { sys::avcodec_receive_packet(raw, packet.as_mut_ptr()) } {
                raw::AGAIN | sys::AVERROR_EOF => return Ok(()),
                code => self.checked(code)?,
            }
            if packet.duration() == 0 {
                // SAFETY: the packet is owned. x264 tells no duration; without one the last frame has none in the file.
                unsafe { (*packet.as_mut_ptr()).duration = self.frame_ticks };
            }
            muxer.write(&mut packet, index, time_base)?;
        }
    }

    fn checked(&self, code: c_int) -> Result<(), MediaError> {
        if code < 0 {
            Err(MediaError::from_code(code, self.what, ErrorKind::InvalidSettings))
        } else {
            Ok(())
        }
    }
}

/// x264 (build 164) reads memory that it never wrote when it uses AVX-512 for macroblock trees with B frames: the output
/// then depends on what was in memory. Its AVX2 code does not, and each processor with AVX-512 has that.
fn avx512_is_used() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// (seconds a tick, ticks a frame) for frames at `rate` a second.
fn clock_of((num, den): (i32, i32)) -> ((i32, i32), i64) {
    /// Ticks a second of MPEG's clock.
    const TICKS: i64 = 90_000;
    let least = (TICKS * i64::from(den) + i64::from(num) - 1) / i64::from(num);
    // The denominator has to stay an `int`; a frame is always at least one tick.
    let ticks = least.clamp(1, i64::from(i32::MAX / num));
    let denominator = i64::from(num) * ticks;
    let (a, b) = (i64::from(den), denominator);
    let common = divisor(a, b);
    let int = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
    ((int(a / common), int(b / common)), ticks)
}

fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn find(name: &CStr) -> Result<CodecContext, MediaError> {
    // SAFETY: the name is a C string; what is found is static.
    let codec = unsafe { sys::avcodec_find_encoder_by_name(name.as_ptr()) };
    if codec.is_null() {
        let message = format!("this FFmpeg has no encoder {}", name.to_string_lossy());
        return Err(MediaError::new(ErrorKind::UnsupportedCodec, message));
    }
    // SAFETY: `codec` is one of FFmpeg's.
    unsafe { CodecContext::new(codec) }
}

#[cfg(test)]
mod tests {
    use super::clock_of;

    #[test]
    fn clocks_tick_a_whole_number_of_times_a_frame() {
        for (rate, clock) in [
            ((30, 1), ((1, 90_000), 3_000)),
            ((24_000, 1_001), ((1_001, 90_096_000), 3_754)),
            ((1, 1), ((1, 90_000), 90_000)),
            ((120_000, 1), ((1, 120_000), 1)),
            ((i32::MAX, 1), ((1, i32::MAX), 1)),
            ((i32::MAX, i32::MAX), ((1, 1), 1)),
        ] {
            assert_eq!(clock_of(rate), clock);
            let ((num, den), ticks) = clock_of(rate);
            // A frame's time is exact: ticks * num / den == rate.1 / rate.0.
            let (ours, theirs) = (i128::from(ticks) * i128::from(num), i128::from(rate.1));
            assert_eq!(ours * i128::from(rate.0), theirs * i128::from(den), "{rate:?}");
        }
    }
}
