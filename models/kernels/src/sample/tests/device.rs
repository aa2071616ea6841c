//! The GPU's sampler, its source run on the host, against the CPU's: the same number for every pixel.

use super::picture::Picture;
use super::*;
use crate::device::{DeviceImage, DevicePlane, sample_launch, sample_on_host};
use crate::testing::noise;

fn on_device(image: &Image<'_>, bits: u8, region: &SampleRegion, output: &SampleOutput) -> Vec<f32> {
    // Words begin at even places; pictures of tests have odd strides, which no decoder makes.
    let word = if bits > 8 { 2 } else { 1 };
    let planes: Vec<(Vec<u16>, usize)> = image.planes[..2]
        .iter()
        .map(|plane| {
            let plane = plane.unwrap();
            let stride = plane.stride.next_multiple_of(word);
            let rows = plane.data.chunks(plane.stride).flat_map(|row| {
                let mut row = row.to_vec();
                row.resize(stride, 0);
                row
            });
            let mut bytes: Vec<u8> = rows.collect();
            bytes.resize(bytes.len().next_multiple_of(2), 0);
            (bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect(), stride)
        })
        .collect();
    let plane = |index: usize| {
        let (data, stride): &(Vec<u16>, usize) = &planes[index];
        DevicePlane { address: data.as_ptr() as u64, stride: *stride }
    };
    let Image { width, height, range, matrix, rotation, .. } = *image;
    let described =
        DeviceImage { width, height, bits, range, matrix, rotation, planes: [plane(0), plane(1)] };
    let mut out = vec![f32::NAN; output.size * output.size * 3];
    let launch = sample_launch(&described, region, output, out.as_mut_ptr() as u64).unwrap();
    // SAFETY: planes and output live until the call has returned, and have the sizes that were described.
    unsafe { sample_on_host(&launch) };
    out
}

#[test]
fn the_devices_sampler_gives_the_same_numbers() {
    let mut chance = noise(4_000, 23).into_iter();
    let mut between = |low: f32, high: f32| low + (high - low) * (chance.next().unwrap() + 1.0) / 2.0;
    for bits in [8, 10, 16] {
        let layout = Layout::SemiPlanar { sub_x: 1, sub_y: 1, bits };
        for round in 0..48 {
            // One pixel, one row, one column, odd and even sizes.
            let size = |most: f32, at: u32| if round % 6 == at { 1 } else { most as u32 };
            let (width, height) = (size(between(2.0, 90.0), 0), size(between(2.0, 60.0), 1));
            let picture = Picture::new(width, height, layout);
            let range = [Range::Limited, Range::Full][round as usize % 2];
            let matrix = [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020][round as usize % 3];
            let image = picture.image(range, matrix, ROTATIONS[round as usize % 4]);
            let region = SampleRegion {
                centre_x: between(-20.0, 110.0),
                centre_y: between(-20.0, 80.0),
                side: between(0.5, 200.0),
                angle: if round % 5 == 0 { 0.0 } else { between(-4.0, 4.0) },
            };
            for (border, range) in [(Border::Zero, (-1.0, 1.0)), (Border::Replicate, (0.0, 1.0))] {
                let output = SampleOutput { size: 33, border, sampling: Sampling::MediaPipe, range };
                let expected = sampled_as(&image, &region, &output);
                let found = on_device(&image, bits, &region, &output);
                let differs = found.iter().zip(&expected).position(|(a, b)| a.to_bits() != b.to_bits());
                assert_eq!(differs, None, "{bits} bit, {width} x {height}, {region:?}, {output:?}");
            }
        }
    }
}

#[test]
fn pictures_that_no_kernel_can_read_are_refused() {
    let plane = DevicePlane { address: 4_096, stride: 64 };
    let image = DeviceImage {
        width: 32,
        height: 8,
        bits: 10,
        range: Range::Full,
        matrix: Matrix::Bt601,
        rotation: Rotation::None,
        planes: [plane; 2],
    };
    let region = SampleRegion { centre_x: 16.0, centre_y: 4.0, side: 8.0, angle: 0.0 };
    let refused =
        |image: DeviceImage| sample_launch(&image, &region, &output(4, Border::Zero), 4_096).unwrap_err();
    assert!(sample_launch(&image, &region, &output(4, Border::Zero), 4_096).is_ok());
    assert_eq!(
        refused(DeviceImage { bits: 17, ..image }),
        SampleError::Layout { bits: 17, sub_x: 1, sub_y: 1 }
    );
    assert_eq!(refused(DeviceImage { width: 0, ..image }), SampleError::Size { width: 0, height: 8 });
    for bad in [
        DevicePlane { stride: 62, ..plane },
        DevicePlane { stride: 65, ..plane },
        DevicePlane { address: 4_097, ..plane },
    ] {
        assert!(matches!(
            refused(DeviceImage { planes: [plane, bad], ..image }),
            SampleError::ShortPlane { index: 1, .. }
        ));
    }
}
