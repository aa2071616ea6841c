//! The studio: a wall in soft light, a tiled floor, the dancer's shadow on it, and the camera's noise.

use super::camera::Camera;
use super::material::{KEY, Palette};
use super::math::{Vec3, hash, mix, smoothstep, v3};
use super::picture::{Rgb, Yuv420};
use super::skeleton::Skeleton;

/// Where floor and wall meet, metres behind the dancer; the corner is a soft cove.
const WALL: f32 = -2.3;
/// Width of a floor tile in metres.
const TILE: f32 = 0.62;

/// Draws the empty studio; done once, for nothing in it moves.
pub(super) fn studio(camera: &Camera, width: usize, height: usize, palette: &Palette, seed: u32) -> Yuv420 {
    let mut picture = Yuv420::new(width, height);
    let stride = picture.chroma_width();
    let mut sums = vec![[0.0_f32; 3]; picture.u.len()];
    for y in 0..height {
        for x in 0..width {
            let [luma, blue, red] = studio_colour(camera, (x, y), (width, height), palette).to_yuv();
            // The fraction is spread by chance, or the soft gradients would show steps.
            let chance = hash((y * width + x) as u32, seed) as f32 / u32::MAX as f32;
            picture.y[y * width + x] = (luma + 1.6 * chance - 0.3).clamp(16.0, 235.0) as u8;
            let sum = &mut sums[y / 2 * stride + x / 2];
            *sum = [sum[0] + blue, sum[1] + red, sum[2] + 1.0];
        }
    }
    for (i, [blue, red, count]) in sums.into_iter().enumerate() {
        picture.u[i] = (blue / count + 0.5) as u8;
        picture.v[i] = (red / count + 0.5) as u8;
    }
    picture
}

/// The studio's colour at a pixel.
fn studio_colour(camera: &Camera, place: (usize, usize), size: (usize, usize), p: &Palette) -> Rgb {
    let (x, y) = (place.0 as f32 + 0.5, place.1 as f32 + 0.5);
    let (w, h) = (size.0 as f32, size.1 as f32);
    // The lamp's pool of light on the wall, and corners that fall off.
    let (dx, dy) = ((x - 0.46 * w) / w, (y - 0.36 * h) / h);
    let pool = 1.0 / (1.0 + 5.5 * (dx * dx * 1.6 + dy * dy));
    let wall = p.wall.scale(0.28 + 0.62 * pool);
    let Some(floor) = camera.floor_point(x, y) else {
        return wall;
    };
    let cove = smoothstep(WALL - 0.5, WALL + 0.7, floor.z);
    let near = smoothstep(-2.5, 1.0, floor.z);
    let centre = 1.0 / (1.0 + 0.16 * (floor.x * floor.x + floor.z * floor.z));
    let tiled = p.floor.scale((0.30 + 0.55 * centre) * (1.0 - 0.13 * joint(floor)));
    wall.mix(tiled.mix(p.wall, 0.25 - 0.2 * near), cove)
}

/// One on the joints between the floor's tiles, softer in the distance.
fn joint(floor: Vec3) -> f32 {
    let away = |v: f32| {
        let t = (v / TILE).fract().abs();
        t.min(1.0 - t) * TILE
    };
    let width = mix(0.006, 0.016, smoothstep(1.0, -2.0, floor.z));
    let line = |d: f32| 1.0 - smoothstep(width * 0.4, width * 1.6, d);
    line(away(floor.x + 10.0 * TILE + 0.31)).max(line(away(floor.z + 10.0 * TILE)))
}

/// Pixels between the points at which the shadow is computed; it is soft, and interpolated between them.
const STEP: usize = 8;

/// A bone's shadow: the line that it throws on the floor and its softness.
struct Streak {
    from: Vec3,
    to: Vec3,
    radius: f32,
    soft: f32,
    depth: f32,
}

/// Darkens the floor where the figure keeps the key light from it.
pub(super) fn cast_shadow(camera: &Camera, skeleton: &Skeleton, picture: &mut Yuv420) {
    let streaks = streaks(skeleton);
    let Some((x0, y0, x1, y1)) = shadow_bounds(camera, &streaks, picture) else {
        return;
    };
    let columns = (x1 - x0) / STEP + 2;
    let rows = (y1 - y0) / STEP + 2;
    let mut grid = vec![1.0_f32; columns * rows];
    for (i, value) in grid.iter_mut().enumerate() {
        let (x, y) = (x0 + i % columns * STEP, y0 + i / columns * STEP);
        *value = camera.floor_point(x as f32 + 0.5, y as f32 + 0.5).map_or(1.0, |p| light_at(p, &streaks));
    }
    for y in y0..y1 {
        let (gy, ty) = ((y - y0) / STEP, ((y - y0) % STEP) as f32 / STEP as f32);
        let (upper, lower) = (&grid[gy * columns..], &grid[(gy + 1) * columns..]);
        let line: Vec<f32> = upper.iter().zip(lower).take(columns).map(|(a, b)| mix(*a, *b, ty)).collect();
        let row = &mut picture.y[y * picture.width..(y + 1) * picture.width];
        for (i, luma) in row[x0..x1].iter_mut().enumerate() {
            let t = (i % STEP) as f32 / STEP as f32;
            let light = mix(line[i / STEP], line[i / STEP + 1], t);
            *luma = (16.0 + (f32::from(*luma) - 16.0) * light + 0.5) as u8;
        }
    }
}

/// Trunk, head, legs and arms as streaks on the floor, and the dark places under the soles.
fn streaks(s: &Skeleton) -> Vec<Streak> {
    let fall = |p: Vec3| v3(p.x - KEY.x / KEY.y * p.y, 0.0, p.z - KEY.z / KEY.y * p.y);
    let bone = |a: Vec3, b: Vec3, radius: f32| Streak {
        from: fall(a),
        to: fall(b),
        radius,
        soft: 0.05 + 0.09 * (a.y + b.y),
        depth: 0.40,
    };
    let mut all = vec![bone(s.hips, s.shoulders, 0.13), bone(s.neck, s.head_centre, 0.07)];
    for (arm, leg) in s.arms.iter().zip(&s.legs) {
        all.extend([bone(leg.hip, leg.knee, 0.06), bone(leg.knee, leg.ankle, 0.045)]);
        all.extend([bone(arm.shoulder, arm.elbow, 0.04), bone(arm.elbow, arm.wrist, 0.03)]);
        let sole = |z: f32| {
            let p = leg.ankle + leg.foot.apply(v3(0.0, -0.08, z));
            v3(p.x, 0.0, p.z)
        };
        let lift = (leg.ankle.y - 0.098).max(0.0);
        let depth = 0.75 / (1.0 + 25.0 * lift);
        all.push(Streak { from: sole(-0.05), to: sole(0.16), radius: 0.025, soft: 0.07 + lift, depth });
    }
    all
}

/// The part of the key light that reaches a point of the floor.
fn light_at(p: Vec3, streaks: &[Streak]) -> f32 {
    let mut light = 1.0;
    for s in streaks {
        let line = s.to - s.from;
        let t = ((p - s.from).dot(line) / line.dot(line).max(1e-6)).clamp(0.0, 1.0);
        let away = (p - s.from - line * t).length() - s.radius;
        // The deepest bone decides: shadows of overlapping bones do not add.
        light = f32::min(light, 1.0 - s.depth * (1.0 - smoothstep(-0.6 * s.soft, s.soft, away)));
    }
    light
}

/// The rectangle of pixels that streaks may touch.
fn shadow_bounds(
    camera: &Camera,
    streaks: &[Streak],
    picture: &Yuv420,
) -> Option<(usize, usize, usize, usize)> {
    let (mut low, mut high) = (v3(f32::MAX, f32::MAX, 0.0), v3(f32::MIN, f32::MIN, 0.0));
    for s in streaks {
        let reach = s.radius + s.soft;
        for (end, dx, dz) in [(s.from, -1.0, -1.0), (s.from, 1.0, 1.0), (s.to, -1.0, -1.0), (s.to, 1.0, 1.0)]
        {
            let p = camera.project(end + v3(dx * reach, 0.0, dz * reach));
            low = v3(low.x.min(p.x), low.y.min(p.y), 0.0);
            high = v3(high.x.max(p.x), high.y.max(p.y), 0.0);
        }
    }
    let clip = |v: f32, end: usize| (v.max(0.0) as usize).min(end);
    let (x0, x1) = (clip(low.x, picture.width), clip(high.x + 1.0, picture.width));
    let (y0, y1) = (clip(low.y, picture.height), clip(high.y + 1.0, picture.height));
    (x0 < x1 && y0 < y1).then_some((x0, y0, x1, y1))
}

/// Length of the table of noise; longer than the widest picture's row, so that rows start at different places.
const GRAIN: usize = 1 << 14;

/// A table of small random numbers, bell-shaped with a standard deviation of about 1.
pub(super) fn grain(seed: u32) -> Vec<i8> {
    let value = |i: u32| {
        let h = hash(i, seed ^ 0xA5A5_0001);
        // Four uniform numbers of -3..=3 have a standard deviation of 4; a quarter of their sum has 1.
        let sum: i32 = (0..4).map(|k| (h >> (8 * k) & 255) as i32 * 7 / 256 - 3).sum();
        (sum as f32 * 0.25).round() as i8
    };
    (0..2 * GRAIN as u32).map(value).collect()
}

/// Adds the camera's noise to the luma; every frame and row begins elsewhere in the table.
pub(super) fn add_grain(grain: &[i8], frame: u64, picture: &mut Yuv420) {
    let stir = hash(frame as u32, (frame >> 32) as u32);
    for (y, row) in picture.y.chunks_mut(picture.width.max(1)).enumerate() {
        let start = hash(y as u32, stir) as usize % GRAIN;
        for piece in row.chunks_mut(GRAIN) {
            for (luma, noise) in piece.iter_mut().zip(&grain[start..]) {
                *luma = luma.saturating_add_signed(*noise).clamp(16, 235);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::choreography::pose;
    use super::*;

    #[test]
    fn the_shadow_darkens_the_floor_and_only_the_floor() {
        let camera = Camera::new(320, 180);
        let before = studio(&camera, 320, 180, &Palette::of_seed(0), 1);
        let mut after = before.clone();
        cast_shadow(&camera, &Skeleton::new(&pose(0.0)), &mut after);
        assert!(before.y.iter().zip(&after.y).any(|(b, a)| a + 20 < *b), "something got dark");
        assert!(before.y.iter().zip(&after.y).all(|(b, a)| a <= b), "nothing got brighter");
        assert_eq!(before.y[..320 * 90], after.y[..320 * 90], "the wall above the horizon is as it was");
    }

    #[test]
    fn grain_is_small_unbiased_and_new_in_each_frame() {
        let table = grain(7);
        let mean: f32 = table.iter().map(|&v| f32::from(v)).sum::<f32>() / table.len() as f32;
        assert!(mean.abs() < 0.05 && table.iter().all(|v| v.abs() <= 3), "mean {mean}");
        let noisy = |frame| {
            let mut p = Yuv420::new(64, 64);
            p.y.fill(100);
            add_grain(&table, frame, &mut p);
            p.y
        };
        assert_ne!(noisy(1), noisy(2));
        assert_eq!(noisy(1), noisy(1));
    }
}
