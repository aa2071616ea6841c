//! The sampler port on `kinora-kernels`: regions are read straight from the decoded planes. A picture in the memory of the
//! lane's GPU is left to the model, which reads it there.

use kinora_actors::domain::{ColourMatrix, ColourRange, Picture, PixelLayout, Rotation};
use kinora_actors::ports::{Border, SampleRequest, Sampler};
use kinora_kernels::device::DevicePicture;
use kinora_kernels::sample::{
    self, Image, Layout, Matrix, Plane, Range, SampleOutput, SampleRegion, Sampling,
};

/// The kernels' sampler.
pub(crate) struct KernelSampler {
    sampling: Sampling,
    /// The GPU of the lane.
    gpu: Option<usize>,
}

impl KernelSampler {
    /// A sampler for a lane of `device`, that makes each output pixel of one sample or of many.
    pub(crate) fn new(sampling: Sampling, device: &str) -> Self {
        let gpu = device.strip_prefix("cuda:").and_then(|number| number.parse().ok());
        Self { sampling, gpu }
    }
}

impl Sampler for KernelSampler {
    fn sample(
        &mut self,
        picture: &dyn Picture,
        request: &SampleRequest,
        out: &mut Vec<f32>,
    ) -> Result<(), String> {
        let output = output(request, self.sampling);
        out.resize(request.size * request.size * 3, 0.0);
        sample::sample(&image(picture), &region(request), &output, out).map_err(|error| error.to_string())
    }

    fn leaves_to_model(&self, picture: &dyn Picture, request: &SampleRequest) -> bool {
        let device = picture.device_handle().and_then(|handle| handle.downcast_ref::<DevicePicture>());
        // The kernel of a GPU takes one sample a pixel. What it refuses, the CPU's sampler refuses in words, for this stream
        // alone.
        self.sampling == Sampling::MediaPipe
            && device.zip(self.gpu).is_some_and(|(device, gpu)| {
                device.is_on_gpu(gpu)
                    && device.check(&region(request), &output(request, self.sampling)).is_ok()
            })
    }
}

/// The region of a request.
pub(super) fn region(request: &SampleRequest) -> SampleRegion {
    SampleRegion {
        centre_x: request.centre_x,
        centre_y: request.centre_y,
        side: request.side,
        angle: request.angle,
    }
}

/// What a request wants of it.
pub(super) fn output(request: &SampleRequest, sampling: Sampling) -> SampleOutput {
    let border = match request.border {
        Border::Zero => sample::Border::Zero,
        Border::Replicate => sample::Border::Replicate,
    };
    SampleOutput { size: request.size, border, sampling, range: request.range }
}

/// The code values of black and white.
pub(super) fn range(range: ColourRange) -> Range {
    match range {
        ColourRange::Limited => Range::Limited,
        ColourRange::Full => Range::Full,
    }
}

/// How colour is coded.
pub(super) fn matrix(matrix: ColourMatrix) -> Matrix {
    match matrix {
        ColourMatrix::Bt601 => Matrix::Bt601,
        ColourMatrix::Bt709 => Matrix::Bt709,
        ColourMatrix::Bt2020 => Matrix::Bt2020,
    }
}

/// The turn for display.
pub(super) fn rotation(rotation: Rotation) -> sample::Rotation {
    match rotation {
        Rotation::Deg0 => sample::Rotation::None,
        Rotation::Deg90 => sample::Rotation::Quarter,
        Rotation::Deg180 => sample::Rotation::Half,
        Rotation::Deg270 => sample::Rotation::ThreeQuarters,
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
        range: range(colour.range),
        matrix: matrix(colour.matrix),
        rotation: rotation(picture.rotation()),
        planes: std::array::from_fn(|index| {
            picture.plane(index).map(|plane| Plane { data: plane.data, stride: plane.stride })
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::sync::Arc;

    use kinora_actors::domain::{Colour, Plane as PlaneOf, Size};
    use kinora_kernels::device::{DeviceImage, DevicePlane};

    use super::*;

    /// A picture in a GPU's memory, whose planes nobody may fetch.
    struct Far(Option<DevicePicture>);

    impl Picture for Far {
        fn stored_size(&self) -> Size {
            Size { width: 64, height: 48 }
        }

        fn layout(&self) -> PixelLayout {
            PixelLayout::SemiPlanar { sub_x: 1, sub_y: 1, bits: 8 }
        }

        fn colour(&self) -> Colour {
            Colour { matrix: ColourMatrix::Bt709, range: ColourRange::Limited }
        }

        fn rotation(&self) -> Rotation {
            Rotation::Deg0
        }

        fn plane(&self, _: usize) -> Option<PlaneOf<'_>> {
            panic!("the picture should stay where it is")
        }

        fn device_handle(&self) -> Option<&(dyn Any + Send + Sync)> {
            self.0.as_ref().map(|device| device as &(dyn Any + Send + Sync))
        }
    }

    fn on_gpu(number: usize) -> Far {
        let image = DeviceImage {
            width: 64,
            height: 48,
            bits: 8,
            range: Range::Limited,
            matrix: Matrix::Bt709,
            rotation: sample::Rotation::None,
            planes: [DevicePlane { address: 1 << 40, stride: 64 }; 2],
        };
        Far(Some(DevicePicture::on_gpu(number, image, Arc::new(()))))
    }

    const REQUEST: SampleRequest = SampleRequest {
        centre_x: 32.0,
        centre_y: 24.0,
        side: 64.0,
        angle: 0.0,
        size: 32,
        border: Border::Zero,
        range: (0.0, 1.0),
    };

    #[test]
    fn a_picture_in_the_memory_of_the_lanes_gpu_is_left_to_the_model_and_no_other() {
        let leaves = |device: &str, sampling: Sampling, picture: &Far, request: &SampleRequest| {
            KernelSampler::new(sampling, device).leaves_to_model(picture, request)
        };
        assert!(leaves("cuda:1", Sampling::MediaPipe, &on_gpu(1), &REQUEST));
        for device in ["cuda:0", "cpu", "cuda-host"] {
            assert!(!leaves(device, Sampling::MediaPipe, &on_gpu(1), &REQUEST), "{device}");
        }
        assert!(!leaves("cuda:1", Sampling::Antialiased, &on_gpu(1), &REQUEST));
        assert!(!leaves("cuda:1", Sampling::MediaPipe, &Far(None), &REQUEST));
        let bad = SampleRequest { side: f32::NAN, ..REQUEST };
        assert!(!leaves("cuda:1", Sampling::MediaPipe, &on_gpu(1), &bad), "the CPU's sampler says why");
    }
}
