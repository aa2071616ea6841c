//! What a batch is made of, brought into the network's input: floats through pinned memory, and regions of pictures that lie on
//! this device by its own sampler, without a detour by the host.

use std::ffi::{c_uint, c_void};

use cudarc::driver::{CudaFunction, result, sys};

use super::{Gpu, GpuError, GpuNetwork, refused, refused_because};
use crate::device::DevicePicture;
use crate::device::call::SampleCall;
use crate::device::launch::Launch;
use crate::device::picture::{Home, NetworkInput};
use crate::sample::{SampleOutput, SampleRegion};

/// The samplers, by the names that launches use.
#[derive(Debug)]
pub(super) struct Samplers([(&'static str, CudaFunction); 2]);

impl Samplers {
    pub(super) fn find(gpu: &Gpu) -> Result<Self, GpuError> {
        let find = |name: &'static str| {
            gpu.module.load_function(name).map(|found| (name, found)).map_err(refused("find a kernel"))
        };
        Ok(Self([find("sample_nv12")?, find("sample_p010")?]))
    }
}

impl GpuNetwork {
    /// Fills the first images of the network's input, in the order of its stream.
    pub(super) fn send(&mut self, images: &[NetworkInput<'_>]) -> Result<(), GpuError> {
        self.send_floats(images)?;
        let regions = || {
            images.iter().enumerate().filter_map(|(index, image)| match image {
                NetworkInput::Region(picture, region, output) => Some((index, *picture, region, output)),
                NetworkInput::Floats(_) => None,
            })
        };
        if regions().next().is_none() {
            return Ok(());
        }
        // Pictures are written on the default stream, by decoders on threads of their own, before they are given out: all of
        // that is on that stream by now.
        self.gpu.stream.join(&self.gpu.decoders).map_err(refused("wait for decoders"))?;
        regions().try_for_each(|(index, picture, region, output)| self.sample(index, picture, region, output))
    }

    /// Copies images that the host has, neighbours at once.
    fn send_floats(&mut self, images: &[NetworkInput<'_>]) -> Result<(), GpuError> {
        let input_len = self.program.input_len;
        let pinned = self.pinned_input.as_mut_slice().map_err(refused("reach pinned memory"))?;
        let mut begin = 0;
        while begin < images.len() {
            let floats = images[begin..].iter().map_while(|image| match image {
                NetworkInput::Floats(floats) => Some(*floats),
                NetworkInput::Region(..) => None,
            });
            let mut end = begin;
            for floats in floats {
                pinned[end * input_len..][..input_len].copy_from_slice(floats);
                end += 1;
            }
            let sent = &pinned[begin * input_len..end * input_len];
            let target = self.bases.input + (begin * input_len * size_of::<f32>()) as u64;
            if !sent.is_empty() {
                // SAFETY: the device's input holds `most` images, of which these are some; the pinned memory lives as long as
                // this value and is not touched before the caller has synchronised.
                unsafe { result::memcpy_htod_async(target, sent, self.gpu.stream.cu_stream()) }
                    .map_err(refused("send images"))?;
            }
            begin = end.max(begin + 1);
        }
        Ok(())
    }

    /// Samples a region into image `index` of the input.
    fn sample(
        &self,
        index: usize,
        picture: &DevicePicture,
        region: &SampleRegion,
        output: &SampleOutput,
    ) -> Result<(), GpuError> {
        const ACTION: &str = "sample a picture";
        if picture.home() != Home::Gpu(self.gpu.number) {
            return Err(refused_because(ACTION, "it lies in other memory"));
        }
        let image = picture.image();
        for (plane, at) in image.planes.iter().enumerate() {
            let is_there = image.plane_bytes(plane).is_some_and(|bytes| holds(at.address, bytes));
            if !is_there {
                return Err(refused_because(ACTION, "a plane is not in the device's memory"));
            }
        }
        let target = self.bases.input + (index * self.program.input_len * size_of::<f32>()) as u64;
        let launch = picture.launch(region, output, target);
        let launch = launch.map_err(|error| refused_because(ACTION, &error.to_string()))?;
        self.launch_sampler(&launch).map_err(refused(ACTION))
    }

    fn launch_sampler(&self, launch: &Launch<SampleCall>) -> Result<(), cudarc::driver::DriverError> {
        let found = self.samplers.0.iter().find(|(name, _)| *name == launch.kernel);
        let (_, function) = found.expect("both samplers should have been found");
        let mut call = launch.call;
        let mut operands = [std::ptr::from_mut(&mut call).cast::<c_void>()];
        // SAFETY: the kernel takes one `SampleCall`, which the driver copies before this returns. It writes one image of the
        // network's input, whose length the caller has compared, and reads the two planes only, which lie in allocations of
        // the device as a whole. Were one of them given back meanwhile, against the promise of `DevicePicture::on_gpu`, the
        // kernel would read other numbers, or the context would be lost; no memory of the host is in its reach.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (launch.grid[0], launch.grid[1], 1),
                (launch.block, 1, 1),
                0,
                self.gpu.stream.cu_stream(),
                &mut operands,
            )
        }
    }
}

/// Whether so many bytes from `address` on are in one allocation of the context that this thread is in, in a device's memory.
fn holds(address: u64, bytes: usize) -> bool {
    let (mut base, mut size) = (0, 0);
    // SAFETY: the driver writes two numbers to places that live during the call; an address that is none is an error.
    let found = unsafe { sys::cuMemGetAddressRange_v2(&mut base, &mut size, address) };
    let end = address.checked_add(bytes as u64);
    found == sys::CUresult::CUDA_SUCCESS
        && is_on_device(address)
        && address >= base
        && end.is_some_and(|end| end <= base.saturating_add(size as u64))
}

/// Whether it is a device's memory: pinned memory of the host has addresses for kernels, too.
fn is_on_device(address: u64) -> bool {
    let mut kind: c_uint = 0;
    let attribute = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
    // SAFETY: the driver writes this attribute as an unsigned integer, to a place that lives during the call; an address that
    // is none is an error.
    let found = unsafe { sys::cuPointerGetAttribute((&raw mut kind).cast::<c_void>(), attribute, address) };
    found == sys::CUresult::CUDA_SUCCESS && kind == sys::CUmemorytype::CU_MEMORYTYPE_DEVICE as c_uint
}
