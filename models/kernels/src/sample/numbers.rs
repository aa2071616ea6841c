//! The numbers of a sampling job, for samplers that run elsewhere: the kernels for pictures in a device's memory.

use super::colour::Conversion;
use super::geometry::{Affine, Axis};
use super::image::{Image, Layout};
use super::{Border, SampleError, SampleOutput, SampleRegion};

/// What a sampler of luma and interleaved chroma computes with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SampleNumbers {
    /// Position of output pixel (0, 0); x, y.
    pub(crate) origin: [f64; 2],
    /// Its change from one column to the next.
    pub(crate) column: [f64; 2],
    /// Its change from one row to the next.
    pub(crate) row: [f64; 2],
    /// Luma across and down, chroma across and down: first position, fractional bits, last position, samples.
    pub(crate) axes: [[i32; 4]; 4],
    /// Black and scale of luma, zero of chroma, then red by v, green by u, green by v, blue by u.
    pub(crate) colour: [f32; 7],
    /// Value of black.
    pub(crate) black: f32,
    /// Value of a level above it.
    pub(crate) level: f32,
    /// Width and height of the stored picture, if black lies beyond it.
    pub(crate) black_beyond: Option<(u32, u32)>,
}

/// The numbers for `image`, whose planes are not looked at.
///
/// # Errors
/// As [`super::sample`], but for what concerns planes and the output's length; `Layout` for any but NV12's and P010's kind.
pub(crate) fn sample_numbers(
    image: &Image<'_>,
    region: &SampleRegion,
    output: &SampleOutput,
) -> Result<SampleNumbers, SampleError> {
    let (width, height) = image.checked_size()?;
    let (sub_x, sub_y, bits) = match image.layout {
        Layout::SemiPlanar { sub_x, sub_y, bits } => (sub_x, sub_y, bits),
        _ => return Err(SampleError::Layout { bits: 0, sub_x: 0, sub_y: 0 }),
    };
    if sub_x > 2 || sub_y > 2 || !(8..=16).contains(&bits) {
        return Err(SampleError::Layout { bits, sub_x, sub_y });
    }
    region.check()?;
    output.check(output.size.saturating_mul(output.size).saturating_mul(3))?;
    let map = Affine::new(region, output.size, image);
    let axis = |length: usize, sub: u8| Axis::new(length.div_ceil(1 << sub), sub).numbers();
    let conversion = Conversion::new(image, output.range);
    let colour = conversion.yuv_numbers().ok_or(SampleError::Layout { bits, sub_x, sub_y })?;
    let (black, level) = conversion.scale();
    Ok(SampleNumbers {
        origin: map.origin,
        column: map.column,
        row: map.row,
        axes: [axis(width, 0), axis(height, 0), axis(width, sub_x), axis(height, sub_y)],
        colour,
        black,
        level,
        black_beyond: (output.border == Border::Zero).then_some((image.width, image.height)),
    })
}
