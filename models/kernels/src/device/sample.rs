//! Sampling of pictures that lie in a device's memory: the operands of `cuda/sample.cuh`, made with the sampler's own
//! geometry and colours.

use super::call::{SampleAxis, SampleCall};
use super::launch::{Launch, THREADS, blocks};
use crate::sample::{
    Image, Layout, Matrix, Range, Rotation, SampleError, SampleNumbers, SampleOutput, SampleRegion,
    sample_numbers,
};

/// One plane in a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePlane {
    /// Address of its first byte.
    pub address: u64,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// A decoded picture in a device's memory, as NVDEC makes them: NV12, or P010 for more than 8 bit.
#[derive(Debug, Clone, Copy)]
pub struct DeviceImage {
    /// Stored width in pixels.
    pub width: u32,
    /// Stored height in pixels.
    pub height: u32,
    /// Bits of a sample: 8, or 10 to 16 in the high bits of a word.
    pub bits: u8,
    /// What black and white are.
    pub range: Range,
    /// How colour is coded.
    pub matrix: Matrix,
    /// The turn for display.
    pub rotation: Rotation,
    /// Y, and interleaved U and V.
    pub planes: [DevicePlane; 2],
}

/// The launch that samples `region` of `image` into `size` x `size` x 3 floats at `output_address`.
///
/// One sample a pixel, as MediaPipe takes it, whatever `output.sampling` says.
///
/// # Errors
/// As the CPU's sampler: size, layout, region and output are checked; that the planes are there is the caller's promise to
/// whoever runs the launch.
pub fn sample_launch(
    image: &DeviceImage,
    region: &SampleRegion,
    output: &SampleOutput,
    output_address: u64,
) -> Result<Launch<SampleCall>, SampleError> {
    let layout = Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits: image.bits };
    let DeviceImage { width, height, range, matrix, rotation, planes: [luma, chroma], .. } = *image;
    let described = Image { width, height, layout, range, matrix, rotation, planes: [None; 3] };
    let SampleNumbers { origin, column, row, axes, colour, black, level, black_beyond } =
        sample_numbers(&described, region, output)?;
    let word = if image.bits > 8 { 2 } else { 1 };
    let (luma_row, chroma_row) = (width as usize * word, width.div_ceil(2) as usize * 2 * word);
    for (index, (plane, needed)) in [(luma, luma_row), (chroma, chroma_row)].into_iter().enumerate() {
        if plane.stride < needed || plane.address % word as u64 != 0 || plane.stride % word != 0 {
            return Err(SampleError::ShortPlane { index, length: 0, stride: plane.stride });
        }
    }
    let axis = |[first, bits, last, length]: [i32; 4]| SampleAxis { first, bits, last, length };
    let (width, height) = black_beyond.unwrap_or((0, 0));
    let call = SampleCall {
        luma: luma.address,
        chroma: chroma.address,
        output: output_address,
        luma_stride: luma.stride as i64,
        chroma_stride: chroma.stride as i64,
        origin,
        column,
        row,
        luma_axes: [axis(axes[0]), axis(axes[1])],
        chroma_axes: [axis(axes[2]), axis(axes[3])],
        colour,
        black,
        level,
        size: output.size as i32,
        width: width as i32,
        height: height as i32,
    };
    let kernel = if word == 1 { "sample_nv12" } else { "sample_p010" };
    Ok(Launch { kernel, grid: [blocks(output.size * output.size, THREADS), 1], block: THREADS as u32, call })
}
