//! The owner of an `AVFrame`: a picture or a piece of sound in buffers that FFmpeg counts references to.

use std::ffi::c_int;
use std::ptr::NonNull;

use crate::error::{ErrorKind, MediaError};
use crate::hardware;
use crate::layout::{self, ColorMatrix, ColorRange};
use crate::raw::{self, sys};

/// Owns an `AVFrame` that may be written to.
#[derive(Debug)]
pub(crate) struct RawFrame(NonNull<sys::AVFrame>);

// SAFETY: an `AVFrame` is a plain struct whose buffers are counted atomically; nothing in it belongs to a thread.
unsafe impl Send for RawFrame {}

impl RawFrame {
    pub(crate) fn new() -> Result<Self, MediaError> {
        // SAFETY: allocates; null when out of memory.
        let frame = NonNull::new(unsafe { sys::av_frame_alloc() });
        frame.map(Self).ok_or_else(|| MediaError::no_memory("allocate a frame"))
    }

    /// A frame with buffers for a picture of `format`.
    pub(crate) fn with_picture(format: c_int, width: usize, height: usize) -> Result<Self, MediaError> {
        let frame = Self::new()?;
        let size = |n: usize| c_int::try_from(n).unwrap_or(c_int::MAX);
        // SAFETY: the frame is blank and owned here; a size that is out of range makes `av_frame_get_buffer` fail.
        let code = unsafe {
            let raw = frame.0.as_ptr();
            ((*raw).format, (*raw).width, (*raw).height) = (format, size(width), size(height));
            sys::av_frame_get_buffer(raw, 0)
        };
        if code < 0 {
            return Err(MediaError::from_code(code, "allocate a picture", ErrorKind::InvalidSettings));
        }
        frame.clear();
        Ok(frame)
    }

    /// Zeroes fresh buffers: the bytes between a row's end and its stride are in our slices, and nobody else sets them.
    fn clear(&self) {
        // SAFETY: the buffers are fresh and only this frame refers to them; each has `size` bytes at `data`.
        unsafe {
            let buffers = (*self.0.as_ptr()).buf;
            for buffer in buffers.into_iter().filter(|buffer| !buffer.is_null()) {
                std::ptr::write_bytes((*buffer).data, 0, (*buffer).size);
            }
        }
    }

    /// A frame of sound, planar, from interleaved samples.
    pub(crate) fn with_samples(samples: &[f32], channels: u32, rate: u32) -> Result<Self, MediaError> {
        let frame = Self::new()?;
        let each = samples.len() / channels.max(1) as usize;
        // SAFETY: the frame is blank and owned here; a number that is out of range makes `av_frame_get_buffer` fail.
        let code = unsafe {
            let raw = frame.0.as_ptr();
            (*raw).format = sys::AVSampleFormat::AV_SAMPLE_FMT_FLTP as c_int;
            ((*raw).nb_samples, (*raw).sample_rate) = (each as c_int, rate as c_int);
            sys::av_channel_layout_default(&raw mut (*raw).ch_layout, channels as c_int);
            sys::av_frame_get_buffer(raw, 0)
        };
        if code < 0 {
            return Err(MediaError::from_code(code, "allocate sound", ErrorKind::InvalidSettings));
        }
        for channel in 0..channels as usize {
            // SAFETY: planar sound has a plane of `nb_samples` floats, aligned for SIMD, for each channel; nobody else
            // has seen the frame yet.
            let plane = unsafe {
                let start = *(*frame.0.as_ptr()).extended_data.add(channel);
                std::slice::from_raw_parts_mut(start.cast::<f32>(), each)
            };
            let own = samples.iter().skip(channel).step_by(channels as usize);
            plane.iter_mut().zip(own).for_each(|(to, from)| *to = *from);
        }
        Ok(frame)
    }

    /// Gives the frame buffers of its own, if somebody else holds a reference to them.
    pub(crate) fn make_writable(&mut self) -> Result<(), MediaError> {
        // SAFETY: the frame has buffers and is exclusively borrowed.
        match unsafe { sys::av_frame_make_writable(self.0.as_ptr()) } {
            code if code < 0 => Err(MediaError::no_memory("copy a picture")),
            _ => Ok(()),
        }
    }

    /// Copies `rows` rows of `row_bytes` into plane `index` of a writable picture; `false`, and nothing is done, if
    /// either side has not that much room.
    pub(crate) fn fill_plane(
        &mut self,
        index: usize,
        (row_bytes, rows): (usize, usize),
        source: &[u8],
        stride: usize,
    ) -> bool {
        let needed =
            rows.checked_sub(1).and_then(|n| n.checked_mul(stride)).and_then(|n| n.checked_add(row_bytes));
        let enough = stride >= row_bytes && needed.is_some_and(|needed| source.len() >= needed);
        let Some(at) = plane_in_buffer(self, index, row_bytes, rows).filter(|_| enough) else {
            return false;
        };
        // SAFETY: `plane_in_buffer` has checked that these bytes lie in one buffer of the frame, which is writable and
        // exclusively borrowed.
        let plane = unsafe { std::slice::from_raw_parts_mut(at.start.cast_mut(), at.len) };
        for (to, from) in plane.chunks_mut(at.stride).zip(source.chunks(stride)) {
            to[..row_bytes].copy_from_slice(&from[..row_bytes]);
        }
        true
    }

    /// Sets the presentation time.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        // SAFETY: a plain field of an allocated frame that only its owner touches.
        unsafe { (*self.0.as_ptr()).pts = pts };
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::AVFrame {
        self.0.as_ptr()
    }

    pub(crate) fn format(&self) -> c_int {
        // SAFETY: an `int` of an allocated frame is read.
        unsafe { (*self.0.as_ptr()).format }
    }

    /// (width, height) in pixels.
    pub(crate) fn size(&self) -> (usize, usize) {
        // SAFETY: two `int`s of an allocated frame are read.
        let (width, height) = unsafe { ((*self.0.as_ptr()).width, (*self.0.as_ptr()).height) };
        (width.max(0) as usize, height.max(0) as usize)
    }

    /// The range and matrix as tagged or, untagged, as usual.
    pub(crate) fn colors(&self) -> (ColorRange, ColorMatrix) {
        let raw = self.0.as_ptr();
        // SAFETY: two enumerations of an allocated frame are read as integers.
        let (range, space) =
            unsafe { (raw::int(&raw const (*raw).color_range), raw::int(&raw const (*raw).colorspace)) };
        // Of a picture in a GPU's memory the pixel format says only where it is.
        let format = hardware::stored_format(self).unwrap_or(self.format());
        (layout::range_of(range, format), layout::matrix_of(space, self.size().1))
    }
}

impl Drop for RawFrame {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the frame is owned here and freed once; its buffers lose one reference.
        unsafe { sys::av_frame_free(&mut raw) };
    }
}

/// Where a plane lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaneAt {
    pub(crate) start: *const u8,
    pub(crate) len: usize,
    pub(crate) stride: usize,
    pub(crate) rows: usize,
}

/// Pictures that are stored bottom up have a negative stride and were converted before ([`needs_turning`]).
pub(crate) fn plane_in_buffer(
    frame: &RawFrame,
    index: usize,
    row_bytes: usize,
    rows: usize,
) -> Option<PlaneAt> {
    let raw = frame.as_ptr();
    // SAFETY: `index` is below 3 of 8; the buffer that is found, if any, belongs to the frame and is only read.
    let (start, stride, buffer) = unsafe {
        let buffer = sys::av_frame_get_plane_buffer(raw, index as c_int).as_ref()?;
        ((*raw).data[index].cast_const(), (*raw).linesize[index], (buffer.data as usize, buffer.size))
    };
    let stride = usize::try_from(stride).ok()?;
    let len = stride.checked_mul(rows.checked_sub(1)?)?.checked_add(row_bytes)?;
    let offset = (start as usize).checked_sub(buffer.0)?;
    let inside = row_bytes > 0 && stride >= row_bytes && offset.checked_add(len)? <= buffer.1;
    inside.then_some(PlaneAt { start, len, stride, rows })
}

/// Whether a picture is stored bottom up.
pub(crate) fn needs_turning(frame: &RawFrame) -> bool {
    // SAFETY: an array of `int`s of an allocated frame is copied out.
    unsafe { (*frame.as_ptr()).linesize }.iter().any(|&stride| stride < 0)
}
