//! From the detector's raw output to the best detection: decoding and weighted non-maximum suppression.
//!
//! MediaPipe's `TensorsToDetectionsCalculator` and `NonMaxSuppressionCalculator` (algorithm WEIGHTED, overlap
//! INTERSECTION_OVER_UNION) with the options of `pose_detection_cpu`. Only the first detection is kept: the graph takes
//! one person, the one with the highest score, so that the rest of the suppression need not run.

use super::anchors::Anchor;
use super::sigmoid;
use crate::{DETECTOR_ANCHORS, DETECTOR_BOX_VALUES, DETECTOR_SIDE, DetectorOutput};

/// Keypoints of a detection: middle of the hips, a point on the circle around the body, middle of the shoulders, a point
/// on the circle around the upper body.
pub const DETECTION_KEYPOINTS: usize = 4;
/// Logits are clipped to plus and minus this before the sigmoid (`score_clipping_thresh`).
const LOGIT_LIMIT: f32 = 100.0;

/// A person as the detector sees one, in fractions of its square input.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Probability, 0 to 1.
    pub score: f32,
    /// Bounding box of the **face**: x and y of its least corner, then of its greatest.
    pub corners: [f32; 4],
    /// Keypoints x, y; see [`DETECTION_KEYPOINTS`].
    pub keypoints: [[f32; 2]; DETECTION_KEYPOINTS],
}

impl Detection {
    fn area(&self) -> f32 {
        (self.corners[2] - self.corners[0]) * (self.corners[3] - self.corners[1])
    }

    fn is_finite(&self) -> bool {
        self.corners.iter().chain(self.keypoints.iter().flatten()).all(|value| value.is_finite())
    }
}

/// Decodes all detections with a score of at least `min_score`.
///
/// A detection with a negative size or a number that is not finite is left out; so is everything when the output does not
/// have the network's sizes.
pub fn decode(output: &DetectorOutput, anchors: &[Anchor], min_score: f32) -> Vec<Detection> {
    if output.scores.len() != DETECTOR_ANCHORS || output.boxes.len() != DETECTOR_ANCHORS * DETECTOR_BOX_VALUES
    {
        return Vec::new();
    }
    let rows = output.boxes.chunks_exact(DETECTOR_BOX_VALUES);
    rows.zip(&output.scores)
        .zip(anchors)
        .filter_map(|((row, &logit), anchor)| {
            let score = sigmoid(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT));
            // A logit that is not a number fails this comparison too.
            (score >= min_score).then(|| decode_row(row, anchor, score))
        })
        .filter(|detection| {
            let [x0, y0, x1, y1] = detection.corners;
            x1 >= x0 && y1 >= y0 && detection.is_finite()
        })
        .collect()
}

fn decode_row(row: &[f32], anchor: &Anchor, score: f32) -> Detection {
    let side = DETECTOR_SIDE as f32;
    let point = |index: usize| [row[index] / side + anchor.x, row[index + 1] / side + anchor.y];
    let [x, y] = point(0);
    let (half_width, half_height) = (row[2] / side / 2.0, row[3] / side / 2.0);
    Detection {
        score,
        corners: [x - half_width, y - half_height, x + half_width, y + half_height],
        keypoints: std::array::from_fn(|index| point(4 + 2 * index)),
    }
}

/// Intersection over union of two boxes, 0 to 1; 0 where both are empty.
fn overlap(a: &Detection, b: &Detection) -> f32 {
    let width = a.corners[2].min(b.corners[2]) - a.corners[0].max(b.corners[0]);
    let height = a.corners[3].min(b.corners[3]) - a.corners[1].max(b.corners[1]);
    if width < 0.0 || height < 0.0 {
        return 0.0;
    }
    let shared = width * height;
    let all = a.area() + b.area() - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

/// The best detection: the one with the highest score, its box and keypoints replaced by the mean, weighted by score, of
/// all that overlap it by more than `max_overlap` (itself among them). `None` without detections.
pub fn best(detections: &[Detection], max_overlap: f32) -> Option<Detection> {
    let top = detections.iter().reduce(|best, next| if next.score > best.score { next } else { best })?;
    let mut mean = Detection { score: 0.0, corners: [0.0; 4], keypoints: [[0.0; 2]; DETECTION_KEYPOINTS] };
    for near in detections.iter().filter(|other| overlap(other, top) > max_overlap) {
        mean.score += near.score;
        for (sum, value) in values_mut(&mut mean).zip(values(near)) {
            *sum += value * near.score;
        }
    }
    if mean.score <= 0.0 {
        // An empty box overlaps nothing, not even itself.
        return Some(top.clone());
    }
    let total = mean.score;
    values_mut(&mut mean).for_each(|sum| *sum /= total);
    mean.score = top.score;
    Some(mean)
}

fn values(detection: &Detection) -> impl Iterator<Item = &f32> {
    detection.corners.iter().chain(detection.keypoints.iter().flatten())
}

fn values_mut(detection: &mut Detection) -> impl Iterator<Item = &mut f32> {
    detection.corners.iter_mut().chain(detection.keypoints.iter_mut().flatten())
}

#[cfg(test)]
mod tests {
    use super::super::anchors::anchors;
    use super::*;

    fn silent() -> DetectorOutput {
        DetectorOutput {
            boxes: vec![0.0; DETECTOR_ANCHORS * DETECTOR_BOX_VALUES],
            scores: vec![-100.0; DETECTOR_ANCHORS],
        }
    }

    fn at(x: f32, size: f32, score: f32) -> Detection {
        Detection { score, corners: [x, 0.0, x + size, size], keypoints: [[x, 1.0]; DETECTION_KEYPOINTS] }
    }

    #[test]
    fn a_row_is_decoded_relative_to_its_anchor() {
        let mut output = silent();
        output.scores[1568] = 0.0;
        output.boxes[1568 * 12..1569 * 12]
            .copy_from_slice(&[22.4, 44.8, 11.2, 22.4, 112.0, 0.0, 0.0, 112.0, 1.0, 1.0, 2.0, 2.0]);
        let found = decode(&output, &anchors(), 0.5);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].score, 0.5);
        let base = 0.5 / 14.0;
        let expected = [base + 0.075, base + 0.15, base + 0.125, base + 0.25];
        for (value, wanted) in found[0].corners.iter().zip(expected) {
            assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
        }
        assert_eq!(found[0].keypoints[0], [0.5 + base, base]);
        assert_eq!(found[0].keypoints[1], [base, 0.5 + base]);
    }

    #[test]
    fn low_scores_bad_sizes_and_numbers_that_are_not_finite_are_left_out() {
        let mut output = silent();
        output.scores[0] = -0.01;
        (output.scores[1], output.boxes[12 + 2]) = (5.0, -1.0);
        (output.scores[2], output.boxes[24 + 5]) = (5.0, f32::NAN);
        output.scores[3] = f32::NAN;
        assert_eq!(decode(&output, &anchors(), 0.5), []);
        output.scores.pop();
        assert_eq!(decode(&output, &anchors(), 0.5), []);
    }

    #[test]
    fn overlapping_detections_are_averaged_by_score() {
        // Boxes [0, 1] and [0.5, 1.5] overlap by 1/3, [0.6, 1.6] by 0.25.
        let found = best(&[at(0.5, 1.0, 0.6), at(0.0, 1.0, 0.9), at(0.6, 1.0, 0.8)], 0.3).unwrap();
        assert_eq!(found.score, 0.9);
        assert!((found.corners[0] - 0.5 * 0.6 / 1.5).abs() < 1e-6);
        assert!((found.corners[2] - (1.0 + 0.5 * 0.6 / 1.5)).abs() < 1e-6);
        assert!((found.keypoints[3][0] - 0.2).abs() < 1e-6);
        assert!((found.keypoints[3][1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_in_nothing_out_and_an_empty_box_stands_for_itself() {
        assert_eq!(best(&[], 0.3), None);
        assert_eq!(best(&[at(0.2, 0.0, 0.7)], 0.3), Some(at(0.2, 0.0, 0.7)));
    }
}
