//! The region of interest: the rotated square of the frame that a network looks at.

use super::FrameInfo;
use std::f32::consts::{PI, TAU};

/// The square is this much longer than twice the distance of its two alignment points (`scale_x` and `scale_y` of
/// `RectTransformationCalculator` in the graphs `pose_detection_to_roi` and `pose_landmarks_to_roi`).
const MARGIN: f32 = 1.25;

/// A rotated square in pixels of the displayed frame; it may reach beyond the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Centre in pixels from the left edge.
    pub centre_x: f32,
    /// Centre in pixels from the top edge.
    pub centre_y: f32,
    /// Side in pixels.
    pub side: f32,
    /// Rotation in radians, clockwise on the screen, from -pi up to but not including pi; 0 is upright.
    pub angle: f32,
}

impl Region {
    /// The detector's region: the smallest upright square around the whole frame, with the frame in its middle.
    pub fn letterbox(frame: FrameInfo) -> Self {
        Self {
            centre_x: 0.5 * frame.width as f32,
            centre_y: 0.5 * frame.height as f32,
            side: frame.width.max(frame.height) as f32,
            angle: 0.0,
        }
    }

    /// The person's region from two alignment points in pixels of the frame: the middle of the hips, which becomes the
    /// centre, and a point on the circle around the body, which gives size and rotation (straight up: not rotated).
    ///
    /// MediaPipe's `AlignmentPointsRectsCalculator` followed by `RectTransformationCalculator`.
    pub fn around(centre: [f32; 2], on_circle: [f32; 2]) -> Self {
        let (dx, dy) = (on_circle[0] - centre[0], on_circle[1] - centre[1]);
        Self {
            centre_x: centre[0],
            centre_y: centre[1],
            side: 2.0 * distance(centre, on_circle) * MARGIN,
            angle: wrap(PI / 2.0 - (-dy).atan2(dx)),
        }
    }

    /// Can be looked at: finite, with a side of at least one pixel, and no further away nor larger than any frame.
    pub fn is_sane(&self) -> bool {
        // Far beyond the largest frame that decoders accept, far below where f32 loses the pixel.
        const LIMIT: f32 = 1e6;
        let numbers = [self.centre_x, self.centre_y, self.side, self.angle];
        numbers.iter().all(|number| number.abs() < LIMIT) && self.side >= 1.0
    }

    /// Takes a point from fractions of the region (0 to 1 inside it) to pixels of the frame.
    pub fn to_frame(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [x, y] = self.rotate([x - 0.5, y - 0.5]);
        [x * self.side + self.centre_x, y * self.side + self.centre_y]
    }

    /// Turns a vector by the region's angle.
    pub fn rotate(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.angle.sin_cos();
        [cos * x - sin * y, sin * x + cos * y]
    }
}

/// Distance of two points, in their unit.
pub(crate) fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    // Not `hypot`: the reference takes the plain root too, and no coordinate here overflows when squared.
    ((b[0] - a[0]).powi(2) + (b[1] - a[1]).powi(2)).sqrt()
}

/// Brings an angle into -pi up to but not including pi.
fn wrap(angle: f32) -> f32 {
    angle - TAU * ((angle + PI) / TAU).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-4
    }

    #[test]
    fn the_letterbox_holds_the_whole_frame() {
        let region = Region::letterbox(FrameInfo { width: 1920, height: 1080, time_us: 0 });
        assert_eq!(region, Region { centre_x: 960.0, centre_y: 540.0, side: 1920.0, angle: 0.0 });
        assert_eq!(region.to_frame([0.0, 0.5]), [0.0, 540.0]);
        assert_eq!(region.to_frame([1.0, 0.0]), [1920.0, -420.0]);
    }

    #[test]
    fn a_person_standing_lying_and_upside_down_turns_the_region() {
        for (point, angle) in [
            ([500.0, 300.0], 0.0),
            ([600.0, 400.0], PI / 2.0),
            ([400.0, 400.0], -PI / 2.0),
            ([500.0, 500.0], -PI),
        ] {
            let region = Region::around([500.0, 400.0], point);
            assert_eq!((region.centre_x, region.centre_y, region.side), (500.0, 400.0, 250.0));
            assert!(close(region.angle, angle), "{point:?} gives {}", region.angle);
        }
    }

    #[test]
    fn up_in_the_region_points_to_the_point_on_the_circle() {
        let region = Region::around([500.0, 400.0], [560.0, 320.0]);
        // 2 x 100 pixels x 1.25 = 250; so 100 pixels up from the centre are 0.4 of the side.
        let [x, y] = region.to_frame([0.5, 0.1]);
        assert!(close(x, 560.0) && close(y, 320.0), "{x}, {y}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_sane() {
        assert!(Region::around([1.0, 1.0], [1.0, 0.0]).is_sane());
        assert!(!Region::around([1.0, 1.0], [1.0, 1.0]).is_sane());
        assert!(!Region::around([1.0, f32::NAN], [1.0, 0.0]).is_sane());
        assert!(!Region::around([1.0, 1.0], [1.0, f32::INFINITY]).is_sane());
        assert!(!Region::around([1e7, 1.0], [1.0, 0.0]).is_sane());
    }
}
