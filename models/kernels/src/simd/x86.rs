//! The vectors of AVX2 and AVX-512, and the two functions in which their instructions are enabled.

use std::arch::x86_64::*;

use super::{Kernel, Vector};

/// Runs a kernel with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) fn with_avx2(kernel: impl Kernel) {
    kernel.run::<__m256>();
}

/// Runs a kernel with AVX-512F; what is left over is done with AVX2 and FMA.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) fn with_avx512(kernel: impl Kernel) {
    kernel.run::<__m512>();
}

impl Vector for __m256 {
    const LANES: usize = 8;
    type Half = f32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx2` or `with_avx512`.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above, and the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above, and the caller's promise.
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as above, and the caller's promise; a masked lane is not read.
        unsafe { _mm256_maskload_ps(from, first_of_8(count)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: as above, and the caller's promise; a masked lane is not written.
        unsafe { _mm256_maskstore_ps(to, first_of_8(count), self) }
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx2` or `with_avx512`.
        unsafe { _mm256_fmadd_ps(a, b, self) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx2` or `with_avx512`.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    fn clamped(self, low: Self, high: Self) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx2` or `with_avx512`.
        unsafe { _mm256_min_ps(_mm256_max_ps(self, low), high) }
    }
}

impl Vector for __m512 {
    const LANES: usize = 16;
    type Half = __m256;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx512`.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above, and the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above, and the caller's promise.
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as above, and the caller's promise; a masked lane is not read.
        unsafe { _mm512_maskz_loadu_ps(first_of_16(count), from) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: as above, and the caller's promise; a masked lane is not written.
        unsafe { _mm512_mask_storeu_ps(to, first_of_16(count), self) }
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx512`.
        unsafe { _mm512_fmadd_ps(a, b, self) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx512`.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    fn clamped(self, low: Self, high: Self) -> Self {
        // SAFETY: kernels run with this vector only inside `with_avx512`.
        unsafe { _mm512_min_ps(_mm512_max_ps(self, low), high) }
    }
}

/// The mask of the first `count` of eight lanes.
///
/// # Safety
/// The processor has to have AVX2.
#[inline(always)]
unsafe fn first_of_8(count: usize) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
    }
}

/// The mask of the first `count` of sixteen lanes.
#[inline(always)]
pub(crate) fn first_of_16(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}
