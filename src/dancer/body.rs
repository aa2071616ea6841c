//! The trunk and the limbs: tables of rings around the bones.

use super::loft::{Cover, Mesh, Ring, tube};
use super::material::Material;
use super::math::{Basis, Vec3, smoothstep, v3};
use super::skeleton::{Arm, Leg, SIDES, Skeleton, size};

/// Points around a limb and around the trunk.
const LIMB: usize = 20;
const TRUNK: usize = 32;

/// A ring of the trunk: height over the hips, half width, depth to front and back, in metres; light.
type Girth = [f32; 5];

/// The shirt from its hem, which hangs over the waistband, to the collar.
const SHIRT: [Girth; 18] = [
    [0.003, 0.010, 0.010, 0.010, 0.30],
    [0.004, 0.160, 0.100, 0.100, 0.40],
    [0.005, 0.176, 0.121, 0.124, 0.85],
    [0.023, 0.176, 0.120, 0.123, 1.0],
    [0.065, 0.169, 0.115, 0.117, 1.0],
    [0.115, 0.160, 0.110, 0.107, 1.0],
    [0.175, 0.152, 0.106, 0.098, 1.0],
    [0.235, 0.151, 0.107, 0.096, 1.0],
    [0.295, 0.156, 0.113, 0.101, 1.0],
    [0.355, 0.165, 0.119, 0.108, 1.0],
    [0.410, 0.172, 0.121, 0.112, 1.0],
    [0.460, 0.176, 0.114, 0.113, 1.0],
    [0.505, 0.177, 0.098, 0.106, 1.0],
    [0.540, 0.166, 0.080, 0.092, 1.0],
    [0.565, 0.138, 0.070, 0.080, 1.0],
    [0.587, 0.102, 0.064, 0.072, 1.0],
    [0.606, 0.072, 0.061, 0.064, 0.9],
    [0.607, 0.045, 0.040, 0.045, 0.5],
];

/// The seat of the trousers, from under the shirt to the crotch.
const SEAT: [Girth; 9] = [
    [0.045, 0.155, 0.100, 0.105, 0.5],
    [0.005, 0.167, 0.108, 0.114, 0.6],
    [-0.015, 0.169, 0.107, 0.116, 0.95],
    [-0.045, 0.168, 0.100, 0.116, 1.0],
    [-0.075, 0.160, 0.090, 0.110, 1.0],
    [-0.098, 0.135, 0.080, 0.098, 0.95],
    [-0.115, 0.090, 0.068, 0.082, 0.9],
    [-0.124, 0.040, 0.045, 0.050, 0.8],
    [-0.127, 0.005, 0.005, 0.005, 0.7],
];

/// Adds trunk, arms and legs; hands, feet and head have their own files.
pub(super) fn build(mesh: &mut Mesh, s: &Skeleton) {
    mesh.loft(&trunk(s, &SHIRT), Cover::along(Material::Shirt, TRUNK));
    mesh.loft(&trunk(s, &SEAT), Cover::along(Material::Trousers, TRUNK));
    for (arm, side) in s.arms.iter().zip(SIDES) {
        build_arm(mesh, arm, &s.chest, side);
    }
    for leg in &s.legs {
        build_leg(mesh, leg, &s.pelvis);
    }
}

/// Rings of the trunk on a spine that bends between pelvis and chest.
fn trunk(s: &Skeleton, girths: &[Girth]) -> Vec<Ring> {
    let ring = |&[height, width, front, back, light]: &Girth| {
        let centre = if height < size::LOIN {
            s.hips + s.pelvis.up * height
        } else {
            s.loin + s.chest.up * (height - size::LOIN)
        };
        let frame = s.pelvis.lerp(s.chest, smoothstep(0.0, 0.34, height));
        Ring {
            centre,
            side: frame.left * width,
            front: frame.front * front,
            back: back / front,
            square: 0.07,
            light,
        }
    };
    girths.iter().map(ring).collect()
}

/// A path over two bones, `at` from 0 (start) over 1 (the joint) to 2 (end); the joint is a little rounded.
fn over_joint(a: Vec3, b: Vec3, c: Vec3, at: f32) -> Vec3 {
    const ROUND: f32 = 0.13;
    if at < 1.0 - ROUND {
        a.lerp(b, at)
    } else if at > 1.0 + ROUND {
        b.lerp(c, at - 1.0)
    } else {
        let t = (at - 1.0 + ROUND) / (2.0 * ROUND);
        let (from, to) = (a.lerp(b, 1.0 - ROUND), b.lerp(c, ROUND));
        from.lerp(b, t).lerp(b.lerp(to, t), t)
    }
}

/// Radii of the bare arm in metres, by place on the path from shoulder to wrist.
const ARM: [(f32, f32); 15] = [
    (0.30, 0.046),
    (0.50, 0.046),
    (0.70, 0.043),
    (0.84, 0.040),
    (0.90, 0.039),
    (0.96, 0.039),
    (1.00, 0.039),
    (1.04, 0.040),
    (1.10, 0.041),
    (1.20, 0.042),
    (1.36, 0.041),
    (1.55, 0.036),
    (1.75, 0.030),
    (1.92, 0.027),
    (2.03, 0.026),
];

/// Radii of the sleeve by place on the path from inside the chest over the shoulder to the elbow.
const SLEEVE: [(f32, f32); 14] = [
    (0.20, 0.044),
    (0.55, 0.056),
    (0.75, 0.061),
    (0.87, 0.063),
    (0.93, 0.0635),
    (1.00, 0.064),
    (1.05, 0.0635),
    (1.10, 0.063),
    (1.15, 0.062),
    (1.24, 0.061),
    (1.34, 0.060),
    (1.46, 0.060),
    (1.56, 0.061),
    (1.58, 0.060),
];

fn build_arm(mesh: &mut Mesh, arm: &Arm, chest: &Basis, side: f32) {
    let outward = chest.left * side;
    let skin = ARM.map(|(at, radius)| (over_joint(arm.shoulder, arm.elbow, arm.wrist, at), radius));
    mesh.loft(&tube(&skin, chest.front, false, true), Cover::along(Material::Skin, LIMB));
    // The sleeve leaves the chest sideways, or from below when the arm is raised, so that it never folds sharply.
    let rise = (arm.elbow - arm.shoulder).unit().dot(chest.up).max(0.0);
    let inside = arm.shoulder - (outward + chest.up * (0.1 + 1.2 * rise)).unit() * 0.10;
    let cloth = SLEEVE.map(|(at, radius)| (over_joint(inside, arm.shoulder, arm.elbow, at), radius));
    mesh.loft(&tube(&cloth, chest.front, true, false), Cover::along(Material::Sleeve, LIMB));
}

/// Radii of a trouser leg by place on the path from hip to ankle.
const LEG: [(f32, f32); 15] = [
    (0.04, 0.080),
    (0.20, 0.084),
    (0.40, 0.080),
    (0.60, 0.072),
    (0.78, 0.064),
    (0.90, 0.060),
    (0.96, 0.059),
    (1.00, 0.059),
    (1.05, 0.058),
    (1.12, 0.057),
    (1.25, 0.059),
    (1.45, 0.057),
    (1.65, 0.051),
    (1.82, 0.047),
    (1.93, 0.048),
];

fn build_leg(mesh: &mut Mesh, leg: &Leg, pelvis: &Basis) {
    let cloth = LEG.map(|(at, radius)| (over_joint(leg.hip, leg.knee, leg.ankle, at), radius));
    mesh.loft(&tube(&cloth, pelvis.front, true, false), Cover::along(Material::Trousers, LIMB));
    let down = (leg.ankle - leg.knee).unit();
    let sock = [(leg.knee.lerp(leg.ankle, 0.84), 0.036), (leg.ankle + down * 0.02, 0.037)];
    mesh.loft(&tube(&sock, pelvis.front, false, false), Cover::along(Material::Sock, LIMB));
    build_shoe(mesh, leg);
}

/// A shoe in the foot's frame: place from heel to toe, half width, height of its upper edge over the ankle.
const SHOE: [[f32; 3]; 13] = [
    [-0.080, 0.004, -0.073],
    [-0.077, 0.018, -0.043],
    [-0.070, 0.028, -0.009],
    [-0.050, 0.035, 0.006],
    [-0.015, 0.038, 0.006],
    [0.020, 0.039, -0.009],
    [0.060, 0.043, -0.030],
    [0.100, 0.047, -0.044],
    [0.135, 0.047, -0.053],
    [0.165, 0.040, -0.060],
    [0.185, 0.028, -0.067],
    [0.195, 0.014, -0.074],
    [0.199, 0.003, -0.090],
];

fn build_shoe(mesh: &mut Mesh, leg: &Leg) {
    let sole = -size::ANKLE + 0.002;
    let ring = |[z, width, top]: [f32; 3]| Ring {
        centre: leg.ankle + leg.foot.apply(v3(0.0, 0.5 * (top + sole), z)),
        side: leg.foot.left * width,
        front: leg.foot.up * (0.5 * (top - sole)),
        back: 1.0,
        square: 0.14,
        light: 1.0,
    };
    let cover = Cover { material: Material::Shoe, frame: Some((leg.ankle, leg.foot)), segments: LIMB };
    mesh.loft(&SHOE.map(ring), cover);
}
