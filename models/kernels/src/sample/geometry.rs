//! Where output pixels lie in the picture: an affine map, evaluated row by row in fixed point.

use super::SampleRegion;
use super::image::{Image, Rotation};

/// Fractional bits of a position: OpenCV rounds them to 1/32 of a pixel (`INTER_BITS`), and what the networks make of a
/// picture depends on it more than one would think (see the module's documentation).
pub(super) const FRACTION_BITS: u8 = 5;

/// Takes output column `i` and row `j` to a position in the stored picture, in pixels whose centres are whole.
///
/// Kept in `f64`: each position is computed afresh, so that no error adds up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    /// Position of output pixel (0, 0).
    origin: [f64; 2],
    /// Change of x and y from one column to the next.
    column: [f64; 2],
    /// Change of x and y from one row to the next.
    row: [f64; 2],
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

/// The positions of one output row's pixels in 1/2^[`FRACTION_BITS`] of a stored pixel.
#[derive(Debug)]
pub(super) struct Positions {
    pub(super) x: Vec<i32>,
    pub(super) y: Vec<i32>,
}

impl Positions {
    pub(super) fn new(size: usize) -> Self {
        Self { x: vec![0; size], y: vec![0; size] }
    }

    /// Moves to output row `j`.
    pub(super) fn place(&mut self, map: &Affine, j: usize) {
        for (axis, positions) in [&mut self.x, &mut self.y].into_iter().enumerate() {
            let (start, step) = (map.origin[axis] + map.row[axis] * j as f64, map.column[axis]);
            for (i, position) in positions.iter_mut().enumerate() {
                *position = fixed(start + step * i as f64);
            }
        }
    }

    /// How much of each pixel's four neighbours lies in a picture of `width` x `height`, 0 to 1, by their weights.
    ///
    /// A bilinear sample with black beyond the border is the sample with the border repeated, times this: the weight is a
    /// product of one for x and one for y, and a neighbour outside repeats the one that is inside.
    pub(super) fn coverage(&self, width: u32, height: u32, coverage: &mut [f32]) {
        let one = 1 << FRACTION_BITS;
        let inside = |position: i32, length: u32| {
            let to_end = ((length as i32) << FRACTION_BITS) - position;
            (position + one).min(to_end).clamp(0, one) as f32 / one as f32
        };
        for ((&x, &y), coverage) in self.x.iter().zip(&self.y).zip(coverage) {
            *coverage = inside(x, width) * inside(y, height);
        }
    }
}

/// Rounds to fixed point, ties to even.
///
/// Adding 1.5 x 2^52 leaves the whole number in the low bits of the mantissa. Unlike a cast or `round_ties_even` this is
/// vectorised on every x86-64. Right for all positions of a region that was checked: below 2^31 in fixed point.
#[inline]
fn fixed(position: f64) -> i32 {
    const MAGIC: f64 = 1.5 * (1u64 << 52) as f64;
    let rounded = position * f64::from(1u32 << FRACTION_BITS) + MAGIC;
    rounded.to_bits() as u32 as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_rounded_to_thirty_seconds_with_ties_to_even() {
        let cases = [(0.0, 0), (1.0, 32), (-1.0, -32), (0.5 / 32.0, 0), (1.5 / 32.0, 2), (-2.6 / 32.0, -3)];
        for (position, expected) in cases {
            assert_eq!(fixed(position), expected, "{position}");
        }
        assert_eq!(fixed(3e6), 96_000_000);
        assert_eq!(fixed(-3e6), -96_000_000);
    }

    #[test]
    fn coverage_fades_over_one_pixel_beyond_the_border() {
        let positions = Positions { x: vec![-40, -32, -16, 0, 7 * 32, 7 * 32 + 8, 8 * 32], y: vec![0; 7] };
        let mut coverage = [9.0; 7];
        positions.coverage(8, 4, &mut coverage);
        assert_eq!(coverage, [0.0, 0.0, 0.5, 1.0, 1.0, 0.75, 0.0]);
    }
}
