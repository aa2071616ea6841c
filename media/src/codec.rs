//! The owners of an `AVCodecContext` and of `AVCodecParameters`.

use std::ffi::c_int;
use std::ptr::NonNull;

use crate::error::MediaError;
use crate::raw::{self, sys};

/// Owns an `AVCodecContext`, a decoder's or an encoder's.
#[derive(Debug)]
pub(crate) struct CodecContext(NonNull<sys::AVCodecContext>);

// SAFETY: FFmpeg ties no codec context to a thread, and the owner is alone with it.
unsafe impl Send for CodecContext {}

impl CodecContext {
    /// A context with the defaults of `codec`, not opened yet.
    ///
    /// # Safety
    /// `codec` is one of FFmpeg's static codecs, or null.
    pub(crate) unsafe fn new(codec: *const sys::AVCodec) -> Result<Self, MediaError> {
        // SAFETY: the caller vouches for the codec; null comes back when out of memory.
        let raw = NonNull::new(unsafe { sys::avcodec_alloc_context3(codec) });
        raw.map(Self).ok_or_else(|| MediaError::no_memory("allocate a codec"))
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::AVCodecContext {
        self.0.as_ptr()
    }
}

impl Drop for CodecContext {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the context is owned here and freed once, which ends its threads and drops its frames.
        unsafe { sys::avcodec_free_context(&mut raw) };
    }
}

/// Owns `AVCodecParameters`: what a decoder or muxer must know of a stream.
#[derive(Debug)]
pub(crate) struct CodecParameters(NonNull<sys::AVCodecParameters>);

// SAFETY: a plain struct with owned bytes, bound to no thread.
unsafe impl Send for CodecParameters {}
// SAFETY: through `&` it is only read.
unsafe impl Sync for CodecParameters {}

impl CodecParameters {
    /// A copy of the parameters of a stream.
    ///
    /// # Safety
    /// `source` points to live parameters.
    pub(crate) unsafe fn copy_of(source: *const sys::AVCodecParameters) -> Result<Self, MediaError> {
        let failed = || MediaError::no_memory("copy codec parameters");
        // SAFETY: allocates; null when out of memory.
        let copy = Self(NonNull::new(unsafe { sys::avcodec_parameters_alloc() }).ok_or_else(failed)?);
        // SAFETY: both are live, the destination is owned here.
        if unsafe { sys::avcodec_parameters_copy(copy.0.as_ptr(), source) } < 0 {
            return Err(failed());
        }
        Ok(copy)
    }

    pub(crate) fn as_ptr(&self) -> *const sys::AVCodecParameters {
        self.0.as_ptr()
    }

    /// The codec's number.
    pub(crate) fn codec_id(&self) -> c_int {
        // SAFETY: an enumeration of live parameters is read as an integer.
        unsafe { raw::int(&raw const (*self.0.as_ptr()).codec_id) }
    }
}

impl Drop for CodecParameters {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the parameters are owned here and freed once.
        unsafe { sys::avcodec_parameters_free(&mut raw) };
    }
}
