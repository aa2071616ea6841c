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
//! **Instructions.** The pass is written once over pixels side by side (`lanes`) and compiled for AVX-512, AVX2 and plain
//! Rust, which serves every other processor; the choice is made at run time and changes no bit of the result.

mod colour;
mod error;
mod geometry;
mod image;
mod lanes;
mod numbers;
mod planes;
mod row;
mod source;

pub use error::SampleError;
pub use image::{Image, Layout, Matrix, Plane, Range, Rotation};
pub(crate) use numbers::{SampleNumbers, sample_numbers};

use crate::simd::Simd;
use colour::Conversion;
use geometry::Affine;
use row::{Job, Rows};
use source::{Planes, Source};

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

/// How many samples make an output pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// One bilinear sample, whatever the scale, as MediaPipe takes it: what the networks' accuracy was measured with.
    #[default]
    MediaPipe,
    /// The mean over the output pixel's square, so that no detail of the picture is lost or turns into a pattern.
    ///
    /// With `n = ceil(side / size)` (1 to 16) it is the mean of `n` x `n` bilinear samples at `corner + (i + a, j + b) *
    /// side / size`, turned like all positions, for `a` and `b` of `(k + 1/2) / n - 1/2`, `k` from 0 to `n - 1`: at most a
    /// pixel apart, centred on the one sample that [`Sampling::MediaPipe`] takes. Colours are clipped (and those of an RGB
    /// picture rounded) after the mean. A region of the output's size or smaller gives the same as `MediaPipe`.
    Antialiased,
}

impl Sampling {
    /// More samples along an axis would only serve regions of 16 times the output's size, and cost hundreds a pixel.
    const MOST_TAPS: usize = 16;

    /// Samples along each axis of an output pixel that is `step` pixels of the picture wide.
    fn taps(self, step: f32) -> usize {
        match self {
            Self::MediaPipe => 1,
            Self::Antialiased => (step.ceil() as usize).clamp(1, Self::MOST_TAPS),
        }
    }
}

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleOutput {
    /// Side in pixels, 1 to 65535.
    pub size: usize,
    /// What lies beyond the picture.
    pub border: Border,
    /// How many samples make a pixel.
    pub sampling: Sampling,
    /// The numbers that black and full brightness become.
    pub range: (f32, f32),
}

impl SampleOutput {
    fn check(&self, length: usize) -> Result<(), SampleError> {
        let size = self.size;
        let expected = size.checked_mul(size).and_then(|pixels| pixels.checked_mul(3));
        if size == 0 || size > usize::from(u16::MAX) || expected != Some(length) {
            return Err(SampleError::Output { size, length });
        }
        let finite = self.range.0.is_finite() && self.range.1.is_finite();
        if finite { Ok(()) } else { Err(SampleError::OutputRange) }
    }
}

/// Samples `region` of `image` into `out`: `output.size` x `output.size` pixels of red, green, blue (rows, columns,
/// channels). Nothing is allocated.
///
/// # Errors
///
/// A [`SampleError`] that says what is wrong with the picture, the region, or the output. `out` is then untouched.
pub fn sample(
    image: &Image<'_>,
    region: &SampleRegion,
    output: &SampleOutput,
    out: &mut [f32],
) -> Result<(), SampleError> {
    sample_with(Simd::best(), image, region, output, out)
}

/// As [`sample`], with chosen instructions; the result is the same to the bit.
///
/// # Errors
///
/// As [`sample`].
pub fn sample_with(
    simd: Simd,
    image: &Image<'_>,
    region: &SampleRegion,
    output: &SampleOutput,
    out: &mut [f32],
) -> Result<(), SampleError> {
    let mut planes = Planes::new(image)?;
    region.check()?;
    output.check(out.len())?;
    let job = Job {
        map: Affine::new(region, output.size, image),
        conversion: Conversion::new(image, output.range),
        size: output.size,
        taps: output.sampling.taps(region.side / output.size as f32),
        black_beyond: (output.border == Border::Zero).then_some((image.width, image.height)),
    };
    // Many samples a pixel are bound by what is computed, not by memory.
    if job.taps == 1 {
        planes.look_ahead(job.map.column, job.map.row);
    }
    let shortest = planes.shortest();
    match planes {
        Planes::Rgb24(source) => run(simd, shortest, job, source, out),
        Planes::Gray8(source) => run(simd, shortest, job, source, out),
        Planes::Planar8(source) => run(simd, shortest, job, source, out),
        Planes::Planar16(source) => run(simd, shortest, job, source, out),
        Planes::SemiPlanar8(source) => run(simd, shortest, job, source, out),
        Planes::SemiPlanar16(source) => run(simd, shortest, job, source, out),
    }
    Ok(())
}

fn run<S: Source>(simd: Simd, shortest: usize, job: Job, source: S, out: &mut [f32]) {
    lanes::run(simd, job.size, shortest, Rows { job, source, out });
}

#[cfg(test)]
mod tests;
