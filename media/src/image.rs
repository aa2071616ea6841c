//! A picture that can be drawn on, and encoded.

use crate::convert::Converter;
use crate::error::{ErrorKind, MediaError};
use crate::frame::Frame;
use crate::layout::{self, Chroma, ColorMatrix, ColorRange, PixelLayout};
use crate::raw_frame::RawFrame;

/// An owned 4:2:0 picture of 8 bits, BT.709, limited range: what [`crate::Mp4Writer`] encodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YuvImage {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Luma, `y_stride * height` bytes.
    pub y: Vec<u8>,
    /// Cb, `c_stride * height / 2` bytes (rounded up).
    pub u: Vec<u8>,
    /// Cr, as `u`.
    pub v: Vec<u8>,
    /// Bytes from one row of luma to the next, at least `width`.
    pub y_stride: usize,
    /// Bytes from one row of chroma to the next, at least half of `width`, rounded up.
    pub c_stride: usize,
}

const LAYOUT: PixelLayout = PixelLayout::Planar { chroma: Chroma::C420, bits: 8 };
const COLORS: (ColorRange, ColorMatrix) = (ColorRange::Limited, ColorMatrix::Bt709);

impl YuvImage {
    /// A black picture.
    pub fn new(width: usize, height: usize) -> Self {
        let (c_stride, c_rows) = Chroma::C420.size(width, height);
        let chroma = vec![128; c_stride * c_rows];
        let y = vec![16; width * height];
        Self { width, height, y, u: chroma.clone(), v: chroma, y_stride: width, c_stride }
    }

    /// The picture of a frame, as decoded (not turned). A frame that has the same layout and colours already is copied
    /// row by row; any other is converted, which takes several times as long.
    ///
    /// # Errors
    /// `Corrupt` if the frame cannot be converted.
    pub fn from_frame(frame: &Frame) -> Result<Self, MediaError> {
        let colors = (frame.color_range(), frame.color_matrix());
        if frame.layout() == LAYOUT && colors == COLORS {
            return Ok(Self::copy(frame));
        }
        let converted = Converter::new().convert(frame.raw(), layout::YUV420P, COLORS)?;
        Ok(Self::copy(&Frame::new(converted, frame.time_base(), 0)?))
    }

    fn copy(frame: &Frame) -> Self {
        let mut image = Self::new(frame.width(), frame.height());
        let (y_stride, c_stride) = (image.y_stride, image.c_stride);
        let targets = [(&mut image.y, y_stride), (&mut image.u, c_stride), (&mut image.v, c_stride)];
        for (index, (target, row_bytes)) in targets.into_iter().enumerate() {
            let Some(plane) = frame.plane(index) else { continue };
            for (to, from) in target.chunks_exact_mut(row_bytes).zip(plane.data.chunks(plane.stride)) {
                to.copy_from_slice(&from[..row_bytes]);
            }
        }
        image
    }

    /// Copies the picture into a frame of its size.
    pub(crate) fn fill(&self, frame: &mut RawFrame) -> Result<(), MediaError> {
        let planes = [(&self.y, self.y_stride), (&self.u, self.c_stride), (&self.v, self.c_stride)];
        for (index, (plane, stride)) in planes.into_iter().enumerate() {
            let size = LAYOUT.plane_size(index, self.width, self.height);
            if !frame.fill_plane(index, size, plane, stride) {
                let (width, height) = (self.width, self.height);
                let message = format!(
                    "plane {index} of a {width}x{height} picture has too few bytes or a short stride"
                );
                return Err(MediaError::new(ErrorKind::InvalidSettings, message));
            }
        }
        Ok(())
    }
}
