//! Puts back the zeros that a sparse tensor leaves out (what the operation DENSIFY does, done once at load).
//!
//! TensorFlow Lite describes a sparse tensor level by level, one for each dimension: a dense level has all of
//! its entries; a compressed one has, for each entry of the level above, a segment of its list of indices.
//! The values are those of the last level's entries, in order. Reordered dimensions and blocks are not known
//! here.

use super::flatbuffer::Table;
use super::{integers, tables};
use crate::error::ModelError;

/// The dense tensor, row-major. Its elements are bounded by the caller, who has checked the shape.
pub(super) fn dense(sparsity: Table<'_>, shape: &[usize], values: &[f32]) -> Result<Vec<f32>, ModelError> {
    let order = integers(sparsity.vector(0, 4)?)?;
    let natural =
        order.len() == shape.len() && order.iter().zip(0..).all(|(found, natural)| *found == natural);
    let blocks = integers(sparsity.vector(1, 4)?)?;
    let levels = tables(sparsity.vector(2, 4)?)?;
    if !natural || !blocks.is_empty() || levels.len() != shape.len() {
        return Err(ModelError::format("a sparse tensor with reordered dimensions or blocks is not known"));
    }
    // Position of each entry of the level so far, in a tensor that ends at this level.
    let mut entries = vec![0];
    for (level, &size) in levels.into_iter().zip(shape) {
        entries = match level.i8(0, 0)? {
            0 => expanded(&entries, size),
            _ => segmented(&entries, size, &Segments::read(level)?)?,
        };
    }
    if entries.len() != values.len() {
        return Err(ModelError::format(format!(
            "a sparse tensor has {} of {} values",
            values.len(),
            entries.len()
        )));
    }
    let mut dense = vec![0.0; shape.iter().product()];
    for (entry, value) in entries.into_iter().zip(values) {
        dense[entry] = *value;
    }
    Ok(dense)
}

/// A dense level: each entry becomes `size` entries.
fn expanded(entries: &[usize], size: usize) -> Vec<usize> {
    entries.iter().flat_map(|entry| entry * size..(entry + 1) * size).collect()
}

/// The lists of a compressed level.
struct Segments {
    /// Where each segment of `indices` begins, and where the last one ends.
    bounds: Vec<usize>,
    indices: Vec<usize>,
}

impl Segments {
    fn read(level: Table<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            bounds: super::constants::indices(level, 2)?,
            indices: super::constants::indices(level, 4)?,
        })
    }
}

/// A compressed level: each entry becomes those that its segment names. Segments follow one another without
/// overlap, so that no corrupt file makes more entries than it has indices.
fn segmented(entries: &[usize], size: usize, segments: &Segments) -> Result<Vec<usize>, ModelError> {
    let Segments { bounds, indices } = segments;
    let corrupt = || ModelError::format("a sparse tensor's segments are corrupt");
    if bounds.len() != entries.len() + 1 || bounds[0] != 0 || bounds[entries.len()] != indices.len() {
        return Err(corrupt());
    }
    let mut next = Vec::with_capacity(indices.len());
    for (entry, bound) in entries.iter().zip(bounds.windows(2)) {
        for &index in indices.get(bound[0]..bound[1]).ok_or_else(corrupt)? {
            if index >= size {
                return Err(corrupt());
            }
            next.push(entry * size + index);
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(bounds: &[usize], indices: &[usize]) -> Segments {
        Segments { bounds: bounds.to_vec(), indices: indices.to_vec() }
    }

    #[test]
    fn compressed_level_places_its_entries() {
        // [[0, a, 0], [b, 0, c]]
        let rows = expanded(&[0], 2);
        assert_eq!(segmented(&rows, 3, &segments(&[0, 1, 3], &[1, 0, 2])).unwrap(), [1, 3, 5]);
    }

    #[test]
    fn corrupt_segments_are_refused() {
        let rows = expanded(&[0], 2);
        for (bounds, indices) in [
            (&[0, 1][..], &[1][..]),
            (&[0, 1, 4], &[1, 0, 2]),
            (&[0, 3, 2], &[1, 0]),
            (&[1, 1, 2], &[1, 0]),
            (&[0, 1, 2], &[1, 3]),
        ] {
            assert!(segmented(&rows, 3, &segments(bounds, indices)).is_err(), "{bounds:?} {indices:?}");
        }
    }
}
