//! From sampled values to red, green and blue in the output's range.

use super::image::{Image, Layout, Matrix, Range};

/// How one row of sampled triples becomes colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Conversion {
    colours: Colours,
    /// Value of black, and of one level of 255 above it.
    black: f32,
    level: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Colours {
    /// Triples are R, G, B from 0 to 255. They are rounded to whole levels again, as the reference does.
    Rgb,
    /// Triples are Y, U, V.
    Yuv(Yuv),
}

/// R = y + `red_v` v, G = y + `green_u` u + `green_v` v, B = y + `blue_u` u with y = (Y - `luma_black`) `luma_scale` and
/// u, v likewise, R, G and B from 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Yuv {
    luma_black: f32,
    luma_scale: f32,
    chroma_zero: f32,
    red_v: f32,
    green_u: f32,
    green_v: f32,
    blue_u: f32,
}

impl Conversion {
    pub(super) fn new(image: &Image<'_>, (black, white): (f32, f32)) -> Self {
        let level = (white - black) / 255.0;
        let (bits, shift) = match image.layout {
            Layout::Rgb24 => {
                return Self { colours: Colours::Rgb, black, level };
            }
            Layout::Gray8 => (8, 0),
            Layout::Planar { bits, .. } => (bits, 0),
            // In the high bits of a word: 2^(16 - bits) times the value.
            Layout::SemiPlanar { bits, .. } => (bits, if bits > 8 { 16 - bits } else { 0 }),
        };
        let yuv = Yuv::new(image.matrix, image.range, bits, shift);
        Self { colours: Colours::Yuv(yuv), black, level }
    }

    /// Converts `row` into `out`, three numbers a pixel; each colour is first multiplied by the pixel's `coverage`.
    pub(super) fn convert(&self, row: &[[f32; 3]], coverage: &[f32], out: &mut [f32]) {
        match self.colours {
            // Not `round`: halves go up in the reference, and nothing here is negative.
            Colours::Rgb => {
                self.each(row, coverage, out, |rgb, part| rgb.map(|value| whole(value * part + 0.5)))
            }
            Colours::Yuv(yuv) => {
                self.each(row, coverage, out, |triple, part| yuv.to_rgb(triple).map(|value| value * part));
            }
        }
    }

    #[inline]
    fn each(
        &self,
        row: &[[f32; 3]],
        coverage: &[f32],
        out: &mut [f32],
        levels: impl Fn([f32; 3], f32) -> [f32; 3],
    ) {
        let (pixels, _) = out.as_chunks_mut::<3>();
        for ((&triple, &part), pixel) in row.iter().zip(coverage).zip(pixels) {
            *pixel = levels(triple, part).map(|value| self.black + value * self.level);
        }
    }
}

/// The whole number below a level of 0 to 255; a cast, for `floor` is a call on the least x86-64.
#[inline]
fn whole(level: f32) -> f32 {
    f32::from(level as u8)
}

impl Yuv {
    /// The inverse of E'Y = Kr R + Kg G + Kb B, E'Pb = (B - Y) / (2 - 2 Kb), E'Pr = (R - Y) / (2 - 2 Kr) as given, with
    /// their quantisation to n bits, by ITU-R BT.601-7, BT.709-6 and BT.2020-2 (limited), and H.273 (full).
    fn new(matrix: Matrix, range: Range, bits: u8, shift: u8) -> Self {
        let (kr, kb) = match matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        };
        let kg = 1.0 - kr - kb;
        const LEVELS: f64 = 255.0;
        let unit = f64::from(1u32 << shift);
        // Both 2^(bits - 8) and 2^bits - 1 in units of the stored word.
        let (step, all) = (f64::from(1u32 << (bits - 8)) * unit, (f64::from(1u32 << bits) - 1.0) * unit);
        let (luma_black, luma_span, chroma_span) = match range {
            Range::Limited => (16.0 * step, 219.0 * step, 224.0 * step),
            Range::Full => (0.0, all, all),
        };
        Self {
            luma_black: luma_black as f32,
            luma_scale: (LEVELS / luma_span) as f32,
            chroma_zero: (128.0 * step) as f32,
            red_v: (2.0 * (1.0 - kr) * LEVELS / chroma_span) as f32,
            green_u: (-2.0 * (1.0 - kb) * kb / kg * LEVELS / chroma_span) as f32,
            green_v: (-2.0 * (1.0 - kr) * kr / kg * LEVELS / chroma_span) as f32,
            blue_u: (2.0 * (1.0 - kb) * LEVELS / chroma_span) as f32,
        }
    }

    #[inline]
    fn to_rgb(self, [y, u, v]: [f32; 3]) -> [f32; 3] {
        let y = (y - self.luma_black) * self.luma_scale;
        let (u, v) = (u - self.chroma_zero, v - self.chroma_zero);
        let rgb = [y + self.red_v * v, y + self.green_u * u + self.green_v * v, y + self.blue_u * u];
        rgb.map(|value| value.clamp(0.0, 255.0))
    }
}
