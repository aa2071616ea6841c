//! Decoding on an NVIDIA GPU through FFmpeg's hardware context, where it can be had.
//!
//! The context is the device's primary one, which everything in the process shares. FFmpeg opens the driver at run time:
//! without one, or with a codec that the GPU does not know, the stream is decoded on the CPU, and says why. When the GPU's
//! decoder refuses a stream in mid-course, FFmpeg itself goes on in software; one that takes it and only fails is replaced
//! (`strikes.rs`). Pictures stay in the GPU's memory (`gpu_picture.rs`) until somebody asks for their planes, and come back
//! to the host's as NV12 or P010 then.
//!
//! FFmpeg takes the primary context only while it is idle, or as FFmpeg would make it: threads that wait for it sleep
//! (`CU_CTX_SCHED_BLOCKING_SYNC`). Whoever else opens it in this process has to make it so, and does.

use std::ffi::{CString, c_int};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::CodecContext;
use crate::error::{ErrorKind, MediaError};
use crate::raw::{self, sys};
use crate::raw_frame::RawFrame;

/// Where a stream is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoding {
    /// On the CPU, as asked.
    Cpu,
    /// By the decoder of this GPU.
    Gpu(u32),
    /// On the CPU, because of this.
    Instead(String),
}

impl std::fmt::Display for Decoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(number) => write!(f, "cuda:{number}"),
            Self::Instead(reason) => write!(f, "cpu: {reason}"),
        }
    }
}

/// A device context of FFmpeg's. Dropping it gives one reference back; decoders hold their own.
#[derive(Debug)]
struct Device(NonNull<sys::AVBufferRef>);

impl Device {
    /// The primary context of GPU `number`.
    fn open(number: u32) -> Result<Self, MediaError> {
        crate::init();
        let name = CString::new(number.to_string()).expect("a number should have no zeros");
        let mut context = ptr::null_mut();
        // SAFETY: the name lives during the call; the context is written on success only, and is then owned here.
        let code = unsafe {
            let kind = sys::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA;
            sys::av_hwdevice_ctx_create(&mut context, kind, name.as_ptr(), ptr::null_mut(), PRIMARY_CONTEXT)
        };
        match NonNull::new(context).filter(|_| code >= 0) {
            Some(context) => Ok(Self(context)),
            None => Err(MediaError::from_code(code, "open the GPU's decoder", ErrorKind::UnsupportedCodec)),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: the reference is owned here and given back once.
        unsafe { sys::av_buffer_unref(&mut context) };
    }
}

/// `AV_CUDA_USE_PRIMARY_CONTEXT`: the header that names it needs CUDA's.
const PRIMARY_CONTEXT: c_int = 1;

/// Codecs that are given to a GPU. It knows more, in forms whose pictures nobody has compared with the CPU's.
const DECODED: [c_int; 2] =
    [sys::AVCodecID::AV_CODEC_ID_H264 as c_int, sys::AVCodecID::AV_CODEC_ID_HEVC as c_int];

/// Makes a decoder that is not open yet use GPU `number`, if it can.
///
/// # Safety
/// `codec` is the static codec of FFmpeg that `context` was made for.
pub(crate) unsafe fn attach(context: &CodecContext, codec: *const sys::AVCodec, number: u32) -> Decoding {
    // SAFETY: as the caller promises; an enumeration of a static codec is read as an integer.
    if !unsafe { DECODED.contains(&raw::int(&raw const (*codec).id)) && knows_cuda(codec) } {
        return Decoding::Instead("H.264 and H.265 are decoded there, and this is neither".into());
    }
    let device = match Device::open(number) {
        Ok(device) => device,
        Err(error) => return Decoding::Instead(error.to_string()),
    };
    // SAFETY: the context is not open yet and owned by the caller; it takes a reference of its own, or null, which is none.
    unsafe { (*context.as_ptr()).hw_device_ctx = sys::av_buffer_ref(device.0.as_ptr()) };
    Decoding::Gpu(number)
}

/// Whether a codec can use a CUDA device that is given to it.
///
/// # Safety
/// `codec` is one of FFmpeg's static codecs.
unsafe fn knows_cuda(codec: *const sys::AVCodec) -> bool {
    let (way, cuda) = (
        sys::AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX as c_int,
        sys::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA as c_int,
    );
    (0..)
        // SAFETY: any number is allowed; null comes behind the last one.
        .map_while(|index| NonNull::new(unsafe { sys::avcodec_get_hw_config(codec, index) }.cast_mut()))
        // SAFETY: the table is static; its enumeration is read as an integer.
        .any(|config| unsafe {
            let config = config.as_ptr();
            (*config).methods & way != 0 && raw::int(&raw const (*config).device_type) == cuda
        })
}

/// Whether a picture lies in a GPU's memory.
pub(crate) fn is_on_gpu(frame: &RawFrame) -> bool {
    frame.format() == sys::AVPixelFormat::AV_PIX_FMT_CUDA as c_int
}

/// Whether the GPU's decoder has written a picture. Of one that was damaged before its decoding began FFmpeg gives out a
/// frame without memory, and copies nothing of it without an error.
pub(crate) fn has_samples(frame: &RawFrame) -> bool {
    // SAFETY: pointers of an allocated frame are copied out and not read through.
    let [luma, chroma] = unsafe { [(*frame.as_ptr()).data[0], (*frame.as_ptr()).data[1]] };
    !luma.is_null() && !chroma.is_null()
}

/// Whether rows above or columns to the left of a picture are not shown. FFmpeg takes them off pictures of the host only.
pub(crate) fn is_shifted(frame: &RawFrame) -> bool {
    // SAFETY: two integers of an allocated frame are read.
    unsafe { (*frame.as_ptr()).crop_left != 0 || (*frame.as_ptr()).crop_top != 0 }
}

/// The frames context of a picture in a GPU's memory.
pub(crate) fn frames_context(frame: &RawFrame) -> Option<NonNull<sys::AVHWFramesContext>> {
    // SAFETY: a reference that is there is live, and its data are a frames context.
    unsafe {
        let frames = NonNull::new((*frame.as_ptr()).hw_frames_ctx)?;
        NonNull::new((*frames.as_ptr()).data.cast::<sys::AVHWFramesContext>())
    }
}

/// How the samples of a picture in a GPU's memory lie there.
pub(crate) fn stored_format(frame: &RawFrame) -> Option<c_int> {
    // SAFETY: the context lives as long as the frame; its enumeration is read as an integer.
    frames_context(frame).map(|context| unsafe { raw::int(&raw const (*context.as_ptr()).sw_format) })
}

static FETCHED: AtomicU64 = AtomicU64::new(0);

/// Pictures that this process has copied from a GPU's memory to the host's.
pub fn gpu_pictures_fetched() -> u64 {
    FETCHED.load(Ordering::Relaxed)
}

/// The picture in the host's memory.
pub(crate) fn download(frame: &RawFrame) -> Result<RawFrame, MediaError> {
    let format = stored_format(frame)
        .ok_or_else(|| MediaError::new(ErrorKind::Corrupt, "a GPU's picture without a form"))?;
    let (width, height) = frame.size();
    let here = RawFrame::with_picture(format, width, height)?;
    // SAFETY: both frames are live; the target has buffers of the picture's size and form that nobody else sees.
    let code = unsafe {
        match sys::av_hwframe_transfer_data(here.as_ptr(), frame.as_ptr(), 0) {
            code if code < 0 => code,
            _ => match sys::av_frame_copy_props(here.as_ptr(), frame.as_ptr()) {
                code if code < 0 => code,
                // As FFmpeg's own decoders do it.
                _ => sys::av_frame_apply_cropping(here.as_ptr(), 0),
            },
        }
    };
    if code < 0 {
        return Err(MediaError::from_code(code, "fetch a picture from the GPU", ErrorKind::Corrupt));
    }
    FETCHED.fetch_add(1, Ordering::Relaxed);
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_asked_for_h264_and_h265_only() {
        crate::init();
        for (name, id) in [
            ("h264", sys::AVCodecID::AV_CODEC_ID_H264),
            ("hevc", sys::AVCodecID::AV_CODEC_ID_HEVC),
            ("mjpeg", sys::AVCodecID::AV_CODEC_ID_MJPEG),
            ("vp9", sys::AVCodecID::AV_CODEC_ID_VP9),
        ] {
            // SAFETY: any integer is allowed; FFmpeg has these decoders.
            let codec = unsafe { raw::find_decoder(id as c_int) };
            assert!(!codec.is_null(), "{name}");
            // SAFETY: the codec is FFmpeg's, and the context is made for it. No machine has so many GPUs.
            let decoding = unsafe { attach(&CodecContext::new(codec).unwrap(), codec, 4_095) };
            let Decoding::Instead(reason) = decoding else { panic!("{name}: {decoding:?}") };
            assert_eq!(reason.contains("neither"), ["mjpeg", "vp9"].contains(&name), "{name}: {reason}");
        }
    }

    #[test]
    fn a_frame_without_memory_has_no_samples_and_a_crop_in_front_is_seen() {
        assert!(!has_samples(&RawFrame::new().unwrap()));
        let format = sys::AVPixelFormat::AV_PIX_FMT_NV12 as c_int;
        let frame = RawFrame::with_picture(format, 64, 48).unwrap();
        assert!(has_samples(&frame) && !is_shifted(&frame));
        // SAFETY: a plain field of a frame that only this test has.
        unsafe { (*frame.as_ptr()).crop_top = 2 };
        assert!(is_shifted(&frame));
    }
}
