//! Sampling of a rotated square of a decoded picture, straight from its planes into a network's input.
//!
//! One pass does what usually takes four: display rotation, colour conversion, crop and resize with bilinear weights, and
//! normalisation. No full-frame RGB is ever made; luma and chroma are sampled where they lie and converted afterwards,
//! which gives the same as converting first, as both steps are linear (but for the clipping of colours that no RGB has).
//!
//! **Geometry.** That of MediaPipe's `ImageToTensorCalculator` on the CPU (OpenCV's `warpPerspective` with the corners of
//! the region and of the output as its points): a pixel's centre has whole coordinates, and output pixel `(i, j)` is
//! taken at `corner + (i, j) * side / size`, turned by the region's angle. There is no half pixel in it, unlike in most
//! resizers; the networks' landmarks are trained and projected with the same convention.
//!
//! **Rounding.** Positions are rounded to 1/32 pixel, as OpenCV 3 and 4 do, and RGB results to 8 bit: the networks answer
//! to such trifles with up to 1 % of the person's size where a picture is ambiguous, and this way an RGB picture gives the
//! reference's own input. Results from luma and chroma are not rounded; nothing could be matched by it.
//!
//! Plain safe Rust. Wider kernels for single CPUs may replace `row` one day; they have to agree with its tests.

mod colour;
mod error;
mod geometry;
mod image;
mod row;

pub use error::SampleError;
pub use image::{Image, Layout, Matrix, Plane, Range, Rotation};

use colour::Conversion;
use geometry::{Affine, Positions};
use row::Sampler;

/// What lies beyond the picture's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Black: the lower end of the output range.
    Zero,
    /// The pixels of the border, repeated.
    Replicate,
}

/// A rotated square in pixels of the **displayed** picture; it may reach beyond it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRegion {
    /// Centre from the left edge.
    pub centre_x: f32,
    /// Centre from the top edge.
    pub centre_y: f32,
    /// Side; above 0.
    pub side: f32,
    /// Rotation in radians, clockwise on the screen.
    pub angle: f32,
}

impl SampleRegion {
    /// Beyond this (in pixels, or radians), `f32` would no longer tell neighbouring pixels apart.
    const LIMIT: f32 = 1e6;

    fn check(&self) -> Result<(), SampleError> {
        let numbers = [self.centre_x, self.centre_y, self.side, self.angle];
        let sane = numbers.iter().all(|number| number.abs() <= Self::LIMIT) && self.side > 0.0;
        if sane { Ok(()) } else { Err(SampleError::Region) }
    }
}

/// Samples `region` of `image` into `out`: `size` x `size` pixels of red, green, blue (rows, columns, channels), black at
/// `output_range.0` and full brightness at `output_range.1`.
///
/// # Errors
///
/// A [`SampleError`] that says what is wrong with the picture, the region, or the output. `out` is then untouched.
pub fn sample(
    image: &Image<'_>,
    region: &SampleRegion,
    size: usize,
    border: Border,
    output_range: (f32, f32),
    out: &mut [f32],
) -> Result<(), SampleError> {
    let sampler = Sampler::new(image)?;
    region.check()?;
    let expected = size.checked_mul(size).and_then(|pixels| pixels.checked_mul(3));
    if size == 0 || size > usize::from(u16::MAX) || expected != Some(out.len()) {
        return Err(SampleError::Output { size, length: out.len() });
    }
    if !(output_range.0.is_finite() && output_range.1.is_finite()) {
        return Err(SampleError::OutputRange);
    }
    let map = Affine::new(region, size, image);
    let conversion = Conversion::new(image, output_range);
    let mut positions = Positions::new(size);
    let (mut row, mut coverage) = (vec![[0.0; 3]; size], vec![1.0; size]);
    for (j, out) in out.chunks_exact_mut(size * 3).enumerate() {
        positions.place(&map, j);
        sampler.row(&positions, &mut row);
        if border == Border::Zero {
            positions.coverage(image.width, image.height, &mut coverage);
        }
        conversion.convert(&row, &coverage, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
