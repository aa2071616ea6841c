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
        let here = frame
            .raw()
            .ok_or_else(|| MediaError::new(ErrorKind::Corrupt, "a picture cannot be fetched from its GPU"))?;
        let converted = Converter::new().convert(here, layout::YUV420P, COLORS)?;
        Ok(Self::copy(&Frame::new(converted, frame.time_base(), 0)?))
    }

    /// The picture turned clockwise by 0, 90, 180 or 270 degrees, as [`Frame::rotation`] asks; other angles turn nothing.
    pub fn turned(self, degrees: u16) -> Self {
        let (width, height) = match degrees {
            90 | 270 => (self.height, self.width),
            180 => (self.width, self.height),
            _ => return self,
        };
        let mut turned = Self::new(width, height);
        let (y_stride, c_stride) = (turned.y_stride, turned.c_stride);
        turn(&self.y, self.y_stride, &mut turned.y, (y_stride, height), degrees);
        let chroma = Chroma::C420.size(width, height);
        turn(&self.u, self.c_stride, &mut turned.u, (c_stride, chroma.1), degrees);
        turn(&self.v, self.c_stride, &mut turned.v, (c_stride, chroma.1), degrees);
        turned
    }

    /// The picture without the last row or column where its size is odd, for encoders want even sizes.
    pub fn cropped_to_even(self) -> Self {
        if self.width.is_multiple_of(2) && self.height.is_multiple_of(2) {
            return self;
        }
        let mut even = Self::new(self.width & !1, self.height & !1);
        let (y_stride, c_stride) = (even.y_stride, even.c_stride);
        let planes = [
            (&self.y, self.y_stride, &mut even.y, y_stride),
            (&self.u, self.c_stride, &mut even.u, c_stride),
            (&self.v, self.c_stride, &mut even.v, c_stride),
        ];
        for (from, from_stride, to, to_stride) in planes {
            for (to, from) in to.chunks_exact_mut(to_stride.max(1)).zip(from.chunks(from_stride)) {
                to.copy_from_slice(&from[..to_stride]);
            }
        }
        even
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

/// Turns a plane clockwise into one of `size` (row bytes, rows); `degrees` is 90, 180 or 270.
fn turn(from: &[u8], from_stride: usize, to: &mut [u8], size: (usize, usize), degrees: u16) {
    let (width, height) = size;
    for y in 0..height {
        for x in 0..width {
            let (source_x, source_y) = match degrees {
                90 => (y, width - 1 - x),
                180 => (width - 1 - x, height - 1 - y),
                _ => (height - 1 - y, x),
            };
            to[y * width + x] = from[source_y * from_stride + source_x];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(width: usize, height: usize) -> YuvImage {
        let mut image = YuvImage::new(width, height);
        image.y.iter_mut().zip(0..).for_each(|(y, n)| *y = n);
        image
    }

    #[test]
    fn four_quarter_turns_are_none_and_a_quarter_goes_clockwise() {
        let image = counted(4, 2);
        let quarter = image.clone().turned(90);
        assert_eq!((quarter.width, quarter.height), (2, 4));
        // The first column from below becomes the first row.
        assert_eq!(quarter.y[..2], [4, 0]);
        assert_eq!(quarter.turned(90).turned(90).turned(90), image);
        assert_eq!(image.clone().turned(270), image.turned(180).turned(90));
    }

    #[test]
    fn odd_sizes_lose_their_last_row_and_column() {
        let even = counted(5, 3).cropped_to_even();
        assert_eq!((even.width, even.height, even.u.len()), (4, 2, 2));
        assert_eq!(even.y, [0, 1, 2, 3, 5, 6, 7, 8]);
    }
}
