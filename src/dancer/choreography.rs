//! What the dancer does: eight seconds at 120 beats a minute, as a pose for every instant, closed into a loop.
//!
//! Time is in beats (half seconds). Arms follow a smooth curve through one key a beat; feet rest on their keys and
//! move between them, so that a standing foot does not slide.

use super::math::{cos, mix, sin, smoothstep};

/// Length of the loop in seconds.
pub(super) const PERIOD_S: u64 = 8;
/// Beats in a loop: 120 beats a minute.
pub(super) const BEATS: usize = 16;

const TURN: f32 = std::f32::consts::TAU;
const DEGREE: f32 = TURN / 360.0;

/// The angles of one arm in radians: 0 hangs down, a quarter turn points sideways, a half turn points up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ArmPose {
    /// Upper arm in the frontal plane.
    pub(super) upper: f32,
    /// Forearm in the frontal plane.
    pub(super) fore: f32,
    /// How far the upper arm points to the front, out of the frontal plane.
    pub(super) upper_front: f32,
    /// How far the forearm points to the front.
    pub(super) fore_front: f32,
}

/// One foot: where its ankle stands, in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FootPose {
    /// Towards the dancer's left of the place.
    pub(super) x: f32,
    /// Height over standing.
    pub(super) lift: f32,
}

/// Everything that moves, for one instant. Angles in radians, lengths in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// Pelvis: sideways, and down from standing upright.
    pub(super) sway: f32,
    pub(super) dip: f32,
    /// Pelvis, about up and towards the left.
    pub(super) hip_yaw: f32,
    pub(super) hip_roll: f32,
    /// Chest, in the world.
    pub(super) chest_yaw: f32,
    pub(super) chest_roll: f32,
    pub(super) chest_pitch: f32,
    /// Head, in the world.
    pub(super) head_yaw: f32,
    pub(super) head_roll: f32,
    pub(super) head_pitch: f32,
    /// Left, then right.
    pub(super) arms: [ArmPose; 2],
    pub(super) feet: [FootPose; 2],
}

/// Arms in degrees, one row a beat: left upper and forearm, right upper and forearm.
const ARMS: [[f32; 4]; BEATS] = [
    // Groove: elbows bent, hands trade places.
    [38.0, 80.0, 38.0, 80.0],
    [62.0, 125.0, 30.0, 48.0],
    [30.0, 48.0, 62.0, 125.0],
    [62.0, 125.0, 30.0, 48.0],
    // Open wide and wave from side to side.
    [78.0, 92.0, 78.0, 92.0],
    [80.0, 50.0, 100.0, 155.0],
    [100.0, 155.0, 80.0, 50.0],
    [92.0, 140.0, 92.0, 140.0],
    // Both hands in the air.
    [130.0, 165.0, 130.0, 165.0],
    [142.0, 176.0, 116.0, 150.0],
    [116.0, 150.0, 142.0, 176.0],
    [125.0, 160.0, 125.0, 160.0],
    // Point to the sky, the other hand low.
    [138.0, 146.0, 36.0, 18.0],
    [64.0, 108.0, 64.0, 108.0],
    [36.0, 18.0, 138.0, 146.0],
    [50.0, 88.0, 50.0, 88.0],
];

/// Feet in metres, one row a beat: pelvis, left foot, right foot (all to the left), lift of the left and right foot.
const STEPS: [[f32; 5]; BEATS] = [
    [0.00, 0.14, -0.14, 0.00, 0.00],
    // Step to the left, close, and back.
    [0.14, 0.42, -0.14, 0.00, 0.00],
    [0.27, 0.42, 0.13, 0.00, 0.00],
    [0.14, 0.42, -0.14, 0.00, 0.00],
    [0.00, 0.14, -0.14, 0.00, 0.00],
    // The same to the right.
    [-0.14, 0.14, -0.42, 0.00, 0.00],
    [-0.27, -0.13, -0.42, 0.00, 0.00],
    [-0.14, 0.14, -0.42, 0.00, 0.00],
    [0.00, 0.14, -0.14, 0.00, 0.00],
    // A wide stand that sways.
    [0.05, 0.24, -0.14, 0.00, 0.00],
    [-0.05, 0.24, -0.24, 0.00, 0.00],
    [0.03, 0.24, -0.24, 0.00, 0.00],
    [0.00, 0.14, -0.24, 0.00, 0.00],
    // Knees up.
    [-0.06, 0.15, -0.14, 0.20, 0.00],
    [0.00, 0.14, -0.14, 0.00, 0.00],
    [0.06, 0.14, -0.15, 0.00, 0.20],
];

/// Height of a step of one metre at its middle; a smaller step is as much lower.
const STEP_HEIGHT: f32 = 0.22;

/// The pose at a time in seconds from the start of the loop, of any size.
pub(super) fn pose(seconds: f64) -> Pose {
    let beat = (seconds * 2.0).rem_euclid(BEATS as f64) as f32;
    let loop_phase = beat / BEATS as f32 * TURN;
    let bar_phase = beat / 4.0 * TURN;
    let pulse = 0.5 - 0.5 * cos(beat * TURN);
    let side = sin(bar_phase);
    let hip_yaw = 15.0 * DEGREE * sin(loop_phase) + 4.0 * DEGREE * side;
    let chest_yaw = 21.0 * DEGREE * sin(loop_phase + 0.15) - 4.0 * DEGREE * side;
    Pose {
        sway: rest_and_go(beat, |row| STEPS[row][0]),
        dip: 0.035 + 0.022 * pulse,
        hip_yaw,
        hip_roll: 4.0 * DEGREE * side,
        chest_yaw,
        chest_roll: -4.0 * DEGREE * sin(bar_phase + 0.5) + 3.0 * DEGREE * sin(loop_phase * 2.0),
        chest_pitch: 2.0 * DEGREE + 2.0 * DEGREE * pulse,
        head_yaw: 0.7 * chest_yaw,
        head_roll: 5.0 * DEGREE * sin(bar_phase + 0.9),
        head_pitch: 3.0 * DEGREE * pulse - 1.0 * DEGREE,
        arms: [arm(beat, 0), arm(beat, 2)],
        feet: [foot(beat, 1), foot(beat, 2)],
    }
}

/// How far the eyes are closed (0 to 1) at a time in seconds: two short blinks in a loop.
pub(super) fn blink(seconds: f64) -> f32 {
    let t = seconds.rem_euclid(PERIOD_S as f64) as f32;
    [2.3_f32, 6.6].into_iter().map(|at| 1.0 - smoothstep(0.03, 0.11, (t - at).abs())).fold(0.0, f32::max)
}

/// The arm whose keys start at `column` of [`ARMS`].
fn arm(beat: f32, column: usize) -> ArmPose {
    let upper = flowing(beat, |row| ARMS[row][column]);
    let fore = flowing(beat, |row| ARMS[row][column + 1]);
    let bent = (fore - upper).clamp(0.0, 60.0) / 60.0;
    ArmPose {
        upper: upper * DEGREE,
        fore: fore * DEGREE,
        upper_front: 6.0 * DEGREE,
        fore_front: (8.0 + 10.0 * bent) * DEGREE,
    }
}

/// The foot whose place is `column` of [`STEPS`]; it is lifted on its way as far as it travels.
fn foot(beat: f32, column: usize) -> FootPose {
    let (row, t) = (beat as usize % BEATS, beat.fract());
    let stride = (STEPS[(row + 1) % BEATS][column] - STEPS[row][column]).abs();
    let swing = sin(t * TURN * 0.5);
    FootPose {
        x: rest_and_go(beat, |r| STEPS[r][column]),
        lift: rest_and_go(beat, |r| STEPS[r][column + 2]) + STEP_HEIGHT * stride * swing * swing,
    }
}

/// Interpolates keys with level tangents: still at each key, moving between two that differ.
fn rest_and_go(beat: f32, key: impl Fn(usize) -> f32) -> f32 {
    let row = beat as usize % BEATS;
    mix(key(row), key((row + 1) % BEATS), smoothstep(0.0, 1.0, beat.fract()))
}

/// Interpolates keys by a Catmull-Rom curve: through each key without stopping there.
fn flowing(beat: f32, key: impl Fn(usize) -> f32) -> f32 {
    let (row, t) = (beat as usize % BEATS, beat.fract());
    let [a, b, c, d] = [BEATS - 1, 0, 1, 2].map(|step| key((row + step) % BEATS));
    b + 0.5 * t * ((c - a) + t * ((2.0 * a - 5.0 * b + 4.0 * c - d) + t * (3.0 * (b - c) + d - a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dance_repeats_after_its_period() {
        for i in 0..40 {
            let t = f64::from(i) * 0.25;
            assert_eq!(pose(t), pose(t + PERIOD_S as f64));
        }
        assert_ne!(pose(0.5), pose(0.5 + PERIOD_S as f64 / 2.0), "half a period is another pose");
    }

    #[test]
    fn a_standing_foot_stays_where_it_is() {
        let at = |beat: f64| pose(beat / 2.0).feet[0];
        assert_eq!(at(1.0).x, at(1.7).x);
        assert_eq!(at(1.4).lift, 0.0);
        assert!(at(0.5).lift > 0.02, "a stepping foot leaves the floor");
    }
}
