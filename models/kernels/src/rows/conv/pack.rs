//! Weights in the order in which the tiles read them, made once.

use crate::shape::product;
use crate::simd::Simd;
use crate::{Bf16, Floats};

/// Most vectors of output channels in a panel: with eight pixels their sums fill the registers of AVX-512.
const WIDEST: usize = 3;
/// Floats in the widest vector.
const WIDEST_VECTOR: usize = 16;

/// Weights and bias of a full convolution, packed for one instruction set.
///
/// Output channels are cut into panels of one to three vectors. In a panel the weights of one tap and input
/// channel lie side by side; channels that fill up the last vector are zeros.
#[derive(Debug, Clone)]
pub struct ConvWeights {
    depth: usize,
    columns: usize,
    /// As long as all panels are wide.
    bias: Floats,
    pub(super) products: Products,
}

/// The weights, as the products want them.
#[derive(Debug, Clone)]
pub(super) enum Products {
    Single(SingleWeights),
    #[cfg(target_arch = "x86_64")]
    Split(super::bf16::SplitWeights),
}

/// Weights in single precision.
#[derive(Debug, Clone)]
pub(super) struct SingleWeights {
    pub(super) simd: Simd,
    depth: usize,
    /// Vectors of each panel.
    widths: Vec<usize>,
    values: Floats,
}

/// Weights of some output channels.
pub(super) struct Panel<'a> {
    pub(super) vectors: usize,
    /// `[depth, vectors * LANES]`.
    pub(super) values: &'a [f32],
}

impl ConvWeights {
    /// Packs `weights` (`[C_out, depth]`, depth being taps row by row and in each the input channels) and `bias`
    /// (`[C_out]`).
    ///
    /// # Panics
    /// If the lengths do not fit: a bug of the caller.
    pub fn pack(simd: Simd, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        assert_eq!(weights.len(), product(&[depth, bias.len()]), "weights should be C_out x depth");
        let products = Products::Single(SingleWeights::pack(simd, depth, bias.len(), weights));
        Self { depth, columns: bias.len(), bias: padded(bias), products }
    }

    /// As `pack`, with weights split into pairs of bfloat16 numbers for products of such; in single precision for
    /// `simd` where patches are too long for that.
    ///
    /// # Panics
    /// As `pack`.
    pub fn pack_bf16(how: Bf16, simd: Simd, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let single = || Self::pack(simd, depth, weights, bias);
        #[cfg(target_arch = "x86_64")]
        {
            assert_eq!(weights.len(), product(&[depth, bias.len()]), "weights should be C_out x depth");
            super::bf16::SplitWeights::pack(how, depth, bias.len(), weights).map_or_else(single, |split| {
                Self { depth, columns: bias.len(), bias: padded(bias), products: Products::Split(split) }
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = how;
            single()
        }
    }

    /// Output channels.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Taps times input channels.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// As long as all panels are wide.
    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }
}

/// A bias, filled up to the widest vector of any instruction set.
fn padded(bias: &[f32]) -> Floats {
    let mut filled = Floats::zeros(bias.len().next_multiple_of(WIDEST_VECTOR));
    filled[..bias.len()].copy_from_slice(bias);
    filled
}

impl SingleWeights {
    fn pack(simd: Simd, depth: usize, columns: usize, weights: &[f32]) -> Self {
        let widths = widths_up_to(WIDEST, columns.div_ceil(simd.lanes()));
        let padded = widths.iter().sum::<usize>() * simd.lanes();
        let mut packed = Self { simd, depth, widths, values: Floats::zeros(product(&[depth, padded])) };
        packed.fill(columns, weights);
        packed
    }

    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let mut rest: &[f32] = &self.values;
        self.widths.iter().map(move |vectors| {
            let (values, after) = rest.split_at(self.depth * vectors * self.simd.lanes());
            rest = after;
            Panel { vectors: *vectors, values }
        })
    }

    fn fill(&mut self, columns: usize, weights: &[f32]) {
        let (mut first, mut at) = (0, 0);
        for vectors in &self.widths {
            let width = vectors * self.simd.lanes();
            let end = (first + width).min(columns);
            for tap in 0..self.depth {
                for column in first..end {
                    self.values[at + column - first] = weights[column * self.depth + tap];
                }
                at += width;
            }
            first += width;
        }
    }
}

/// Panels of at most `widest` vectors, with no narrow one left over where two of the middle width do as well.
pub(super) fn widths_up_to(widest: usize, mut vectors: usize) -> Vec<usize> {
    let mut widths = Vec::new();
    while vectors > 0 {
        let width = if vectors == widest + 1 { vectors.div_ceil(2) } else { vectors.min(widest) };
        widths.push(width);
        vectors -= width;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_cover_all_vectors() {
        for (vectors, widths) in
            [(0, vec![]), (1, vec![1]), (4, vec![2, 2]), (5, vec![3, 2]), (9, vec![3, 3, 3])]
        {
            assert_eq!(widths_up_to(3, vectors), widths);
        }
        assert_eq!(widths_up_to(2, 5), [2, 2, 1]);
    }
}
