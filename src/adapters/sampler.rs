//! The sampler port on `kinora-kernels`: regions are read straight from the decoded planes.

use kinora_actors::domain::{ColourMatrix, ColourRange, Picture, PixelLayout, Rotation};
use kinora_actors::ports::{Border, SampleRequest, Sampler};
use kinora_kernels::sample::{
    self, Image, Layout, Matrix, Plane, Range, SampleOutput, SampleRegion, Sampling,
};

/// The kernels' sampler.
pub(crate) struct KernelSampler {
    sampling: Sampling,
}

impl KernelSampler {
    /// A sampler that makes each output pixel of one sample or of many.
    pub(crate) fn new(sampling: Sampling) -> Self {
        Self { sampling }
    }
}

impl Sampler for KernelSampler {
    fn sample(
        &mut self,
        picture: &dyn Picture,
        request: &SampleRequest,
        out: &mut Vec<f32>,
    ) -> Result<(), String> {
        let region = SampleRegion {
            centre_x: request.centre_x,
            centre_y: request.centre_y,
            side: request.side,
            angle: request.angle,
        };
        let border = match request.border {
            Border::Zero => sample::Border::Zero,
            Border::Replicate => sample::Border::Replicate,
        };
        let output =
            SampleOutput { size: request.size, border, sampling: self.sampling, range: request.range };
        out.resize(request.size * request.size * 3, 0.0);
        sample::sample(&image(picture), &region, &output, out).map_err(|error| error.to_string())
    }
}

fn image(picture: &dyn Picture) -> Image<'_> {
    let size = picture.stored_size();
    let colour = picture.colour();
    Image {
        width: size.width,
        height: size.height,
        layout: match picture.layout() {
            PixelLayout::Planar { sub_x, sub_y, bits } => Layout::Planar { sub_x, sub_y, bits },
            PixelLayout::SemiPlanar { sub_x, sub_y, bits } => Layout::SemiPlanar { sub_x, sub_y, bits },
            PixelLayout::Rgb24 => Layout::Rgb24,
            PixelLayout::Gray8 => Layout::Gray8,
        },
        range: match colour.range {
            ColourRange::Limited => Range::Limited,
            ColourRange::Full => Range::Full,
        },
        matrix: match colour.matrix {
            ColourMatrix::Bt601 => Matrix::Bt601,
            ColourMatrix::Bt709 => Matrix::Bt709,
            ColourMatrix::Bt2020 => Matrix::Bt2020,
        },
        rotation: match picture.rotation() {
            Rotation::Deg0 => sample::Rotation::None,
            Rotation::Deg90 => sample::Rotation::Quarter,
            Rotation::Deg180 => sample::Rotation::Half,
            Rotation::Deg270 => sample::Rotation::ThreeQuarters,
        },
        planes: std::array::from_fn(|index| {
            picture.plane(index).map(|plane| Plane { data: plane.data, stride: plane.stride })
        }),
    }
}
