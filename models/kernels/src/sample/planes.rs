//! Planes that have been checked against their layout, and bilinear samples of them.

use super::error::SampleError;
use super::geometry::{Axis, Pair};
use super::image::Image;
use super::lanes::{Floats, Ints, prefetch};

/// Bilinear samples of a plane, side by side.
pub(super) type FloatsOf<I> = <I as Ints>::Floats;

/// One plane with pixels of `PIXEL` bytes, ready to be sampled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples<'a, const PIXEL: usize> {
    /// From the first byte of the first row to the last byte of the last; at most `i32::MAX` bytes.
    data: &'a [u8],
    stride: i32,
    /// Bytes from a row to the next; 0 where there is no next row.
    next_row: i32,
    across: Axis,
    down: Axis,
    /// One by the sum of all weights.
    unit: f32,
    ahead: Ahead,
}

/// What to prefetch: so many rows, at a distance from the first pixel's upper left neighbour.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    bytes: isize,
    rows: usize,
}

/// Output rows between a prefetch and the use. Twice as many are no better: the first-level cache cannot keep what they need.
const ROWS_AHEAD: f64 = 4.0;
/// The most rows that are prefetched for one output row; those of wider steps are mostly not read.
const MOST_ROWS: usize = 8;

/// Positions in a plane. It serves all planes of the same size and subsampling.
pub(super) struct Place<I> {
    across: Pair<I>,
    down: Pair<I>,
}

/// Where the left neighbours of positions lie, in bytes.
struct Corners<I> {
    upper: I,
    lower: I,
}

impl<'a, const PIXEL: usize> Samples<'a, PIXEL> {
    /// Checks the plane `index`, which has a sample for each 2^`sub.0` columns and 2^`sub.1` rows of the picture.
    pub(super) fn new(image: &Image<'a>, index: usize, sub: (u8, u8)) -> Result<Self, SampleError> {
        let (width, height) = image.checked_size()?;
        // Rounded up, as decoders lay out chroma.
        let (width, height) = (width.div_ceil(1 << sub.0), height.div_ceil(1 << sub.1));
        let (data, stride) = image.plane(index, height, width * PIXEL)?;
        let (across, down) = (Axis::new(width, sub.0), Axis::new(height, sub.1));
        let unit = 1.0 / (across.one() * down.one()) as f32;
        let next_row = if height > 1 { stride } else { 0 };
        Ok(Self { data, stride, next_row, across, down, unit, ahead: Ahead { bytes: 0, rows: 0 } })
    }

    /// From now on prefetches what the output row [`ROWS_AHEAD`] further down needs, if output rows are `step` pixels apart.
    /// A frame comes from a decoder whose caches are not ours; the processor's own prefetching does not see slanted rows.
    pub(super) fn look_ahead(&mut self, step: [f64; 2]) {
        let [x, y] = [step[0] / f64::from(1 << self.across.sub()), step[1] / f64::from(1 << self.down.sub())];
        let [columns, rows] = [(x * ROWS_AHEAD) as isize, (y * ROWS_AHEAD) as isize];
        self.ahead.bytes = rows * self.stride as isize + columns * PIXEL as isize;
        self.ahead.rows = (y.abs().ceil() as usize).clamp(1, MOST_ROWS);
    }

    /// Bytes from the first sample to the last.
    pub(super) fn length(&self) -> usize {
        self.data.len()
    }

    /// Positions of the picture in this plane.
    #[inline(always)]
    pub(super) fn place<I: Ints>(&self, [x, y]: [I; 2]) -> Place<I> {
        Place { across: self.across.locate(x), down: self.down.locate(y) }
    }

    /// In a plane one sample wide or high the second neighbour is another sample or nothing, and its weight is zero.
    #[inline(always)]
    fn corners<I: Ints>(&self, Place { across, down }: &Place<I>) -> Corners<I> {
        let row = down.first.times(I::splat(self.stride));
        let column = match PIXEL {
            1 => across.first,
            2 => across.first.up(1),
            4 => across.first.up(2),
            _ => across.first.times(I::splat(PIXEL as i32)),
        };
        let upper = row.plus(column);
        self.prefetch(upper);
        Corners { upper, lower: upper.plus(I::splat(self.next_row)) }
    }

    /// A word is asked for once in so many pixels, for lines of a cache hold about as many of a row.
    #[inline(always)]
    fn prefetch<I: Ints>(&self, upper: I) {
        if I::COUNT > 1 {
            let first = upper.first() as isize + self.ahead.bytes;
            for row in 0..self.ahead.rows {
                prefetch(self.data, first + row as isize * self.stride as isize);
            }
        }
    }

    /// The words `offset` bytes after the upper and the lower left neighbour.
    #[inline(always)]
    fn words<I: Ints>(&self, corners: &Corners<I>, offset: i32) -> [I; 2] {
        let at = I::splat(offset);
        [I::gather(self.data, corners.upper.plus(at)), I::gather(self.data, corners.lower.plus(at))]
    }

    /// Weighs samples of 8 bit: of upper and lower neighbours, the left one in the low half and the right one in the high
    /// half. Whole numbers throughout: exact. 8 bit and a weight of up to 7 bit fit a signed half.
    #[inline(always)]
    fn weigh_bytes<I: Ints>(&self, place: &Place<I>, [upper, lower]: [I; 2]) -> FloatsOf<I> {
        let (upper, lower) = (place.across.mix(upper), place.across.mix(lower));
        self.scaled(place.down.mix(upper.or(lower.up(16))))
    }

    /// Weighs samples of up to 16 bit, given as upper and lower, left and right. With both weights they fit 31 bits.
    #[inline(always)]
    fn weigh_words<I: Ints>(&self, place: &Place<I>, left: [I; 2], right: [I; 2]) -> FloatsOf<I> {
        let (upper, lower) = (place.across.weigh(left[0], right[0]), place.across.weigh(left[1], right[1]));
        self.scaled(place.down.weigh(upper, lower))
    }

    #[inline(always)]
    fn scaled<I: Ints>(&self, sum: I) -> FloatsOf<I> {
        sum.floats().times(Floats::splat(self.unit))
    }
}

/// The byte or the word of each that is `shift` bits up.
#[inline(always)]
fn channel<I: Ints>([upper, lower]: [I; 2], shift: u32, mask: i32) -> [I; 2] {
    [upper.down(shift).and(I::splat(mask)), lower.down(shift).and(I::splat(mask))]
}

const BYTE: i32 = 0xff;
const WORD: i32 = 0xffff;
/// The low byte of each half.
const BYTES: i32 = 0x00ff_00ff;

/// Pixels of one byte.
impl Samples<'_, 1> {
    #[inline(always)]
    pub(super) fn byte<I: Ints>(&self, place: &Place<I>) -> FloatsOf<I> {
        let corners = self.corners(place);
        let [upper, lower] = self.words(&corners, 0);
        self.weigh_bytes(place, [upper.spread(), lower.spread()])
    }
}

/// Pixels of two bytes: two channels of 8 bit, or one of more.
impl Samples<'_, 2> {
    #[inline(always)]
    pub(super) fn two_bytes<I: Ints>(&self, place: &Place<I>) -> [FloatsOf<I>; 2] {
        let corners = self.corners(place);
        let words = self.words(&corners, 0);
        let first = self.weigh_bytes(place, channel(words, 0, BYTES));
        [first, self.weigh_bytes(place, channel(words, 8, BYTES))]
    }

    #[inline(always)]
    pub(super) fn word<I: Ints>(&self, place: &Place<I>) -> FloatsOf<I> {
        let corners = self.corners(place);
        let words = self.words(&corners, 0);
        self.weigh_words(place, channel(words, 0, WORD), channel(words, 16, WORD))
    }
}

/// Pixels of three channels of 8 bit.
impl Samples<'_, 3> {
    #[inline(always)]
    pub(super) fn three_bytes<I: Ints>(&self, place: &Place<I>) -> [FloatsOf<I>; 3] {
        let corners = self.corners(place);
        let sides = [self.words(&corners, 0), self.words(&corners, 3)];
        let [red, green] = [self.byte_of(place, sides, 0), self.byte_of(place, sides, 8)];
        [red, green, self.byte_of(place, sides, 16)]
    }

    #[inline(always)]
    fn byte_of<I: Ints>(&self, place: &Place<I>, sides: [[I; 2]; 2], shift: u32) -> FloatsOf<I> {
        let (left, right) = (channel(sides[0], shift, BYTE), channel(sides[1], shift, BYTE));
        self.weigh_bytes(place, [left[0].or(right[0].up(16)), left[1].or(right[1].up(16))])
    }
}

/// Pixels of two channels of more than 8 bit.
impl Samples<'_, 4> {
    #[inline(always)]
    pub(super) fn two_words<I: Ints>(&self, place: &Place<I>) -> [FloatsOf<I>; 2] {
        let corners = self.corners(place);
        let (left, right) = (self.words(&corners, 0), self.words(&corners, 4));
        let first = self.weigh_words(place, channel(left, 0, WORD), channel(right, 0, WORD));
        [first, self.weigh_words(place, channel(left, 16, WORD), channel(right, 16, WORD))]
    }
}
