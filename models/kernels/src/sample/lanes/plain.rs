//! One pixel at a time, in plain Rust: serves every processor, and is what the others are compared with.

use super::{Floats, Ints};

/// Added to a number below 2^51, it leaves the rounded whole number in the low bits of the mantissa. Unlike a cast or
/// `round_ties_even` this is vectorised on every x86-64.
pub(super) const ROUNDING: f64 = 1.5 * (1u64 << 52) as f64;

impl Ints for i32 {
    const COUNT: usize = 1;
    type Floats = f32;

    #[inline(always)]
    fn splat(value: i32) -> Self {
        value
    }

    #[inline(always)]
    fn line(start: f64, step: f64, first: usize) -> Self {
        (start + step * first as f64 + ROUNDING).to_bits() as u32 as i32
    }

    #[inline(always)]
    fn gather(data: &[u8], at: Self) -> Self {
        let at = at as u32 as usize;
        match data.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(&word) => i32::from_le_bytes(word),
            None => short_word(data, at),
        }
    }

    #[inline(always)]
    fn first(self) -> i32 {
        self
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    #[inline(always)]
    fn mix(self, to_high: Self, one: i32) -> Self {
        (self & 0xffff) * (one - to_high) + (self >> 16) * to_high
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        self.min(other)
    }

    #[inline(always)]
    fn most(self, other: Self) -> Self {
        self.max(other)
    }

    #[inline(always)]
    fn up(self, bits: u32) -> Self {
        self << bits
    }

    #[inline(always)]
    fn down(self, bits: u32) -> Self {
        self >> bits
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline(always)]
    fn spread(self) -> Self {
        self & 0xff | (self & 0xff00) << 8
    }

    #[inline(always)]
    fn floats(self) -> f32 {
        self as f32
    }
}

/// A word at the end of a plane.
#[cold]
fn short_word(data: &[u8], at: usize) -> i32 {
    let byte = |index: usize| data.get(at + index).copied().unwrap_or(0);
    i32::from_le_bytes(std::array::from_fn(byte))
}

impl Floats for f32 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self / other
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    #[inline(always)]
    fn most(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn whole(self) -> Self {
        self as i32 as f32
    }

    #[inline(always)]
    fn store(rgb: [Self; 3], out: &mut [f32]) {
        out[..3].copy_from_slice(&rgb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_rounded_with_ties_to_even() {
        for (position, expected) in [(0.0, 0), (32.0, 32), (-32.0, -32), (0.5, 0), (1.5, 2), (-2.6, -3)] {
            assert_eq!(i32::line(position, 0.0, 5), expected, "{position}");
            assert_eq!(i32::line(0.0, position, 1), expected, "{position}");
        }
        assert_eq!(i32::line(96_000_000.2, 0.0, 0), 96_000_000);
        assert_eq!(i32::line(-96_000_000.2, 0.0, 0), -96_000_000);
    }

    #[test]
    fn a_word_beyond_the_end_is_filled_with_zeros() {
        let data = [1, 2, 3, 4, 5];
        assert_eq!(i32::gather(&data, 1), 0x0504_0302);
        assert_eq!(i32::gather(&data, 3), 0x0504);
        assert_eq!(i32::gather(&data, 9), 0);
    }

    #[test]
    fn halves_are_mixed_by_their_weights() {
        assert_eq!((200 << 16 | 100).mix(8, 32), 24 * 100 + 8 * 200);
        assert_eq!((0x7fff << 16 | 0x7fff).mix(128, 128), 0x7fff * 128);
    }
}
