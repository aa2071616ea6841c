//! From sampled values to red, green and blue in the output's range.

use super::image::{Image, Layout, Matrix, Range};
use super::lanes::Floats;

/// How sampled triples become colours.
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

    /// The numbers of luma and chroma in the order of [`Yuv`]'s members; none for RGB.
    pub(super) fn yuv_numbers(&self) -> Option<[f32; 7]> {
        let Colours::Yuv(yuv) = self.colours else { return None };
        let Yuv { luma_black, luma_scale, chroma_zero, red_v, green_u, green_v, blue_u } = yuv;
        Some([luma_black, luma_scale, chroma_zero, red_v, green_u, green_v, blue_u])
    }

    /// Value of black, and of one level of 255 above it.
    pub(super) fn scale(&self) -> (f32, f32) {
        (self.black, self.level)
    }

    /// From sampled triples to red, green and blue in the output's range. Each colour is first multiplied by the pixel's
    /// `coverage`, if there is any.
    #[inline(always)]
    pub(super) fn convert<F: Floats>(&self, triple: [F; 3], coverage: Option<F>) -> [F; 3] {
        let [mut red, mut green, mut blue] = match &self.colours {
            Colours::Rgb => triple,
            Colours::Yuv(yuv) => yuv.rgb(triple),
        };
        if let Some(part) = coverage {
            [red, green, blue] = [red.times(part), green.times(part), blue.times(part)];
        }
        if let Colours::Rgb = self.colours {
            [red, green, blue] = [nearest(red), nearest(green), nearest(blue)];
        }
        [self.in_range(red), self.in_range(green), self.in_range(blue)]
    }

    #[inline(always)]
    fn in_range<F: Floats>(&self, value: F) -> F {
        F::splat(self.black).plus(value.times(F::splat(self.level)))
    }
}

/// The nearest whole number to a level of 0 to 255: halves go up in the reference.
#[inline(always)]
fn nearest<F: Floats>(level: F) -> F {
    level.plus(F::splat(0.5)).whole()
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

    #[inline(always)]
    fn rgb<F: Floats>(&self, [y, u, v]: [F; 3]) -> [F; 3] {
        let y = y.minus(F::splat(self.luma_black)).times(F::splat(self.luma_scale));
        let zero = F::splat(self.chroma_zero);
        let (u, v) = (u.minus(zero), v.minus(zero));
        let red = y.plus(v.times(F::splat(self.red_v)));
        let green = y.plus(u.times(F::splat(self.green_u))).plus(v.times(F::splat(self.green_v)));
        let blue = y.plus(u.times(F::splat(self.blue_u)));
        [clipped(red), clipped(green), clipped(blue)]
    }
}

/// A level of 0 to 255.
#[inline(always)]
fn clipped<F: Floats>(level: F) -> F {
    level.most(F::splat(0.0)).least(F::splat(255.0))
}
