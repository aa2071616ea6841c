//! Decoded pictures: the owner of an `AVFrame`, and the shared, read-only [`Frame`] made of one.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::{ErrorKind, MediaError};
use crate::layout::{self, ColorMatrix, ColorRange, PixelLayout};
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
        frame
            .map(Self)
            .ok_or_else(|| MediaError::no_memory("allocate a frame"))
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
            return Err(MediaError::from_code(
                code,
                "allocate a picture",
                ErrorKind::InvalidSettings,
            ));
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
            return Err(MediaError::from_code(
                code,
                "allocate sound",
                ErrorKind::InvalidSettings,
            ));
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
        let needed = rows
            .checked_sub(1)
            .and_then(|n| n.checked_mul(stride))
            .and_then(|n| n.checked_add(row_bytes));
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
        let (range, space) = unsafe {
            (
                raw::int(&raw const (*raw).color_range),
                raw::int(&raw const (*raw).colorspace),
            )
        };
        (
            layout::range_of(range, self.format()),
            layout::matrix_of(space, self.size().1),
        )
    }
}

impl Drop for RawFrame {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the frame is owned here and freed once; its buffers lose one reference.
        unsafe { sys::av_frame_free(&mut raw) };
    }
}

/// A decoded picture. Cloning shares it; the planes are never copied, and nobody writes to them any more.
#[derive(Debug, Clone)]
pub struct Frame(Arc<Shared>);

/// Rows of samples of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The bytes: `stride * (rows - 1) + bytes of a row` of them.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Number of rows.
    pub rows: usize,
}

#[derive(Debug)]
struct Shared {
    frame: RawFrame,
    planes: [PlaneAt; 3],
    layout: PixelLayout,
    colors: (ColorRange, ColorMatrix),
    pts: Option<i64>,
    packet_pts: Option<i64>,
    duration: i64,
    time_base: (i32, i32),
    rotation: u16,
    tag: i64,
    key: bool,
    corrupt: bool,
    interlaced: bool,
}

#[derive(Debug, Clone, Copy)]
struct PlaneAt {
    start: *const u8,
    len: usize,
    stride: usize,
    rows: usize,
}

// SAFETY: the pointers of `planes` lie in buffers that `frame` holds a reference to, and may be used on any thread.
unsafe impl Send for Shared {}
// SAFETY: after `Frame::new` nothing of it is written: not by us, for there is no `&mut`, and not by the decoder, which
// only reads a picture once it has given it out.
unsafe impl Sync for Shared {}

impl Frame {
    /// Shares a picture that a decoder (or the converter) has finished. `rotation` is the stream's, in degrees.
    pub(crate) fn new(frame: RawFrame, time_base: (i32, i32), rotation: u16) -> Result<Self, MediaError> {
        let layout = PixelLayout::of(frame.format()).ok_or_else(|| {
            let name = raw::pixel_name(frame.format());
            MediaError::new(
                ErrorKind::Corrupt,
                format!("a picture of pixel format {name} was not converted"),
            )
        })?;
        let planes = planes(&frame, layout)?;
        let raw = frame.as_ptr();
        // SAFETY: plain fields of an allocated frame are read.
        let (damaged, key, interlaced) = unsafe {
            let damaged = (*raw).flags & sys::AV_FRAME_FLAG_CORRUPT != 0 || (*raw).decode_error_flags != 0;
            (damaged, (*raw).key_frame != 0, (*raw).interlaced_frame != 0)
        };
        // SAFETY: as above.
        let (pts, packet_pts, duration, tag) = unsafe {
            (
                (*raw).best_effort_timestamp,
                (*raw).pts,
                (*raw).pkt_duration,
                (*raw).reordered_opaque,
            )
        };
        let rotation = own_rotation(&frame).unwrap_or(rotation);
        let colors = frame.colors();
        let (pts, packet_pts) = (raw::timestamp(pts), raw::timestamp(packet_pts));
        let shared = Shared {
            frame,
            planes,
            layout,
            colors,
            pts,
            packet_pts,
            duration,
            time_base,
            rotation,
            tag,
            key,
            corrupt: damaged,
            interlaced,
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Pixels in a row, as decoded (before any rotation).
    pub fn width(&self) -> usize {
        self.0.frame.size().0
    }

    /// Rows, as decoded.
    pub fn height(&self) -> usize {
        self.0.frame.size().1
    }

    /// How the samples lie in the planes.
    pub fn layout(&self) -> PixelLayout {
        self.0.layout
    }

    /// Plane `index`, from 0.
    pub fn plane(&self, index: usize) -> Option<Plane<'_>> {
        let at = self.0.planes.get(index).filter(|at| at.rows > 0)?;
        // SAFETY: `planes` has checked that these bytes lie in one buffer, which `frame` keeps alive and nobody writes
        // to; the slice lives no longer than `self`.
        let data = unsafe { std::slice::from_raw_parts(at.start, at.len) };
        Some(Plane {
            data,
            stride: at.stride,
            rows: at.rows,
        })
    }

    /// The range of the samples.
    pub fn color_range(&self) -> ColorRange {
        self.0.colors.0
    }

    /// The matrix to RGB; without meaning for [`PixelLayout::Rgb24`].
    pub fn color_matrix(&self) -> ColorMatrix {
        self.0.colors.1
    }

    /// Presentation time in ticks of [`Frame::time_base`], FFmpeg's best guess where the stream has none.
    pub fn pts(&self) -> Option<i64> {
        self.0.pts
    }

    /// Duration in ticks, 0 when unknown.
    pub fn duration(&self) -> i64 {
        self.0.duration
    }

    /// Seconds a tick, as (numerator, denominator).
    pub fn time_base(&self) -> (i32, i32) {
        self.0.time_base
    }

    /// Degrees clockwise by which the picture is to be turned for display: 0, 90, 180 or 270.
    pub fn rotation(&self) -> u16 {
        self.0.rotation
    }

    /// Whether it was decoded without reference to another frame, at a point where decoding can begin.
    pub fn is_key(&self) -> bool {
        self.0.key
    }

    /// Whether the decoder knows that parts of it are missing or guessed.
    pub fn is_corrupt(&self) -> bool {
        self.0.corrupt
    }

    /// Whether it consists of two fields of different times.
    pub fn is_interlaced(&self) -> bool {
        self.0.interlaced
    }

    /// The timestamp of the packet that it was made of, without any guess.
    pub(crate) fn packet_pts(&self) -> Option<i64> {
        self.0.packet_pts
    }

    /// What the decoder was given with the packet of this frame.
    pub(crate) fn tag(&self) -> i64 {
        self.0.tag
    }

    pub(crate) fn raw(&self) -> &RawFrame {
        &self.0.frame
    }
}

/// Where the planes lie; fails rather than point outside the frame's buffers.
fn planes(frame: &RawFrame, layout: PixelLayout) -> Result<[PlaneAt; 3], MediaError> {
    let mut all = [PlaneAt {
        start: std::ptr::null(),
        len: 0,
        stride: 0,
        rows: 0,
    }; 3];
    let (width, height) = frame.size();
    for (index, at) in all.iter_mut().enumerate().take(layout.planes()) {
        let (row_bytes, rows) = layout.plane_size(index, width, height);
        *at = plane_in_buffer(frame, index, row_bytes, rows).ok_or_else(|| {
            let message = format!("plane {index} of a {width}x{height} picture lies outside its buffer");
            MediaError::new(ErrorKind::Corrupt, message)
        })?;
    }
    Ok(all)
}

/// Pictures that are stored bottom up have a negative stride and were converted before ([`needs_turning`]).
fn plane_in_buffer(frame: &RawFrame, index: usize, row_bytes: usize, rows: usize) -> Option<PlaneAt> {
    let raw = frame.as_ptr();
    // SAFETY: `index` is below 3 of 8; the buffer that is found, if any, belongs to the frame and is only read.
    let (start, stride, buffer) = unsafe {
        let buffer = sys::av_frame_get_plane_buffer(raw, index as c_int).as_ref()?;
        (
            (*raw).data[index].cast_const(),
            (*raw).linesize[index],
            (buffer.data as usize, buffer.size),
        )
    };
    let stride = usize::try_from(stride).ok()?;
    let len = stride.checked_mul(rows.checked_sub(1)?)?.checked_add(row_bytes)?;
    let offset = (start as usize).checked_sub(buffer.0)?;
    let inside = row_bytes > 0 && stride >= row_bytes && offset.checked_add(len)? <= buffer.1;
    inside.then_some(PlaneAt {
        start,
        len,
        stride,
        rows,
    })
}

/// Whether a picture is stored bottom up.
pub(crate) fn needs_turning(frame: &RawFrame) -> bool {
    // SAFETY: an array of `int`s of an allocated frame is copied out.
    unsafe { (*frame.as_ptr()).linesize }
        .iter()
        .any(|&stride| stride < 0)
}

/// The rotation that the picture itself carries (a JPEG's orientation, or an H.264 SEI message).
fn own_rotation(frame: &RawFrame) -> Option<u16> {
    const MATRIX: sys::AVFrameSideDataType = sys::AVFrameSideDataType::AV_FRAME_DATA_DISPLAYMATRIX;
    // SAFETY: side data belong to the frame and are only read; a display matrix has 9 integers, which is checked.
    unsafe {
        let side = sys::av_frame_get_side_data(frame.as_ptr(), MATRIX);
        if side.is_null() || (*side).size < 36 {
            return None;
        }
        Some(clockwise(sys::av_display_rotation_get(
            (*side).data.cast::<i32>(),
        )))
    }
}

/// FFmpeg's angle (counter-clockwise, -180 to 180, or not a number) as a clockwise multiple of 90 degrees.
pub(crate) fn clockwise(degrees: f64) -> u16 {
    let quarters = (-degrees / 90.0).round();
    if quarters.is_finite() {
        (quarters.rem_euclid(4.0) as u16 % 4) * 90
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::clockwise;

    #[test]
    fn angles_become_clockwise_quarters() {
        let cases = [
            (0.0, 0),
            (-90.0, 90),
            (90.0, 270),
            (180.0, 180),
            (-180.0, 180),
            (3.0, 0),
            (f64::NAN, 0),
        ];
        for (angle, expected) in cases {
            assert_eq!(clockwise(angle), expected, "{angle}");
        }
    }
}
