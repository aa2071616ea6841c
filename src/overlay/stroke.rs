//! One thick line with round ends, blended into the three planes with smooth edges.

use super::{Colour, Planes};

/// A colour and how much of it covers what is below, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    pub(super) colour: Colour,
    pub(super) opacity: f32,
}

/// A line in luma pixels; a dot when both ends are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) from: (f32, f32),
    pub(super) to: (f32, f32),
    pub(super) radius: f32,
}

/// One plane and the size of its samples in luma pixels.
struct Plane<'a> {
    width: usize,
    height: usize,
    samples: &'a mut [u8],
    stride: usize,
    step: f32,
}

impl Stroke {
    /// Blends the stroke into all three planes.
    pub(super) fn paint(&self, planes: &mut Planes<'_>, ink: Ink) {
        let (width, height) = (planes.width, planes.height);
        let luma = Plane { width, height, samples: planes.y, stride: planes.y_stride, step: 1.0 };
        self.paint_plane(luma, ink.colour[0], ink.opacity);
        let (width, height, step) = (width.div_ceil(2), height.div_ceil(2), 2.0);
        let blue = Plane { width, height, samples: planes.u, stride: planes.u_stride, step };
        self.paint_plane(blue, ink.colour[1], ink.opacity);
        let red = Plane { width, height, samples: planes.v, stride: planes.v_stride, step };
        self.paint_plane(red, ink.colour[2], ink.opacity);
    }

    fn paint_plane(&self, plane: Plane<'_>, value: u8, opacity: f32) {
        let reach = self.radius + 0.5 * plane.step;
        let (top, bottom) = (self.from.1.min(self.to.1) - reach, self.from.1.max(self.to.1) + reach);
        for row in samples_within(top, bottom, plane.step, plane.height) {
            let y = (row as f32 + 0.5) * plane.step;
            let Some((left, right)) = self.columns(y, reach) else {
                continue;
            };
            let columns = samples_within(left, right, plane.step, plane.width);
            let start = row * plane.stride;
            let Some(line) = plane.samples.get_mut(start + columns.start..start + columns.end) else {
                return;
            };
            for (sample, column) in line.iter_mut().zip(columns) {
                let x = (column as f32 + 0.5) * plane.step;
                let cover = ((self.radius - self.distance(x, y)) / plane.step + 0.5).clamp(0.0, 1.0);
                *sample = blend(*sample, value, cover * opacity);
            }
        }
    }

    /// The span of x that the stroke may reach on the level `y`.
    fn columns(&self, y: f32, reach: f32) -> Option<(f32, f32)> {
        let ((ax, ay), (bx, by)) = (self.from, self.to);
        let rise = by - ay;
        let (mut t0, mut t1) = (0.0, 1.0);
        if rise.abs() > 1e-3 {
            let (p, q) = ((y - reach - ay) / rise, (y + reach - ay) / rise);
            t0 = p.min(q).max(0.0);
            t1 = p.max(q).min(1.0);
        }
        let (p, q) = (ax + (bx - ax) * t0, ax + (bx - ax) * t1);
        (t0 <= t1).then_some((p.min(q) - reach, p.max(q) + reach))
    }

    /// Distance of a point from the line between the ends.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        let (px, py) = (x - self.from.0, y - self.from.1);
        let t = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-6)).clamp(0.0, 1.0);
        let (ex, ey) = (px - dx * t, py - dy * t);
        (ex * ex + ey * ey).sqrt()
    }
}

/// The samples of a line of `count` whose centres may lie between two places in luma pixels.
fn samples_within(from: f32, to: f32, step: f32, count: usize) -> std::ops::Range<usize> {
    // Casts of floats to integers saturate, so places outside end at the edges.
    let start = ((from / step - 0.5).max(0.0) as usize).min(count);
    let end = ((to / step + 0.5).max(0.0) as usize).min(count);
    start..end.max(start)
}

fn blend(under: u8, over: u8, alpha: f32) -> u8 {
    let under = f32::from(under);
    (under + (f32::from(over) - under) * alpha + 0.5) as u8
}
