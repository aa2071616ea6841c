//! Products of bfloat16 pairs with AVX-512, and rounding to them.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::bf16::{LANES, Patches, Target};
use crate::simd::first_of_16;

/// Rounds floats to bfloat16, to nearest.
///
/// # Safety
/// The processor has to have AVX-512 with BF16 and BW.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn round_all(from: &[f32], to: &mut [MaybeUninit<u16>]) {
    let len = from.len().min(to.len());
    let mut at = 0;
    // SAFETY: whole vectors, and the masked rest, lie inside both slices.
    unsafe {
        while at + 2 * LANES <= len {
            let low = _mm512_loadu_ps(from.as_ptr().add(at));
            let high = _mm512_loadu_ps(from.as_ptr().add(at + LANES));
            let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(to.as_mut_ptr().add(at).cast(), both);
            at += 2 * LANES;
        }
        while at < len {
            let mask = first_of_16((len - at).min(LANES));
            let values = _mm512_maskz_loadu_ps(mask, from.as_ptr().add(at));
            let rounded: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(values));
            _mm256_mask_storeu_epi16(to.as_mut_ptr().add(at).cast(), mask, rounded);
            at += LANES;
        }
    }
}

/// Multiplies a block of patches with a panel.
///
/// # Safety
/// The processor has to have AVX-512 with BF16 and BW. `patches` has to hold a patch of `depth` taps for each pixel of
/// the target, `panel` pairs of `depth` taps for `vectors` vectors; the target's pixels have to be valid.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn panel(
    depth: usize,
    vectors: usize,
    patches: &Patches,
    panel: &[f32],
    target: &Target<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match vectors {
            1 => pixels::<1>(depth, patches, panel, target),
            2 => pixels::<2>(depth, patches, panel, target),
            _ => pixels::<3>(depth, patches, panel, target),
        }
    }
}

/// All pixels of a block, eight at a time.
///
/// # Safety
/// As `panel`, for `N` vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
unsafe fn pixels<const N: usize>(depth: usize, patches: &Patches, panel: &[f32], target: &Target<'_>) {
    let mut at = 0;
    let count = target.pixels.len();
    // SAFETY: the caller's promise; each call makes the next pixels, and no more than there are.
    unsafe {
        while at + 8 <= count {
            tile::<8, N>(depth, patches, panel, target, at);
            at += 8;
        }
        while at + 4 <= count {
            tile::<4, N>(depth, patches, panel, target, at);
            at += 4;
        }
        while at < count {
            tile::<1, N>(depth, patches, panel, target, at);
            at += 1;
        }
    }
}

/// `M` pixels from the one at `first` on.
///
/// # Safety
/// As `panel`, for `N` vectors and `M` pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
unsafe fn tile<const M: usize, const N: usize>(
    depth: usize,
    patches: &Patches,
    panel: &[f32],
    target: &Target<'_>,
    first: usize,
) {
    let mut sums = [[_mm512_setzero_ps(); N]; M];
    let patch: *const i32 = patches.0.as_ptr().cast();
    for pair in 0..depth / 2 {
        // SAFETY: the caller's promise: pairs of `depth` taps for `N` vectors and `M` patches.
        unsafe {
            let weights: [__m512; N] =
                std::array::from_fn(|n| _mm512_loadu_ps(panel.as_ptr().add((pair * N + n) * LANES)));
            for (m, sums) in sums.iter_mut().enumerate() {
                let both = _mm512_set1_epi32(patch.add((first + m) * depth / 2 + pair).read());
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbf16_ps(*sum, std::mem::transmute(both), std::mem::transmute(weight));
                }
            }
        }
    }
    for (m, sums) in sums.into_iter().enumerate() {
        for (n, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { finish(sum, target, first + m, n) };
        }
    }
}

/// Bias, residual and bounds of one vector of one pixel; then it is stored.
///
/// # Safety
/// The processor has to have AVX-512; pixel and vector have to be ones of the target.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn finish(sum: __m512, target: &Target<'_>, pixel: usize, vector: usize) {
    let channel = target.first + vector * LANES;
    let mask = first_of_16(target.columns.saturating_sub(channel).min(LANES));
    // SAFETY: the caller's promise; only channels that exist are read and written, and there is a bias for all that
    // panels are wide.
    unsafe {
        let place = target.pixels.get_unchecked(pixel);
        let mut sum = _mm512_add_ps(sum, _mm512_loadu_ps(target.bias.as_ptr().add(channel)));
        if !place.residual.is_null() {
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, place.residual.add(channel)));
        }
        let floored = _mm512_max_ps(sum, _mm512_set1_ps(target.clamp.low));
        let bounded = _mm512_min_ps(floored, _mm512_set1_ps(target.clamp.high));
        _mm512_mask_storeu_ps(place.output.add(channel), mask, bounded);
    }
}
