//! From triangles to pixels: a depth buffer with four samples a pixel, worked through in bands of rows.
//!
//! Bands keep the buffers within a core's cache. Only the nearest triangle of each sample is remembered; shading is done
//! once a pixel and surface when a band is complete, and blended straight into the 4:2:0 planes.

use super::facet::Facet;
use super::loft::Mesh;
use super::material::{Palette, Spot, shade};
use super::math::Vec3;
use super::picture::Yuv420;

/// Rows of a band; even, so that a chroma row lies in one band.
const BAND: usize = 32;
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
    let facets: Vec<Facet> = mesh.triangles.iter().map(|t| Facet::new(mesh, t)).collect();
    let low = facets.iter().fold(f32::MAX, |low, f| low.min(f.x.0));
    let high = facets.iter().fold(f32::MIN, |high, f| high.max(f.x.1));
    // Even, so that a chroma sample's pixels are all in the band.
    let left = low.max(0.0) as usize & !1;
    let right = ((high.max(0.0) as usize + 2) & !1).min(picture.width);
    if left >= right {
        return;
    }
    let scene = Scene { mesh, facets: &facets, look };
    let mut band = Band::new(left, right - left);
    for (index, members) in members_of_bands(&facets, picture.height).iter().enumerate() {
        if !members.is_empty() {
            band.start(index * BAND, picture.height);
            members.iter().for_each(|&id| band.cover(&facets[id as usize], id));
            band.resolve(&scene, picture);
        }
    }
}

/// The facets that touch each band of rows.
fn members_of_bands(facets: &[Facet], height: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); height.div_ceil(BAND)];
    for (id, facet) in facets.iter().enumerate().filter(|(_, f)| f.y.1 >= 0.0 && f.y.0 < height as f32) {
        let last = (facet.y.1 as usize / BAND).min(members.len() - 1);
        members[facet.y.0.max(0.0) as usize / BAND..=last].iter_mut().for_each(|m| m.push(id as u32));
    }
    members
}

/// All that is needed to colour a sample.
struct Scene<'a> {
    mesh: &'a Mesh,
    facets: &'a [Facet],
    look: Look<'a>,
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
    fn cover(&mut self, facet: &Facet, id: u32) {
        let (first, end) = self.lines(facet.y.0, facet.y.1);
        for row in first..end {
            let y = (self.top + row) as f32 + 0.5;
            let (from, to) = facet.span(y);
            let (from, to) = self.columns(from, to);
            let line = row * self.width;
            for column in from..to {
                let x = (self.left + column) as f32 + 0.5;
                let pixel = line + column;
                facet.enter(x, y, id, &mut self.depth[pixel], &mut self.nearest[pixel]);
            }
        }
    }

    /// Columns of the band whose pixel centres lie within a span of picture x.
    fn columns(&self, from: f32, to: f32) -> (usize, usize) {
        let first = ((from - 0.5).max(0.0) as usize).saturating_sub(self.left);
        let end = ((to + 0.5).max(0.0) as usize).saturating_sub(self.left);
        (first.min(self.width), end.min(self.width))
    }

    /// Rows of the band that a span of picture y may touch.
    fn lines(&self, from: f32, to: f32) -> (usize, usize) {
        let first = (from.max(0.0) as usize).saturating_sub(self.top);
        let end = (to.max(0.0) as usize + 1).saturating_sub(self.top);
        (first.min(self.rows), end.min(self.rows))
    }

    /// Shades what is nearest and blends it into the picture.
    fn resolve(&mut self, scene: &Scene<'_>, picture: &mut Yuv420) {
        for y in 0..self.rows {
            for x in 0..self.width {
                let ids = self.nearest[y * self.width + x];
                if ids == [NONE; 4] {
                    continue;
                }
                let place = (self.left + x, self.top + y);
                let ([luma, blue, red], covered) = scene.colour(ids, place);
                let under = &mut picture.y[place.1 * picture.width + place.0];
                *under = (f32::from(*under) * (1.0 - covered) + luma + 0.5) as u8;
                let cell = &mut self.chroma[y / 2 * self.width.div_ceil(2) + x / 2];
                *cell = [cell[0] + 0.25 * blue, cell[1] + 0.25 * red, cell[2] + 0.25 * covered];
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

impl Scene<'_> {
    /// The colour of a pixel times its coverage, and its coverage; each surface in it is shaded once.
    fn colour(&self, ids: [u32; 4], place: (usize, usize)) -> ([f32; 3], f32) {
        let surfaces = ids.map(|id| (id != NONE).then(|| self.mesh.triangles[id as usize].surface));
        if surfaces == [surfaces[0]; 4] {
            return (self.shade_at(ids[0], place), 1.0);
        }
        let mut sum = [0.0; 3];
        let mut covered = 0.0;
        for s in 0..4 {
            if surfaces[s].is_none() || surfaces[..s].contains(&surfaces[s]) {
                continue;
            }
            let part = 0.25 * surfaces.iter().filter(|&&other| other == surfaces[s]).count() as f32;
            let yuv = self.shade_at(ids[s], place);
            sum.iter_mut().zip(yuv).for_each(|(total, v)| *total += v * part);
            covered += part;
        }
        (sum, covered)
    }

    /// The colour of a triangle at the centre of a pixel, or near its edge where it does not reach the centre.
    fn shade_at(&self, id: u32, place: (usize, usize)) -> [f32; 3] {
        let triangle = &self.mesh.triangles[id as usize];
        let (x, y) = (place.0 as f32 + 0.5, place.1 as f32 + 0.5);
        let w = self.facets[id as usize].weights.map(|plane| plane.at(x, y).clamp(0.0, 1.0));
        let scale = 1.0 / (w[0] + w[1] + w[2]);
        let mut spot = Spot { normal: Vec3::default(), local: Vec3::default(), light: 0.0 };
        for (corner, weight) in triangle.corners.into_iter().zip(w) {
            let vertex = &self.mesh.vertices[corner as usize];
            let weight = weight * scale;
            spot.normal = spot.normal + vertex.normal * weight;
            spot.local = spot.local + vertex.local * weight;
            spot.light += vertex.light * weight;
        }
        shade(triangle.material, &spot, self.look.palette, self.look.blink).to_yuv()
    }
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
            mesh.loft(&tube(&path, v3(1.0, 0.0, 0.0), true, true), Cover::along(material, 24));
        }
        let mut picture = Yuv420::new(size, size);
        draw(&mesh, Look { palette: &Palette::of_seed(0), blink: 0.0 }, &mut picture);
        picture
    }

    #[test]
    fn a_capsule_is_solid_inside_with_soft_edges_and_nothing_outside() {
        let p = picture_of(200, Material::Sock, &[0.0]);
        let row = &p.y[100 * 200..101 * 200];
        assert!(row[88..112].iter().all(|&y| y > 100), "no holes: {row:?}");
        assert!(row[..70].iter().chain(&row[130..]).all(|&y| y == 16), "nothing outside");
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
