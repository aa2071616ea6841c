//! Sixteen pixels at a time with AVX-512 (F and BW).

use std::arch::x86_64::*;

use super::plain::ROUNDING;
use super::{Floats, Ints, Work};

/// Pixels side by side.
pub(super) const COUNT: usize = 16;

/// Does the work with AVX-512F and AVX-512BW enabled.
#[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
pub(super) fn enabled(work: impl Work) {
    work.run::<__m512i>();
}

impl Ints for __m512i {
    const COUNT: usize = COUNT;
    type Floats = __m512;

    #[inline(always)]
    fn splat(value: i32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    fn line(start: f64, step: f64, first: usize) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe {
            let (start, step) = (_mm512_set1_pd(start), _mm512_set1_pd(step));
            let ascending = _mm512_setr_pd(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0);
            let lower = _mm512_add_pd(_mm512_set1_pd(first as f64), ascending);
            let upper = _mm512_add_pd(_mm512_set1_pd(first as f64 + 8.0), ascending);
            let lower = _mm512_add_pd(start, _mm512_mul_pd(step, lower));
            let upper = _mm512_add_pd(start, _mm512_mul_pd(step, upper));
            let lower = _mm512_castpd_si512(_mm512_add_pd(lower, _mm512_set1_pd(ROUNDING)));
            let upper = _mm512_castpd_si512(_mm512_add_pd(upper, _mm512_set1_pd(ROUNDING)));
            let evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            _mm512_permutex2var_epi32(lower, evens, upper)
        }
    }

    #[inline(always)]
    fn gather(data: &[u8], at: Self) -> Self {
        assert!((4..=i32::MAX as usize).contains(&data.len()), "planes have been checked");
        let last = data.len() as i32 - 4;
        // SAFETY: only inside `enabled`; the word at `last` is the last one in `data`, and no index is above it, taken
        // without sign.
        unsafe {
            let from = _mm512_min_epu32(at, _mm512_set1_epi32(last));
            let word = _mm512_i32gather_epi32::<1>(from, data.as_ptr().cast());
            _mm512_srlv_epi32(word, _mm512_slli_epi32::<3>(_mm512_sub_epi32(at, from)))
        }
    }

    #[inline(always)]
    fn first(self) -> i32 {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_cvtsi512_si32(self) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_add_epi32(self, other) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_sub_epi32(self, other) }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_mullo_epi32(self, other) }
    }

    #[inline(always)]
    fn mix(self, to_high: Self, one: i32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe {
            // `to_high` in the high half, `one - to_high` in the low half.
            let high = _mm512_sub_epi32(_mm512_slli_epi32::<16>(to_high), to_high);
            _mm512_madd_epi16(self, _mm512_add_epi32(high, _mm512_set1_epi32(one)))
        }
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_min_epi32(self, other) }
    }

    #[inline(always)]
    fn most(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_max_epi32(self, other) }
    }

    #[inline(always)]
    fn up(self, bits: u32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_sllv_epi32(self, _mm512_set1_epi32(bits as i32)) }
    }

    #[inline(always)]
    fn down(self, bits: u32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_srav_epi32(self, _mm512_set1_epi32(bits as i32)) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_and_si512(self, other) }
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_or_si512(self, other) }
    }

    #[inline(always)]
    fn spread(self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe {
            // In each word: byte 0, nothing, byte 1, nothing. Shuffles count within 16 bytes.
            let words = _mm_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1);
            _mm512_shuffle_epi8(self, _mm512_broadcast_i32x4(words))
        }
    }

    #[inline(always)]
    fn floats(self) -> __m512 {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_cvtepi32_ps(self) }
    }
}

impl Floats for __m512 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_mul_ps(self, other) }
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_div_ps(self, other) }
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_min_ps(self, other) }
    }

    #[inline(always)]
    fn most(self, other: Self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_max_ps(self, other) }
    }

    #[inline(always)]
    fn whole(self) -> Self {
        // SAFETY: only inside `enabled`.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvttps_epi32(self)) }
    }

    #[inline(always)]
    fn store([red, green, blue]: [Self; 3], out: &mut [f32]) {
        for ((of_two, of_three), out) in INTERLEAVED.iter().zip(out[..3 * COUNT].chunks_exact_mut(COUNT)) {
            // SAFETY: only inside `enabled`; the tables and `out` have sixteen numbers each.
            unsafe {
                let two = _mm512_permutex2var_ps(red, _mm512_loadu_epi32(of_two.as_ptr()), green);
                let three = _mm512_permutex2var_ps(two, _mm512_loadu_epi32(of_three.as_ptr()), blue);
                _mm512_storeu_ps(out.as_mut_ptr(), three);
            }
        }
    }
}

/// Which numbers make each of the three stored vectors: first of red (0 to 15) and green (16 to 31), leaving gaps; then of
/// that and of blue (16 to 31), which fills them.
const INTERLEAVED: [([i32; COUNT], [i32; COUNT]); 3] = [interleaved(0), interleaved(1), interleaved(2)];

const fn interleaved(part: usize) -> ([i32; COUNT], [i32; COUNT]) {
    let (mut of_two, mut of_three) = ([0; COUNT], [0; COUNT]);
    let mut lane = 0;
    while lane < COUNT {
        let (pixel, channel) = ((part * COUNT + lane) / 3, (part * COUNT + lane) % 3);
        if channel == 2 {
            of_three[lane] = (COUNT + pixel) as i32;
        } else {
            of_two[lane] = (channel * COUNT + pixel) as i32;
            of_three[lane] = lane as i32;
        }
        lane += 1;
    }
    (of_two, of_three)
}
