//! The true places of the 33 landmarks, in BlazePose's order, as points of the figure that is drawn.

use super::math::{Vec3, v3};
use super::skeleton::{Arm, Leg, SIDES, Skeleton};

/// Number of landmarks.
pub(crate) const LANDMARKS: usize = 33;

/// Names of the landmarks in BlazePose's order. Left and right are the dancer's own.
pub(crate) const LANDMARK_NAMES: [&str; LANDMARKS] = [
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
];

/// Where the features lie, in metres; the parts of the body are built around the same numbers.
pub(super) mod feature {
    use super::{Vec3, v3};

    // In the head's frame, for the left side.
    pub(in super::super) const NOSE: Vec3 = v3(0.0, -0.026, 0.120);
    pub(in super::super) const EYE_INNER: Vec3 = v3(0.018, 0.009, 0.093);
    pub(in super::super) const EYE: Vec3 = v3(0.032, 0.010, 0.091);
    pub(in super::super) const EYE_OUTER: Vec3 = v3(0.046, 0.009, 0.079);
    pub(in super::super) const EAR: Vec3 = v3(0.070, -0.008, 0.008);
    pub(in super::super) const MOUTH: Vec3 = v3(0.025, -0.059, 0.087);
    // In the hand's frame: along it, towards the thumb.
    pub(in super::super) const PINKY: (f32, f32) = (0.082, -0.034);
    pub(in super::super) const INDEX: (f32, f32) = (0.094, 0.026);
    pub(in super::super) const THUMB: (f32, f32) = (0.064, 0.052);
    // In the foot's frame, from the ankle.
    pub(in super::super) const HEEL: Vec3 = v3(0.0, -0.060, -0.068);
    pub(in super::super) const TOE: Vec3 = v3(0.0, -0.075, 0.178);
}

/// The 33 landmarks of a skeleton, in metres.
pub(super) fn landmarks(s: &Skeleton) -> [Vec3; LANDMARKS] {
    let mut out = [Vec3::default(); LANDMARKS];
    let on_head = |v: Vec3, side: f32| s.head_centre + s.head.apply(v3(v.x * side, v.y, v.z));
    out[0] = on_head(feature::NOSE, 1.0);
    for (i, side) in SIDES.into_iter().enumerate() {
        let eye = [feature::EYE_INNER, feature::EYE, feature::EYE_OUTER];
        for (k, place) in eye.into_iter().enumerate() {
            out[1 + 3 * i + k] = on_head(place, side);
        }
        out[7 + i] = on_head(feature::EAR, side);
        out[9 + i] = on_head(feature::MOUTH, side);
        place_arm(&mut out[11 + i..], &s.arms[i]);
        place_leg(&mut out[23 + i..], &s.legs[i]);
    }
    out
}

/// Writes the six landmarks of an arm to every second place, for the sides alternate.
fn place_arm(out: &mut [Vec3], arm: &Arm) {
    let on_hand = |(along, thumb): (f32, f32)| arm.wrist + arm.along * along + arm.thumb * thumb;
    let hand = [feature::PINKY, feature::INDEX, feature::THUMB].map(on_hand);
    let places = [arm.shoulder, arm.elbow, arm.wrist, hand[0], hand[1], hand[2]];
    for (slot, place) in out.iter_mut().step_by(2).zip(places) {
        *slot = place;
    }
}

/// Writes the five landmarks of a leg to every second place.
fn place_leg(out: &mut [Vec3], leg: &Leg) {
    let on_foot = |v: Vec3| leg.ankle + leg.foot.apply(v);
    let places = [leg.hip, leg.knee, leg.ankle, on_foot(feature::HEEL), on_foot(feature::TOE)];
    for (slot, place) in out.iter_mut().step_by(2).zip(places) {
        *slot = place;
    }
}

#[cfg(test)]
mod tests {
    use super::super::choreography::pose;
    use super::*;

    #[test]
    fn sides_and_heights_are_those_of_a_standing_person_facing_us() {
        let p = landmarks(&Skeleton::new(&pose(0.0)));
        for (i, name) in LANDMARK_NAMES.iter().enumerate().filter(|(_, n)| n.contains("left")) {
            let right = LANDMARK_NAMES.iter().position(|n| *n == name.replace("left", "right")).unwrap();
            assert!(p[i].x > p[right].x, "{name} is on the picture's right");
        }
        let order = [2, 0, 9, 11, 23, 25, 27, 31];
        assert!(
            order.windows(2).all(|w| p[w[0]].y > p[w[1]].y),
            "eyes over nose over mouth down to the toes"
        );
    }
}
