//! The sampler against a naive reference, and against colours that are known.

#[cfg(feature = "cuda-host")]
mod device;
mod picture;
mod reference;

use super::*;
use picture::Picture;

/// A plain output.
fn output(size: usize, border: Border) -> SampleOutput {
    SampleOutput { size, border, sampling: Sampling::MediaPipe, range: (0.0, 1.0) }
}

/// Sampled with all instructions that this machine has, which have to agree to the bit.
fn sampled_as(image: &Image<'_>, region: &SampleRegion, output: &SampleOutput) -> Vec<f32> {
    let results = Simd::available().into_iter().map(|simd| {
        let mut out = vec![f32::NAN; output.size * output.size * 3];
        sample_with(simd, image, region, output, &mut out).unwrap();
        (simd, out)
    });
    let results: Vec<_> = results.collect();
    let (_, plain) = results.last().unwrap();
    for (simd, out) in &results {
        let differs = out.iter().zip(plain).position(|(value, plain)| value.to_bits() != plain.to_bits());
        assert_eq!(differs, None, "{}: {image:?} {region:?} {output:?}", simd.name());
    }
    plain.clone()
}

fn sampled(image: &Image<'_>, region: &SampleRegion, size: usize, border: Border) -> Vec<f32> {
    sampled_as(image, region, &output(size, border))
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

const ROTATIONS: [Rotation; 4] = [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];

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
            for (range, matrix) in [
                (Range::Limited, Matrix::Bt709),
                (Range::Full, Matrix::Bt601),
                (Range::Limited, Matrix::Bt2020),
            ] {
                let image = picture.image(range, matrix, rotation);
                for border in [Border::Zero, Border::Replicate] {
                    for region in &regions {
                        let expected = reference::sample(&image, region, 24, border, 1);
                        let what =
                            format!("{layout:?} {rotation:?} {range:?} {matrix:?} {border:?} {region:?}");
                        assert_close(&sampled(&image, region, 24, border), &expected, 2e-4, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn antialiased_is_the_mean_of_samples_at_most_a_pixel_apart() {
    let zoomed_in = SampleRegion { centre_x: 20.3, centre_y: 15.7, side: 11.5, angle: 0.4 };
    let cases = [
        (zoomed_in, 1),
        (SampleRegion { centre_x: 18.0, centre_y: 14.5, side: 24.0, angle: 0.0 }, 1),
        (SampleRegion { centre_x: 18.0, centre_y: 14.5, side: 24.1, angle: 0.0 }, 2),
        (SampleRegion { centre_x: 18.5, centre_y: 14.0, side: 90.0, angle: -2.5 }, 4),
        (SampleRegion { centre_x: 18.5, centre_y: 14.0, side: 1000.0, angle: 0.2 }, 16),
    ];
    for layout in LAYOUTS {
        let picture = Picture::new(37, 29, layout);
        let image = picture.image(Range::Full, Matrix::Bt601, Rotation::Quarter);
        for border in [Border::Zero, Border::Replicate] {
            for (region, taps) in &cases {
                let antialiased = SampleOutput { sampling: Sampling::Antialiased, ..output(24, border) };
                let expected = reference::sample(&image, region, 24, border, *taps);
                let what = format!("{layout:?} {border:?} {region:?}");
                // Sums of floats may fall to the other side of a half, which is a level of an RGB picture.
                let tolerance = if layout == Layout::Rgb24 && *taps > 1 { 1.01 / 255.0 } else { 2e-4 };
                assert_close(&sampled_as(&image, region, &antialiased), &expected, tolerance, &what);
            }
        }
        let out =
            |sampling| sampled_as(&image, &zoomed_in, &SampleOutput { sampling, ..output(24, Border::Zero) });
        assert_eq!(out(Sampling::Antialiased), out(Sampling::MediaPipe));
    }
}

#[test]
fn antialiased_keeps_the_mean_of_stripes_that_one_sample_loses() {
    let mut picture = Picture::new(64, 64, Layout::Gray8);
    let (data, stride) = &mut picture.planes[0];
    for row in data.chunks_mut(*stride) {
        row.iter_mut().enumerate().for_each(|(x, value)| *value = if x % 4 < 2 { 200 } else { 0 });
    }
    let image = picture.image(Range::Full, Matrix::Bt601, Rotation::None);
    let region = SampleRegion { centre_x: 32.0, centre_y: 32.0, side: 64.0, angle: 0.0 };
    let out =
        |sampling| sampled_as(&image, &region, &SampleOutput { sampling, ..output(16, Border::Replicate) });
    let inner = |out: Vec<f32>| out[3 * (5 * 16 + 5)] * 255.0;
    assert!((inner(out(Sampling::MediaPipe)) - 200.0).abs() < 0.01);
    assert!((inner(out(Sampling::Antialiased)) - 100.0).abs() < 0.01);
}

#[test]
fn instructions_agree_on_any_picture() {
    // `sampled_as` compares. Rows of fewer pixels than registers have, planes of fewer bytes than a word, one column, one
    // row, and no padding at the end: nothing may be read beyond a plane.
    let mut noise = crate::testing::noise(6 * LAYOUTS.len() * 40, 11).into_iter();
    let mut between = |low: f32, high: f32| low + (high - low) * (noise.next().unwrap() + 1.0) / 2.0;
    for layout in LAYOUTS {
        for round in 0..40 {
            let (width, height) = (between(1.0, 70.0) as u32, between(1.0, 40.0) as u32);
            let (width, height) =
                if round % 5 == 0 { (width % 3 + 1, height % 2 + 1) } else { (width, height) };
            let picture = Picture::new(width, height, layout);
            let image = picture.image(Range::Limited, Matrix::Bt709, ROTATIONS[round % 4]);
            let side = between(0.5, 120.0);
            let region = SampleRegion {
                centre_x: between(-20.0, 90.0),
                centre_y: between(-20.0, 60.0),
                side,
                angle: if round % 3 == 0 { 0.0 } else { between(-4.0, 4.0) },
            };
            for size in [1, 7, 8, 16, 21] {
                for border in [Border::Zero, Border::Replicate] {
                    for sampling in [Sampling::MediaPipe, Sampling::Antialiased] {
                        let out =
                            sampled_as(&image, &region, &SampleOutput { sampling, ..output(size, border) });
                        assert!(out.iter().all(|value| (0.0..=1.0).contains(value)));
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
    let pixels: Vec<f64> = data
        .chunks(*stride)
        .flat_map(|row| row[..48].iter().map(|&value| f64::from(value) / 255.0))
        .collect();
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
    let output = SampleOutput { range: (-1.0, 1.0), ..output(16, Border::Zero) };
    sample(&picture.plain(), &region, &output, &mut out).unwrap();
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
        let error = sample(image, region, &output(size, Border::Zero), &mut out).unwrap_err();
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
    let output = SampleOutput { range: (0.0, f32::INFINITY), ..output(4, Border::Zero) };
    assert_eq!(sample(&good, &region, &output, &mut out), Err(SampleError::OutputRange));
}

#[test]
fn a_plane_of_two_gibibytes_is_refused() {
    // Zeros that are never touched take no memory.
    let (stride, rows) = (1 << 16, (1 << 15) + 1);
    let data = vec![0; stride * rows];
    let planes = [Some(Plane { data: &data, stride }), None, None];
    let picture = Picture::new(16, 16, Layout::Gray8);
    let image = Image { width: 65_535, height: rows as u32, planes, ..picture.plain() };
    let region = SampleRegion { centre_x: 8.0, centre_y: 6.0, side: 8.0, angle: 0.0 };
    let refused = sample(&image, &region, &output(4, Border::Zero), &mut [0.0; 48]);
    assert_eq!(refused, Err(SampleError::LargePlane { index: 0, length: stride * rows - 1 }));
    let smaller = Image { height: rows as u32 - 1, ..image };
    assert_eq!(sample(&smaller, &region, &output(4, Border::Zero), &mut [0.0; 48]), Ok(()));
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
    assert!(
        sampled(&image, &region, 3, Border::Replicate)
            .iter()
            .all(|value| (value - 200.0 / 255.0).abs() < 1e-6)
    );
}
