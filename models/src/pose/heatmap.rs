//! Refinement of landmarks by the heatmap: the network's coarse second opinion on where each landmark is.
//!
//! MediaPipe's `RefineLandmarksFromHeatmapCalculator` with its default least confidence: where the heatmap is sure, x and
//! y become the mean of the cells around the landmark, weighted by the sigmoid of their values. Visibility and presence
//! stay as they are.
//!
//! The graph of MediaPipe 0.10.14 asks for a kernel of 7 cells, but what it computes is the mean over 9, the calculator's
//! default: measured on its intermediate streams, 9 agrees to 1e-5 and 7 is off by up to 4 cells. We do as it does.

use super::sigmoid;
use crate::{HEATMAP_SIDE, LANDMARK_COUNT};

/// Cells on each side of the middle one: (9 - 1) / 2.
const REACH: i32 = 4;
/// The landmark moves only when one cell of the kernel is at least this probable.
const MIN_CONFIDENCE: f32 = 0.5;

/// Gives the refined position of landmark `index` that stands at `x`, `y` (fractions of the region), or `None` when it
/// stays: outside of the heatmap, or where the heatmap is not sure.
///
/// `heatmap` is [`HEATMAP_SIDE`] x [`HEATMAP_SIDE`] x [`LANDMARK_COUNT`] (rows, columns, landmarks), before the sigmoid;
/// of any other size it refines nothing.
pub fn refine(heatmap: &[f32], index: usize, x: f32, y: f32) -> Option<[f32; 2]> {
    let side = HEATMAP_SIDE as i32;
    if heatmap.len() != HEATMAP_SIDE * HEATMAP_SIDE * LANDMARK_COUNT || index >= LANDMARK_COUNT {
        return None;
    }
    // Truncation towards zero, as in the reference: up to a cell left of or above the edge still counts as the first.
    let (column, row) = ((x * side as f32) as i32, (y * side as f32) as i32);
    // The reference compares the column twice, so that rows just below the heatmap are refined with what remains of the
    // kernel. We do as it does; the range below is empty from the fifth row on.
    if column < 0 || column >= side || row < 0 || row >= side + REACH {
        return None;
    }
    let around = |middle: i32| (middle - REACH).max(0)..(middle + REACH + 1).min(side);
    let (mut sum, mut sum_x, mut sum_y, mut most) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for row in around(row) {
        for column in around(column) {
            let cell = (row * side + column) as usize * LANDMARK_COUNT + index;
            let weight = sigmoid(heatmap[cell]);
            sum += weight;
            sum_x += column as f32 * weight;
            sum_y += row as f32 * weight;
            most = most.max(weight);
        }
    }
    let refined = [sum_x / side as f32 / sum, sum_y / side as f32 / sum];
    (most >= MIN_CONFIDENCE && sum > 0.0 && refined.iter().all(|value| value.is_finite())).then_some(refined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heatmap(cells: &[(usize, usize, f32)], index: usize) -> Vec<f32> {
        let mut map = vec![-100.0; HEATMAP_SIDE * HEATMAP_SIDE * LANDMARK_COUNT];
        for &(row, column, logit) in cells {
            map[(row * HEATMAP_SIDE + column) * LANDMARK_COUNT + index] = logit;
        }
        map
    }

    #[test]
    fn a_single_sure_cell_draws_the_landmark_to_it() {
        let map = heatmap(&[(20, 31, 100.0)], 5);
        let [x, y] = refine(&map, 5, 30.2 / 64.0, 22.9 / 64.0).unwrap();
        assert!((x - 31.0 / 64.0).abs() < 1e-6 && (y - 20.0 / 64.0).abs() < 1e-6);
        assert_eq!(refine(&map, 6, 30.2 / 64.0, 22.9 / 64.0), None, "another landmark's map is empty");
        assert!(refine(&map, 5, 35.0 / 64.0, 22.9 / 64.0).is_some());
        assert_eq!(refine(&map, 5, 36.0 / 64.0, 22.9 / 64.0), None, "the kernel ends 4 cells away");
    }

    #[test]
    fn cells_are_weighted_by_their_probability() {
        // Logits 0 and ln 3 are probabilities 0.5 and 0.75.
        let map = heatmap(&[(10, 10, 0.0), (10, 12, 3f32.ln())], 0);
        let [x, _] = refine(&map, 0, 10.0 / 64.0, 10.0 / 64.0).unwrap();
        assert!((x - (10.0 * 0.5 + 12.0 * 0.75) / 1.25 / 64.0).abs() < 1e-6);
        assert_eq!(
            refine(&heatmap(&[(10, 10, -0.1)], 0), 0, 10.0 / 64.0, 10.0 / 64.0),
            None,
            "not sure enough"
        );
    }

    #[test]
    fn edges_shrink_the_kernel_and_the_outside_is_left_alone() {
        let map = heatmap(&[(0, 0, 100.0), (63, 63, 100.0)], 0);
        assert_eq!(refine(&map, 0, -0.5 / 64.0, 0.0), Some([0.0, 0.0]));
        assert_eq!(refine(&map, 0, -1.0 / 64.0, 0.0), None);
        assert_eq!(refine(&map, 0, 1.0, 0.5), None);
        assert_eq!(refine(&map, 0, 63.0 / 64.0, 67.5 / 64.0), Some([63.0 / 64.0, 63.0 / 64.0]));
        assert_eq!(refine(&map, 0, 63.0 / 64.0, 68.0 / 64.0), None);
    }

    #[test]
    fn a_heatmap_that_is_not_finite_or_not_whole_refines_nothing() {
        assert_eq!(
            refine(&heatmap(&[(10, 10, f32::NAN), (10, 11, 9.0)], 0), 0, 10.0 / 64.0, 10.0 / 64.0),
            None
        );
        assert_eq!(refine(&[9.0; 7], 0, 0.5, 0.5), None);
    }
}
