//! Draws poses onto decoded pictures: planar YUV 4:2:0, 8 bit, in place.
//!
//! Colours are BT.709 in limited range; on a picture of another matrix they are a little off and nothing worse. Coordinates
//! are fractions of the picture, as in events, and may lie outside of it or not be numbers at all.

mod stroke;

use stroke::{Ink, Stroke};

/// The planes of a picture, 4:2:0: both chroma planes have half the width and height, rounded up.
///
/// Planes shorter than their size and stride demand are drawn as far as they go.
#[derive(Debug)]
pub(crate) struct Planes<'a> {
    /// Width in luma samples.
    pub(crate) width: usize,
    /// Height in luma rows.
    pub(crate) height: usize,
    /// Luma.
    pub(crate) y: &'a mut [u8],
    /// Bytes from one luma row to the next.
    pub(crate) y_stride: usize,
    /// Blue difference.
    pub(crate) u: &'a mut [u8],
    /// Bytes from one row of `u` to the next.
    pub(crate) u_stride: usize,
    /// Red difference.
    pub(crate) v: &'a mut [u8],
    /// Bytes from one row of `v` to the next.
    pub(crate) v_stride: usize,
}

/// One keypoint: its place as a fraction of width and height, and how likely it is seen, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Keypoint {
    /// 0 is the left edge, 1 the right one.
    pub(crate) x: f32,
    /// 0 is the upper edge, 1 the lower one.
    pub(crate) y: f32,
    /// Probability that the keypoint is visible.
    pub(crate) visibility: f32,
}

/// A colour as luma, blue and red difference, 8-bit limited range.
pub(crate) type Colour = [u8; 3];

/// How skeletons are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Style {
    /// Colour of the person's own left side.
    pub(crate) left: Colour,
    /// Colour of the person's own right side.
    pub(crate) right: Colour,
    /// Colour of what belongs to neither side.
    pub(crate) centre: Colour,
    /// Width of a bone as a fraction of the picture's height.
    pub(crate) thickness: f32,
    /// Opacity, 0 to 1.
    pub(crate) opacity: f32,
    /// Keypoints less visible than this are left out, with their bones.
    pub(crate) min_visibility: f32,
}

impl Default for Style {
    /// Orange left, cyan right, white centre: the colours in which MediaPipe's users know its skeletons.
    fn default() -> Self {
        Self {
            left: [147, 56, 185],
            right: [164, 156, 32],
            centre: [228, 128, 128],
            thickness: 1.0 / 240.0,
            opacity: 0.9,
            min_visibility: 0.5,
        }
    }
}

/// The bones of a BlazePose skeleton, as pairs of keypoint indices.
pub(crate) const BLAZEPOSE_BONES: [(usize, usize); 35] = [
    // Face: eyes to ears, mouth.
    (0, 1),
    (1, 2),
    (2, 3),
    (3, 7),
    (0, 4),
    (4, 5),
    (5, 6),
    (6, 8),
    (9, 10),
    // Arms and hands.
    (11, 12),
    (11, 13),
    (13, 15),
    (15, 17),
    (15, 19),
    (15, 21),
    (17, 19),
    (12, 14),
    (14, 16),
    (16, 18),
    (16, 20),
    (16, 22),
    (18, 20),
    // Trunk.
    (11, 23),
    (12, 24),
    (23, 24),
    // Legs and feet.
    (23, 25),
    (25, 27),
    (27, 29),
    (29, 31),
    (27, 31),
    (24, 26),
    (26, 28),
    (28, 30),
    (30, 32),
    (28, 32),
];

/// Keypoints below this index belong to the face, whose marks are finer.
const FIRST_BODY: usize = 11;
/// Places farther outside than this many pictures are not worth a line.
const FARTHEST: f32 = 8.0;

/// Draws the bones and joints of one BlazePose skeleton; keypoints beyond the 33rd are ignored.
pub(crate) fn draw_skeleton(planes: &mut Planes<'_>, keypoints: &[Keypoint], style: &Style) {
    let width = line_width(planes, style);
    let places: Vec<Option<(f32, f32)>> = keypoints.iter().map(|k| place(planes, k, style)).collect();
    let place = |i: usize| places.get(i).copied().flatten();
    let bones = BLAZEPOSE_BONES.iter().filter_map(|&(a, b)| Some((a, b, place(a)?, place(b)?)));
    for (a, b, from, to) in bones {
        let radius = width * if b < FIRST_BODY { 0.3 } else { 0.5 };
        line(planes, Stroke { from, to, radius }, bone_colour(a, b, style), style);
    }
    for (i, at) in (0..33).filter_map(|i| Some((i, place(i)?))) {
        let radius = width * if i < FIRST_BODY { 0.55 } else { 1.0 };
        line(planes, Stroke { from: at, to: at, radius }, bone_colour(i, i, style), style);
        let core = Stroke { from: at, to: at, radius: radius * 0.45 };
        core.paint(planes, Ink { colour: style.centre, opacity: style.opacity });
    }
}

/// Width of a bone in pixels.
fn line_width(planes: &Planes<'_>, style: &Style) -> f32 {
    (planes.height as f32 * style.thickness).max(1.5)
}

/// A stroke with a thin dark rim, so that it shows on any ground.
fn line(planes: &mut Planes<'_>, stroke: Stroke, colour: Colour, style: &Style) {
    let rim = Stroke { radius: stroke.radius + 0.25 * line_width(planes, style), ..stroke };
    rim.paint(planes, Ink { colour: [16, 128, 128], opacity: 0.5 * style.opacity });
    stroke.paint(planes, Ink { colour, opacity: style.opacity });
}

/// A keypoint's place in pixels, or none if it is hidden, absurdly far or not a number.
fn place(planes: &Planes<'_>, keypoint: &Keypoint, style: &Style) -> Option<(f32, f32)> {
    let Keypoint { x, y, visibility } = *keypoint;
    // Comparisons are false for NaN, which so counts as hidden and as far.
    let near = x.abs() <= FARTHEST && y.abs() <= FARTHEST;
    (near && visibility >= style.min_visibility)
        .then_some((x * planes.width as f32, y * planes.height as f32))
}

/// The colour of the bone between two keypoints, or of a joint if they are the same.
fn bone_colour(a: usize, b: usize, style: &Style) -> Colour {
    match (side(a), side(b)) {
        (Side::Left, Side::Left) => style.left,
        (Side::Right, Side::Right) => style.right,
        (Side::Centre, Side::Left) => style.left,
        (Side::Centre, Side::Right) => style.right,
        _ => style.centre,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Centre,
}

/// The side of a BlazePose keypoint: the eyes come in threes, all others alternate.
fn side(index: usize) -> Side {
    match index {
        0 => Side::Centre,
        1..=3 => Side::Left,
        4..=6 => Side::Right,
        i if i % 2 == 1 => Side::Left,
        _ => Side::Right,
    }
}

#[cfg(test)]
mod tests;
