//! The owner of an `SwsContext`: converts pictures of one size between formats and colours.

use std::ffi::c_int;
use std::ptr;

use crate::error::{ErrorKind, MediaError};
use crate::layout::{self, ColorMatrix, ColorRange, PixelLayout};
use crate::raw::{self, sys};
use crate::raw_frame::{RawFrame, needs_turning};

/// Exact and the same on every processor: a fallback for rare formats, where speed matters less.
const FLAGS: c_int = sys::SWS_BICUBIC
    | sys::SWS_ACCURATE_RND
    | sys::SWS_BITEXACT
    | sys::SWS_FULL_CHR_H_INT
    | sys::SWS_FULL_CHR_H_INP;

/// Converts; keeps its tables while the size and the formats stay the same.
#[derive(Debug)]
pub(crate) struct Converter(*mut sys::SwsContext);

// SAFETY: a scaler belongs to no thread, and the owner is alone with it.
unsafe impl Send for Converter {}

impl Converter {
    pub(crate) fn new() -> Self {
        Self(ptr::null_mut())
    }

    /// Makes the picture one that [`crate::Frame`] can show: most are handed on as they are, the others are copied once.
    pub(crate) fn presentable(&mut self, frame: RawFrame) -> Result<RawFrame, MediaError> {
        if PixelLayout::of(frame.format()).is_none() {
            return self.convert(&frame, layout::fallback(frame.format()), frame.colors());
        }
        if needs_turning(&frame) { upright(&frame) } else { Ok(frame) }
    }

    /// A picture of `format` in the given colours with the same content and properties.
    pub(crate) fn convert(
        &mut self,
        source: &RawFrame,
        format: c_int,
        colors: (ColorRange, ColorMatrix),
    ) -> Result<RawFrame, MediaError> {
        let (width, height) = source.size();
        let target = RawFrame::with_picture(format, width, height)?;
        copy_properties(&target, source)?;
        self.prepare(source, format, colors)?;
        let (from, to) = (source.as_ptr(), target.as_ptr());
        // SAFETY: both frames have buffers of the sizes and formats that the scaler was prepared for; the target's are
        // fresh, so that nobody else reads them.
        let rows = unsafe {
            let (data, strides) = ((&raw const (*from).data).cast(), (&raw const (*from).linesize).cast());
            let (out, out_strides) = ((&raw const (*to).data).cast(), (&raw const (*to).linesize).cast());
            sys::sws_scale(self.0, data, strides, 0, (*from).height, out, out_strides)
        };
        if rows == height as c_int { Ok(target) } else { Err(failed(source, format)) }
    }

    fn prepare(
        &mut self,
        source: &RawFrame,
        format: c_int,
        (range, matrix): (ColorRange, ColorMatrix),
    ) -> Result<(), MediaError> {
        let (width, height) = source.size();
        let (width, height) = (width as c_int, height as c_int);
        let (from_range, from_matrix) = source.colors();
        let full = |range| c_int::from(range == ColorRange::Full);
        // SAFETY: the old context is owned here and given away (it is reused or freed); filters and parameters may be
        // null; the coefficient tables are static and only read. A change of colours alone reinitialises the context.
        unsafe {
            let (none, defaults) = (ptr::null_mut(), ptr::null());
            let from = source.format();
            self.0 = raw::sws_cached(
                self.0, width, height, from, width, height, format, FLAGS, none, none, defaults,
            );
            if self.0.is_null() {
                return Err(failed(source, format));
            }
            let from_table = sys::sws_getCoefficients(from_matrix.swscale());
            let table = sys::sws_getCoefficients(matrix.swscale());
            // It answers -1 where neither side has colours to convert, gray for example; that is fine.
            sys::sws_setColorspaceDetails(
                self.0,
                from_table,
                full(from_range),
                table,
                full(range),
                0,
                1 << 16,
                1 << 16,
            );
        }
        Ok(())
    }
}

impl Drop for Converter {
    fn drop(&mut self) {
        // SAFETY: the context is owned here and freed once; null is allowed.
        unsafe { sys::sws_freeContext(self.0) };
    }
}

/// A copy of a picture that is stored bottom up, stored top down.
fn upright(source: &RawFrame) -> Result<RawFrame, MediaError> {
    let (width, height) = source.size();
    let target = RawFrame::with_picture(source.format(), width, height)?;
    // SAFETY: both frames have buffers for the same size and format, the target's are fresh.
    let code = unsafe { sys::av_frame_copy(target.as_ptr(), source.as_ptr()) };
    if code < 0 {
        return Err(failed(source, source.format()));
    }
    copy_properties(&target, source)?;
    Ok(target)
}

fn copy_properties(target: &RawFrame, source: &RawFrame) -> Result<(), MediaError> {
    // SAFETY: both frames are live; only metadata is copied.
    match unsafe { sys::av_frame_copy_props(target.as_ptr(), source.as_ptr()) } {
        code if code < 0 => Err(MediaError::no_memory("copy a frame's properties")),
        _ => Ok(()),
    }
}

fn failed(source: &RawFrame, format: c_int) -> MediaError {
    let (width, height) = source.size();
    let (from, to) = (raw::pixel_name(source.format()), raw::pixel_name(format));
    MediaError::new(
        ErrorKind::Corrupt,
        format!("cannot convert a {width}x{height} picture from {from} to {to}"),
    )
}
