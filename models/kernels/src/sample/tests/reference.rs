//! The naive way in `f64`: pixel by pixel what is needed, with none of the sampler's code.

use super::super::{Border, Image, Layout, Matrix, Range, Rotation, SampleRegion};

/// Bilinear sample of channel `channel` of plane `index` with the border repeated, as a number of its own depth.
fn tap(image: &Image<'_>, index: usize, channel: usize, size: (i64, i64), x: f64, y: f64) -> f64 {
    let plane = image.planes[index].unwrap();
    let (step, shift, bytes) = match image.layout {
        Layout::Rgb24 => (3, 0, 1),
        Layout::Gray8 => (1, 0, 1),
        Layout::Planar { bits, .. } => (1, 0, if bits > 8 { 2 } else { 1 }),
        Layout::SemiPlanar { bits, .. } => (
            if index == 1 { 2 } else { 1 },
            if bits > 8 { 16 - bits } else { 0 },
            if bits > 8 { 2 } else { 1 },
        ),
    };
    let at = |x: i64, y: i64| {
        let (x, y) = (x.clamp(0, size.0 - 1) as usize, y.clamp(0, size.1 - 1) as usize);
        let byte = y * plane.stride + (x * step + channel) * bytes;
        let value = match bytes {
            1 => u16::from(plane.data[byte]),
            _ => u16::from_le_bytes([plane.data[byte], plane.data[byte + 1]]),
        };
        f64::from(value >> shift)
    };
    let (x0, y0) = (x.floor() as i64, y.floor() as i64);
    let (fx, fy) = (x - x.floor(), y - y.floor());
    at(x0, y0) * (1.0 - fx) * (1.0 - fy)
        + at(x0 + 1, y0) * fx * (1.0 - fy)
        + at(x0, y0 + 1) * (1.0 - fx) * fy
        + at(x0 + 1, y0 + 1) * fx * fy
}

fn rgb(image: &Image<'_>, x: f64, y: f64) -> [f64; 3] {
    let size = (i64::from(image.width), i64::from(image.height));
    let (sub_x, sub_y, bits, second) = match image.layout {
        Layout::Rgb24 => return [0, 1, 2].map(|channel| tap(image, 0, channel, size, x, y) / 255.0),
        Layout::Gray8 => (0, 0, 8, None),
        Layout::Planar { sub_x, sub_y, bits } => (sub_x, sub_y, bits, Some((2, 0))),
        Layout::SemiPlanar { sub_x, sub_y, bits } => (sub_x, sub_y, bits, Some((1, 1))),
    };
    let luma = tap(image, 0, 0, size, x, y);
    let (sx, sy) = (i64::from(1u8 << sub_x), i64::from(1u8 << sub_y));
    let chroma_size = ((size.0 + sx - 1) / sx, (size.1 + sy - 1) / sy);
    let (cx, cy) = ((x - (sx as f64 - 1.0) / 2.0) / sx as f64, (y - (sy as f64 - 1.0) / 2.0) / sy as f64);
    let middle = f64::from(1u32 << (bits - 1));
    let chroma = |place: Option<(usize, usize)>| {
        place.map_or(0.0, |(plane, channel)| tap(image, plane, channel, chroma_size, cx, cy) - middle)
    };
    let (u, v) = (chroma(second.map(|_| (1, 0))), chroma(second));
    let unit = f64::from(1u32 << (bits - 8));
    let all = f64::from((1u32 << bits) - 1);
    let (y, u, v) = match image.range {
        Range::Limited => ((luma - 16.0 * unit) / 219.0 / unit, u / 224.0 / unit, v / 224.0 / unit),
        Range::Full => (luma / all, u / all, v / all),
    };
    let (kr, kb) = match image.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let (r, b) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
    let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
    [r, g, b]
}

/// The region's colours, each the mean of `taps` x `taps` samples.
pub(super) fn sample(
    image: &Image<'_>,
    region: &SampleRegion,
    size: usize,
    border: Border,
    taps: usize,
) -> Vec<f64> {
    let mut all = Vec::new();
    let place = |tap: usize| (tap as f64 + 0.5) / taps as f64 - 0.5;
    for (j, i) in (0..size).flat_map(|j| (0..size).map(move |i| (j, i))) {
        let (mut sum, mut covered) = ([0.0; 3], 0.0);
        for (b, a) in (0..taps).flat_map(|b| (0..taps).map(move |a| (b, a))) {
            let [x, y] = position(image, region, size, i as f64 + place(a), j as f64 + place(b));
            let weight = weight(image, border, x, y);
            let levels = rgb(image, x, y);
            sum = [0, 1, 2].map(|channel| sum[channel] + levels[channel] * weight);
            covered += weight;
        }
        if covered == 0.0 {
            all.extend([0.0; 3]);
            continue;
        }
        let levels = sum.map(|sum| (sum / covered).clamp(0.0, 1.0) * covered / (taps * taps) as f64);
        all.extend(match image.layout {
            // Weights are whole 2^-20ths; snapping to them keeps halves halves.
            Layout::Rgb24 => levels.map(|value| {
                let grid = f64::from(1u32 << 20);
                ((value * 255.0 * grid).round() / grid + 0.5).floor() / 255.0
            }),
            _ => levels,
        });
    }
    all
}

/// Where output position (i, j) lies in the stored picture.
fn position(image: &Image<'_>, region: &SampleRegion, size: usize, i: f64, j: f64) -> [f64; 2] {
    let (last_x, last_y) = (f64::from(image.width) - 1.0, f64::from(image.height) - 1.0);
    let (sin, cos) = f64::from(region.angle).sin_cos();
    let u = (i / size as f64 - 0.5) * f64::from(region.side);
    let v = (j / size as f64 - 0.5) * f64::from(region.side);
    let x = f64::from(region.centre_x) + cos * u - sin * v;
    let y = f64::from(region.centre_y) + sin * u + cos * v;
    let (x, y) = match image.rotation {
        Rotation::None => (x, y),
        Rotation::Quarter => (y, last_y - x),
        Rotation::Half => (last_x - x, last_y - y),
        Rotation::ThreeQuarters => (last_x - y, x),
    };
    [x, y].map(|at| (at * 32.0).round_ties_even() / 32.0)
}

/// How much of a position lies in the picture, where black lies beyond it.
fn weight(image: &Image<'_>, border: Border, x: f64, y: f64) -> f64 {
    let inside = |position: f64, length: u32| {
        let outside = (-position).max(position - f64::from(length) + 1.0).max(0.0);
        (1.0 - outside).max(0.0)
    };
    match border {
        Border::Zero => inside(x, image.width) * inside(y, image.height),
        Border::Replicate => 1.0,
    }
}
