//! Small vector algebra and trigonometry, made only of operations that IEEE 754 rounds exactly.
//!
//! The platform's `sin` and `pow` differ in their last bit between C libraries; the dancer must not, so its own
//! polynomial is used and no power is taken.

use std::ops::{Add, Mul, Neg, Sub};

/// A point or direction in metres: x to the dancer's left (the picture's right), y up, z towards the camera.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Vec3 {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

/// Shorthand constructor of [`Vec3`].
pub(super) const fn v3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(super) fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub(super) fn cross(self, o: Self) -> Self {
        v3(self.y * o.z - self.z * o.y, self.z * o.x - self.x * o.z, self.x * o.y - self.y * o.x)
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of this vector; a zero vector stays zero.
    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    pub(super) fn lerp(self, o: Self, t: f32) -> Self {
        self + (o - self) * t
    }

    /// What is left of this vector when its part along the unit vector `axis` is taken away, as a unit vector.
    pub(super) fn orthogonal_to(self, axis: Self) -> Self {
        (self - axis * self.dot(axis)).unit()
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        v3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        v3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, s: f32) -> Self {
        v3(self.x * s, self.y * s, self.z * s)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

/// An orthonormal frame: the directions of a body part's own left, up and front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis {
    pub(super) left: Vec3,
    pub(super) up: Vec3,
    pub(super) front: Vec3,
}

impl Basis {
    /// The world's frame turned by `yaw` about up, then `pitch` (forward bend) and `roll` (towards the left), radians.
    pub(super) fn turned(yaw: f32, pitch: f32, roll: f32) -> Self {
        let (sy, cy) = (sin(yaw), cos(yaw));
        let (sp, cp) = (sin(pitch), cos(pitch));
        let (sr, cr) = (sin(roll), cos(roll));
        let around = |v: Vec3| v3(v.x * cy + v.z * sy, v.y, v.z * cy - v.x * sy);
        let bent = |v: Vec3| around(v3(v.x, v.y * cp - v.z * sp, v.y * sp + v.z * cp));
        let rolled = |v: Vec3| bent(v3(v.x * cr + v.y * sr, v.y * cr - v.x * sr, v.z));
        Self {
            left: rolled(v3(1.0, 0.0, 0.0)),
            up: rolled(v3(0.0, 1.0, 0.0)),
            front: rolled(v3(0.0, 0.0, 1.0)),
        }
    }

    /// A frame with the given `up`, whose front is as near to `front` as that allows.
    pub(super) fn facing(up: Vec3, front: Vec3) -> Self {
        let up = up.unit();
        let front = front.orthogonal_to(up);
        Self { left: up.cross(front), up, front }
    }

    /// The world direction of `v`, which is given in this frame.
    pub(super) fn apply(self, v: Vec3) -> Vec3 {
        self.left * v.x + self.up * v.y + self.front * v.z
    }

    /// The frame a part `t` of the way from this one to `other`, which must not be far away.
    pub(super) fn lerp(self, other: Self, t: f32) -> Self {
        Self::facing(self.up.lerp(other.up, t), self.front.lerp(other.front, t))
    }
}

/// Sine of `x` radians, exact to 1e-7 for |x| below a thousand turns, the same bits on every machine.
pub(super) fn sin(x: f32) -> f32 {
    let x = f64::from(x);
    // Adding and taking away 1.5 * 2^52 rounds to the nearest integer; `round` is a slow call on older processors.
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    let half_turns = x * std::f64::consts::FRAC_1_PI + ROUNDER - ROUNDER;
    let r = x - half_turns * std::f64::consts::PI;
    let q = r * r;
    let tail = 1.0 / 362_880.0 - q * (1.0 / 39_916_800.0);
    let series = r * (1.0 - q * (1.0 / 6.0 - q * (1.0 / 120.0 - q * (1.0 / 5040.0 - q * tail))));
    let odd = half_turns as i64 & 1 == 1;
    (if odd { -series } else { series }) as f32
}

/// Cosine of `x` radians; see [`sin`].
pub(super) fn cos(x: f32) -> f32 {
    sin(x + std::f32::consts::FRAC_PI_2)
}

/// Zero below `from`, one above `to`, and a smooth step with level ends between them.
pub(super) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Linear interpolation from `a` to `b`.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// A well-stirred 32-bit hash of a number and a seed.
pub(super) fn hash(x: u32, seed: u32) -> u32 {
    let mut h = x.wrapping_mul(0x9E37_79B1) ^ seed.wrapping_mul(0x85EB_CA77);
    h ^= h >> 16;
    h = h.wrapping_mul(0x7FEB_352D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846C_A68B);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_agrees_with_the_platform_over_many_turns() {
        for i in -4000..4000 {
            let x = i as f32 * 0.037;
            let expected = f64::from(x).sin() as f32;
            assert!((sin(x) - expected).abs() < 2e-7, "sin({x}) = {} not {expected}", sin(x));
        }
    }

    #[test]
    fn turned_frames_are_orthonormal_and_keep_handedness() {
        let b = Basis::turned(0.5, 0.3, -0.2);
        assert!(b.left.dot(b.up).abs() < 1e-6 && b.up.dot(b.front).abs() < 1e-6);
        assert!((b.left.cross(b.up) - b.front).length() < 1e-6);
        assert!(b.front.x > 0.0, "a positive yaw turns the front to the dancer's left");
        assert!(Basis::turned(0.0, 0.0, 0.3).up.x > 0.0, "a positive roll leans to the left");
        assert!(Basis::turned(0.0, 0.3, 0.0).up.z > 0.0, "a positive pitch bends forward");
    }
}
