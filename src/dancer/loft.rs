//! Surfaces of the body: rings strung along a path and sewn together into triangles.
//!
//! Every part of the figure, from the trunk to a fingertip, is such a loft; nothing here knows which.

use super::camera::Camera;
use super::material::Material;
use super::math::{Basis, Vec3, cos, sin};

/// One ring of a loft: half an ellipse to its front and half of another to its back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    pub(super) centre: Vec3,
    /// To the side of the ring, as long as the ring is half wide, in metres.
    pub(super) side: Vec3,
    /// To its front, as long as the ring is deep there, in metres.
    pub(super) front: Vec3,
    /// Depth to the back as a multiple of the depth to the front.
    pub(super) back: f32,
    /// How far the diagonals bulge beyond the ellipse: 0 is round, 0.15 is a box with round edges.
    pub(super) square: f32,
    /// Light that reaches this ring between folds and neighbours, 0 to 1.
    pub(super) light: f32,
}

impl Ring {
    /// A circle around `centre`.
    pub(super) fn round(centre: Vec3, side: Vec3, front: Vec3, radius: f32) -> Self {
        Self { centre, side: side * radius, front: front * radius, back: 1.0, square: 0.0, light: 1.0 }
    }

    fn point(&self, c: f32, s: f32) -> Vec3 {
        let bulge = 1.0 + self.square * 4.0 * c * c * s * s;
        let depth = if s < 0.0 { s * self.back } else { s };
        self.centre + self.side * (c * bulge) + self.front * (depth * bulge)
    }
}

/// What a surface is made of, and where its texture coordinates come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    pub(super) material: Material,
    /// Texture coordinates are the place in this frame; without one they are cosine, metres along, sine.
    pub(super) frame: Option<(Vec3, Basis)>,
    /// Points around a ring.
    pub(super) segments: usize,
}

impl Cover {
    /// A cover whose texture follows the loft.
    pub(super) fn along(material: Material, segments: usize) -> Self {
        Self { material, frame: None, segments }
    }
}

/// A corner of the mesh as the rasteriser needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertex {
    /// x and y in pixels, distance from the camera in metres.
    pub(super) screen: Vec3,
    /// Outward, of length one.
    pub(super) normal: Vec3,
    /// Texture coordinates.
    pub(super) local: Vec3,
    pub(super) light: f32,
}

/// Three corners, in an order that runs one way around when seen from outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Triangle {
    pub(super) corners: [u32; 3],
    /// Number of the loft that it belongs to.
    pub(super) surface: u16,
    pub(super) material: Material,
}

/// The whole figure, projected.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) vertices: Vec<Vertex>,
    /// Only those that face the camera.
    pub(super) triangles: Vec<Triangle>,
    camera: Camera,
    surfaces: u16,
    points: Vec<Vec3>,
}

impl Mesh {
    /// An empty mesh seen by `camera`.
    pub(super) fn new(camera: Camera) -> Self {
        let (vertices, triangles) = (Vec::with_capacity(12_000), Vec::with_capacity(12_000));
        Self { vertices, triangles, camera, surfaces: 0, points: Vec::new() }
    }

    /// Adds the surface through `rings`, which need two at least.
    pub(super) fn loft(&mut self, rings: &[Ring], cover: Cover) {
        if rings.len() < 2 {
            return;
        }
        let first = self.vertices.len();
        let turned = handedness(rings);
        self.lay_points(rings, cover.segments);
        let mut along = 0.0;
        for (i, ring) in rings.iter().enumerate() {
            if i > 0 {
                along += (ring.centre - rings[i - 1].centre).length();
            }
            for j in 0..cover.segments {
                let vertex = self.vertex(i, j, along, turned, ring.light, &cover);
                self.vertices.push(vertex);
            }
        }
        self.sew(first, rings.len(), &cover, turned < 0.0);
        self.surfaces += 1;
    }

    /// Computes the places of all points of a loft.
    fn lay_points(&mut self, rings: &[Ring], segments: usize) {
        self.points.clear();
        let step = std::f32::consts::TAU / segments as f32;
        let circle: Vec<(f32, f32)> =
            (0..segments).map(|j| (cos(j as f32 * step), sin(j as f32 * step))).collect();
        for ring in rings {
            self.points.extend(circle.iter().map(|&(c, s)| ring.point(c, s)));
        }
    }

    /// The vertex of point `j` on ring `i`; its normal is square to the lines to its four neighbours.
    fn vertex(&self, i: usize, j: usize, along: f32, turned: f32, light: f32, cover: &Cover) -> Vertex {
        let n = cover.segments;
        let last = self.points.len() / n - 1;
        let at = |i: usize, j: usize| self.points[i * n + j % n];
        let around = at(i, j + 1) - at(i, j + n - 1);
        let lengthwise = at((i + 1).min(last), j) - at(i.saturating_sub(1), j);
        let place = at(i, j);
        let local = match cover.frame {
            Some((origin, frame)) => {
                let d = place - origin;
                super::math::v3(d.dot(frame.left), d.dot(frame.up), d.dot(frame.front))
            }
            None => {
                let angle = j as f32 / n as f32 * std::f32::consts::TAU;
                super::math::v3(cos(angle), along, sin(angle))
            }
        };
        let normal = (around.cross(lengthwise) * turned).unit();
        Vertex { screen: self.camera.project(place), normal, local, light }
    }

    /// Adds the triangles between the rings whose vertices start at `first`, those that face the camera.
    fn sew(&mut self, first: usize, rings: usize, cover: &Cover, mirrored: bool) {
        let n = cover.segments;
        for i in 0..rings - 1 {
            for j in 0..n {
                let [a, b] = [first + i * n + j, first + i * n + (j + 1) % n];
                let (c, d) = (a + n, b + n);
                for corners in [[a, b, c], [b, d, c]] {
                    self.add_if_visible(corners, cover.material, mirrored);
                }
            }
        }
    }

    fn add_if_visible(&mut self, [a, b, c]: [usize; 3], material: Material, mirrored: bool) {
        let [p, q, r] = [a, b, c].map(|i| self.vertices[i].screen);
        let area = (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x);
        // Slivers are seen by no sample and would make the arithmetic lose its footing.
        if area.abs() < 2e-3 {
            return;
        }
        // The picture's y points down, so what runs anticlockwise in space runs clockwise here.
        if (area < 0.0) != mirrored {
            let corners = if mirrored { [a, b, c] } else { [a, c, b] };
            self.triangles.push(Triangle {
                corners: corners.map(|i| i as u32),
                surface: self.surfaces,
                material,
            });
        }
    }
}

/// +1 where side, front and path form a right-handed frame, else -1; taken at the middle, for ends may be pinched.
fn handedness(rings: &[Ring]) -> f32 {
    let m = rings.len() / 2;
    let path = rings[m].centre - rings[m - 1].centre;
    if rings[m].side.cross(rings[m].front).dot(path) < 0.0 { -1.0 } else { 1.0 }
}

/// Round rings along a path of (place, radius), carried on without twist, with round ends where asked.
pub(super) fn tube(path: &[(Vec3, f32)], reference: Vec3, round_start: bool, round_end: bool) -> Vec<Ring> {
    let last = path.len() - 1;
    let mut side = reference;
    let mut rings = Vec::with_capacity(path.len() + 6);
    for (i, &(centre, radius)) in path.iter().enumerate() {
        let tangent = (path[(i + 1).min(last)].0 - path[i.saturating_sub(1)].0).unit();
        side = side.orthogonal_to(tangent);
        let ring = Ring::round(centre, side, tangent.cross(side), radius);
        if i == 0 {
            rings.extend(cap(&ring, -tangent, radius, round_start).into_iter().rev());
        }
        rings.push(ring);
        if i == last {
            rings.extend(cap(&ring, tangent, radius, round_end));
        }
    }
    rings
}

/// The rings that close an open end, from the outermost inwards: half a sphere, or a flat lid in shadow.
fn cap(ring: &Ring, outward: Vec3, radius: f32, round: bool) -> Vec<Ring> {
    let shrunk = |scale: f32, offset: f32, light: f32| Ring {
        centre: ring.centre + outward * (radius * offset),
        side: ring.side * scale,
        front: ring.front * scale,
        light,
        ..*ring
    };
    if round {
        [(0.924, 0.383), (0.707, 0.707), (0.383, 0.924), (0.02, 1.0)].map(|(r, z)| shrunk(r, z, 1.0)).to_vec()
    } else {
        vec![shrunk(0.97, 0.02, 0.55), shrunk(0.02, 0.021, 0.35)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::math::v3;
    use super::*;

    fn ball(mirror: f32) -> Mesh {
        let mut mesh = Mesh::new(Camera::new(400, 400));
        let path = [(v3(0.0, 1.0, 0.0), 0.2), (v3(0.0, 1.2, 0.0), 0.2)];
        let mut rings = tube(&path, v3(1.0, 0.0, 0.0), true, true);
        rings.iter_mut().for_each(|r| r.side = r.side * mirror);
        mesh.loft(&rings, Cover::along(Material::Skin, 16));
        mesh
    }

    #[test]
    fn only_the_front_is_kept_and_normals_point_outwards() {
        for mirror in [1.0, -1.0] {
            let mesh = ball(mirror);
            assert!(mesh.triangles.len() > 50);
            for t in &mesh.triangles {
                let towards: f32 = t.corners.iter().map(|&i| mesh.vertices[i as usize].normal.z).sum();
                assert!(towards > -0.3, "a kept triangle faces the camera: {towards}");
            }
        }
    }

    #[test]
    fn a_single_ring_adds_nothing() {
        let mut mesh = Mesh::new(Camera::new(100, 100));
        let ring = Ring::round(v3(0.0, 1.0, 0.0), v3(1.0, 0.0, 0.0), v3(0.0, 0.0, 1.0), 0.1);
        mesh.loft(&[ring], Cover::along(Material::Skin, 8));
        assert!(mesh.vertices.is_empty());
    }
}
