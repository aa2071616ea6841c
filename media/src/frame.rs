//! Decoded pictures: [`Frame`], which shares an `AVFrame` that nobody writes to any more, in the host's memory or in a GPU's.

use std::sync::{Arc, OnceLock};

use crate::error::{ErrorKind, MediaError};
use crate::gpu_picture::{self, GpuPicture};
use crate::hardware;
use crate::layout::{ColorMatrix, ColorRange, PixelLayout};
use crate::raw::{self, sys};
use crate::raw_frame::{PlaneAt, RawFrame, plane_in_buffer};

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
    place: Place,
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

/// Where a picture lies.
#[derive(Debug)]
enum Place {
    Host([PlaneAt; 3]),
    /// In a GPU's memory. What is read of it here is fetched once; nothing if that failed.
    Gpu(GpuPicture, OnceLock<Option<(RawFrame, [PlaneAt; 3])>>),
}

// SAFETY: the pointers of planes lie in buffers that a frame beside them holds a reference to, and may be used on any thread.
unsafe impl Send for Shared {}
// SAFETY: after `Frame::new` nothing of it is written: not by us, for there is no `&mut`, and not by the decoder, which
// only reads a picture once it has given it out. What is fetched from a GPU is written before it is shared, by one thread.
unsafe impl Sync for Shared {}

impl Frame {
    /// Shares a picture that a decoder (or the converter) has finished. `rotation` is the stream's, in degrees.
    pub(crate) fn new(frame: RawFrame, time_base: (i32, i32), rotation: u16) -> Result<Self, MediaError> {
        let layout = PixelLayout::of(frame.format()).ok_or_else(|| {
            let name = raw::pixel_name(frame.format());
            MediaError::new(ErrorKind::Corrupt, format!("a picture of pixel format {name} was not converted"))
        })?;
        let place = Place::Host(planes(&frame, layout)?);
        Ok(Self::placed(frame, (layout, place), time_base, rotation))
    }

    /// Shares a picture in the memory of GPU `gpu`.
    pub(crate) fn on_gpu_of(
        frame: RawFrame,
        gpu: u32,
        time_base: (i32, i32),
        rotation: u16,
    ) -> Result<Self, MediaError> {
        let (layout, picture) = gpu_picture::placed(&frame, gpu).ok_or_else(|| {
            MediaError::new(ErrorKind::Corrupt, "a GPU's picture has a form that is not read there")
        })?;
        let place = Place::Gpu(picture, OnceLock::new());
        Ok(Self::placed(frame, (layout, place), time_base, rotation))
    }

    fn placed(
        frame: RawFrame,
        (layout, place): (PixelLayout, Place),
        time_base: (i32, i32),
        rotation: u16,
    ) -> Self {
        let raw = frame.as_ptr();
        // SAFETY: plain fields of an allocated frame are read.
        let (damaged, key, interlaced) = unsafe {
            let damaged = (*raw).flags & sys::AV_FRAME_FLAG_CORRUPT != 0 || (*raw).decode_error_flags != 0;
            (damaged, (*raw).key_frame != 0, (*raw).interlaced_frame != 0)
        };
        // SAFETY: as above.
        let (pts, packet_pts, duration, tag) = unsafe {
            ((*raw).best_effort_timestamp, (*raw).pts, (*raw).pkt_duration, (*raw).reordered_opaque)
        };
        let rotation = own_rotation(&frame).unwrap_or(rotation);
        let colors = frame.colors();
        let (pts, packet_pts) = (raw::timestamp(pts), raw::timestamp(packet_pts));
        let shared = Shared {
            frame,
            place,
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
        Self(Arc::new(shared))
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

    /// Where it lies in a GPU's memory, if it does.
    pub fn on_gpu(&self) -> Option<&GpuPicture> {
        match &self.0.place {
            Place::Host(_) => None,
            Place::Gpu(picture, _) => Some(picture),
        }
    }

    /// Plane `index`, from 0. The first call for a picture in a GPU's memory fetches it, which takes about a millisecond; if that
    /// fails, it has no planes.
    pub fn plane(&self, index: usize) -> Option<Plane<'_>> {
        let (_, planes) = self.in_host()?;
        let at = planes.get(index).filter(|at| at.rows > 0)?;
        // SAFETY: `planes` has checked that these bytes lie in one buffer of the frame beside them, which `self` keeps
        // alive and nobody writes to; the slice lives no longer.
        let data = unsafe { std::slice::from_raw_parts(at.start, at.len) };
        Some(Plane { data, stride: at.stride, rows: at.rows })
    }

    /// The range of the samples.
    pub fn color_range(&self) -> ColorRange {
        self.0.colors.0
    }

    /// The matrix to RGB; without meaning for [`PixelLayout::Rgb24`].
    pub fn color_matrix(&self) -> ColorMatrix {
        self.0.colors.1
    }

    /// Presentation time in ticks of [`Frame::time_base`], FFmpeg's best guess where the stream has none. `None` is rare: an
    /// image of an odd format, or the first frame of an RTSP session.
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

    /// The picture in the host's memory.
    pub(crate) fn raw(&self) -> Option<&RawFrame> {
        self.in_host().map(|(frame, _)| frame)
    }

    fn in_host(&self) -> Option<(&RawFrame, &[PlaneAt; 3])> {
        match &self.0.place {
            Place::Host(planes) => Some((&self.0.frame, planes)),
            Place::Gpu(_, fetched) => {
                fetched.get_or_init(|| fetch(&self.0)).as_ref().map(|(frame, planes)| (frame, planes))
            }
        }
    }
}

fn fetch(shared: &Shared) -> Option<(RawFrame, [PlaneAt; 3])> {
    let frame = hardware::download(&shared.frame).ok()?;
    let planes = planes(&frame, shared.layout).ok()?;
    Some((frame, planes))
}

/// Where the planes lie; fails rather than point outside the frame's buffers.
fn planes(frame: &RawFrame, layout: PixelLayout) -> Result<[PlaneAt; 3], MediaError> {
    let mut all = [PlaneAt { start: std::ptr::null(), len: 0, stride: 0, rows: 0 }; 3];
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

/// The rotation that the picture itself carries (a JPEG's orientation, or an H.264 SEI message).
fn own_rotation(frame: &RawFrame) -> Option<u16> {
    const MATRIX: sys::AVFrameSideDataType = sys::AVFrameSideDataType::AV_FRAME_DATA_DISPLAYMATRIX;
    // SAFETY: side data belong to the frame and are only read; a display matrix has 9 integers, which is checked.
    unsafe {
        let side = sys::av_frame_get_side_data(frame.as_ptr(), MATRIX);
        if side.is_null() || (*side).size < 36 {
            return None;
        }
        Some(clockwise(sys::av_display_rotation_get((*side).data.cast::<i32>())))
    }
}

/// FFmpeg's angle (counter-clockwise, -180 to 180, or not a number) as a clockwise multiple of 90 degrees.
pub(crate) fn clockwise(degrees: f64) -> u16 {
    let quarters = (-degrees / 90.0).round();
    if quarters.is_finite() { (quarters.rem_euclid(4.0) as u16 % 4) * 90 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::clockwise;

    #[test]
    fn angles_become_clockwise_quarters() {
        let cases =
            [(0.0, 0), (-90.0, 90), (90.0, 270), (180.0, 180), (-180.0, 180), (3.0, 0), (f64::NAN, 0)];
        for (angle, expected) in cases {
            assert_eq!(clockwise(angle), expected, "{angle}");
        }
    }
}
