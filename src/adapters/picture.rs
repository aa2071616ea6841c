//! Pictures of `kinora-media` and of the dancer, as the pipeline sees them. Planes are lent, never copied.

use kinora_actors::domain::{Colour, ColourMatrix, ColourRange, Picture, PixelLayout, Plane, Rotation, Size};
use kinora_media::{Chroma, ColorMatrix, ColorRange, Frame};

use crate::dancer::Yuv420;

/// A decoded frame of FFmpeg.
pub(crate) struct MediaPicture(pub(crate) Frame);

impl Picture for MediaPicture {
    fn stored_size(&self) -> Size {
        Size { width: pixels(self.0.width()), height: pixels(self.0.height()) }
    }

    fn layout(&self) -> PixelLayout {
        match self.0.layout() {
            kinora_media::PixelLayout::Planar { chroma, bits } => {
                let (sub_x, sub_y) = subsampling(chroma);
                PixelLayout::Planar { sub_x, sub_y, bits }
            }
            kinora_media::PixelLayout::SemiPlanar { chroma, bits } => {
                let (sub_x, sub_y) = subsampling(chroma);
                PixelLayout::SemiPlanar { sub_x, sub_y, bits }
            }
            kinora_media::PixelLayout::Rgb24 => PixelLayout::Rgb24,
            kinora_media::PixelLayout::Gray8 => PixelLayout::Gray8,
        }
    }

    fn colour(&self) -> Colour {
        let matrix = match self.0.color_matrix() {
            ColorMatrix::Bt601 => ColourMatrix::Bt601,
            ColorMatrix::Bt709 => ColourMatrix::Bt709,
            ColorMatrix::Bt2020 => ColourMatrix::Bt2020,
        };
        let range = match self.0.color_range() {
            ColorRange::Limited => ColourRange::Limited,
            ColorRange::Full => ColourRange::Full,
        };
        Colour { matrix, range }
    }

    fn rotation(&self) -> Rotation {
        match self.0.rotation() {
            90 => Rotation::Deg90,
            180 => Rotation::Deg180,
            270 => Rotation::Deg270,
            _ => Rotation::Deg0,
        }
    }

    fn plane(&self, index: usize) -> Option<Plane<'_>> {
        self.0.plane(index).map(|plane| Plane { data: plane.data, stride: plane.stride })
    }
}

/// A rendered frame of the test dancer.
pub(crate) struct DancerPicture(pub(crate) Yuv420);

impl Picture for DancerPicture {
    fn stored_size(&self) -> Size {
        Size { width: pixels(self.0.width), height: pixels(self.0.height) }
    }

    fn layout(&self) -> PixelLayout {
        PixelLayout::Planar { sub_x: 1, sub_y: 1, bits: 8 }
    }

    fn colour(&self) -> Colour {
        Colour { matrix: ColourMatrix::Bt709, range: ColourRange::Limited }
    }

    fn rotation(&self) -> Rotation {
        Rotation::Deg0
    }

    fn plane(&self, index: usize) -> Option<Plane<'_>> {
        let (data, stride) = match index {
            0 => (&self.0.y, self.0.width),
            1 => (&self.0.u, self.0.chroma_width()),
            2 => (&self.0.v, self.0.chroma_width()),
            _ => return None,
        };
        Some(Plane { data, stride })
    }
}

/// FFmpeg's sizes are below 2^31.
fn pixels(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn subsampling(chroma: Chroma) -> (u8, u8) {
    match chroma {
        Chroma::C420 => (1, 1),
        Chroma::C422 => (1, 0),
        Chroma::C444 => (0, 0),
    }
}
