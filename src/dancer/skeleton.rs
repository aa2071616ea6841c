//! From a pose to joints in space: forward kinematics for trunk and arms, two-bone inverse kinematics for legs.

use super::choreography::{ArmPose, FootPose, Pose};
use super::math::{Basis, Vec3, cos, mix, sin, smoothstep, v3};

/// Bone lengths and offsets in metres, of a person 1.75 m tall.
pub(super) mod size {
    /// Half the distance between the hip joints.
    pub(in super::super) const HIP: f32 = 0.098;
    /// Hip joint to knee, knee to ankle.
    pub(in super::super) const THIGH: f32 = 0.40;
    pub(in super::super) const SHIN: f32 = 0.400;
    /// Ankle over the floor, shoe included.
    pub(in super::super) const ANKLE: f32 = 0.098;
    /// Hip centre to the point where the spine starts to bend, and from there to the middle of the shoulders.
    pub(in super::super) const LOIN: f32 = 0.175;
    pub(in super::super) const CHEST: f32 = 0.37;
    /// Half the distance between the shoulder joints.
    pub(in super::super) const SHOULDER: f32 = 0.178;
    /// Shoulder to elbow, elbow to wrist.
    pub(in super::super) const UPPER_ARM: f32 = 0.285;
    pub(in super::super) const FOREARM: f32 = 0.255;
    /// Middle of the shoulders to the pivot of the neck, and from there to the middle of the head.
    pub(in super::super) const NECK: f32 = 0.075;
    pub(in super::super) const HEAD: f32 = 0.135;
}

/// Joints of an arm, and the hand's directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arm {
    pub(super) shoulder: Vec3,
    pub(super) elbow: Vec3,
    pub(super) wrist: Vec3,
    /// From the wrist to the knuckles.
    pub(super) along: Vec3,
    /// From the little finger's side to the thumb's.
    pub(super) thumb: Vec3,
}

/// Joints of a leg, and the foot's own frame (its front points to the toes).
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    pub(super) hip: Vec3,
    pub(super) knee: Vec3,
    pub(super) ankle: Vec3,
    pub(super) foot: Basis,
}

/// The dancer's joints in metres, for one instant. Pairs are left, then right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skeleton {
    pub(super) hips: Vec3,
    pub(super) pelvis: Basis,
    pub(super) loin: Vec3,
    pub(super) chest: Basis,
    /// Middle between the resting shoulder joints.
    pub(super) shoulders: Vec3,
    pub(super) neck: Vec3,
    pub(super) head: Basis,
    pub(super) head_centre: Vec3,
    pub(super) arms: [Arm; 2],
    pub(super) legs: [Leg; 2],
}

/// +1 for the left member of a pair, -1 for the right one.
pub(super) const SIDES: [f32; 2] = [1.0, -1.0];

impl Skeleton {
    /// The joints of a pose.
    pub(super) fn new(pose: &Pose) -> Self {
        let pelvis = Basis::turned(pose.hip_yaw, 0.0, pose.hip_roll);
        let chest = Basis::turned(pose.chest_yaw, pose.chest_pitch, pose.chest_roll);
        let head = Basis::turned(pose.head_yaw, pose.head_pitch, pose.head_roll);
        let ankles = [0, 1].map(|i| ankle(pose.feet[i]));
        let hips = v3(pose.sway, hip_height(pose, &pelvis, &ankles), 0.0);
        let loin = hips + pelvis.up * size::LOIN;
        let shoulders = loin + chest.up * size::CHEST;
        let neck = shoulders + chest.up * size::NECK - chest.front * 0.005;
        Self {
            hips,
            pelvis,
            loin,
            chest,
            shoulders,
            neck,
            head,
            head_centre: neck + head.up * size::HEAD + head.front * 0.015,
            arms: [0, 1].map(|i| bend_arm(SIDES[i], pose.arms[i], shoulders, &chest)),
            legs: [0, 1].map(|i| {
                let hip = hips + pelvis.left * (size::HIP * SIDES[i]);
                bend_leg(SIDES[i], hip, ankles[i], &pelvis, pose.feet[i].lift)
            }),
        }
    }
}

/// Where the ankle of a foot is; a lifted foot trails a little behind.
fn ankle(foot: FootPose) -> Vec3 {
    v3(foot.x, size::ANKLE + foot.lift, -0.02 - 0.25 * foot.lift)
}

/// The height of the hips: standing less the dip, and never so high that a leg would have to stretch.
fn hip_height(pose: &Pose, pelvis: &Basis, ankles: &[Vec3; 2]) -> f32 {
    let leg = (size::THIGH + size::SHIN) * 0.998;
    let mut height = size::ANKLE + leg - pose.dip;
    for (side, ankle) in SIDES.into_iter().zip(ankles) {
        let offset = pelvis.left * (size::HIP * side);
        let dx = pose.sway + offset.x - ankle.x;
        let dz = offset.z - ankle.z;
        let reach = (leg * leg - dx * dx - dz * dz).max(0.1).sqrt();
        height = height.min(ankle.y + reach - offset.y);
    }
    height
}

/// Where an arm's direction points in the chest's frame; angles as in [`ArmPose`].
fn direction(side: f32, angle: f32, front: f32) -> Vec3 {
    v3(side * sin(angle) * cos(front), -cos(angle) * cos(front), sin(front))
}

/// Forward kinematics of an arm; the shoulder rises with a raised arm.
fn bend_arm(side: f32, pose: ArmPose, shoulders: Vec3, chest: &Basis) -> Arm {
    let raised = smoothstep(1.0, 2.9, pose.upper);
    let joint = v3(side * (size::SHOULDER - 0.028 * raised), 0.055 * raised, 0.0);
    let shoulder = shoulders + chest.apply(joint);
    let elbow = shoulder + chest.apply(direction(side, pose.upper, pose.upper_front)) * size::UPPER_ARM;
    let along = chest.apply(direction(side, pose.fore, pose.fore_front));
    // The thumb of a hanging hand is in front; that of a raised one also leads the raising, and half shows the palm.
    let hanging = 1.0 - smoothstep(0.3, 1.2, pose.fore);
    let rising = v3(side * cos(pose.fore), sin(pose.fore), 0.0);
    let thumb = chest.apply(v3(0.0, 0.0, 1.0) + rising * (0.7 - 0.5 * hanging)).orthogonal_to(along);
    Arm { shoulder, elbow, wrist: elbow + along * size::FOREARM, along, thumb }
}

/// Inverse kinematics of a leg: the knee lies where both bones meet, in front of the line from hip to ankle.
fn bend_leg(side: f32, hip: Vec3, ankle: Vec3, pelvis: &Basis, lift: f32) -> Leg {
    let (a, b) = (size::THIGH, size::SHIN);
    let line = ankle - hip;
    let reach = line.length().min((a + b) * 0.9995);
    let down = line.unit();
    let along = (a * a - b * b + reach * reach) / (2.0 * reach);
    let out = (a * a - along * along).max(0.0).sqrt();
    let pole = (pelvis.front + pelvis.left * (0.12 * side)).orthogonal_to(down);
    let droop = (lift * 3.0).min(0.6);
    let yaw = mix(0.24, 0.15, smoothstep(0.0, 0.2, lift)) * side;
    Leg {
        hip,
        knee: hip + down * along + pole * out,
        ankle: hip + down * reach,
        foot: Basis::turned(yaw, droop, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::choreography::pose;
    use super::*;

    #[test]
    fn bones_keep_their_lengths_and_feet_reach_their_place() {
        for i in 0..320 {
            let pose = pose(f64::from(i) * 0.025);
            let s = Skeleton::new(&pose);
            for side in 0..2 {
                let (leg, arm) = (s.legs[side], s.arms[side]);
                assert!(((leg.knee - leg.hip).length() - size::THIGH).abs() < 1e-3);
                assert!(((leg.ankle - leg.knee).length() - size::SHIN).abs() < 1e-3);
                assert!((leg.ankle - ankle(pose.feet[side])).length() < 5e-3, "step {i} side {side}");
                assert!(((arm.elbow - arm.shoulder).length() - size::UPPER_ARM).abs() < 1e-4);
                assert!(arm.thumb.dot(arm.along).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn knees_bend_to_the_front() {
        let s = Skeleton::new(&pose(6.5));
        let leg = s.legs[0];
        assert!(leg.knee.z > leg.hip.z + 0.1, "the lifted knee is in front of its hip");
    }
}
