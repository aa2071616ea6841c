//! What is drawn, where, and that nothing else is touched.

use super::*;

const STRIDE: usize = 100;
const CHROMA_STRIDE: usize = 60;

/// A grey picture of 90 x 70 with padding on each row, and guard rows below.
struct Canvas {
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Canvas {
    fn new() -> Self {
        Self { y: vec![50; STRIDE * 80], u: vec![128; CHROMA_STRIDE * 40], v: vec![128; CHROMA_STRIDE * 40] }
    }

    fn planes(&mut self) -> Planes<'_> {
        Planes {
            width: 90,
            height: 70,
            y: &mut self.y,
            y_stride: STRIDE,
            u: &mut self.u,
            u_stride: CHROMA_STRIDE,
            v: &mut self.v,
            v_stride: CHROMA_STRIDE,
        }
    }

    fn untouched(&self) -> bool {
        let new = Self::new();
        self.y == new.y && self.u == new.u && self.v == new.v
    }

    /// Whether padding and guard rows are as they were.
    fn guards_hold(&self) -> bool {
        let luma = self.y.iter().enumerate().all(|(i, &v)| (i % STRIDE < 90 && i / STRIDE < 70) || v == 50);
        let in_chroma = |i: usize| i % CHROMA_STRIDE < 45 && i / CHROMA_STRIDE < 35;
        let chroma = |plane: &[u8]| plane.iter().enumerate().all(|(i, &v)| in_chroma(i) || v == 128);
        luma && chroma(&self.u) && chroma(&self.v)
    }
}

/// A skeleton of which only the given keypoints are visible.
fn only(points: &[(usize, f32, f32)]) -> Vec<Keypoint> {
    let mut all = vec![Keypoint { x: 0.5, y: 0.5, visibility: 0.0 }; 33];
    for &(i, x, y) in points {
        all[i] = Keypoint { x, y, visibility: 1.0 };
    }
    all
}

#[test]
fn a_bone_is_drawn_between_its_joints_in_the_colour_of_its_side() {
    for (a, b, colour) in [(11, 13, Style::default().left), (12, 14, Style::default().right)] {
        let mut canvas = Canvas::new();
        draw_skeleton(&mut canvas.planes(), &only(&[(a, 0.2, 0.5), (b, 0.8, 0.5)]), &Style::default());
        let (u, v) = (canvas.u[17 * CHROMA_STRIDE + 22], canvas.v[17 * CHROMA_STRIDE + 22]);
        let nearer = |value: u8, to: u8| value.abs_diff(128) > 8 && (value > 128) == (to > 128);
        assert!(nearer(u, colour[1]) && nearer(v, colour[2]), "u {u} v {v} for {colour:?}");
        assert!(canvas.y[35 * STRIDE + 45].abs_diff(50) > 40, "the middle of the bone");
        assert_eq!(canvas.y[20 * STRIDE + 45], 50, "away from the bone");
        assert_eq!(canvas.y[35 * STRIDE + 5], 50, "beyond its end");
    }
}

#[test]
fn edges_are_smooth() {
    let mut canvas = Canvas::new();
    let style = Style { thickness: 0.1, opacity: 1.0, ..Style::default() };
    let slanted = Stroke { from: (10.0, 10.0), to: (80.0, 50.0), radius: 3.0 };
    slanted.paint(&mut canvas.planes(), Ink { colour: style.centre, opacity: 1.0 });
    let between = canvas.y.iter().filter(|&&v| v > 60 && v < style.centre[0] - 10).count();
    let full = canvas.y.iter().filter(|&&v| v == style.centre[0]).count();
    assert!(between > 60 && full > 250, "{between} mixed and {full} full samples");
}

#[test]
fn hidden_keypoints_and_their_bones_are_left_out() {
    let mut canvas = Canvas::new();
    let mut points = only(&[(11, 0.2, 0.5), (13, 0.8, 0.5)]);
    points.iter_mut().for_each(|k| k.visibility *= 0.4);
    draw_skeleton(&mut canvas.planes(), &points, &Style::default());
    assert!(canvas.untouched());
}

#[test]
fn places_outside_are_clipped_and_the_part_inside_is_drawn() {
    let mut canvas = Canvas::new();
    let points = only(&[(11, -3.0, 0.5), (13, 4.0, 0.5), (12, 0.5, -2.0), (14, 0.5, 5.0), (23, 1.0, 1.0)]);
    draw_skeleton(&mut canvas.planes(), &points, &Style::default());
    assert!(canvas.guards_hold());
    assert!(canvas.y[35 * STRIDE + 80] != 50 && canvas.y[60 * STRIDE + 45] != 50, "bones cross the picture");
}

#[test]
fn what_is_not_a_number_is_not_drawn() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1e30] {
        let mut canvas = Canvas::new();
        let points = only(&[(11, bad, 0.5), (13, 0.8, bad), (15, bad, bad)]);
        draw_skeleton(&mut canvas.planes(), &points, &Style::default());
        let hidden = vec![Keypoint { x: 0.5, y: 0.5, visibility: f32::NAN }; 33];
        draw_skeleton(&mut canvas.planes(), &hidden, &Style::default());
        assert!(canvas.untouched(), "{bad}");
    }
}

#[test]
fn short_planes_and_short_skeletons_do_no_harm() {
    let mut canvas = Canvas::new();
    canvas.y.truncate(STRIDE * 20);
    canvas.u.clear();
    let points = only(&[(11, 0.2, 0.1), (13, 0.8, 0.9)]);
    draw_skeleton(&mut canvas.planes(), &points, &Style::default());
    draw_skeleton(&mut canvas.planes(), &points[..12], &Style::default());
    draw_skeleton(&mut canvas.planes(), &[], &Style::default());
    assert!(canvas.y.iter().any(|&v| v != 50), "what is there is drawn on");
}

#[test]
fn bones_connect_every_keypoint_and_sides_alternate() {
    for i in 0..33 {
        assert!(BLAZEPOSE_BONES.iter().any(|&(a, b)| a == i || b == i), "keypoint {i} has a bone");
    }
    assert_eq!([side(0), side(2), side(5), side(11), side(32)], {
        use Side::{Centre, Left, Right};
        [Centre, Left, Right, Left, Right]
    });
}
