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
