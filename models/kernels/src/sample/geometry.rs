//! Where output pixels lie in the picture: an affine map in fixed point, and the neighbours of a position.

use super::SampleRegion;
use super::image::{Image, Rotation};
use super::lanes::{Floats, Ints};

/// Fractional bits of a position: OpenCV rounds them to 1/32 of a pixel (`INTER_BITS`), and what the networks make of a
/// picture depends on it more than one would think (see the module's documentation).
pub(super) const FRACTION_BITS: u8 = 5;

/// Takes output column `i` and row `j` to a position in the stored picture, in pixels whose centres are whole.
///
/// Kept in `f64`: each position is computed afresh, so that no error adds up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    /// Position of output pixel (0, 0).
    pub(super) origin: [f64; 2],
    /// Change of x and y from one column to the next.
    pub(super) column: [f64; 2],
    /// Change of x and y from one row to the next.
    pub(super) row: [f64; 2],
}

impl Affine {
    /// From the pixels of a `size` x `size` output to stored pixels of `image`.
    pub(super) fn new(region: &SampleRegion, size: usize, image: &Image<'_>) -> Self {
        let displayed = Self::of_region(region, size);
        let (last_x, last_y) = (f64::from(image.width) - 1.0, f64::from(image.height) - 1.0);
        let turn = |[x, y]: [f64; 2], last_x: f64, last_y: f64| match image.rotation {
            Rotation::None => [x, y],
            Rotation::Quarter => [y, last_y - x],
            Rotation::Half => [last_x - x, last_y - y],
            Rotation::ThreeQuarters => [last_x - y, x],
        };
        Self {
            origin: turn(displayed.origin, last_x, last_y),
            // A difference of positions turns about zero.
            column: turn(displayed.column, 0.0, 0.0),
            row: turn(displayed.row, 0.0, 0.0),
        }
    }

    /// From the output's pixels to displayed pixels.
    fn of_region(region: &SampleRegion, size: usize) -> Self {
        let (sin, cos) = f64::from(region.angle).sin_cos();
        let (half, step) = (f64::from(region.side) / 2.0, f64::from(region.side) / size as f64);
        let (centre_x, centre_y) = (f64::from(region.centre_x), f64::from(region.centre_y));
        Self {
            origin: [centre_x - half * cos + half * sin, centre_y - half * sin - half * cos],
            column: [step * cos, step * sin],
            row: [-step * sin, step * cos],
        }
    }
}

/// The positions of one output row's pixels, each axis a line, in 1/2^[`FRACTION_BITS`] of a stored pixel.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowMap {
    start: [f64; 2],
    step: [f64; 2],
}

impl Affine {
    /// The map of output row `row`, whose pixels are taken `offset` of an output pixel further along columns and rows.
    #[inline(always)]
    pub(super) fn row(&self, row: usize, offset: [f64; 2]) -> RowMap {
        // A power of two: as exact before the sum as after it.
        let fixed = f64::from(1u32 << FRACTION_BITS);
        let [x, y] = [self.start(0, row, offset), self.start(1, row, offset)];
        RowMap { start: [x * fixed, y * fixed], step: [self.column[0] * fixed, self.column[1] * fixed] }
    }

    #[inline(always)]
    fn start(&self, axis: usize, row: usize, offset: [f64; 2]) -> f64 {
        let shift = self.column[axis] * offset[0] + self.row[axis] * offset[1];
        self.origin[axis] + self.row[axis] * row as f64 + shift
    }
}

impl RowMap {
    /// x and y of the pixels from column `first` on.
    ///
    /// Right for all positions of a region that was checked: below 2^31 in fixed point.
    #[inline(always)]
    pub(super) fn positions<I: Ints>(&self, first: usize) -> [I; 2] {
        [I::line(self.start[0], self.step[0], first), I::line(self.start[1], self.step[1], first)]
    }
}

/// How much of each position's four neighbours lies in a picture of `width` x `height`, 0 to 1, by their weights.
///
/// A bilinear sample with black beyond the border is the sample with the border repeated, times this: the weight is a
/// product of one for x and one for y, and a neighbour outside repeats the one that is inside.
#[inline(always)]
pub(super) fn coverage<I: Ints>([x, y]: [I; 2], width: u32, height: u32) -> I::Floats {
    inside(x, width).times(inside(y, height))
}

/// How much of a position's two neighbours on an axis is one of `length` samples.
#[inline(always)]
fn inside<I: Ints>(position: I, length: u32) -> I::Floats {
    let one = I::splat(1 << FRACTION_BITS);
    let to_end = I::splat((length as i32) << FRACTION_BITS).minus(position);
    let part = position.plus(one).least(to_end).most(I::splat(0)).least(one);
    part.floats().times(Floats::splat(1.0 / (1 << FRACTION_BITS) as f32))
}

/// One axis of a plane: takes positions to pairs of neighbours inside the plane; the border is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Fixed-point position of the plane's first sample in the picture.
    first: i32,
    /// Fractional bits of a position once it counts samples of this plane.
    bits: u32,
    /// The last sample, in fixed point.
    last: i32,
}

/// Neighbouring samples and what part of each is taken.
pub(super) struct Pair<I> {
    /// Index of the sample at or before the position.
    pub(super) first: I,
    /// Weight of the sample after it; that of both is `one`.
    to_second: I,
    one: i32,
}

impl Axis {
    /// Subsampled by 2^`sub`: a sample lies in the middle of the pixels that it stands for. That is where JPEG and MPEG-1
    /// put chroma, and where FFmpeg's scaler takes it from unless told otherwise, and with it nearly all that reads video.
    /// H.264 means half a pixel further left; no network has been seen to care.
    pub(super) fn new(length: usize, sub: u8) -> Self {
        let bits = u32::from(FRACTION_BITS + sub);
        let first = ((1 << sub) - 1) << (FRACTION_BITS - 1);
        Self { first, bits, last: (length as i32 - 1) << bits }
    }

    /// Log2 of the pixels for each sample.
    pub(super) fn sub(&self) -> u32 {
        self.bits - u32::from(FRACTION_BITS)
    }

    /// The sum of the two neighbours' weights.
    pub(super) fn one(&self) -> i32 {
        1 << self.bits
    }

    /// First position, fractional bits, last position and samples, for samplers that run elsewhere.
    pub(super) fn numbers(&self) -> [i32; 4] {
        [self.first, self.bits as i32, self.last, (self.last >> self.bits) + 1]
    }

    /// The samples around a picture's position.
    ///
    /// At the last sample these are the last but one, and it with all the weight, so that the second is inside wherever the
    /// plane has two samples. Where it has one, that is the first, with all the weight.
    #[inline(always)]
    pub(super) fn locate<I: Ints>(&self, position: I) -> Pair<I> {
        let position = position.minus(I::splat(self.first)).most(I::splat(0)).least(I::splat(self.last));
        let before_last = ((self.last >> self.bits) - 1).max(0);
        let first = position.down(self.bits).least(I::splat(before_last));
        Pair { first, to_second: position.minus(first.up(self.bits)), one: self.one() }
    }
}

impl<I: Ints> Pair<I> {
    /// The weighted sum of two values of 15 bit, the first in the low half and the second in the high half.
    #[inline(always)]
    pub(super) fn mix(&self, halves: I) -> I {
        halves.mix(self.to_second, self.one)
    }

    /// The weighted sum of two values.
    #[inline(always)]
    pub(super) fn weigh(&self, first: I, second: I) -> I {
        let to_first = I::splat(self.one).minus(self.to_second);
        first.times(to_first).plus(second.times(self.to_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_fades_over_one_pixel_beyond_the_border() {
        let cases = [(-40, 0.0), (-32, 0.0), (-16, 0.5), (0, 1.0), (224, 1.0), (232, 0.75), (256, 0.0)];
        for (x, expected) in cases {
            assert_eq!(coverage([x, 0], 8, 4), expected, "{x}");
        }
        assert_eq!(coverage([-16, 112], 8, 4), 0.25);
    }

    #[test]
    fn neighbours_stay_inside_the_plane() {
        let axis = Axis::new(4, 0);
        let pair = |position: i32| {
            let pair = axis.locate(position);
            (pair.first, pair.to_second)
        };
        assert_eq!(pair(-50), (0, 0));
        assert_eq!(pair(40), (1, 8));
        assert_eq!(pair(96), (2, 32));
        assert_eq!(pair(500), (2, 32));
        // A single sample is first.
        assert_eq!(Axis::new(1, 0).locate(500).first, 0);
        assert_eq!(Axis::new(1, 0).locate(500).to_second, 0);
    }
}
