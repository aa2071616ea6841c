//! The detector's anchors: the fixed points that its boxes are offsets from.
//!
//! MediaPipe's `SsdAnchorsCalculator` with the options of `pose_detection_cpu`: strides 8, 16, 32, 32, 32 on an input of
//! 224 pixels, aspect ratio 1 and an interpolated one (two anchors a layer and cell), offset 0.5, all of size 1. As the
//! size is fixed, an anchor is its centre only. Neighbouring layers of one stride share their cells.

use crate::{DETECTOR_ANCHORS, DETECTOR_SIDE};

/// Cells a side, and anchors in each cell, for strides 8, 16 and the three layers of 32.
const LAYERS: [(usize, usize); 3] =
    [(DETECTOR_SIDE / 8, 2), (DETECTOR_SIDE / 16, 2), (DETECTOR_SIDE / 32, 6)];

/// Centre of an anchor in fractions of the detector's square input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// Fraction of the input's width, 0 to 1.
    pub x: f32,
    /// Fraction of the input's height, 0 to 1.
    pub y: f32,
}

/// All [`DETECTOR_ANCHORS`] anchors in the order of the network's output: layer, row, column, repetition.
pub fn anchors() -> Vec<Anchor> {
    let mut all = Vec::with_capacity(DETECTOR_ANCHORS);
    for (cells, repeated) in LAYERS {
        for row in 0..cells {
            for column in 0..cells {
                let centre = |index: usize| (index as f32 + 0.5) / cells as f32;
                all.extend(std::iter::repeat_n(Anchor { x: centre(column), y: centre(row) }, repeated));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_anchor_for_each_row_of_the_output() {
        assert_eq!(anchors().len(), DETECTOR_ANCHORS);
    }

    #[test]
    fn the_corners_of_each_layer_are_half_a_cell_inside() {
        let all = anchors();
        let at = |index: usize| (all[index].x, all[index].y);
        assert_eq!(at(0), (0.5 / 28.0, 0.5 / 28.0));
        assert_eq!(at(1), at(0));
        assert_eq!(at(2), (1.5 / 28.0, 0.5 / 28.0));
        assert_eq!(at(1567), (27.5 / 28.0, 27.5 / 28.0));
        assert_eq!(at(1568), (0.5 / 14.0, 0.5 / 14.0));
        assert_eq!(at(1960), (0.5 / 7.0, 0.5 / 7.0));
        assert_eq!(at(1965), at(1960));
        assert_eq!(at(1966), (1.5 / 7.0, 0.5 / 7.0));
        assert_eq!(at(2253), (6.5 / 7.0, 6.5 / 7.0));
    }
}
