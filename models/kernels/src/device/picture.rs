//! Pictures that a device samples itself, and what a network is given: such a picture, or floats that were sampled before.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::call::SampleCall;
use super::launch::Launch;
use super::sample::{DeviceImage, sample_launch};
use crate::sample::{SampleError, SampleOutput, SampleRegion};

/// A picture in a device's memory, with what keeps it there. Clones share it.
#[derive(Clone)]
pub struct DevicePicture {
    image: DeviceImage,
    home: Home,
    _keeper: Arc<dyn Any + Send + Sync>,
}

/// Whose memory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// The GPU of this number.
    Gpu(usize),
    /// The host that plays a device. Only [`DevicePicture::on_host`] makes it, from memory that it owns.
    #[cfg(feature = "cuda-host")]
    Host,
}

impl DevicePicture {
    /// A picture in the memory of GPU `number`, which stays there as it is while `keeper` lives; work that writes it is on the
    /// default stream of the GPU's primary context.
    ///
    /// An address that is none of that GPU's is refused when the picture is sampled.
    pub fn on_gpu(number: usize, image: DeviceImage, keeper: Arc<dyn Any + Send + Sync>) -> Self {
        Self { image, home: Home::Gpu(number), _keeper: keeper }
    }

    /// A picture for the host that plays a device, for tests. `image` says all but the addresses; `planes` are Y, and
    /// interleaved U and V, as 16-bit words, so that they begin where words can be read.
    ///
    /// # Panics
    /// If a plane is shorter than the image says.
    #[cfg(feature = "cuda-host")]
    pub fn on_host(image: DeviceImage, planes: [Vec<u16>; 2]) -> Self {
        let planes = Arc::new(planes);
        let mut image = image;
        for (index, plane) in planes.iter().enumerate() {
            let needed = image.plane_bytes(index);
            assert!(
                needed.is_some_and(|needed| needed <= plane.len() * 2),
                "plane {index} should be there as a whole"
            );
            image.planes[index].address = plane.as_ptr().expose_provenance() as u64;
        }
        Self { image, home: Home::Host, _keeper: planes }
    }

    /// Whether GPU `number` can read it.
    pub fn is_on_gpu(&self, number: usize) -> bool {
        self.home == Home::Gpu(number)
    }

    /// Whether a device can sample this; otherwise, why not. It takes one sample a pixel, whatever `output.sampling` says.
    ///
    /// # Errors
    /// As the CPU's sampler.
    pub fn check(&self, region: &SampleRegion, output: &SampleOutput) -> Result<(), SampleError> {
        self.launch(region, output, 0).map(drop)
    }

    pub(super) fn launch(
        &self,
        region: &SampleRegion,
        output: &SampleOutput,
        output_address: u64,
    ) -> Result<Launch<SampleCall>, SampleError> {
        sample_launch(&self.image, region, output, output_address)
    }

    #[cfg(feature = "cuda")]
    pub(super) fn image(&self) -> &DeviceImage {
        &self.image
    }

    #[cfg(any(feature = "cuda", feature = "cuda-host"))]
    pub(super) fn home(&self) -> Home {
        self.home
    }
}

impl fmt::Debug for DevicePicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePicture")
            .field("home", &self.home)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

/// One image for a network.
#[derive(Debug, Clone, Copy)]
pub enum NetworkInput<'a> {
    /// The network's input as floats.
    Floats(&'a [f32]),
    /// A region of a picture, which the device samples into the network's input itself.
    Region(&'a DevicePicture, SampleRegion, SampleOutput),
}

impl NetworkInput<'_> {
    /// Floats that it comes to.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.len(),
            Self::Region(_, _, output) => output.size * output.size * 3,
        }
    }

    /// Whether it comes to none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(any(feature = "cuda", feature = "cuda-host"))]
impl DeviceImage {
    /// Bytes that a sampler may read of plane 0 (Y) or 1 (U and V): none beyond the last sample of the last row. Nothing if
    /// they are more than memory has.
    pub(super) fn plane_bytes(&self, index: usize) -> Option<usize> {
        let word = if self.bits > 8 { 2 } else { 1 };
        let (width, height) = (self.width as usize, self.height as usize);
        let (row, rows) = match index {
            0 => (width * word, height),
            _ => (width.div_ceil(2) * 2 * word, height.div_ceil(2)),
        };
        rows.checked_sub(1)?.checked_mul(self.planes[index].stride)?.checked_add(row)
    }
}
