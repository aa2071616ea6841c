//! A decoded picture as its planes lie in memory; a view that owns nothing.

use super::error::SampleError;

/// How samples lie in planes. Depths above 8 bit take two bytes, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Three planes Y, U, V (I420, YUV 4:2:2, 4:4:4, ...); samples of more than 8 bit fill the **low** bits of a word.
    Planar {
        /// Log2 of luma columns for each chroma column: 0, 1 or 2.
        sub_x: u8,
        /// Log2 of luma rows for each chroma row: 0, 1 or 2.
        sub_y: u8,
        /// Bits of a sample, 8 to 16.
        bits: u8,
    },
    /// Two planes, Y and interleaved U, V (NV12, P010, ...); samples of more than 8 bit fill the **high** bits of a word.
    SemiPlanar {
        /// As in [`Layout::Planar`].
        sub_x: u8,
        /// As in [`Layout::Planar`].
        sub_y: u8,
        /// Bits of a sample, 8 to 16.
        bits: u8,
    },
    /// One plane of red, green, blue, 8 bit each; range and matrix do not matter.
    Rgb24,
    /// One plane of luma, 8 bit; the range matters, the matrix does not.
    Gray8,
}

/// What the sample values of black and white are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Television: luma 16 to 235 of 255, chroma 16 to 240.
    Limited,
    /// Computer, JPEG: all values.
    Full,
}

/// How luma and chroma are made of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601, standard definition.
    Bt601,
    /// ITU-R BT.709, high definition.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

/// Clockwise turn that takes the stored picture to the displayed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Displayed as stored.
    None,
    /// A quarter turn clockwise.
    Quarter,
    /// A half turn.
    Half,
    /// Three quarters of a turn clockwise.
    ThreeQuarters,
}

impl Rotation {
    /// The rotation of 0, 90, 180 or 270 degrees clockwise; `None` for others.
    pub fn from_degrees(degrees: u16) -> Option<Self> {
        match degrees {
            0 => Some(Self::None),
            90 => Some(Self::Quarter),
            180 => Some(Self::Half),
            270 => Some(Self::ThreeQuarters),
            _ => None,
        }
    }
}

/// One plane of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The rows; bytes between a row's end and the next row's start are never looked at.
    pub data: &'a [u8],
    /// Distance of the starts of two rows in bytes.
    pub stride: usize,
}

/// A decoded picture.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Stored width in pixels, before the rotation for display.
    pub width: u32,
    /// Stored height in pixels, before the rotation for display.
    pub height: u32,
    /// How the samples lie.
    pub layout: Layout,
    /// What black and white are.
    pub range: Range,
    /// How colour is coded.
    pub matrix: Matrix,
    /// The turn for display.
    pub rotation: Rotation,
    /// The planes that the layout needs, in its order.
    pub planes: [Option<Plane<'a>>; 3],
}

impl<'a> Image<'a> {
    /// The plane `index` from its first byte to the last one that `rows` rows of `row_bytes` bytes need, and its stride.
    pub(super) fn plane(
        &self,
        index: usize,
        rows: usize,
        row_bytes: usize,
    ) -> Result<(&'a [u8], i32), SampleError> {
        let Plane { data, stride } = self.planes[index].ok_or(SampleError::MissingPlane { index })?;
        let before_last = stride.checked_mul(rows - 1);
        let needed = before_last.and_then(|bytes| bytes.checked_add(row_bytes));
        let held = needed.filter(|_| stride >= row_bytes).and_then(|needed| data.get(..needed));
        let data = held.ok_or(SampleError::ShortPlane { index, length: data.len(), stride })?;
        // Kernels count bytes in 32 bit. The stride of a single row does not matter.
        match i32::try_from(data.len()) {
            Ok(_) if rows > 1 => Ok((data, stride as i32)),
            Ok(_) => Ok((data, 0)),
            Err(_) => Err(SampleError::LargePlane { index, length: data.len() }),
        }
    }

    /// Width and height, both 1 to 65535.
    pub(super) fn checked_size(&self) -> Result<(usize, usize), SampleError> {
        let (width, height) = (self.width, self.height);
        let side = |length: u32| u16::try_from(length).ok().filter(|&length| length > 0).map(usize::from);
        side(width).zip(side(height)).ok_or(SampleError::Size { width, height })
    }
}
