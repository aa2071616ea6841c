//! The picture that the dancer is drawn into, and the colours that it is drawn with.

/// A picture in planar YUV 4:2:0, 8 bit, BT.709, limited range. Strides equal the plane widths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Yuv420 {
    /// Width in pixels.
    pub(crate) width: usize,
    /// Height in pixels.
    pub(crate) height: usize,
    /// Luma, `width * height` bytes, 16 (black) to 235 (white).
    pub(crate) y: Vec<u8>,
    /// Blue difference, `(width + 1) / 2 * (height + 1) / 2` bytes, 128 is neutral.
    pub(crate) u: Vec<u8>,
    /// Red difference, laid out as `u`.
    pub(crate) v: Vec<u8>,
}

impl Yuv420 {
    /// A black picture.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        Self { width, height, y: vec![16; width * height], u: vec![128; chroma], v: vec![128; chroma] }
    }

    /// Bytes from one chroma row to the next.
    pub(crate) fn chroma_width(&self) -> usize {
        self.width.div_ceil(2)
    }
}

/// A colour in linear light; 0 is black, 1 is white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rgb {
    pub(super) r: f32,
    pub(super) g: f32,
    pub(super) b: f32,
}

impl Rgb {
    /// The linear colour of a colour as painters and web pages write it, 0xRRGGBB, with a gamma of two.
    pub(super) const fn hex(code: u32) -> Self {
        const fn linear(byte: u32) -> f32 {
            let v = (byte & 255) as f32 / 255.0;
            v * v
        }
        Self { r: linear(code >> 16), g: linear(code >> 8), b: linear(code) }
    }

    pub(super) fn scale(self, s: f32) -> Self {
        Self { r: self.r * s, g: self.g * s, b: self.b * s }
    }

    pub(super) fn mix(self, o: Self, t: f32) -> Self {
        Self {
            r: self.r + (o.r - self.r) * t,
            g: self.g + (o.g - self.g) * t,
            b: self.b + (o.b - self.b) * t,
        }
    }

    pub(super) fn plus(self, s: f32) -> Self {
        Self { r: self.r + s, g: self.g + s, b: self.b + s }
    }

    /// This colour as luma and the two colour differences, 8-bit limited range, not yet rounded.
    ///
    /// The transfer function is a square root: near BT.709's and, unlike a power, exactly rounded everywhere.
    pub(super) fn to_yuv(self) -> [f32; 3] {
        let coded = |v: f32| v.clamp(0.0, 1.0).sqrt();
        let (r, g, b) = (coded(self.r), coded(self.g), coded(self.b));
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        [16.0 + 219.0 * luma, 128.0 + 224.0 * (b - luma) / 1.8556, 128.0 + 224.0 * (r - luma) / 1.5748]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_have_the_values_of_bt709() {
        let near = |code, expected: [f32; 3]| {
            let got = Rgb::hex(code).to_yuv();
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.6), "{code:06x}: {got:?}");
        };
        near(0xFFFFFF, [235.0, 128.0, 128.0]);
        near(0x000000, [16.0, 128.0, 128.0]);
        near(0xFF0000, [63.0, 102.0, 240.0]);
        near(0x0000FF, [32.0, 240.0, 118.0]);
    }

    #[test]
    fn odd_sizes_round_the_chroma_up() {
        let p = Yuv420::new(5, 3);
        assert_eq!((p.y.len(), p.u.len(), p.v.len()), (15, 6, 6));
    }
}
