//! Eight pixels at a time with AVX2.

use std::arch::x86_64::*;

use super::plain::ROUNDING;
use super::{Floats, Ints, Work};

/// Pixels side by side.
pub(super) const COUNT: usize = 8;

/// Does the work with AVX2 enabled.
#[target_feature(enable = "avx2,fma")]
pub(super) fn enabled(work: impl Work) {
    work.run::<__m256i>();
}

impl Ints for __m256i {
    const COUNT: usize = COUNT;
    type Floats = __m256;

    #[inline(always)]
    fn splat(value: i32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    fn line(start: f64, step: f64, first: usize) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe {
            let (start, step) = (_mm256_set1_pd(start), _mm256_set1_pd(step));
            let ascending = _mm256_setr_pd(0.0, 1.0, 2.0, 3.0);
            let lower = _mm256_add_pd(_mm256_set1_pd(first as f64), ascending);
            let upper = _mm256_add_pd(_mm256_set1_pd(first as f64 + 4.0), ascending);
            let lower = _mm256_add_pd(start, _mm256_mul_pd(step, lower));
            let upper = _mm256_add_pd(start, _mm256_mul_pd(step, upper));
            let lower = _mm256_castpd_ps(_mm256_add_pd(lower, _mm256_set1_pd(ROUNDING)));
            let upper = _mm256_castpd_ps(_mm256_add_pd(upper, _mm256_set1_pd(ROUNDING)));
            // The low words: 0 and 1 of the lower, 0 and 1 of the upper, then 2 and 3 of both.
            let low = _mm256_shuffle_ps::<0b10_00_10_00>(lower, upper);
            _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(low))
        }
    }

    #[inline(always)]
    fn gather(data: &[u8], at: Self) -> Self {
        assert!((4..=i32::MAX as usize).contains(&data.len()), "planes have been checked");
        let last = data.len() as i32 - 4;
        // SAFETY: only inside `enabled`; the word at `last` is the last one in `data`, and no index is above it, taken
        // without sign.
        unsafe {
            let from = _mm256_min_epu32(at, _mm256_set1_epi32(last));
            let word = _mm256_i32gather_epi32::<1>(data.as_ptr().cast(), from);
            _mm256_srlv_epi32(word, _mm256_slli_epi32::<3>(_mm256_sub_epi32(at, from)))
        }
    }

    #[inline(always)]
    fn first(self) -> i32 {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_cvtsi256_si32(self) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_add_epi32(self, other) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_sub_epi32(self, other) }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_mullo_epi32(self, other) }
    }

    #[inline(always)]
    fn mix(self, to_high: Self, one: i32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe {
            // `to_high` in the high half, `one - to_high` in the low half.
            let high = _mm256_sub_epi32(_mm256_slli_epi32::<16>(to_high), to_high);
            _mm256_madd_epi16(self, _mm256_add_epi32(high, _mm256_set1_epi32(one)))
        }
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_min_epi32(self, other) }
    }

    #[inline(always)]
    fn most(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_max_epi32(self, other) }
    }

    #[inline(always)]
    fn up(self, bits: u32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_sllv_epi32(self, _mm256_set1_epi32(bits as i32)) }
    }

    #[inline(always)]
    fn down(self, bits: u32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_srav_epi32(self, _mm256_set1_epi32(bits as i32)) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_and_si256(self, other) }
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_or_si256(self, other) }
    }

    #[inline(always)]
    fn spread(self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe {
            // In each word: byte 0, nothing, byte 1, nothing. Shuffles count within 16 bytes.
            let words = _mm_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1);
            _mm256_shuffle_epi8(self, _mm256_broadcastsi128_si256(words))
        }
    }

    #[inline(always)]
    fn floats(self) -> __m256 {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_cvtepi32_ps(self) }
    }
}

impl Floats for __m256 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_sub_ps(self, other) }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_mul_ps(self, other) }
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_div_ps(self, other) }
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_min_ps(self, other) }
    }

    #[inline(always)]
    fn most(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_max_ps(self, other) }
    }

    #[inline(always)]
    fn whole(self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvttps_epi32(self)) }
    }

    #[inline(always)]
    fn store(rgb: [Self; 3], out: &mut [f32]) {
        let out = &mut out[..3 * COUNT];
        // Each colour's pixels go to where they are wanted and their neighbours; then each place takes its own colour: of
        // the masks, the first says where green is, the second where blue is.
        // SAFETY: only inside `enabled`; `out` has three times eight numbers.
        unsafe {
            let to = out.as_mut_ptr();
            let [r, g, b] = placed(rgb, _mm256_setr_epi32(0, 0, 0, 1, 1, 1, 2, 2));
            let two = _mm256_blend_ps::<0b1001_0010>(r, g);
            _mm256_storeu_ps(to, _mm256_blend_ps::<0b0010_0100>(two, b));
            let [r, g, b] = placed(rgb, _mm256_setr_epi32(2, 3, 3, 3, 4, 4, 4, 5));
            let two = _mm256_blend_ps::<0b0010_0100>(r, g);
            _mm256_storeu_ps(to.add(COUNT), _mm256_blend_ps::<0b0100_1001>(two, b));
            let [r, g, b] = placed(rgb, _mm256_setr_epi32(5, 5, 6, 6, 6, 7, 7, 7));
            let two = _mm256_blend_ps::<0b0100_1001>(r, g);
            _mm256_storeu_ps(to.add(2 * COUNT), _mm256_blend_ps::<0b1001_0010>(two, b));
        }
    }
}

/// The pixels `which` of each colour.
///
/// # Safety
/// Only inside `enabled`.
#[inline(always)]
unsafe fn placed([red, green, blue]: [__m256; 3], which: __m256i) -> [__m256; 3] {
    // SAFETY: the caller's promise.
    unsafe {
        let (red, green) = (_mm256_permutevar8x32_ps(red, which), _mm256_permutevar8x32_ps(green, which));
        [red, green, _mm256_permutevar8x32_ps(blue, which)]
    }
}
