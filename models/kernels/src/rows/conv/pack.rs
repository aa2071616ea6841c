//! Weights in the order in which the tiles read them, made once.

use crate::Floats;
use crate::shape::product;
use crate::simd::Simd;

/// Most vectors of output channels in a panel: with eight pixels their sums fill the registers of AVX-512.
const WIDEST: usize = 3;

/// Weights and bias of a full convolution, packed for one instruction set.
///
/// Output channels are cut into panels of one to three vectors. In a panel the weights of one tap and input
/// channel lie side by side; channels that fill up the last vector are zeros.
#[derive(Debug, Clone)]
pub struct ConvWeights {
    simd: Simd,
    depth: usize,
    columns: usize,
    /// Vectors of each panel.
    widths: Vec<usize>,
    values: Floats,
    bias: Floats,
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
        let columns = bias.len();
        assert_eq!(weights.len(), product(&[depth, columns]), "weights should be C_out x depth");
        let widths = panel_widths(columns.div_ceil(simd.lanes()));
        let padded = widths.iter().sum::<usize>() * simd.lanes();
        let mut packed = Self {
            simd,
            depth,
            columns,
            widths,
            values: Floats::zeros(product(&[depth, padded])),
            bias: Floats::zeros(padded),
        };
        packed.bias[..columns].copy_from_slice(bias);
        packed.fill(weights);
        packed
    }

    /// Output channels.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Taps times input channels.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes that the packed weights take.
    pub fn bytes(&self) -> usize {
        (self.values.len() + self.bias.len()) * size_of::<f32>()
    }

    pub(super) fn simd(&self) -> Simd {
        self.simd
    }

    pub(super) fn lanes(&self) -> usize {
        self.simd.lanes()
    }

    /// As long as all panels are wide.
    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let mut rest: &[f32] = &self.values;
        self.widths.iter().map(move |vectors| {
            let (values, after) = rest.split_at(self.depth * vectors * self.simd.lanes());
            rest = after;
            Panel { vectors: *vectors, values }
        })
    }

    fn fill(&mut self, weights: &[f32]) {
        let (mut first, mut at) = (0, 0);
        for vectors in &self.widths {
            let width = vectors * self.simd.lanes();
            let end = (first + width).min(self.columns);
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

/// Panels as wide as possible, with no narrow one left over where two of the middle width do as well.
fn panel_widths(mut vectors: usize) -> Vec<usize> {
    let mut widths = Vec::new();
    while vectors > 0 {
        let width = if vectors == WIDEST + 1 { 2 } else { vectors.min(WIDEST) };
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
            assert_eq!(panel_widths(vectors), widths);
        }
    }
}
