//! Colours, textures and light: from a point of the surface to a colour.

use super::math::{Vec3, sin, smoothstep, v3};
use super::picture::Rgb;

/// What a surface is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Material {
    Skin,
    /// Skin with eyes, brows and mouth painted on it; texture coordinates are metres in the head's frame.
    Face,
    Hair,
    Shirt,
    Sleeve,
    Trousers,
    Sock,
    /// Texture coordinates are metres in the foot's frame.
    Shoe,
}

/// The colours of one dancer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) skin: Rgb,
    pub(super) lips: Rgb,
    pub(super) hair: Rgb,
    pub(super) iris: Rgb,
    pub(super) shirt: Rgb,
    pub(super) stripe: Rgb,
    pub(super) trousers: Rgb,
    pub(super) shoe: Rgb,
    pub(super) wall: Rgb,
    pub(super) floor: Rgb,
}

/// Casts to choose from; all of them were tried with the pose network.
const CASTS: [[u32; 10]; 4] = [
    [0xE0AC8A, 0xB0605A, 0x33241C, 0x4A6A7C, 0xC8453B, 0xF3EAD9, 0x2B3A55, 0xF0EEE8, 0x7C93A3, 0xA58A6E],
    [0xA9724E, 0x86453C, 0x17110F, 0x3A2416, 0xE3B23C, 0x2F3E55, 0x3B3F46, 0xE8E4DC, 0x8C9A86, 0x9A8369],
    [0xF0C4A6, 0xC06C66, 0x8A5A2B, 0x5A7B56, 0x2F7F86, 0xF2F0E6, 0x4A4238, 0xD9573F, 0xA79C96, 0x8E7B69],
    [0x7C4F36, 0x6B362F, 0x120D0B, 0x2A1A10, 0xE9E3D5, 0x3C6EA5, 0x5A6A4A, 0x2B2B2E, 0x8F8AA3, 0x9C8C78],
];

impl Palette {
    /// The cast that a seed chooses.
    pub(super) fn of_seed(seed: u32) -> Self {
        let c = CASTS[seed as usize % CASTS.len()].map(Rgb::hex);
        Self {
            skin: c[0],
            lips: c[1],
            hair: c[2],
            iris: c[3],
            shirt: c[4],
            stripe: c[5],
            trousers: c[6],
            shoe: c[7],
            wall: c[8],
            floor: c[9],
        }
    }
}

/// Direction to the key light: a large lamp in front, over the camera's left shoulder.
pub(super) const KEY: Vec3 = v3(-0.447, 0.641, 0.624);
/// Direction to the fill light.
const FILL: Vec3 = v3(0.747, 0.149, 0.648);
/// Halfway between the key light and the viewer, for highlights.
const HALF: Vec3 = v3(-0.248, 0.356, 0.901);

/// A point of the surface that is seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// Outward, of any length.
    pub(super) normal: Vec3,
    /// Texture coordinates; their meaning depends on the material.
    pub(super) local: Vec3,
    /// Light that reaches it, 0 to 1.
    pub(super) light: f32,
}

/// The colour of a spot. `blink` closes the eyes as it goes from 0 to 1.
pub(super) fn shade(material: Material, spot: &Spot, palette: &Palette, blink: f32) -> Rgb {
    let n = (spot.normal + folds(material, spot.local)).unit();
    let (albedo, gloss) = albedo(material, spot.local, palette, blink);
    let wrap = if matches!(material, Material::Skin | Material::Face) { 0.30 } else { 0.12 };
    let key = ((n.dot(KEY) + wrap) / (1.0 + wrap)).max(0.0);
    let fill = n.dot(FILL).max(0.0);
    let sky = 0.5 + 0.5 * n.y;
    let lamp = Rgb { r: 0.92 * key, g: 0.86 * key, b: 0.78 * key };
    let around = Rgb {
        r: 0.15 + 0.13 * sky + 0.13 * fill,
        g: 0.14 + 0.15 * sky + 0.15 * fill,
        b: 0.13 + 0.18 * sky + 0.18 * fill,
    };
    let edge = 1.0 - n.z.clamp(0.0, 1.0);
    let rim = 0.10 * edge * edge * edge * sky;
    let shine = n.dot(HALF).max(0.0);
    let shine = shine * shine;
    let shine = shine * shine * shine * shine;
    let lit = Rgb {
        r: albedo.r * (lamp.r + around.r),
        g: albedo.g * (lamp.g + around.g),
        b: albedo.b * (lamp.b + around.b),
    };
    lit.plus(gloss * shine * shine * shine + rim).scale(spot.light)
}

/// How folds of the cloth tilt its surface.
fn folds(material: Material, at: Vec3) -> Vec3 {
    let (across, along) = (at.x, at.y);
    match material {
        Material::Shirt => {
            let loose = 1.0 - smoothstep(0.08, 0.36, along);
            v3(0.16 * loose * sin(11.0 * across + 9.0 * along), 0.05 * loose * sin(40.0 * along), 0.0)
        }
        Material::Trousers => {
            let (knee, hem) = ((along - 0.36) / 0.10, (along - 0.74) / 0.08);
            let bunched = 1.0 / (1.0 + knee * knee) + 1.2 / (1.0 + hem * hem);
            let uneven = sin(31.0 * along + 2.3 * across);
            let (aside, up) =
                (0.04 * bunched * uneven, 0.10 * bunched * uneven * sin(83.0 * along + 3.5 * across));
            v3(aside, up, 0.0)
        }
        _ => Vec3::default(),
    }
}

/// Diffuse colour and gloss.
fn albedo(material: Material, at: Vec3, p: &Palette, blink: f32) -> (Rgb, f32) {
    match material {
        Material::Skin => (p.skin, 0.07),
        Material::Face => (face(at, p, blink), 0.07),
        Material::Hair => (hair(at, p), 0.10),
        Material::Shirt => (shirt(at, p), 0.0),
        Material::Sleeve => (p.shirt.mix(p.stripe, band(at.y, 0.226, 0.248)), 0.0),
        Material::Trousers => (trousers(at, p), 0.01),
        Material::Sock => (Rgb::hex(0xEDEBE6), 0.0),
        Material::Shoe => shoe(at, p),
    }
}

/// One between `from` and `to`, zero outside, with edges a few millimetres soft.
fn band(x: f32, from: f32, to: f32) -> f32 {
    smoothstep(from - 0.002, from + 0.002, x) * (1.0 - smoothstep(to - 0.002, to + 0.002, x))
}

/// One inside an ellipse of half axes `rx`, `ry` around the origin, with a soft edge.
fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let (x, y) = (x / rx, y / ry);
    1.0 - smoothstep(0.72, 1.28, x * x + y * y)
}

/// The painted face; eyes, brows and mouth lie at the landmarks' places.
fn face(at: Vec3, p: &Palette, blink: f32) -> Rgb {
    if at.z < 0.02 {
        return p.skin;
    }
    let x = at.x.abs();
    let cheek = ellipse(x - 0.042, at.y + 0.032, 0.022, 0.020);
    let socket = ellipse(x - 0.032, at.y - 0.013, 0.024, 0.016);
    let mut c = p.skin.mix(p.lips, 0.16 * cheek).mix(p.lips.scale(0.5), 0.20 * socket);
    c = eye(c, x - 0.032, at.y - 0.009, p, blink);
    // The brow rises a little outwards.
    let brow = ellipse(x - 0.033, at.y - 0.032 - 0.12 * (x - 0.033), 0.020, 0.0042);
    c = c.mix(p.hair, 0.85 * brow);
    mouth(c, x, at.y + 0.060, p)
}

/// Paints an open or closing eye around its centre.
fn eye(skin: Rgb, x: f32, y: f32, p: &Palette, blink: f32) -> Rgb {
    let open = 0.0072 * (1.0 - 0.92 * blink);
    let white = ellipse(x, y, 0.0150, open);
    let iris = ellipse(x, y, 0.0064, 0.0064) * white;
    let pupil = ellipse(x, y, 0.0030, 0.0030) * white;
    let glint = ellipse(x + 0.002, y - 0.0025, 0.0014, 0.0014) * white;
    let lash = ellipse(x, y - open, 0.0165, 0.0026);
    let c = skin.mix(Rgb::hex(0xEFEAE4), 0.95 * white).mix(p.iris, iris).mix(Rgb::hex(0x101010), pupil);
    c.mix(Rgb::hex(0x1A1412), 0.85 * lash).mix(Rgb::hex(0xFFFFFF), glint)
}

/// Paints a mouth that smiles a little: its corners lie higher than its middle.
fn mouth(skin: Rgb, x: f32, y: f32, p: &Palette) -> Rgb {
    let y = y - 9.0 * x * x + 0.002;
    let lips = ellipse(x, y, 0.027, 0.0095);
    let parting = ellipse(x, y, 0.026, 0.0022);
    skin.mix(p.lips, 0.9 * lips).mix(p.lips.scale(0.22), 0.8 * parting)
}

/// Hair with a few soft strands.
fn hair(at: Vec3, p: &Palette) -> Rgb {
    let strand = sin(at.x * 260.0 + at.z * 90.0) * sin(at.x * 97.0 - at.y * 60.0);
    p.hair.scale(1.0 + 0.22 * strand)
}

/// A jersey with a broad and two narrow bands across the chest and a collar.
fn shirt(at: Vec3, p: &Palette) -> Rgb {
    let h = at.y;
    let bands = band(h, 0.335, 0.405) + band(h, 0.305, 0.320) + band(h, 0.420, 0.435);
    let collar = smoothstep(0.582, 0.588, h);
    p.shirt.mix(p.stripe, (bands + collar).min(1.0))
}

/// Trousers with a seam down the side.
fn trousers(at: Vec3, p: &Palette) -> Rgb {
    let seam = 1.0 - smoothstep(0.03, 0.09, at.z.abs());
    p.trousers.scale(1.0 - 0.25 * seam)
}

/// A sneaker: coloured upper, white sole, laces.
fn shoe(at: Vec3, p: &Palette) -> (Rgb, f32) {
    let sole = 1.0 - smoothstep(-0.077, -0.073, at.y);
    let on_tongue = ellipse(at.x, at.z - 0.065, 0.020, 0.050);
    let lace = on_tongue * smoothstep(-0.2, 0.2, sin(at.z * 360.0));
    let upper = p.shoe.mix(p.shoe.scale(0.45), 0.8 * on_tongue).mix(Rgb::hex(0xF7F6F2), lace);
    (upper.mix(Rgb::hex(0xE9E7E1), sole), 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lit_side_is_brighter_than_the_other() {
        let p = Palette::of_seed(0);
        let spot = |normal| Spot { normal, local: Vec3::default(), light: 1.0 };
        let lit = shade(Material::Trousers, &spot(KEY), &p, 0.0);
        let dark = shade(Material::Trousers, &spot(-KEY), &p, 0.0);
        assert!(lit.g > 2.0 * dark.g, "{lit:?} {dark:?}");
    }

    #[test]
    fn eyes_close_when_blinking() {
        let p = Palette::of_seed(0);
        let at = v3(0.043, 0.007, 0.09);
        assert!(face(at, &p, 0.0).b > face(at, &p, 1.0).b, "the white of the eye is covered by the lid");
    }

    #[test]
    fn seeds_choose_different_casts() {
        assert_ne!(Palette::of_seed(0).shirt, Palette::of_seed(1).shirt);
        assert_eq!(Palette::of_seed(0).shirt, Palette::of_seed(4).shirt);
    }
}
