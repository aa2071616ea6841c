//! The sampler against a naive reference, and against colours that are known.

use super::*;

/// A picture that owns its planes, filled with a fixed pattern of noise.
struct Picture {
    width: u32,
    height: u32,
    layout: Layout,
    planes: Vec<(Vec<u8>, usize)>,
}

const FULL: (f32, f32) = (0.0, 1.0);

fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

impl Picture {
    /// Rows carry 5 bytes of padding. Words of `bits` hold only what their depth allows.
    fn new(width: u32, height: u32, layout: Layout) -> Self {
        let (w, h) = (width as usize, height as usize);
        let half = |sub_x: u8, sub_y: u8| (w.div_ceil(1 << sub_x), h.div_ceil(1 << sub_y));
        let sizes = match layout {
            Layout::Rgb24 => vec![(w * 3, h)],
            Layout::Gray8 => vec![(w, h)],
            Layout::Planar { sub_x, sub_y, .. } => vec![(w, h), half(sub_x, sub_y), half(sub_x, sub_y)],
            Layout::SemiPlanar { sub_x, sub_y, .. } => {
                let (w2, h2) = half(sub_x, sub_y);
                vec![(w, h), (w2 * 2, h2)]
            }
        };
        let bytes = word_bytes(layout);
        let planes = sizes.into_iter().enumerate().map(|(index, (columns, rows))| {
            let stride = columns * bytes + 5;
            let mut data = noise(stride * rows, index as u32 + 7);
            if bytes == 2 {
                data.chunks_mut(stride).for_each(|row| limit_words(&mut row[..columns * 2], layout));
            }
            (data, stride)
        });
        Self { width, height, layout, planes: planes.collect() }
    }

    fn image(&self, range: Range, matrix: Matrix, rotation: Rotation) -> Image<'_> {
        let plane = |index: usize| {
            self.planes.get(index).map(|(data, stride)| Plane { data, stride: *stride })
        };
        Image {
            width: self.width,
            height: self.height,
            layout: self.layout,
            range,
            matrix,
            rotation,
            planes: [plane(0), plane(1), plane(2)],
        }
    }

    fn plain(&self) -> Image<'_> {
        self.image(Range::Limited, Matrix::Bt709, Rotation::None)
    }

    /// Writes one colour into every pixel.
    fn fill(&mut self, colour: [u16; 3]) {
        let bytes = word_bytes(self.layout);
        let put = |data: &mut Vec<u8>, values: &[u16]| {
            *data = match bytes {
                1 => values.iter().map(|&value| value as u8).cycle().take(data.len()).collect(),
                _ => values.iter().flat_map(|value| value.to_le_bytes()).cycle().take(data.len()).collect(),
            }
        };
        for (index, (data, stride)) in self.planes.iter_mut().enumerate() {
            // Without padding a repeated pattern stays in step from row to row.
            *stride -= 5;
            match (self.layout, index) {
                (Layout::Rgb24, _) => put(data, &colour),
                (Layout::SemiPlanar { .. }, 1) => put(data, &colour[1..]),
                _ => put(data, &colour[index..=index]),
            }
        }
    }
}

fn word_bytes(layout: Layout) -> usize {
    match layout {
        Layout::Planar { bits, .. } | Layout::SemiPlanar { bits, .. } if bits > 8 => 2,
        _ => 1,
    }
}

fn limit_words(row: &mut [u8], layout: Layout) {
    for word in row.chunks_exact_mut(2) {
        let value = u16::from_le_bytes([word[0], word[1]]);
        let limited = match layout {
            Layout::Planar { bits, .. } => value >> (16 - bits),
            Layout::SemiPlanar { bits, .. } => value >> (16 - bits) << (16 - bits),
            _ => value,
        };
        word.copy_from_slice(&limited.to_le_bytes());
    }
}

/// The naive way in `f64`: convert what is needed pixel by pixel, with none of the sampler's code.
mod reference {
    use super::*;

    /// Bilinear sample of channel `channel` of plane `index` with the border repeated, as a number of its own depth.
    fn tap(image: &Image<'_>, index: usize, channel: usize, size: (i64, i64), x: f64, y: f64) -> f64 {
        let plane = image.planes[index].unwrap();
        let (step, shift, bytes) = match image.layout {
            Layout::Rgb24 => (3, 0, 1),
            Layout::Gray8 => (1, 0, 1),
            Layout::Planar { bits, .. } => (1, 0, if bits > 8 { 2 } else { 1 }),
            Layout::SemiPlanar { bits, .. } => {
                (if index == 1 { 2 } else { 1 }, if bits > 8 { 16 - bits } else { 0 }, if bits > 8 { 2 } else { 1 })
            }
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
        let (cx, cy) = (x / sx as f64, (y - (sy as f64 - 1.0) / 2.0) / sy as f64);
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
        [r, g, b].map(|value| value.clamp(0.0, 1.0))
    }

    /// Colour at a displayed position.
    pub(super) fn sample(image: &Image<'_>, region: &SampleRegion, size: usize, border: Border) -> Vec<f64> {
        let mut all = Vec::new();
        let (last_x, last_y) = (f64::from(image.width) - 1.0, f64::from(image.height) - 1.0);
        let (sin, cos) = f64::from(region.angle).sin_cos();
        for j in 0..size {
            for i in 0..size {
                let u = (i as f64 / size as f64 - 0.5) * f64::from(region.side);
                let v = (j as f64 / size as f64 - 0.5) * f64::from(region.side);
                let x = f64::from(region.centre_x) + cos * u - sin * v;
                let y = f64::from(region.centre_y) + sin * u + cos * v;
                let (x, y) = match image.rotation {
                    Rotation::None => (x, y),
                    Rotation::Quarter => (y, last_y - x),
                    Rotation::Half => (last_x - x, last_y - y),
                    Rotation::ThreeQuarters => (last_x - y, x),
                };
                let (x, y) = ((x * 32.0).round_ties_even() / 32.0, (y * 32.0).round_ties_even() / 32.0);
                let inside = |position: f64, last: f64| {
                    let outside = (-position).max(position - last).max(0.0);
                    (1.0 - outside).max(0.0)
                };
                let weight = match border {
                    Border::Zero => inside(x, last_x) * inside(y, last_y),
                    Border::Replicate => 1.0,
                };
                let levels = rgb(image, x, y).map(|value| value * weight);
                all.extend(match image.layout {
                    // Weights are whole 2^-20ths; snapping to them keeps halves halves.
                    Layout::Rgb24 => levels.map(|value| {
                        let grid = f64::from(1u32 << 20);
                        ((value * 255.0 * grid).round() / grid + 0.5).floor() / 255.0
                    }),
                    _ => levels,
                });
            }
        }
        all
    }
}

fn sampled(image: &Image<'_>, region: &SampleRegion, size: usize, border: Border) -> Vec<f32> {
    let mut out = vec![f32::NAN; size * size * 3];
    sample(image, region, size, border, FULL, &mut out).unwrap();
    out
}

fn assert_close(out: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(out.len(), expected.len());
    for (index, (&value, &wanted)) in out.iter().zip(expected).enumerate() {
        assert!((f64::from(value) - wanted).abs() <= tolerance, "{what}: {index} is {value}, not {wanted}");
    }
}

const LAYOUTS: [Layout; 10] = [
    Layout::Planar { sub_x: 1, sub_y: 1, bits: 8 },
    Layout::Planar { sub_x: 1, sub_y: 0, bits: 8 },
    Layout::Planar { sub_x: 0, sub_y: 0, bits: 8 },
    Layout::Planar { sub_x: 2, sub_y: 2, bits: 8 },
    Layout::Planar { sub_x: 1, sub_y: 1, bits: 10 },
    Layout::Planar { sub_x: 0, sub_y: 0, bits: 16 },
    Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits: 8 },
    Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits: 10 },
    Layout::Rgb24,
    Layout::Gray8,
];

const ROTATIONS: [Rotation; 4] =
    [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];

#[test]
fn every_layout_rotation_and_border_agrees_with_the_naive_way() {
    // Inside, turned and reaching out at a corner, and much larger than the picture.
    let regions = [
        SampleRegion { centre_x: 20.3, centre_y: 15.7, side: 11.5, angle: 0.0 },
        SampleRegion { centre_x: 30.0, centre_y: 5.0, side: 33.0, angle: 0.7 },
        SampleRegion { centre_x: 18.5, centre_y: 14.0, side: 90.0, angle: -2.5 },
    ];
    for layout in LAYOUTS {
        // Odd sizes: the last chroma column and row stand for one luma column and row only.
        let picture = Picture::new(37, 29, layout);
        for rotation in ROTATIONS {
            for (range, matrix) in
                [(Range::Limited, Matrix::Bt709), (Range::Full, Matrix::Bt601), (Range::Limited, Matrix::Bt2020)]
            {
                let image = picture.image(range, matrix, rotation);
                for border in [Border::Zero, Border::Replicate] {
                    for region in &regions {
                        let expected = reference::sample(&image, region, 24, border);
                        let what = format!("{layout:?} {rotation:?} {range:?} {matrix:?} {border:?} {region:?}");
                        assert_close(&sampled(&image, region, 24, border), &expected, 2e-4, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_region_of_the_pictures_size_gives_its_pixels() {
    let picture = Picture::new(16, 16, Layout::Rgb24);
    let region = SampleRegion { centre_x: 8.0, centre_y: 8.0, side: 16.0, angle: 0.0 };
    let (data, stride) = &picture.planes[0];
    let pixels: Vec<f64> =
        data.chunks(*stride).flat_map(|row| row[..48].iter().map(|&value| f64::from(value) / 255.0)).collect();
    for border in [Border::Zero, Border::Replicate] {
        assert_close(&sampled(&picture.plain(), &region, 16, border), &pixels, 1e-6, "identity");
    }
}

#[test]
fn a_displayed_quarter_turn_shows_the_bottom_left_corner_at_the_top_left() {
    let picture = Picture::new(8, 8, Layout::Gray8);
    let region = SampleRegion { centre_x: 4.0, centre_y: 4.0, side: 8.0, angle: 0.0 };
    let image = picture.image(Range::Full, Matrix::Bt709, Rotation::Quarter);
    let out = sampled(&image, &region, 8, Border::Replicate);
    let stored = |x: usize, y: usize| f32::from(picture.planes[0].0[y * picture.planes[0].1 + x]) / 255.0;
    assert!((out[0] - stored(0, 7)).abs() < 1e-6);
    assert!((out[7 * 3] - stored(0, 0)).abs() < 1e-6);
    assert!((out[7 * 8 * 3] - stored(7, 7)).abs() < 1e-6);
}

#[test]
fn known_triples_become_known_colours() {
    let planar = |bits| Layout::Planar { sub_x: 1, sub_y: 1, bits };
    let semi = |bits| Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits };
    let (limited, full) = (Range::Limited, Range::Full);
    // Black, white, and pure red: Y = Kr, Cb = -Kr / (2 - 2 Kb), Cr = 1/2 as BT.709 and BT.601 quantise them.
    let cases = [
        (planar(8), limited, Matrix::Bt709, [16, 128, 128], [0.0, 0.0, 0.0]),
        (planar(8), limited, Matrix::Bt709, [235, 128, 128], [1.0, 1.0, 1.0]),
        (planar(8), limited, Matrix::Bt709, [63, 102, 240], [1.0, 0.0, 0.0]),
        (planar(8), limited, Matrix::Bt601, [81, 90, 240], [1.0, 0.0, 0.0]),
        (semi(8), limited, Matrix::Bt601, [145, 54, 34], [0.0, 1.0, 0.0]),
        (semi(8), full, Matrix::Bt601, [29, 255, 107], [0.0, 0.0, 1.0]),
        (planar(10), limited, Matrix::Bt709, [940, 512, 512], [1.0, 1.0, 1.0]),
        (planar(10), limited, Matrix::Bt2020, [294, 387, 960], [1.0, 0.0, 0.0]),
        (semi(10), limited, Matrix::Bt709, [940 << 6, 512 << 6, 512 << 6], [1.0, 1.0, 1.0]),
        (semi(10), full, Matrix::Bt709, [1023 << 6, 512 << 6, 512 << 6], [1.0, 1.0, 1.0]),
        (planar(8), full, Matrix::Bt709, [255, 128, 128], [1.0, 1.0, 1.0]),
        (Layout::Gray8, limited, Matrix::Bt709, [235, 0, 0], [1.0, 1.0, 1.0]),
        (Layout::Gray8, full, Matrix::Bt709, [51, 0, 0], [0.2, 0.2, 0.2]),
        (Layout::Rgb24, limited, Matrix::Bt709, [51, 102, 255], [0.2, 0.4, 1.0]),
    ];
    let region = SampleRegion { centre_x: 7.0, centre_y: 5.0, side: 6.0, angle: 0.3 };
    for (layout, range, matrix, triple, colour) in cases {
        let mut picture = Picture::new(14, 10, layout);
        picture.fill(triple);
        let image = picture.image(range, matrix, Rotation::None);
        let out = sampled(&image, &region, 5, Border::Replicate);
        // The triples are rounded to whole numbers: half a step of chroma is 0.4 %, and blue counts it nearly twice.
        assert_close(&out, &colour.repeat(25), 0.008, &format!("{layout:?} {range:?} {matrix:?} {triple:?}"));
    }
}

#[test]
fn the_output_range_is_where_black_and_white_go() {
    let mut picture = Picture::new(8, 8, Layout::Rgb24);
    picture.fill([255, 255, 255]);
    let region = SampleRegion { centre_x: 4.0, centre_y: -4.0, side: 16.0, angle: 0.0 };
    let mut out = vec![0.0; 16 * 16 * 3];
    sample(&picture.plain(), &region, 16, Border::Zero, (-1.0, 1.0), &mut out).unwrap();
    assert_eq!(out[0], -1.0, "above the picture");
    assert!((out[(14 * 16 + 6) * 3] - 1.0).abs() < 1e-6, "in the picture");
}

#[test]
fn bad_geometry_is_an_error_and_leaves_the_output_alone() {
    let picture = Picture::new(16, 12, Layout::Planar { sub_x: 1, sub_y: 1, bits: 8 });
    let good = picture.plain();
    let region = SampleRegion { centre_x: 8.0, centre_y: 6.0, side: 8.0, angle: 0.0 };
    let refuse = |image: &Image<'_>, region: &SampleRegion, size: usize, length: usize| {
        let mut out = vec![7.0; length];
        let error = sample(image, region, size, Border::Zero, FULL, &mut out).unwrap_err();
        assert!(out.iter().all(|&value| value == 7.0));
        error
    };
    let image = |change: fn(&mut Image<'_>)| {
        let mut image = good;
        change(&mut image);
        refuse(&image, &region, 4, 48)
    };
    assert_eq!(image(|image| image.width = 0), SampleError::Size { width: 0, height: 12 });
    assert_eq!(image(|image| image.height = 70_000), SampleError::Size { width: 16, height: 70_000 });
    assert_eq!(image(|image| image.planes[2] = None), SampleError::MissingPlane { index: 2 });
    assert!(matches!(image(|image| image.height = 13), SampleError::ShortPlane { index: 0 | 1, .. }));
    assert!(matches!(image(|image| image.width = 22), SampleError::ShortPlane { .. }));
    let stride = |stride: usize| {
        let mut image = good;
        image.planes[0].as_mut().unwrap().stride = stride;
        refuse(&image, &region, 4, 48)
    };
    assert!(matches!(stride(15), SampleError::ShortPlane { index: 0, stride: 15, .. }));
    assert!(matches!(stride(usize::MAX), SampleError::ShortPlane { index: 0, .. }));
    for (sub_x, bits) in [(3, 8), (1, 7), (1, 17), (255, 255)] {
        let bad = Image { layout: Layout::Planar { sub_x, sub_y: 0, bits }, ..good };
        assert_eq!(refuse(&bad, &region, 4, 48), SampleError::Layout { bits, sub_x, sub_y: 0 });
    }
    let at = |centre_x: f32, side: f32, angle: f32| {
        refuse(&good, &SampleRegion { centre_x, centre_y: 0.0, side, angle }, 4, 48)
    };
    for (centre_x, side, angle) in [
        (f32::NAN, 1.0, 0.0),
        (0.0, f32::INFINITY, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, -1.0, 0.0),
        (0.0, 1.0, f32::NAN),
        (1e30, 1.0, 0.0),
    ] {
        assert_eq!(at(centre_x, side, angle), SampleError::Region);
    }
    assert_eq!(refuse(&good, &region, 4, 47), SampleError::Output { size: 4, length: 47 });
    assert_eq!(refuse(&good, &region, 0, 0), SampleError::Output { size: 0, length: 0 });
    assert!(matches!(refuse(&good, &region, usize::MAX, 3), SampleError::Output { .. }));
    let mut out = [7.0; 48];
    let range = (0.0, f32::INFINITY);
    assert_eq!(sample(&good, &region, 4, Border::Zero, range, &mut out), Err(SampleError::OutputRange));
}

#[test]
fn the_least_plane_that_holds_the_picture_is_enough() {
    // The last row needs no padding, and a picture of one pixel is a picture.
    let data = [200u8];
    let plane = Plane { data: &data, stride: 64 };
    let image = Image {
        width: 1,
        height: 1,
        layout: Layout::Gray8,
        range: Range::Full,
        matrix: Matrix::Bt601,
        rotation: Rotation::Half,
        planes: [Some(plane), None, None],
    };
    let region = SampleRegion { centre_x: 0.0, centre_y: 0.0, side: 1e6, angle: 3.0 };
    assert!(sampled(&image, &region, 3, Border::Replicate).iter().all(|value| (value - 200.0 / 255.0).abs() < 1e-6));
}
