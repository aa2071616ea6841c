//! Head and neck: skull, nose, ears and hair as rings in the head's own frame.

use super::loft::{Cover, Mesh, Ring, tube};
use super::material::Material;
use super::math::v3;
use super::skeleton::{SIDES, Skeleton};

/// A level ring of the head in metres: height over its middle, half width, and its rear, middle and front.
type Level = [f32; 5];

const SKULL: [Level; 17] = [
    [-0.124, 0.003, 0.056, 0.062, 0.068],
    [-0.122, 0.016, 0.042, 0.060, 0.080],
    [-0.114, 0.032, 0.010, 0.045, 0.088],
    [-0.098, 0.047, -0.020, 0.025, 0.091],
    [-0.080, 0.056, -0.045, 0.010, 0.091],
    [-0.060, 0.062, -0.062, 0.002, 0.092],
    [-0.040, 0.066, -0.075, 0.000, 0.092],
    [-0.020, 0.069, -0.085, 0.000, 0.092],
    [0.000, 0.071, -0.092, 0.000, 0.092],
    [0.020, 0.072, -0.096, 0.000, 0.094],
    [0.040, 0.072, -0.097, 0.000, 0.094],
    [0.060, 0.070, -0.095, 0.000, 0.090],
    [0.080, 0.065, -0.087, 0.000, 0.080],
    [0.098, 0.054, -0.072, 0.000, 0.064],
    [0.112, 0.037, -0.050, 0.000, 0.044],
    [0.120, 0.018, -0.025, 0.000, 0.022],
    [0.122, 0.002, -0.003, 0.000, 0.003],
];

const HAIR: [Level; 14] = [
    [-0.085, 0.016, -0.078, -0.070, -0.060],
    [-0.080, 0.036, -0.090, -0.066, -0.048],
    [-0.050, 0.060, -0.102, -0.055, -0.034],
    [-0.015, 0.075, -0.110, -0.040, -0.015],
    [0.020, 0.079, -0.115, -0.030, 0.005],
    [0.045, 0.080, -0.117, -0.015, 0.035],
    [0.064, 0.079, -0.115, 0.000, 0.078],
    [0.078, 0.077, -0.111, 0.000, 0.095],
    [0.095, 0.070, -0.101, 0.000, 0.096],
    [0.112, 0.058, -0.085, 0.000, 0.084],
    [0.127, 0.041, -0.062, 0.000, 0.062],
    [0.136, 0.025, -0.038, 0.000, 0.038],
    [0.140, 0.012, -0.018, 0.000, 0.018],
    [0.141, 0.002, -0.003, 0.000, 0.003],
];

const NOSE: [Level; 8] = [
    [0.022, 0.006, 0.070, 0.084, 0.091],
    [0.009, 0.008, 0.070, 0.084, 0.098],
    [-0.005, 0.009, 0.070, 0.084, 0.106],
    [-0.016, 0.012, 0.070, 0.084, 0.114],
    [-0.025, 0.016, 0.070, 0.084, 0.119],
    [-0.032, 0.016, 0.070, 0.084, 0.116],
    [-0.037, 0.011, 0.070, 0.084, 0.104],
    [-0.039, 0.003, 0.070, 0.084, 0.090],
];

/// An ear, its middle at the origin: height, half thickness, rear, middle and front.
const EAR: [Level; 7] = [
    [-0.034, 0.002, -0.002, 0.000, 0.003],
    [-0.030, 0.007, -0.006, 0.000, 0.008],
    [-0.015, 0.010, -0.012, 0.000, 0.012],
    [0.005, 0.011, -0.018, 0.000, 0.014],
    [0.020, 0.011, -0.019, 0.000, 0.013],
    [0.030, 0.008, -0.012, 0.000, 0.009],
    [0.034, 0.002, -0.003, 0.000, 0.003],
];

/// Adds neck, head, ears and hair.
pub(super) fn build(mesh: &mut Mesh, s: &Skeleton) {
    build_neck(mesh, s);
    part(mesh, s, &SKULL, Material::Face, [0.0; 3], 36);
    part(mesh, s, &NOSE, Material::Skin, [0.0; 3], 14);
    part(mesh, s, &HAIR, Material::Hair, [0.0; 3], 32);
    for side in SIDES {
        part(mesh, s, &EAR, Material::Skin, [0.074 * side, -0.014, -0.008], 12);
    }
}

/// A part of the head whose levels are given around `offset` in the head's frame.
fn part(
    mesh: &mut Mesh,
    s: &Skeleton,
    levels: &[Level],
    material: Material,
    offset: [f32; 3],
    segments: usize,
) {
    let ring = |&[height, width, rear, middle, front]: &Level| Ring {
        centre: s.head_centre + s.head.apply(v3(offset[0], offset[1] + height, offset[2] + middle)),
        side: s.head.left * width,
        front: s.head.front * (front - middle),
        back: (middle - rear) / (front - middle),
        square: 0.02,
        light: 1.0,
    };
    let rings: Vec<Ring> = levels.iter().map(ring).collect();
    mesh.loft(&rings, Cover { material, frame: Some((s.head_centre, s.head)), segments });
}

fn build_neck(mesh: &mut Mesh, s: &Skeleton) {
    let base = s.shoulders + s.chest.up * 0.02 - s.chest.front * 0.01;
    let top = s.head_centre + s.head.apply(v3(0.0, -0.06, -0.012));
    let path = [0.0, 0.3, 0.6, 0.8, 1.0].map(|t| (base.lerp(top, t), 0.058 - 0.006 * t));
    let mut rings = tube(&path, s.chest.front, false, false);
    // The chin keeps the light from the throat.
    for (ring, light) in rings.iter_mut().skip(2).zip([0.95, 0.9, 0.78, 0.62, 0.55]) {
        ring.light = light;
    }
    mesh.loft(&rings, Cover::along(Material::Skin, 20));
}
