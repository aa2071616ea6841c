//! What a decoded picture looks like to the pipeline: layout, colour, and planes by reference.
//!
//! A `Picture` is never copied to cross a layer. The adapter of a decoder wraps its reference-counted frame
//! and lends the planes; the sampler reads them where they lie. One that lies in a device's memory lends a handle instead,
//! which means something to adapters alone.

use std::any::Any;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A decoded picture whose planes can be read in place, from any thread.
pub trait Picture: Send + Sync {
    /// The stored size, before [`Picture::rotation`] is applied.
    fn stored_size(&self) -> Size;

    /// How samples lie in the planes.
    fn layout(&self) -> PixelLayout;

    /// How samples become RGB.
    fn colour(&self) -> Colour;

    /// The clockwise turn that shows the picture upright.
    fn rotation(&self) -> Rotation;

    /// Plane `index` (0 is luma, or packed pixels), or `None` when the layout has no such plane.
    fn plane(&self, index: usize) -> Option<Plane<'_>>;

    /// What a device needs to read the picture in its own memory, if it lies there. Its planes are then fetched by the first call
    /// of [`Picture::plane`], so whoever can do without them should.
    fn device_handle(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }

    /// The size as displayed: stored size after rotation. All coordinates of events refer to it.
    fn displayed_size(&self) -> Size {
        let Size { width, height } = self.stored_size();
        match self.rotation() {
            Rotation::Deg0 | Rotation::Deg180 => Size { width, height },
            Rotation::Deg90 | Rotation::Deg270 => Size { width: height, height: width },
        }
    }
}

/// One plane of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Rows of samples, `stride` bytes apart. The last row may end after its last sample.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// Sample layouts that the sampler reads in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelLayout {
    /// Y, U and V planes. `sub_x`, `sub_y`: base-2 logarithm of the chroma subsampling; more than 8 `bits` are
    /// little-endian 16-bit words.
    Planar {
        /// log2 of horizontal subsampling: 1 in 4:2:0 and 4:2:2, 0 in 4:4:4.
        sub_x: u8,
        /// log2 of vertical subsampling: 1 in 4:2:0.
        sub_y: u8,
        /// Significant bits of a sample, 8 to 16.
        bits: u8,
    },
    /// A Y plane and a plane of interleaved U and V (NV12; P010, whose bits are the high ones of a word).
    SemiPlanar {
        /// log2 of horizontal subsampling.
        sub_x: u8,
        /// log2 of vertical subsampling.
        sub_y: u8,
        /// Significant bits of a sample, 8 to 16.
        bits: u8,
    },
    /// One plane of R, G, B bytes.
    Rgb24,
    /// One plane of luma bytes.
    Gray8,
}

/// How YUV samples become RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// The weights of red and blue in luma.
    pub matrix: ColourMatrix,
    /// Where black and white lie.
    pub range: ColourRange,
}

/// Matrix coefficients, named by their ITU-R recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourMatrix {
    /// BT.601, standard definition.
    Bt601,
    /// BT.709, high definition.
    Bt709,
    /// BT.2020, non-constant luminance.
    Bt2020,
}

/// The code values of black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourRange {
    /// 16 to 235 (luma, 8 bit).
    Limited,
    /// 0 to 255.
    Full,
}

/// A clockwise quarter turn from stored to displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rotation {
    /// As stored.
    #[default]
    Deg0,
    /// A quarter turn clockwise.
    Deg90,
    /// Upside down.
    Deg180,
    /// A quarter turn counter-clockwise.
    Deg270,
}
