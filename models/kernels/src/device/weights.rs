//! Weights as kernels read them: one piece of memory for all layers of a network.

use half::f16;

use super::program::Element;

/// Where a layer's weights lie in the memory of all weights, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// First byte of the weights; a multiple of 16.
    pub weights: usize,
    /// First byte of the bias, in single precision; a multiple of 16.
    pub bias: usize,
    /// Rows of the weights' matrix, zeros included; taps of a depthwise one.
    pub depth: usize,
    /// Columns of the matrix, zeros included; channels of a depthwise one.
    pub columns: usize,
}

/// Weights that are being collected.
#[derive(Debug, Clone)]
pub struct Weights {
    element: Element,
    bytes: Vec<u8>,
}

/// Rows and columns of a tile: `TILE_DEPTH` and `TILE_COLUMNS` of `cuda/conv.cuh`.
const TILE: usize = 32;

impl Weights {
    /// None yet.
    pub fn new(element: Element) -> Self {
        Self { element, bytes: Vec::new() }
    }

    /// Adds those of a full convolution: `values` are `[C_out, kh, kw, C_in]`, `bias` is `[C_out]`.
    ///
    /// They become a matrix with a row for each number of a patch and a column for each output channel, filled up with
    /// zeros to whole tiles.
    ///
    /// # Panics
    /// If values and biases do not fit: a bug of the caller.
    pub fn conv(&mut self, values: &[f32], bias: &[f32]) -> Packed {
        assert!(!bias.is_empty() && values.len().is_multiple_of(bias.len()), "weights should fit the bias");
        let taps = values.len() / bias.len();
        let (depth, columns) = (taps.next_multiple_of(TILE), bias.len().next_multiple_of(TILE));
        let mut matrix = vec![0.0; depth * columns];
        for (column, filter) in values.chunks_exact(taps).enumerate() {
            for (row, value) in filter.iter().enumerate() {
                matrix[row * columns + column] = *value;
            }
        }
        let mut filled = vec![0.0; columns];
        filled[..bias.len()].copy_from_slice(bias);
        Packed { weights: self.elements(&matrix), bias: self.floats(&filled), depth, columns }
    }

    /// Adds those of a depthwise convolution: `values` are `[kh, kw, C]`, `bias` is `[C]`.
    ///
    /// # Panics
    /// If values and biases do not fit: a bug of the caller.
    pub fn depthwise(&mut self, values: &[f32], bias: &[f32]) -> Packed {
        assert!(!bias.is_empty() && values.len().is_multiple_of(bias.len()), "weights should fit the bias");
        let (depth, columns) = (values.len() / bias.len(), bias.len());
        Packed { weights: self.elements(values), bias: self.floats(bias), depth, columns }
    }

    /// All bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn elements(&mut self, values: &[f32]) -> usize {
        match self.element {
            Element::F32 => self.floats(values),
            Element::F16 => self.place(values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes())),
        }
    }

    fn floats(&mut self, values: &[f32]) -> usize {
        self.place(values.iter().flat_map(|value| value.to_le_bytes()))
    }

    /// Puts bytes where 16 can be read at once; gives the place of the first.
    fn place(&mut self, bytes: impl Iterator<Item = u8>) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let begin = self.bytes.len();
        self.bytes.extend(bytes);
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_becomes_a_column_and_the_rest_is_zero() {
        let mut weights = Weights::new(Element::F32);
        // Two filters of three numbers.
        let packed = weights.conv(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[7.0, 8.0]);
        assert_eq!((packed.depth, packed.columns), (32, 32));
        let bytes = weights.into_bytes();
        let float = |index: usize| f32::from_le_bytes(bytes[index * 4..][..4].try_into().unwrap());
        assert_eq!(
            [float(0), float(1), float(2), float(32), float(33), float(64), float(65)],
            [1.0, 4.0, 0.0, 2.0, 5.0, 3.0, 6.0]
        );
        assert_eq!(
            [float(packed.bias / 4), float(packed.bias / 4 + 1), float(packed.bias / 4 + 2)],
            [7.0, 8.0, 0.0]
        );
        assert_eq!(bytes.len(), (32 * 32 + 32) * 4);
    }

    #[test]
    fn every_layer_begins_where_sixteen_bytes_can_be_read() {
        let mut weights = Weights::new(Element::F16);
        let first = weights.depthwise(&[0.5; 9], &[1.0; 3]);
        let second = weights.depthwise(&[0.5; 9], &[1.0; 3]);
        assert!([first.weights, first.bias, second.weights, second.bias].iter().all(|place| place % 16 == 0));
        assert!(first.bias >= 18 && second.weights >= first.bias + 12);
    }
}
