//! The camera: a mild perspective that keeps the whole dance in the frame at any aspect ratio.

use super::math::{Vec3, v3};

/// Metres from the dancer's place to the camera: far enough that raised hands do not swell.
const DISTANCE: f32 = 5.2;
/// Height of the optical axis in metres, about the dancer's navel.
const AXIS_HEIGHT: f32 = 1.12;
/// Metres that must fit the frame at the dancer's distance: raised hands, strip and floor; and the side steps.
const FIELD: (f32, f32) = (2.46, 2.50);

/// A pinhole camera that looks along -z.
#[derive(Debug, Clone, Copy)]
pub(super) struct Camera {
    centre: (f32, f32),
    focal_px: f32,
}

impl Camera {
    /// The camera for a picture of the given size in pixels.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let (w, h) = (width as f32, height as f32);
        let px_per_metre = (w / FIELD.0).min(h / FIELD.1);
        Self { centre: (w * 0.5, h * 0.5), focal_px: px_per_metre * DISTANCE }
    }

    /// Where a point in front of the camera falls: x and y in pixels, and its distance along the axis in metres.
    pub(super) fn project(&self, p: Vec3) -> Vec3 {
        let depth = (DISTANCE - p.z).max(0.1);
        let scale = self.focal_px / depth;
        v3(self.centre.0 + p.x * scale, self.centre.1 - (p.y - AXIS_HEIGHT) * scale, depth)
    }

    /// The point of the floor (y = 0) that the pixel position shows, or none above the horizon.
    pub(super) fn floor_point(&self, x: f32, y: f32) -> Option<Vec3> {
        let drop = (y - self.centre.1) / self.focal_px;
        if drop < 1e-3 {
            return None;
        }
        let depth = AXIS_HEIGHT / drop;
        Some(v3((x - self.centre.0) / self.focal_px * depth, 0.0, DISTANCE - depth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_point_undoes_the_projection() {
        let camera = Camera::new(1920, 1080);
        let p = v3(0.4, 0.0, -0.7);
        let s = camera.project(p);
        let back = camera.floor_point(s.x, s.y).expect("below the horizon");
        assert!((back - p).length() < 1e-3, "{back:?}");
    }

    #[test]
    fn portrait_frames_show_the_whole_width_of_the_dance() {
        let camera = Camera::new(360, 640);
        assert!(camera.project(v3(1.2, 1.0, 0.0)).x < 360.0);
        assert!(camera.project(v3(-1.2, 1.0, 0.0)).x > 0.0);
    }
}
