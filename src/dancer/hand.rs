//! Hands: a palm, four fingers that curl a little, and a thumb.

use super::loft::{Cover, Mesh, Ring, tube};
use super::material::Material;
use super::math::{Vec3, v3};
use super::skeleton::Arm;

/// The palm in metres: place along the hand, half width, half thickness, offset towards the thumb.
const PALM: [[f32; 4]; 8] = [
    [-0.012, 0.025, 0.021, 0.000],
    [0.010, 0.028, 0.020, 0.000],
    [0.030, 0.034, 0.019, 0.001],
    [0.055, 0.040, 0.017, 0.000],
    [0.078, 0.041, 0.015, -0.002],
    [0.092, 0.038, 0.012, -0.003],
    [0.100, 0.026, 0.008, -0.003],
    [0.103, 0.003, 0.002, -0.003],
];

/// Fingers from the index on: knuckle along and towards the thumb, length, spread towards the thumb.
const FINGERS: [[f32; 4]; 4] = [
    [0.086, 0.027, 0.076, 0.12],
    [0.091, 0.008, 0.086, 0.03],
    [0.087, -0.012, 0.079, -0.06],
    [0.078, -0.031, 0.062, -0.16],
];

/// Adds a hand; `side` is +1 for the left one.
pub(super) fn build(mesh: &mut Mesh, arm: &Arm, side: f32) {
    // Metres along the hand, towards the thumb, out of the palm.
    let palm = arm.along.cross(arm.thumb) * side;
    let at = |v: Vec3| arm.wrist + arm.along * v.x + arm.thumb * v.y + palm * v.z;
    let ring = |[along, width, thick, shift]: [f32; 4]| Ring {
        centre: at(v3(along, shift, 0.0)),
        side: arm.thumb * width,
        front: palm * thick,
        back: 1.0,
        square: 0.08,
        light: 1.0,
    };
    mesh.loft(&PALM.map(ring), Cover::along(Material::Skin, 16));
    for [along, across, length, spread] in FINGERS {
        let joint = |t: f32| v3(along + length * t, across + spread * length * t, 0.28 * length * t * t);
        let path = [(0.0, 0.0090), (0.35, 0.0088), (0.7, 0.0080), (0.95, 0.0070)];
        digit(mesh, &path.map(|(t, radius)| (at(joint(t)), radius)), palm);
    }
    let thumb =
        [(0.018, 0.024, 0.0125), (0.042, 0.044, 0.0115), (0.066, 0.054, 0.0100), (0.088, 0.060, 0.0085)];
    digit(mesh, &thumb.map(|(along, across, radius)| (at(v3(along, across, 0.010)), radius)), palm);
}

fn digit(mesh: &mut Mesh, path: &[(Vec3, f32)], reference: Vec3) {
    mesh.loft(&tube(path, reference, false, true), Cover::along(Material::Skin, 10));
}
