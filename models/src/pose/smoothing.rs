//! Smoothing of a tracked person's landmarks over media time.
//!
//! MediaPipe's graph `pose_landmark_filtering`: one-euro filters for each axis of each landmark, with a speed relative to
//! the person's size in the frame, and a low pass for visibility. Nothing of this runs with tracking off.

use super::filter::{LowPass, OneEuro, OneEuroConfig};
use super::landmarks::{AUXILIARY_COUNT, Landmarks};
use super::region::distance;

const BODY: OneEuroConfig = OneEuroConfig { min_cutoff: 0.05, beta: 80.0, derivative_cutoff: 1.0 };
const AUXILIARY: OneEuroConfig = OneEuroConfig { min_cutoff: 0.01, beta: 10.0, derivative_cutoff: 1.0 };
/// In metres already: its speed is not scaled (`disable_value_scaling`).
const WORLD: OneEuroConfig = OneEuroConfig { min_cutoff: 0.1, beta: 40.0, derivative_cutoff: 1.0 };
const VISIBILITY_ALPHA: f32 = 0.1;
/// Below this size in pixels a person has no speed to speak of, and the filters stand aside.
const MIN_OBJECT_SCALE: f32 = 1e-6;

/// The filters of one tracked person.
#[derive(Debug, Clone, PartialEq)]
pub struct Smoothing {
    body: Points,
    auxiliary: Points,
    world: Points,
    visibility: Vec<LowPass>,
}

impl Default for Smoothing {
    fn default() -> Self {
        Self {
            body: Points::new(BODY),
            auxiliary: Points::new(AUXILIARY),
            world: Points::new(WORLD),
            visibility: Vec::new(),
        }
    }
}

impl Smoothing {
    /// Smooths the landmarks seen at media time `time_us` in place.
    pub fn apply(&mut self, landmarks: &mut Landmarks, time_us: i64) {
        // The size is that of the alignment points as the network gave them, before any smoothing and without margin.
        let size = object_size(&landmarks.auxiliary);
        if size >= MIN_OBJECT_SCALE {
            let scale = f64::from(1.0 / size);
            self.body.apply(&mut landmarks.body, time_us, scale);
            self.auxiliary.apply(&mut landmarks.auxiliary, time_us, scale);
        }
        self.world.apply(&mut landmarks.world, time_us, 1.0);
        self.visibility.resize(landmarks.visibility.len(), LowPass::default());
        for (filter, value) in self.visibility.iter_mut().zip(&mut landmarks.visibility) {
            *value = filter.apply(*value, VISIBILITY_ALPHA);
        }
    }

    /// The person is lost: positions in the frame start afresh.
    ///
    /// World positions and visibility do not. That is how the reference behaves, if hardly by intent: its calculators are
    /// reset by a frame without landmarks only where a second input, the frame's size, makes them run.
    pub fn lost(&mut self) {
        self.body.clear();
        self.auxiliary.clear();
    }
}

/// The person's size in pixels: twice the distance of the alignment points.
fn object_size(auxiliary: &[[f32; 3]; AUXILIARY_COUNT]) -> f32 {
    let [[x0, y0, _], [x1, y1, _]] = *auxiliary;
    2.0 * distance([x0, y0], [x1, y1])
}

/// Filters of a list of points, one for each axis; made at the first use.
#[derive(Debug, Clone, PartialEq)]
struct Points {
    config: OneEuroConfig,
    filters: Vec<[OneEuro; 3]>,
}

impl Points {
    fn new(config: OneEuroConfig) -> Self {
        Self { config, filters: Vec::new() }
    }

    fn apply(&mut self, points: &mut [[f32; 3]], time_us: i64, scale: f64) {
        self.filters.resize(points.len(), [OneEuro::new(self.config); 3]);
        for (filters, point) in self.filters.iter_mut().zip(points) {
            for (filter, value) in filters.iter_mut().zip(point) {
                *value = filter.apply(time_us, scale, *value);
            }
        }
    }

    fn clear(&mut self) {
        self.filters.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::KEYPOINT_COUNT;
    use super::*;

    const FRAME_US: i64 = 33_333;

    /// A person of `size` pixels whose every number is `value`.
    fn seen(value: f32, size: f32) -> Landmarks {
        Landmarks {
            score: 1.0,
            body: [[value; 3]; KEYPOINT_COUNT],
            visibility: [value; KEYPOINT_COUNT],
            auxiliary: [[value, value, 0.0], [value, value - size / 2.0, 0.0]],
            world: [[value; 3]; KEYPOINT_COUNT],
        }
    }

    /// Feeds the values one frame apart and gives the last landmarks.
    fn fed(smoothing: &mut Smoothing, values: &[f32], size: f32, from: i64) -> Landmarks {
        let mut last = seen(0.0, size);
        for (index, &value) in values.iter().enumerate() {
            last = seen(value, size);
            smoothing.apply(&mut last, (from + index as i64) * FRAME_US);
        }
        last
    }

    #[test]
    fn the_cut_off_of_each_kind_is_that_of_the_reference() {
        let last = fed(&mut Smoothing::default(), &[0.0, 1.0], 100.0, 0);
        // The filters' formula at 1 / 33,333 us, worked out apart from this code. Speed 1 x scale x 30.0003, smoothed by
        // alpha(1) = 0.173172; cut-off = min + beta x that; value = alpha(cut-off).
        let expected = |scale: f64, min: f64, beta: f64| {
            let alpha = |cutoff: f64| 1.0 / (1.0 + 30.0003 / (std::f64::consts::TAU * cutoff));
            alpha(min + beta * 0.173_172 * 30.0003 * scale)
        };
        let close =
            |found: f32, wanted: f64| assert!((f64::from(found) - wanted).abs() < 1e-5, "{found} {wanted}");
        close(last.body[7][1], expected(0.01, 0.05, 80.0));
        close(last.auxiliary[0][0], expected(0.01, 0.01, 10.0));
        close(last.world[7][2], expected(1.0, 0.1, 40.0));
        close(last.visibility[7], 0.1);
    }

    #[test]
    fn a_lost_person_starts_afresh_in_the_frame_only() {
        let mut smoothing = Smoothing::default();
        fed(&mut smoothing, &[0.0, 0.0], 100.0, 0);
        smoothing.lost();
        let found = fed(&mut smoothing, &[1.0], 100.0, 9);
        assert_eq!((found.body[0][0], found.auxiliary[0][0]), (1.0, 1.0));
        assert!(found.world[0][0] < 1.0 && found.visibility[0] < 0.2);
    }

    #[test]
    fn a_person_without_size_is_not_smoothed_in_the_frame() {
        let last = fed(&mut Smoothing::default(), &[0.0, 1.0], 0.0, 0);
        assert_eq!(last.body[0][0], 1.0);
        assert!(last.world[0][0] < 1.0);
    }
}
