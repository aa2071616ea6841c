//! From triangles to pixels: a depth buffer with four samples a pixel, worked through in bands of rows.
//!
//! Bands keep the buffers within a core's cache. Only the nearest triangle of each sample is remembered; shading is done
//! once a pixel and surface when a band is complete, and blended straight into the 4:2:0 planes.

use super::loft::{Mesh, Triangle};
use super::material::{Palette, Spot, shade};
use super::math::Vec3;
use super::picture::Yuv420;

/// Rows of a band; even, so that a chroma row lies in one band.
const BAND: usize = 32;
/// Sample places within a pixel, from its centre: a rotated grid, so that near-level and near-upright edges have steps.
const SAMPLES: [(f32, f32); 4] = [(-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375)];
/// No triangle.
const NONE: u32 = u32::MAX;

/// How the figure is to be coloured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) palette: &'a Palette,
    /// Eyes open (0) to closed (1).
    pub(super) blink: f32,
}

/// Draws the mesh over what is in the picture.
pub(super) fn draw(mesh: &Mesh, look: Look<'_>, picture: &mut Yuv420) {
    let bands = picture.height.div_ceil(BAND);
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); bands];
    let mut extent = (picture.width as f32, 0.0_f32);
    for (i, triangle) in mesh.triangles.iter().enumerate() {
        let p = corners(mesh, triangle);
        let (top, bottom) = (min3(p.map(|c| c.y)), max3(p.map(|c| c.y)));
        extent = (
            extent.0.min(min3(p.map(|c| c.x))),
            extent.1.max(max3(p.map(|c| c.x))),
        );
        if bottom < 0.0 || top >= picture.height as f32 {
            continue;
        }
        let last = (bottom as usize / BAND).min(bands - 1);
        members[top.max(0.0) as usize / BAND..=last]
            .iter_mut()
            .for_each(|m| m.push(i as u32));
    }
    let left = extent.0.max(0.0) as usize & !1;
    let right = ((extent.1.max(0.0) as usize + 2) & !1).min(picture.width);
    if left >= right {
        return;
    }
    let mut band = Band::new(left, right - left);
    for (row, triangles) in members.iter().enumerate().filter(|(_, m)| !m.is_empty()) {
        band.start(row * BAND, picture.height);
        triangles.iter().for_each(|&i| band.cover(mesh, i));
        band.resolve(mesh, look, picture);
    }
}

fn corners(mesh: &Mesh, triangle: &Triangle) -> [Vec3; 3] {
    triangle.corners.map(|i| mesh.vertices[i as usize].screen)
}

fn min3([a, b, c]: [f32; 3]) -> f32 {
    a.min(b).min(c)
}

fn max3([a, b, c]: [f32; 3]) -> f32 {
    a.max(b).max(c)
}

/// A quantity that is linear over the picture: `x * dx + y * dy + at_origin`.
#[derive(Debug, Clone, Copy)]
struct Plane {
    dx: f32,
    dy: f32,
    at_origin: f32,
}

impl Plane {
    /// Zero on the line through `a` and `b`, and one at `c`.
    fn through(a: Vec3, b: Vec3, c: Vec3) -> Self {
        let (dx, dy) = (a.y - b.y, b.x - a.x);
        let scale = 1.0 / (dx * (c.x - a.x) + dy * (c.y - a.y));
        let (dx, dy) = (dx * scale, dy * scale);
        Self {
            dx,
            dy,
            at_origin: -(dx * a.x + dy * a.y),
        }
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        self.dx * x + self.dy * y + self.at_origin
    }

    /// What to add to the value at a pixel's centre for each of its samples.
    fn sample_offsets(&self) -> [f32; 4] {
        SAMPLES.map(|(x, y)| x * self.dx + y * self.dy)
    }
}

/// The weights of a triangle's three corners over the picture.
fn weights(p: [Vec3; 3]) -> [Plane; 3] {
    [
        Plane::through(p[1], p[2], p[0]),
        Plane::through(p[2], p[0], p[1]),
        Plane::through(p[0], p[1], p[2]),
    ]
}

/// The sample buffers of one band of rows.
struct Band {
    left: usize,
    width: usize,
    top: usize,
    rows: usize,
    /// Distance and triangle of the nearest surface, four samples a pixel.
    depth: Vec<[f32; 4]>,
    nearest: Vec<[u32; 4]>,
    /// Sums over the pixels of each chroma sample: blue, red, coverage.
    chroma: Vec<[f32; 3]>,
}

impl Band {
    fn new(left: usize, width: usize) -> Self {
        let pixels = width * BAND;
        Self {
            left,
            width,
            top: 0,
            rows: 0,
            depth: vec![[f32::MAX; 4]; pixels],
            nearest: vec![[NONE; 4]; pixels],
            chroma: vec![[0.0; 3]; width.div_ceil(2) * BAND / 2],
        }
    }

    /// Clears the buffers for the rows from `top` on.
    fn start(&mut self, top: usize, height: usize) {
        self.top = top;
        self.rows = BAND.min(height - top);
        self.depth.fill([f32::MAX; 4]);
        self.nearest.fill([NONE; 4]);
        self.chroma.fill([0.0; 3]);
    }

    /// Enters a triangle wherever it is the nearest.
    fn cover(&mut self, mesh: &Mesh, id: u32) {
        let p = corners(mesh, &mesh.triangles[id as usize]);
        let planes = weights(p);
        let z = |pick: fn(&Plane) -> f32| (0..3).map(|k| pick(&planes[k]) * p[k].z).sum::<f32>();
        let depth = Plane {
            dx: z(|w| w.dx),
            dy: z(|w| w.dy),
            at_origin: z(|w| w.at_origin),
        };
        let offsets = planes.map(|w| w.sample_offsets());
        let depth_offsets = depth.sample_offsets();
        let (x0, x1) = self.columns(min3(p.map(|c| c.x)), max3(p.map(|c| c.x)));
        let (y0, y1) = self.lines(min3(p.map(|c| c.y)), max3(p.map(|c| c.y)));
        for y in y0..y1 {
            let cy = (self.top + y) as f32 + 0.5;
            for x in x0..x1 {
                let cx = (self.left + x) as f32 + 0.5;
                let [a, b, c] = [planes[0].at(cx, cy), planes[1].at(cx, cy), planes[2].at(cx, cy)];
                let near = depth.at(cx, cy);
                let pixel = y * self.width + x;
                let (depths, ids) = (&mut self.depth[pixel], &mut self.nearest[pixel]);
                for s in 0..4 {
                    // A little over the edge, so that rounding leaves no gap between neighbours.
                    let inside = (a + offsets[0][s]).min(b + offsets[1][s]).min(c + offsets[2][s]) >= -1e-4;
                    let d = near + depth_offsets[s];
                    let take = inside && d < depths[s];
                    depths[s] = if take { d } else { depths[s] };
                    ids[s] = if take { id } else { ids[s] };
                }
            }
        }
    }

    /// Columns of the band that a span of picture x may touch.
    fn columns(&self, from: f32, to: f32) -> (usize, usize) {
        let first = (from.max(0.0) as usize).saturating_sub(self.left);
        let end = (to.max(0.0) as usize + 1).saturating_sub(self.left);
        (first.min(self.width), end.min(self.width))
    }

    /// Rows of the band that a span of picture y may touch.
    fn lines(&self, from: f32, to: f32) -> (usize, usize) {
        let first = (from.max(0.0) as usize).saturating_sub(self.top);
        let end = (to.max(0.0) as usize + 1).saturating_sub(self.top);
        (first.min(self.rows), end.min(self.rows))
    }

    /// Shades what is nearest and blends it into the picture.
    fn resolve(&mut self, mesh: &Mesh, look: Look<'_>, picture: &mut Yuv420) {
        for y in 0..self.rows {
            for x in 0..self.width {
                let ids = self.nearest[y * self.width + x];
                if ids == [NONE; 4] {
                    continue;
                }
                let place = (self.left + x, self.top + y);
                let ([luma, blue, red], covered) = colour(mesh, look, ids, place);
                let under = &mut picture.y[place.1 * picture.width + place.0];
                *under = (f32::from(*under) * (1.0 - covered) + luma + 0.5) as u8;
                let cell = &mut self.chroma[y / 2 * self.width.div_ceil(2) + x / 2];
                *cell = [
                    cell[0] + 0.25 * blue,
                    cell[1] + 0.25 * red,
                    cell[2] + 0.25 * covered,
                ];
            }
        }
        self.blend_chroma(picture);
    }

    fn blend_chroma(&self, picture: &mut Yuv420) {
        let (cells, stride) = (self.width.div_ceil(2), picture.chroma_width());
        for (i, &[blue, red, covered]) in self.chroma.iter().enumerate().filter(|(_, c)| c[2] > 0.0) {
            let at = (self.top / 2 + i / cells) * stride + self.left / 2 + i % cells;
            let blend = |under: u8, over: f32| (f32::from(under) * (1.0 - covered) + over + 0.5) as u8;
            picture.u[at] = blend(picture.u[at], blue);
            picture.v[at] = blend(picture.v[at], red);
        }
    }
}

/// The colour of a pixel times its coverage, and its coverage; each surface in it is shaded once.
fn colour(mesh: &Mesh, look: Look<'_>, ids: [u32; 4], place: (usize, usize)) -> ([f32; 3], f32) {
    let mut sum = [0.0; 3];
    let mut covered = 0.0;
    let mut pending = ids;
    for s in 0..4 {
        let id = pending[s];
        if id == NONE {
            continue;
        }
        let surface = mesh.triangles[id as usize].surface;
        let same = |other: u32| other != NONE && mesh.triangles[other as usize].surface == surface;
        let part = 0.25 * pending.iter().filter(|&&other| same(other)).count() as f32;
        pending
            .iter_mut()
            .filter(|other| same(**other))
            .for_each(|other| *other = NONE);
        let yuv = shade_at(mesh, look, id, place);
        sum.iter_mut().zip(yuv).for_each(|(total, v)| *total += v * part);
        covered += part;
    }
    (sum, covered)
}

/// The colour of a triangle at the centre of a pixel, or at its edge where it does not reach the centre.
fn shade_at(mesh: &Mesh, look: Look<'_>, id: u32, place: (usize, usize)) -> [f32; 3] {
    let triangle = &mesh.triangles[id as usize];
    let (x, y) = (place.0 as f32 + 0.5, place.1 as f32 + 0.5);
    let w = weights(corners(mesh, triangle)).map(|plane| plane.at(x, y).clamp(0.0, 1.0));
    let total = w[0] + w[1] + w[2];
    let mut spot = Spot {
        normal: Vec3::default(),
        local: Vec3::default(),
        light: 0.0,
    };
    for (corner, weight) in triangle.corners.into_iter().zip(w) {
        let vertex = &mesh.vertices[corner as usize];
        let weight = weight / total;
        spot.normal = spot.normal + vertex.normal * weight;
        spot.local = spot.local + vertex.local * weight;
        spot.light += vertex.light * weight;
    }
    shade(triangle.material, &spot, look.palette, look.blink).to_yuv()
}

#[cfg(test)]
mod tests {
    use super::super::camera::Camera;
    use super::super::loft::{Cover, tube};
    use super::super::material::Material;
    use super::super::math::v3;
    use super::*;

    fn picture_of(size: usize, material: Material, depths: &[f32]) -> Yuv420 {
        let mut mesh = Mesh::new(Camera::new(size, size));
        for &z in depths {
            let path = [(v3(0.0, 0.9, z), 0.2), (v3(0.0, 1.3, z), 0.2)];
            mesh.loft(
                &tube(&path, v3(1.0, 0.0, 0.0), true, true),
                Cover::along(material, 24),
            );
        }
        let mut picture = Yuv420::new(size, size);
        draw(
            &mesh,
            Look {
                palette: &Palette::of_seed(0),
                blink: 0.0,
            },
            &mut picture,
        );
        picture
    }

    #[test]
    fn a_capsule_is_solid_inside_with_soft_edges_and_nothing_outside() {
        let p = picture_of(200, Material::Sock, &[0.0]);
        let row = &p.y[100 * 200..101 * 200];
        assert!(row[88..112].iter().all(|&y| y > 100), "no holes: {row:?}");
        assert!(
            row[..70].iter().chain(&row[130..]).all(|&y| y == 16),
            "nothing outside"
        );
        let left_edge = row[75..90].iter().find(|&&y| y > 16).unwrap();
        assert!(*left_edge < row[92], "the edge pixel is a mixture");
    }

    #[test]
    fn the_nearer_surface_wins_in_either_order() {
        let near_last = picture_of(120, Material::Sock, &[-0.5, 0.5]);
        let near_first = picture_of(120, Material::Sock, &[0.5, -0.5]);
        assert_eq!(near_last, near_first);
    }
}
