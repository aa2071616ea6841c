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
