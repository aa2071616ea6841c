//! Pixels side by side: what the sampler asks of a processor, answered by plain Rust, AVX2 and AVX-512.
//!
//! The sampler needs whole numbers and gathered bytes, which the crate's `Vector` of floats has not. Each operation gives
//! the same bits in all three answers: products and sums are rounded separately, nothing is fused.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod plain;

use crate::simd::{Registers, Simd};

/// Whole numbers of 32 bit, one a pixel.
///
/// The methods of the x86 vectors may only run where their instructions are enabled, which [`run`] sees to; the trait is
/// not visible outside the sampler.
pub(super) trait Ints: Copy {
    /// Pixels side by side.
    const COUNT: usize;
    /// As many `f32`.
    type Floats: Floats;

    /// The same number for each pixel.
    fn splat(value: i32) -> Self;
    /// `start + step * i` for the pixels `first`, `first + 1`, ..., rounded to whole numbers, ties to even.
    fn line(start: f64, step: f64, first: usize) -> Self;
    /// The four bytes of `data` from `at` on as a little-endian word; those beyond its end are zero.
    fn gather(data: &[u8], at: Self) -> Self;
    /// The first pixel's number.
    fn first(self) -> i32;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self - other`.
    fn minus(self, other: Self) -> Self;
    /// The low 32 bits of `self * other`.
    fn times(self, other: Self) -> Self;
    /// Of numbers with 15 bits in each half: the low halves times `one - to_high` plus the high halves times `to_high`.
    /// `one` is below 2^15, and `to_high` is 0 to `one`.
    fn mix(self, to_high: Self, one: i32) -> Self;
    /// The smaller one.
    fn least(self, other: Self) -> Self;
    /// The larger one.
    fn most(self, other: Self) -> Self;
    /// Shifted left by fewer than 32 bits.
    fn up(self, bits: u32) -> Self;
    /// Shifted right by fewer than 32 bits, keeping the sign.
    fn down(self, bits: u32) -> Self;
    /// The bits that both have.
    fn and(self, other: Self) -> Self;
    /// The bits that one of both has.
    fn or(self, other: Self) -> Self;
    /// The two lowest bytes, each in a half.
    fn spread(self) -> Self;
    /// As `f32`, rounded to the nearest.
    fn floats(self) -> Self::Floats;
}

/// Numbers of 32 bit floating point, one a pixel.
pub(super) trait Floats: Copy {
    /// The same number for each pixel.
    fn splat(value: f32) -> Self;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self - other`.
    fn minus(self, other: Self) -> Self;
    /// `self * other`.
    fn times(self, other: Self) -> Self;
    /// `self / other`.
    fn over(self, other: Self) -> Self;
    /// The smaller one; neither may be NaN.
    fn least(self, other: Self) -> Self;
    /// The larger one; neither may be NaN.
    fn most(self, other: Self) -> Self;
    /// Without what is behind the point; below 2^31.
    fn whole(self) -> Self;
    /// Writes red, green, blue of the first pixel, then of the next, and so on to the front of `out`.
    fn store(rgb: [Self; 3], out: &mut [f32]);
}

/// Asks the processor to bring the bytes around `at` nearer, where it can be asked; they need not be in `data`.
#[inline(always)]
pub(super) fn prefetch(data: &[u8], at: isize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has this instruction, and it ignores addresses that cannot be read.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(data.as_ptr().wrapping_offset(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}

/// Work on pixels side by side. `run` has to be `#[inline(always)]`, and so all that it calls with `I`: only code inlined
/// into the function that enables the instructions is compiled with them.
pub(super) trait Work {
    /// Does the work.
    fn run<I: Ints>(self);
}

/// Does the work on rows of `size` pixels over planes of at least `shortest` bytes, with the widest registers of `simd`
/// that such rows fill.
pub(super) fn run(simd: Simd, size: usize, shortest: usize, work: impl Work) {
    // A gathered word has four bytes.
    let simd = (shortest >= 4).then_some(simd.registers());
    match simd {
        #[cfg(target_arch = "x86_64")]
        // Byte shuffles and products of halves are in AVX-512BW; of the processors with AVX-512 all sold today have it.
        Some(Registers::Avx512) if size >= avx512::COUNT && is_x86_feature_detected!("avx512bw") => {
            // SAFETY: a `Simd` with these registers says that AVX-512F is there; BW was asked for.
            unsafe { avx512::enabled(work) }
        }
        #[cfg(target_arch = "x86_64")]
        Some(Registers::Avx512 | Registers::Avx2) if size >= avx2::COUNT => {
            // SAFETY: a `Simd` with either of these registers says that AVX2 and FMA are there.
            unsafe { avx2::enabled(work) }
        }
        _ => work.run::<i32>(),
    }
}
