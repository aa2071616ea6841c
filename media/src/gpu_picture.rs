//! Pictures that stay in a GPU's memory: copied there, out of the few surfaces that a decoder has.
//!
//! A decoder stands still, or loses pictures, when all its surfaces are held; a pipeline holds some. So each picture is copied to
//! memory of its own as soon as it is decoded, from device to device, in the order of the default stream, on which FFmpeg
//! decodes too. That memory grows with the pictures that are alive, which queues bound, and is used again.

use std::ffi::c_int;
use std::ptr::NonNull;

use crate::hardware;
use crate::layout::PixelLayout;
use crate::raw::sys;
use crate::raw_frame::RawFrame;

/// A picture in a GPU's memory. It lies there as long as its [`crate::Frame`] lives.
///
/// What is written there was ordered on the default stream of the GPU's primary context before the frame was given out, and
/// may not be done yet: who reads has to wait for that stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuPicture {
    /// The GPU's number.
    pub gpu: u32,
    /// Significant bits a sample: 8 (NV12), or 10 to 16 in the high bits of a word (P010, P016).
    pub bits: u8,
    /// Y, and interleaved Cb and Cr at half the width and height.
    pub planes: [GpuPlane; 2],
}

/// A plane in a GPU's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuPlane {
    /// The device's address of the first sample. Nothing of it can be read by the host.
    pub address: u64,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// Forms of picture that are kept: two planes, chroma halved both ways.
const KEPT: [(c_int, sys::AVPixelFormat); 3] = [
    (sys::AVPixelFormat::AV_PIX_FMT_NV12 as c_int, sys::AVPixelFormat::AV_PIX_FMT_NV12),
    (sys::AVPixelFormat::AV_PIX_FMT_P010LE as c_int, sys::AVPixelFormat::AV_PIX_FMT_P010LE),
    (sys::AVPixelFormat::AV_PIX_FMT_P016LE as c_int, sys::AVPixelFormat::AV_PIX_FMT_P016LE),
];

/// The memory that the pictures of one decoder are copied to.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pool: Option<(Form, Pool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    format: c_int,
    /// As the decoder allocates: what is shown may be less.
    width: c_int,
    height: c_int,
}

impl Shelf {
    /// A copy of a GPU's picture in memory of its own, with all its properties; nothing if it has a form that is not kept, or
    /// rows and columns in front of those that are shown, or the GPU has no memory left. Then it is fetched.
    pub(crate) fn keep(&mut self, frame: &RawFrame) -> Option<RawFrame> {
        if hardware::is_shifted(frame) {
            return None;
        }
        let format = hardware::stored_format(frame)?;
        let (_, known) = KEPT.into_iter().find(|(number, _)| *number == format)?;
        let context = hardware::frames_context(frame)?;
        // SAFETY: two integers of a context that lives as long as the frame.
        let (width, height) = unsafe { ((*context.as_ptr()).width, (*context.as_ptr()).height) };
        let form = Form { format, width, height };
        if self.pool.as_ref().is_none_or(|(held, _)| *held != form) {
            // Pictures of the old form keep their memory until the last of them is gone.
            self.pool = Some((form, Pool::on_device_of(context, known, form)?));
        }
        let (_, pool) = self.pool.as_ref()?;
        let kept = pool.picture()?;
        // SAFETY: both frames are live pictures of one device and allocated size; the target is fresh, and nobody else sees it.
        let code = unsafe {
            let (shown, copy) = (frame.as_ptr(), kept.as_ptr());
            ((*copy).width, (*copy).height) = ((*shown).width, (*shown).height);
            match sys::av_hwframe_transfer_data(kept.as_ptr(), frame.as_ptr(), 0) {
                code if code < 0 => code,
                _ => sys::av_frame_copy_props(kept.as_ptr(), frame.as_ptr()),
            }
        };
        (code >= 0).then_some(kept)
    }
}

/// A frames context of FFmpeg's: gives out memory and takes it back.
#[derive(Debug)]
struct Pool(NonNull<sys::AVBufferRef>);

// SAFETY: the reference is counted atomically; the owner is alone with it, and FFmpeg enters the GPU's context in each call.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool on the device of a decoder's own pool, which has to be alive.
    fn on_device_of(
        source: NonNull<sys::AVHWFramesContext>,
        format: sys::AVPixelFormat,
        Form { width, height, .. }: Form,
    ) -> Option<Self> {
        // SAFETY: the source lives during the call, and has a device, to which the pool gets a reference of its own.
        let pool = Self(NonNull::new(unsafe { sys::av_hwframe_ctx_alloc((*source.as_ptr()).device_ref) })?);
        // SAFETY: a fresh context that is not initialised yet is written to by its owner alone. Memory is taken as needed, as
        // no size of the pool is given.
        let code = unsafe {
            let context = (*pool.0.as_ptr()).data.cast::<sys::AVHWFramesContext>();
            (*context).format = sys::AVPixelFormat::AV_PIX_FMT_CUDA;
            (*context).sw_format = format;
            ((*context).width, (*context).height) = (width, height);
            sys::av_hwframe_ctx_init(pool.0.as_ptr())
        };
        (code >= 0).then_some(pool)
    }

    /// Memory for one picture.
    fn picture(&self) -> Option<RawFrame> {
        let frame = RawFrame::new().ok()?;
        // SAFETY: the pool is initialised, the frame blank and owned here.
        let code = unsafe { sys::av_hwframe_get_buffer(self.0.as_ptr(), frame.as_ptr(), 0) };
        (code >= 0).then_some(frame)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: the reference is owned here and given back once; pictures hold their own.
        unsafe { sys::av_buffer_unref(&mut context) };
    }
}

/// The layout of a picture that lies in GPU `gpu`, and where it lies there; nothing for one that does not.
pub(crate) fn placed(frame: &RawFrame, gpu: u32) -> Option<(PixelLayout, GpuPicture)> {
    if !hardware::is_on_gpu(frame) {
        return None;
    }
    let layout = PixelLayout::of(hardware::stored_format(frame)?)?;
    let PixelLayout::SemiPlanar { bits, .. } = layout else { return None };
    let plane = |index: usize| {
        // SAFETY: pointers and strides of an allocated frame are copied out as numbers; nothing is read through them.
        let (data, stride) = unsafe { ((*frame.as_ptr()).data[index], (*frame.as_ptr()).linesize[index]) };
        let stride = usize::try_from(stride).ok().filter(|_| !data.is_null())?;
        Some(GpuPlane { address: data.expose_provenance() as u64, stride })
    };
    Some((layout, GpuPicture { gpu, bits, planes: [plane(0)?, plane(1)?] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw;

    #[test]
    fn forms_that_are_kept_are_those_that_samplers_read_there() {
        for (number, format) in KEPT {
            assert_eq!(format as c_int, number);
            let Some(PixelLayout::SemiPlanar { chroma, bits }) = PixelLayout::of(number) else {
                panic!("{number}")
            };
            assert_eq!(chroma, crate::Chroma::C420);
            assert!([8, 10, 16].contains(&bits), "{}: {bits}", raw::pixel_name(number));
        }
    }

    #[test]
    fn a_picture_of_the_host_is_not_kept_and_lies_on_no_gpu() {
        let format = sys::AVPixelFormat::AV_PIX_FMT_NV12 as c_int;
        let frame = RawFrame::with_picture(format, 64, 48).unwrap();
        assert!(Shelf::default().keep(&frame).is_none());
        assert!(placed(&frame, 0).is_none());
    }
}
