//! Bilinear samples of one output row from each plane of a picture.

use super::error::SampleError;
use super::geometry::{FRACTION_BITS, Positions};
use super::image::{Image, Layout, Plane};

/// Planes that have been checked against their layout, ready to be sampled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampler<'a> {
    luma: Samples<'a>,
    chroma: Chroma<'a>,
    /// Two bytes a sample.
    wide: bool,
}

#[derive(Debug, Clone, Copy)]
enum Chroma<'a> {
    /// Luma only; chroma is without colour.
    None,
    /// The "luma" plane holds R, G and B.
    Rgb,
    Planar {
        u: Samples<'a>,
        v: Samples<'a>,
    },
    Interleaved(Samples<'a>),
}

/// One plane, its size in pixels and its subsampling.
#[derive(Debug, Clone, Copy)]
struct Samples<'a> {
    plane: Plane<'a>,
    width: usize,
    height: usize,
    sub_x: u8,
    sub_y: u8,
}

impl<'a> Sampler<'a> {
    /// Checks size, layout and planes.
    pub(super) fn new(image: &Image<'a>) -> Result<Self, SampleError> {
        let (width, height) = image.checked_size()?;
        let samples = |index: usize, (sub_x, sub_y): (u8, u8), pixel_bytes: usize| {
            // Rounded up, as decoders lay out chroma.
            let (width, height) = (width.div_ceil(1 << sub_x), height.div_ceil(1 << sub_y));
            let plane = image.plane(index, height, width * pixel_bytes)?;
            Ok(Samples { plane, width, height, sub_x, sub_y })
        };
        let full = (0, 0);
        match image.layout {
            Layout::Rgb24 => Ok(Self { luma: samples(0, full, 3)?, chroma: Chroma::Rgb, wide: false }),
            Layout::Gray8 => Ok(Self { luma: samples(0, full, 1)?, chroma: Chroma::None, wide: false }),
            Layout::Planar { sub_x, sub_y, bits } => {
                let (bytes, sub) = (sample_bytes(sub_x, sub_y, bits)?, (sub_x, sub_y));
                let chroma = Chroma::Planar { u: samples(1, sub, bytes)?, v: samples(2, sub, bytes)? };
                Ok(Self { luma: samples(0, full, bytes)?, chroma, wide: bytes == 2 })
            }
            Layout::SemiPlanar { sub_x, sub_y, bits } => {
                let (bytes, sub) = (sample_bytes(sub_x, sub_y, bits)?, (sub_x, sub_y));
                let chroma = Chroma::Interleaved(samples(1, sub, 2 * bytes)?);
                Ok(Self { luma: samples(0, full, bytes)?, chroma, wide: bytes == 2 })
            }
        }
    }

    /// Fills `out` with the samples at `positions`: Y, U, V in sample values, or R, G, B for [`Layout::Rgb24`].
    pub(super) fn row(&self, positions: &Positions, out: &mut [[f32; 3]]) {
        if self.wide {
            self.row_of::<u16>(positions, out);
        } else {
            self.row_of::<u8>(positions, out);
        }
    }

    fn row_of<W: Word>(&self, positions: &Positions, out: &mut [[f32; 3]]) {
        let luma = &self.luma;
        match self.chroma {
            Chroma::Rgb => luma.each::<W, 3>(positions, out, |out, rgb| *out = rgb),
            // Gray has eight bit; 128 is no colour.
            Chroma::None => luma.each::<W, 1>(positions, out, |out, [y]| *out = [y, 128.0, 128.0]),
            Chroma::Planar { u, v } => {
                luma.each::<W, 1>(positions, out, |out, [y]| out[0] = y);
                u.each::<W, 1>(positions, out, |out, [u]| out[1] = u);
                v.each::<W, 1>(positions, out, |out, [v]| out[2] = v);
            }
            Chroma::Interleaved(uv) => {
                luma.each::<W, 1>(positions, out, |out, [y]| out[0] = y);
                uv.each::<W, 2>(positions, out, |out, [u, v]| (out[1], out[2]) = (u, v));
            }
        }
    }
}

/// Bytes of a sample, once the layout's numbers are found supported.
fn sample_bytes(sub_x: u8, sub_y: u8, bits: u8) -> Result<usize, SampleError> {
    if sub_x > 2 || sub_y > 2 || !(8..=16).contains(&bits) {
        return Err(SampleError::Layout { bits, sub_x, sub_y });
    }
    Ok(if bits > 8 { 2 } else { 1 })
}

impl Samples<'_> {
    /// Calls `put` for each pixel of the row with the bilinear sample of the plane's `C` interleaved channels.
    fn each<W: Word, const C: usize>(
        &self,
        positions: &Positions,
        out: &mut [[f32; 3]],
        put: impl Fn(&mut [f32; 3], [f32; C]),
    ) {
        // A plane one sample wide has no pairs of columns.
        if self.width > 1 {
            self.each_pair::<W, C, true>(positions, out, put);
        } else {
            self.each_pair::<W, C, false>(positions, out, put);
        }
    }

    /// As [`each`](Self::each); `PAIRED` when the plane has a second column.
    ///
    /// Neighbouring columns are read through one slice of a length that is known when compiling: two checks of bounds a
    /// pixel instead of four a channel. Whole numbers throughout: exact, and one conversion to `f32` instead of four. A
    /// sample of 16 bit and two weights of up to 7 bit each fit 32 bit.
    #[inline]
    fn each_pair<W: Word, const C: usize, const PAIRED: bool>(
        &self,
        positions: &Positions,
        out: &mut [[f32; 3]],
        put: impl Fn(&mut [f32; 3], [f32; C]),
    ) {
        let (data, stride, pixel) = (self.plane.data, self.plane.stride, C * W::BYTES);
        let right = if PAIRED { pixel } else { 0 };
        let (across, down) = (Axis::new(self.width, self.sub_x), Axis::new(self.height, self.sub_y));
        let unit = across.unit() * down.unit();
        for ((&x, &y), out) in positions.x.iter().zip(&positions.y).zip(out) {
            let ((column, to_right), (row, to_lower)) = (across.locate(x), down.locate(y));
            let (to_left, to_upper) = (across.one() - to_right, down.one() - to_lower);
            let next_row = (row + 1).min(self.height - 1);
            let pair = |row: usize| &data[row * stride + column * pixel..][..right + pixel];
            let (upper, lower) = (pair(row), pair(next_row));
            // A loop: `array::from_fn` is not inlined here and costs half of the time.
            let mut values = [0.0; C];
            for (channel, value) in values.iter_mut().enumerate() {
                let at = channel * W::BYTES;
                let above = W::read(upper, at) * to_left + W::read(upper, at + right) * to_right;
                let below = W::read(lower, at) * to_left + W::read(lower, at + right) * to_right;
                *value = (above * to_upper + below * to_lower) as f32 * unit;
            }
            put(out, values);
        }
    }
}

/// One axis of a plane: takes positions to pairs of neighbours inside the plane; the border is repeated.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// Fixed-point position of the plane's first sample in the picture.
    first: i32,
    /// Fractional bits of a position once it counts samples of this plane.
    bits: u32,
    /// The last sample, in fixed point.
    last: i32,
}

impl Axis {
    /// Subsampled by 2^`sub`: a sample lies in the middle of the pixels that it stands for. That is where JPEG and MPEG-1
    /// put chroma, and where FFmpeg's scaler takes it from unless told otherwise, and with it nearly all that reads video.
    /// H.264 means half a pixel further left; no network has been seen to care.
    fn new(length: usize, sub: u8) -> Self {
        let bits = u32::from(FRACTION_BITS + sub);
        let first = ((1 << sub) - 1) << (FRACTION_BITS - 1);
        Self { first, bits, last: (length as i32 - 1) << bits }
    }

    /// The sum of the two neighbours' weights.
    fn one(&self) -> u32 {
        1 << self.bits
    }

    fn unit(&self) -> f32 {
        1.0 / self.one() as f32
    }

    /// The sample before a picture's position, and the weight of the next one.
    ///
    /// At the last sample that is the last but one, with all weight on the next, so that the pair exists wherever the plane
    /// has two samples.
    #[inline]
    fn locate(&self, position: i32) -> (usize, u32) {
        let position = (position - self.first).clamp(0, self.last);
        let before_last = (self.last >> self.bits) - 1;
        let whole = (position >> self.bits).min(before_last.max(0));
        (whole as u32 as usize, (position - (whole << self.bits)) as u32)
    }
}

/// A sample as it lies in memory.
trait Word {
    const BYTES: usize;
    /// The sample that starts at `byte`.
    fn read(data: &[u8], byte: usize) -> u32;
}

impl Word for u8 {
    const BYTES: usize = 1;
    #[inline]
    fn read(data: &[u8], byte: usize) -> u32 {
        u32::from(data[byte])
    }
}

impl Word for u16 {
    const BYTES: usize = 2;
    #[inline]
    fn read(data: &[u8], byte: usize) -> u32 {
        u32::from(Self::from_le_bytes([data[byte], data[byte + 1]]))
    }
}
