//! The sampler's one pass: positions, samples, colours and the store, for some pixels of a row at a time.

use super::colour::Conversion;
use super::geometry::{Affine, coverage};
use super::lanes::{Floats, Ints, Work};
use super::source::Source;

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
