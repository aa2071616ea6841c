//! Pictures of `kinora-media` and of the dancer, as the pipeline sees them. Planes are lent, never copied; of a picture in a
//! GPU's memory, a handle for the samplers there.

use std::any::Any;
use std::sync::Arc;

use kinora_actors::domain::{Colour, ColourMatrix, ColourRange, Picture, PixelLayout, Plane, Rotation, Size};
use kinora_kernels::device::{DeviceImage, DevicePicture, DevicePlane};
use kinora_media::{Chroma, ColorMatrix, ColorRange, Frame, GpuPicture};

use super::sampler;
use crate::dancer::Yuv420;

/// A decoded frame of FFmpeg.
pub(crate) struct MediaPicture {
    frame: Frame,
    /// The same for a device that reads it where it lies.
    device: Option<DevicePicture>,
}

impl MediaPicture {
    /// A picture of the host's memory, or of a GPU's.
    pub(crate) fn new(frame: Frame) -> Self {
        let mut picture = Self { frame, device: None };
        picture.device = picture.frame.on_gpu().map(|on_gpu| on_device(&picture, on_gpu));
        picture
    }
}

/// What the samplers of a GPU are told of a picture there, which stays as long as its frame.
fn on_device(picture: &MediaPicture, on_gpu: &GpuPicture) -> DevicePicture {
    let (size, colour) = (picture.stored_size(), picture.colour());
    let image = DeviceImage {
        width: size.width,
        height: size.height,
        bits: on_gpu.bits,
        range: sampler::range(colour.range),
        matrix: sampler::matrix(colour.matrix),
        rotation: sampler::rotation(picture.rotation()),
        planes: on_gpu.planes.map(|plane| DevicePlane { address: plane.address, stride: plane.stride }),
    };
    DevicePicture::on_gpu(on_gpu.gpu as usize, image, Arc::new(picture.frame.clone()))
}

impl Picture for MediaPicture {
    fn device_handle(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.device.as_ref().map(|device| device as &(dyn Any + Send + Sync))
    }

    fn stored_size(&self) -> Size {
        Size { width: pixels(self.frame.width()), height: pixels(self.frame.height()) }
    }

    fn layout(&self) -> PixelLayout {
        match self.frame.layout() {
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
        let matrix = match self.frame.color_matrix() {
            ColorMatrix::Bt601 => ColourMatrix::Bt601,
            ColorMatrix::Bt709 => ColourMatrix::Bt709,
            ColorMatrix::Bt2020 => ColourMatrix::Bt2020,
        };
        let range = match self.frame.color_range() {
            ColorRange::Limited => ColourRange::Limited,
            ColorRange::Full => ColourRange::Full,
        };
        Colour { matrix, range }
    }

    fn rotation(&self) -> Rotation {
        match self.frame.rotation() {
            90 => Rotation::Deg90,
            180 => Rotation::Deg180,
            270 => Rotation::Deg270,
            _ => Rotation::Deg0,
        }
    }

    fn plane(&self, index: usize) -> Option<Plane<'_>> {
        self.frame.plane(index).map(|plane| Plane { data: plane.data, stride: plane.stride })
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
