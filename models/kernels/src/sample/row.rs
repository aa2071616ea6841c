//! The sampler's one pass: positions, samples, colours and the store, for some pixels of a row at a time.

use super::colour::Conversion;
use super::error::SampleError;
use super::geometry::{Affine, coverage};
use super::image::{Image, Layout};
use super::lanes::{Floats, Ints, Work};
use super::planes::{FloatsOf, Samples};

/// Planes that have been checked against their layout.
#[derive(Debug, Clone, Copy)]
pub(super) enum Planes<'a> {
    Rgb24(Rgb24<'a>),
    Gray8(Gray8<'a>),
    Planar8(Planar<'a, 1>),
    Planar16(Planar<'a, 2>),
    SemiPlanar8(SemiPlanar<'a, 1, 2>),
    SemiPlanar16(SemiPlanar<'a, 2, 4>),
}

/// Red, green and blue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rgb24<'a>(Samples<'a, 3>);

/// Luma only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gray8<'a>(Samples<'a, 1>);

/// Luma and two planes of chroma, `BYTES` a sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planar<'a, const BYTES: usize>([Samples<'a, BYTES>; 3]);

/// Luma of `BYTES` a sample and interleaved chroma of `PAIR`, which is twice that.
#[derive(Debug, Clone, Copy)]
pub(super) struct SemiPlanar<'a, const BYTES: usize, const PAIR: usize>(
    Samples<'a, BYTES>,
    Samples<'a, PAIR>,
);

impl<'a> Planes<'a> {
    /// Checks size, layout and planes.
    pub(super) fn new(image: &Image<'a>) -> Result<Self, SampleError> {
        image.checked_size()?;
        match image.layout {
            Layout::Rgb24 => Ok(Self::Rgb24(Rgb24(Samples::new(image, 0, (0, 0))?))),
            Layout::Gray8 => Ok(Self::Gray8(Gray8(Samples::new(image, 0, (0, 0))?))),
            Layout::Planar { sub_x, sub_y, bits } => {
                check(sub_x, sub_y, bits)?;
                let sub = (sub_x, sub_y);
                if bits > 8 {
                    Ok(Self::Planar16(planar(image, sub)?))
                } else {
                    Ok(Self::Planar8(planar(image, sub)?))
                }
            }
            Layout::SemiPlanar { sub_x, sub_y, bits } => {
                check(sub_x, sub_y, bits)?;
                let sub = (sub_x, sub_y);
                if bits > 8 {
                    Ok(Self::SemiPlanar16(semi_planar(image, sub)?))
                } else {
                    Ok(Self::SemiPlanar8(semi_planar(image, sub)?))
                }
            }
        }
    }

    /// See [`Samples::look_ahead`].
    pub(super) fn look_ahead(&mut self, step: [f64; 2]) {
        match self {
            Self::Rgb24(planes) => planes.0.look_ahead(step),
            Self::Gray8(planes) => planes.0.look_ahead(step),
            Self::Planar8(planes) => planes.0.iter_mut().for_each(|plane| plane.look_ahead(step)),
            Self::Planar16(planes) => planes.0.iter_mut().for_each(|plane| plane.look_ahead(step)),
            Self::SemiPlanar8(planes) => {
                planes.0.look_ahead(step);
                planes.1.look_ahead(step);
            }
            Self::SemiPlanar16(planes) => {
                planes.0.look_ahead(step);
                planes.1.look_ahead(step);
            }
        }
    }

    /// Bytes of the shortest plane.
    pub(super) fn shortest(&self) -> usize {
        match self {
            Self::Rgb24(planes) => planes.0.length(),
            Self::Gray8(planes) => planes.0.length(),
            Self::Planar8(planes) => planes.shortest(),
            Self::Planar16(planes) => planes.shortest(),
            Self::SemiPlanar8(planes) => planes.0.length().min(planes.1.length()),
            Self::SemiPlanar16(planes) => planes.0.length().min(planes.1.length()),
        }
    }
}

/// Refuses a layout whose numbers are not supported.
fn check(sub_x: u8, sub_y: u8, bits: u8) -> Result<(), SampleError> {
    let supported = sub_x <= 2 && sub_y <= 2 && (8..=16).contains(&bits);
    if supported { Ok(()) } else { Err(SampleError::Layout { bits, sub_x, sub_y }) }
}

fn planar<'a, const BYTES: usize>(
    image: &Image<'a>,
    sub: (u8, u8),
) -> Result<Planar<'a, BYTES>, SampleError> {
    Ok(Planar([Samples::new(image, 0, (0, 0))?, Samples::new(image, 1, sub)?, Samples::new(image, 2, sub)?]))
}

fn semi_planar<'a, const BYTES: usize, const PAIR: usize>(
    image: &Image<'a>,
    sub: (u8, u8),
) -> Result<SemiPlanar<'a, BYTES, PAIR>, SampleError> {
    Ok(SemiPlanar(Samples::new(image, 0, (0, 0))?, Samples::new(image, 1, sub)?))
}

impl<const BYTES: usize> Planar<'_, BYTES> {
    fn shortest(&self) -> usize {
        let [y, u, v] = self.0.map(|plane| plane.length());
        y.min(u).min(v)
    }
}

/// What a picture's planes give at a position.
pub(super) trait Source: Copy {
    /// Y, U, V in sample values, or R, G, B.
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3];
}

impl Source for Rgb24<'_> {
    #[inline(always)]
    fn triple<I: Ints>(&self, [x, y]: [I; 2]) -> [FloatsOf<I>; 3] {
        self.0.three_bytes(x, y)
    }
}

impl Source for Gray8<'_> {
    #[inline(always)]
    fn triple<I: Ints>(&self, [x, y]: [I; 2]) -> [FloatsOf<I>; 3] {
        // Of 8 bit; 128 is no colour.
        let none = FloatsOf::<I>::splat(128.0);
        [self.0.byte(x, y), none, none]
    }
}

impl Source for Planar<'_, 1> {
    #[inline(always)]
    fn triple<I: Ints>(&self, [x, y]: [I; 2]) -> [FloatsOf<I>; 3] {
        [self.0[0].byte(x, y), self.0[1].byte(x, y), self.0[2].byte(x, y)]
    }
}

impl Source for Planar<'_, 2> {
    #[inline(always)]
    fn triple<I: Ints>(&self, [x, y]: [I; 2]) -> [FloatsOf<I>; 3] {
        [self.0[0].word(x, y), self.0[1].word(x, y), self.0[2].word(x, y)]
    }
}

impl Source for SemiPlanar<'_, 1, 2> {
    #[inline(always)]
    fn triple<I: Ints>(&self, [x, y]: [I; 2]) -> [FloatsOf<I>; 3] {
        let [u, v] = self.1.two_bytes(x, y);
        [self.0.byte(x, y), u, v]
    }
}

impl Source for SemiPlanar<'_, 2, 4> {
    #[inline(always)]
    fn triple<I: Ints>(&self, [x, y]: [I; 2]) -> [FloatsOf<I>; 3] {
        let [u, v] = self.1.two_words(x, y);
        [self.0.word(x, y), u, v]
    }
}

/// What to make of the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) map: Affine,
    pub(super) conversion: Conversion,
    /// Side of the output in pixels.
    pub(super) size: usize,
    /// Samples along each axis of an output pixel.
    pub(super) taps: usize,
    /// Width and height of the stored picture, if black lies beyond it.
    pub(super) black_beyond: Option<(u32, u32)>,
}

/// A job with its source and its output.
pub(super) struct Rows<'a, S> {
    pub(super) job: Job,
    pub(super) source: S,
    pub(super) out: &'a mut [f32],
}

impl<S: Source> Work for Rows<'_, S> {
    #[inline(always)]
    fn run<I: Ints>(self) {
        // Closures and `array::map` are not inlined here, and a call with vectors costs more than what it does.
        let Self { job, source, out } = self;
        for (row, out) in out.chunks_exact_mut(job.size * 3).enumerate() {
            let mut first = 0;
            while first < job.size {
                // What is left over is done together with pixels that are done already.
                first = first.min(job.size - I::COUNT);
                let rgb = job.pixels::<I, S>(&source, row, first);
                Floats::store(rgb, &mut out[first * 3..][..I::COUNT * 3]);
                first += I::COUNT;
            }
        }
    }
}

impl Job {
    /// Red, green and blue of the pixels of `row` from column `first` on.
    #[inline(always)]
    fn pixels<I: Ints, S: Source>(&self, source: &S, row: usize, first: usize) -> [I::Floats; 3] {
        if self.taps == 1 {
            let position: [I; 2] = self.map.row(row, [0.0; 2]).positions(first);
            return self.conversion.convert(source.triple(position), self.covered(position));
        }
        let (triple, part) = self.mean::<I, S>(source, row, first);
        self.conversion.convert(triple, part)
    }

    /// The mean of `taps` x `taps` samples spread over each pixel's square, and of their coverage.
    ///
    /// Samples count as much as they are covered, so that the colour repeated beyond the border does not tinge the mean.
    #[inline(always)]
    fn mean<I: Ints, S: Source>(
        &self,
        source: &S,
        row: usize,
        first: usize,
    ) -> ([I::Floats; 3], Option<I::Floats>) {
        let [mut first_sum, mut second_sum, mut third_sum, mut covered] = [I::Floats::splat(0.0); 4];
        for tap in 0..self.taps * self.taps {
            let offset = [self.offset(tap % self.taps), self.offset(tap / self.taps)];
            let position: [I; 2] = self.map.row(row, offset).positions(first);
            let part = match self.covered(position) {
                Some(part) => part,
                None => I::Floats::splat(1.0),
            };
            let [first, second, third]: [I::Floats; 3] = source.triple(position);
            first_sum = first_sum.plus(first.times(part));
            second_sum = second_sum.plus(second.times(part));
            third_sum = third_sum.plus(third.times(part));
            covered = covered.plus(part);
        }
        // Where nothing is covered, any colour times nothing is black.
        let weight = covered.most(I::Floats::splat(f32::MIN_POSITIVE));
        let mean = [first_sum.over(weight), second_sum.over(weight), third_sum.over(weight)];
        let all = I::Floats::splat((self.taps * self.taps) as f32);
        (mean, if self.black_beyond.is_some() { Some(covered.over(all)) } else { None })
    }

    /// Place of a sample along an axis of an output pixel, from its centre.
    #[inline(always)]
    fn offset(&self, tap: usize) -> f64 {
        (tap as f64 + 0.5) / self.taps as f64 - 0.5
    }

    #[inline(always)]
    fn covered<I: Ints>(&self, position: [I; 2]) -> Option<I::Floats> {
        let (width, height) = self.black_beyond?;
        Some(coverage(position, width, height))
    }
}
