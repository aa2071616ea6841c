//! The trunk and the limbs: tables of rings around the bones.

use super::loft::{Cover, Mesh, Ring, tube};
use super::material::Material;
use super::math::{Basis, Vec3, smoothstep, v3};
use super::skeleton::{Arm, Leg, Skeleton, size};

/// Points around a limb and around the trunk.
const LIMB: usize = 20;
const TRUNK: usize = 32;

/// A ring of the trunk: height over the hips, half width, depth to front and back, in metres; light.
type Girth = [f32; 5];

/// The shirt from its hem to the collar.
const SHIRT: [Girth; 17] = [
    [-0.112, 0.010, 0.010, 0.010, 0.30],
    [-0.111, 0.150, 0.100, 0.100, 0.40],
    [-0.110, 0.166, 0.114, 0.118, 0.80],
    [-0.060, 0.168, 0.114, 0.122, 0.95],
    [0.000, 0.164, 0.111, 0.118, 1.0],
    [0.060, 0.157, 0.108, 0.108, 1.0],
    [0.120, 0.149, 0.104, 0.098, 1.0],
    [0.190, 0.147, 0.105, 0.095, 1.0],
    [0.260, 0.153, 0.112, 0.100, 1.0],
    [0.330, 0.163, 0.119, 0.108, 1.0],
    [0.390, 0.169, 0.120, 0.112, 1.0],
    [0.440, 0.170, 0.110, 0.112, 1.0],
    [0.485, 0.160, 0.094, 0.102, 1.0],
    [0.520, 0.134, 0.078, 0.088, 1.0],
    [0.547, 0.100, 0.068, 0.074, 1.0],
    [0.566, 0.070, 0.062, 0.064, 0.9],
    [0.567, 0.045, 0.040, 0.045, 0.5],
];

/// The seat of the trousers, under the shirt.
const SEAT: [Girth; 6] = [
    [0.000, 0.150, 0.098, 0.105, 0.5],
    [-0.080, 0.160, 0.104, 0.112, 0.6],
    [-0.118, 0.160, 0.102, 0.108, 0.62],
    [-0.150, 0.140, 0.088, 0.095, 0.75],
    [-0.175, 0.080, 0.060, 0.070, 0.6],
    [-0.185, 0.010, 0.010, 0.010, 0.5],
];

/// Adds trunk, arms and legs; hands, feet and head have their own files.
pub(super) fn build(mesh: &mut Mesh, s: &Skeleton) {
    mesh.loft(&trunk(s, &SHIRT), Cover::along(Material::Shirt, TRUNK));
    mesh.loft(&trunk(s, &SEAT), Cover::along(Material::Trousers, TRUNK));
    for arm in &s.arms {
        build_arm(mesh, arm, &s.chest);
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

/// Radii of the sleeve by part of the upper arm.
const SLEEVE: [(f32, f32); 6] = [
    (0.0, 0.070),
    (0.15, 0.068),
    (0.30, 0.064),
    (0.42, 0.061),
    (0.54, 0.060),
    (0.56, 0.059),
];

fn build_arm(mesh: &mut Mesh, arm: &Arm, chest: &Basis) {
    let skin = ARM.map(|(at, radius)| (over_joint(arm.shoulder, arm.elbow, arm.wrist, at), radius));
    mesh.loft(
        &tube(&skin, chest.front, false, false),
        Cover::along(Material::Skin, LIMB),
    );
    let cloth = SLEEVE.map(|(at, radius)| (arm.shoulder.lerp(arm.elbow, at), radius));
    mesh.loft(
        &tube(&cloth, chest.front, true, false),
        Cover::along(Material::Sleeve, LIMB),
    );
}

/// Radii of a trouser leg by place on the path from hip to ankle.
const LEG: [(f32, f32); 15] = [
    (0.10, 0.084),
    (0.25, 0.086),
    (0.42, 0.081),
    (0.60, 0.073),
    (0.78, 0.065),
    (0.90, 0.061),
    (0.96, 0.060),
    (1.00, 0.060),
    (1.05, 0.059),
    (1.12, 0.058),
    (1.25, 0.060),
    (1.45, 0.058),
    (1.65, 0.053),
    (1.80, 0.050),
    (1.90, 0.051),
];

fn build_leg(mesh: &mut Mesh, leg: &Leg, pelvis: &Basis) {
    let cloth = LEG.map(|(at, radius)| (over_joint(leg.hip, leg.knee, leg.ankle, at), radius));
    mesh.loft(
        &tube(&cloth, pelvis.front, true, false),
        Cover::along(Material::Trousers, LIMB),
    );
    let down = (leg.ankle - leg.knee).unit();
    let sock = [
        (leg.knee.lerp(leg.ankle, 0.84), 0.036),
        (leg.ankle + down * 0.02, 0.037),
    ];
    mesh.loft(
        &tube(&sock, pelvis.front, false, false),
        Cover::along(Material::Sock, LIMB),
    );
    build_shoe(mesh, leg);
}

/// A shoe in the foot's frame: place from heel to toe, half width, height of its upper edge over the ankle.
const SHOE: [[f32; 3]; 13] = [
    [-0.080, 0.004, -0.060],
    [-0.077, 0.018, -0.030],
    [-0.070, 0.028, 0.004],
    [-0.050, 0.035, 0.020],
    [-0.015, 0.038, 0.022],
    [0.020, 0.039, 0.006],
    [0.060, 0.043, -0.017],
    [0.100, 0.047, -0.031],
    [0.135, 0.047, -0.040],
    [0.165, 0.040, -0.047],
    [0.185, 0.028, -0.054],
    [0.195, 0.014, -0.061],
    [0.198, 0.004, -0.067],
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
    let cover = Cover {
        material: Material::Shoe,
        frame: Some((leg.ankle, leg.foot)),
        segments: LIMB,
    };
    mesh.loft(&SHOE.map(ring), cover);
}
