//! A triangle made ready for the picture: linear functions that tell what is inside, how far, and in what mixture.

use super::loft::{Mesh, Triangle};
use super::math::Vec3;

/// Sample places within a pixel, from its centre: a rotated grid, so that near-level and near-upright edges have steps.
const SAMPLES: [(f32, f32); 4] = [(-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375)];
/// How far beyond an edge still counts as inside, so that rounding leaves no gap between neighbours.
const SLACK: f32 = 1e-4;

/// A quantity that is linear over the picture: `x * dx + y * dy + at_origin`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane {
    dx: f32,
    dy: f32,
    at_origin: f32,
    /// What to add to the value at a pixel's centre for each of its samples.
    pub(super) offsets: [f32; 4],
}

impl Plane {
    fn new(dx: f32, dy: f32, at_origin: f32) -> Self {
        Self { dx, dy, at_origin, offsets: SAMPLES.map(|(x, y)| x * dx + y * dy) }
    }

    /// Zero on the line through `a` and `b`, and one at `c`.
    fn through(a: Vec3, b: Vec3, c: Vec3) -> Self {
        let (dx, dy) = (a.y - b.y, b.x - a.x);
        let scale = 1.0 / (dx * (c.x - a.x) + dy * (c.y - a.y));
        Self::new(dx * scale, dy * scale, -(dx * a.x + dy * a.y) * scale)
    }

    /// The value at a place in pixels.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        self.dx * x + self.dy * y + self.at_origin
    }

    /// The part of `span`, a range of pixel centres on the level `y`, where any sample may be positive.
    fn clip(&self, span: (f32, f32), y: f32) -> (f32, f32) {
        let room = self.offsets.iter().fold(0.0, |most: f32, o| most.max(*o)) + SLACK;
        let level = self.dy * y + self.at_origin + room;
        if self.dx > 1e-6 {
            (span.0.max(-level / self.dx), span.1)
        } else if self.dx < -1e-6 {
            (span.0, span.1.min(-level / self.dx))
        } else {
            span
        }
    }
}

/// A triangle of the mesh over the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facet {
    /// The weight of each corner, positive inside; they add up to one.
    pub(super) weights: [Plane; 3],
    /// Distance from the camera in metres.
    pub(super) depth: Plane,
    /// Least and greatest x, then y, in pixels.
    pub(super) x: (f32, f32),
    pub(super) y: (f32, f32),
}

impl Facet {
    /// The facet of a triangle.
    pub(super) fn new(mesh: &Mesh, triangle: &Triangle) -> Self {
        let p = triangle.corners.map(|i| mesh.vertices[i as usize].screen);
        let weights = [
            Plane::through(p[1], p[2], p[0]),
            Plane::through(p[2], p[0], p[1]),
            Plane::through(p[0], p[1], p[2]),
        ];
        let mixed = |pick: fn(&Plane) -> f32| (0..3).map(|k| pick(&weights[k]) * p[k].z).sum::<f32>();
        let range = |v: [f32; 3]| (v[0].min(v[1]).min(v[2]), v[0].max(v[1]).max(v[2]));
        Self {
            weights,
            depth: Plane::new(mixed(|w| w.dx), mixed(|w| w.dy), mixed(|w| w.at_origin)),
            x: range(p.map(|c| c.x)),
            y: range(p.map(|c| c.y)),
        }
    }

    /// The range of pixel centres on the level `y` that the triangle may touch.
    pub(super) fn span(&self, y: f32) -> (f32, f32) {
        self.weights.iter().fold((self.x.0 - 0.5, self.x.1 + 0.5), |span, plane| plane.clip(span, y))
    }

    /// Enters the triangle, under its number, into the samples of the pixel with the centre `x`, `y` where it is inside
    /// and nearer than what was there.
    pub(super) fn enter(&self, x: f32, y: f32, id: u32, depths: &mut [f32; 4], ids: &mut [u32; 4]) {
        let [a, b, c] = self.weights.map(|w| w.at(x, y) + SLACK);
        let near = self.depth.at(x, y);
        let [ao, bo, co] = [&self.weights[0].offsets, &self.weights[1].offsets, &self.weights[2].offsets];
        // No branches and no minima: these four lanes become one vector.
        for s in 0..4 {
            let inside = (a + ao[s] >= 0.0) & (b + bo[s] >= 0.0) & (c + co[s] >= 0.0);
            let depth = near + self.depth.offsets[s];
            let take = inside & (depth < depths[s]);
            depths[s] = if take { depth } else { depths[s] };
            ids[s] = if take { id } else { ids[s] };
        }
    }
}
