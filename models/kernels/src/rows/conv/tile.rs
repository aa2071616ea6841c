//! The innermost loops of a convolution: some pixels times some vectors of output channels.

use crate::Clamp;
use crate::simd::Vector;

/// Where the values of a pixel's patch lie: some pieces of the same length.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    /// Rows of the window that lie inside the image.
    pub(super) count: usize,
    /// Floats of a piece.
    pub(super) len: usize,
    /// Floats from one piece to the next.
    pub(super) step: usize,
    /// Floats from a pixel's patch to that of the pixel beside it.
    pub(super) pixel: usize,
}

/// Neighbouring pixels of a row, and the channels of one panel.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) pieces: Pieces,
    /// Patch of the first pixel.
    pub(super) patch: *const f32,
    /// The panel, from the first tap that lies inside the image on.
    pub(super) weights: *const f32,
    /// Bias of the panel's first channel.
    pub(super) bias: *const f32,
    /// Panel's first channel of the pixel that is added; pixels are as far apart as in the output.
    pub(super) residual: Option<*const f32>,
    /// Panel's first channel of the first pixel.
    pub(super) output: *mut f32,
    /// Channels of a pixel of the output.
    pub(super) columns: usize,
    /// Channels from the panel's first one on; a panel may be wider than that.
    pub(super) left: usize,
    pub(super) clamp: Clamp,
}

impl Tile {
    /// Makes `count` pixels.
    ///
    /// # Safety
    /// Patches of `count` pixels have to be valid for reading, with as many pieces of weights; the bias has to be
    /// as wide as the panel; residual and output have to hold `left` channels of each pixel.
    #[inline(always)]
    pub(super) unsafe fn pixels<V: Vector, const N: usize>(mut self, count: usize) {
        let mut left = count;
        // SAFETY: the caller's promise; each call makes the next pixels, and no more than are left.
        unsafe {
            // As many sums as fit into the registers: 32 of them with AVX-512, 16 else.
            while V::LANES == 16 && left >= 8 {
                self.make::<V, 8, N>();
                left -= 8;
            }
            while left >= 4 {
                self.make::<V, 4, N>();
                left -= 4;
            }
            match left {
                3 => self.make::<V, 3, N>(),
                2 => self.make::<V, 2, N>(),
                1 => self.make::<V, 1, N>(),
                _ => {}
            }
        }
    }

    /// Makes `M` pixels and steps over them.
    ///
    /// # Safety
    /// As `pixels`, for `M` of them.
    #[inline(always)]
    unsafe fn make<V: Vector, const M: usize, const N: usize>(&mut self) {
        // SAFETY: the caller's promise. Pointers are stepped with `wrapping_add`, since after the last tile they
        // may lie beyond the slices.
        unsafe {
            let sums = self.sums::<V, M, N>();
            self.finish(sums);
        }
        self.patch = self.patch.wrapping_add(M * self.pieces.pixel);
        self.output = self.output.wrapping_add(M * self.columns);
        self.residual = self.residual.map(|residual| residual.wrapping_add(M * self.columns));
    }

    /// The products of `M` patches with the panel.
    ///
    /// # Safety
    /// As `pixels`, for `M` of them.
    #[inline(always)]
    unsafe fn sums<V: Vector, const M: usize, const N: usize>(&self) -> [[V; N]; M] {
        let mut sums = [[V::splat(0.0); N]; M];
        let mut weights = self.weights;
        for piece in 0..self.pieces.count {
            // SAFETY: the caller's promise: the piece lies in the patch, and a panel has `N` vectors for each float
            // of it.
            unsafe {
                let patch = self.patch.add(piece * self.pieces.step);
                for at in 0..self.pieces.len {
                    let row: [V; N] = std::array::from_fn(|n| V::load(weights.add(n * V::LANES)));
                    for (m, sums) in sums.iter_mut().enumerate() {
                        let value = V::splat(*patch.add(m * self.pieces.pixel + at));
                        for (sum, weight) in sums.iter_mut().zip(row) {
                            *sum = sum.plus_product(value, weight);
                        }
                    }
                    weights = weights.add(N * V::LANES);
                }
            }
        }
        sums
    }

    /// Bias, residual and bounds; then the sums are stored.
    ///
    /// # Safety
    /// As `pixels`, for `M` of them.
    #[inline(always)]
    unsafe fn finish<V: Vector, const M: usize, const N: usize>(&self, sums: [[V; N]; M]) {
        let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
        for (m, sums) in sums.into_iter().enumerate() {
            for (n, sum) in sums.into_iter().enumerate() {
                let at = m * self.columns + n * V::LANES;
                let count = self.left.saturating_sub(n * V::LANES).min(V::LANES);
                // SAFETY: the caller's promise; only channels that exist are read and written.
                unsafe {
                    let mut sum = sum.plus(V::load(self.bias.add(n * V::LANES)));
                    if let Some(residual) = self.residual {
                        sum = sum.plus(V::load_first(residual.add(at), count));
                    }
                    let sum = sum.clamped(low, high);
                    if count == V::LANES {
                        sum.store(self.output.add(at));
                    } else {
                        sum.store_first(self.output.add(at), count);
                    }
                }
            }
        }
    }
}
