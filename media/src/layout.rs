//! What the bytes of a picture mean: layout, bit depth, chroma, colour.

use std::ffi::c_int;

use crate::raw::{self, sys};

/// How pixels lie in the planes. Samples of more than 8 bits are 16-bit little-endian words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelLayout {
    /// Three planes: Y, Cb, Cr. Deep samples lie in the low bits of their words.
    Planar {
        /// How much smaller the planes of Cb and Cr are.
        chroma: Chroma,
        /// Significant bits a sample, 8 to 16.
        bits: u8,
    },
    /// Two planes: Y, and Cb and Cr interleaved (NV12, P010). Deep samples lie in the high bits of their words.
    SemiPlanar {
        /// How much smaller the second plane is.
        chroma: Chroma,
        /// Significant bits a sample, 8 to 16.
        bits: u8,
    },
    /// One plane: R, G, B, a byte each.
    Rgb24,
    /// One plane of luma, a byte each.
    Gray8,
}

/// How chroma is sampled. Odd sizes round up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// Half the width, half the height.
    C420,
    /// Half the width.
    C422,
    /// Every pixel.
    C444,
}

/// The range of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColorRange {
    /// Y 16 to 235, Cb and Cr 16 to 240 (of 8 bits).
    Limited,
    /// 0 to 255 (of 8 bits).
    Full,
}

/// The matrix between YCbCr and RGB. Unspecified is BT.709 from 720 rows on, else BT.601, as players do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColorMatrix {
    /// ITU-R BT.601: standard definition.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

pub(crate) const YUV420P: c_int = sys::AVPixelFormat::AV_PIX_FMT_YUV420P as c_int;
const RGB24: c_int = sys::AVPixelFormat::AV_PIX_FMT_RGB24 as c_int;
const GRAY8: c_int = sys::AVPixelFormat::AV_PIX_FMT_GRAY8 as c_int;

impl PixelLayout {
    /// The layout of FFmpeg's `format`, or `None` when a picture of that format has to be converted.
    pub(crate) fn of(format: c_int) -> Option<Self> {
        match format {
            RGB24 => return Some(Self::Rgb24),
            GRAY8 => return Some(Self::Gray8),
            _ => {}
        }
        let found = Description::of(format)?;
        let chroma = found.chroma?;
        let refused = sys::AV_PIX_FMT_FLAG_BE
            | sys::AV_PIX_FMT_FLAG_PAL
            | sys::AV_PIX_FMT_FLAG_BITSTREAM
            | sys::AV_PIX_FMT_FLAG_HWACCEL
            | sys::AV_PIX_FMT_FLAG_RGB
            | sys::AV_PIX_FMT_FLAG_ALPHA
            | sys::AV_PIX_FMT_FLAG_FLOAT;
        let [y, u, v] = [found.components[0], found.components[1], found.components[2]];
        if found.count != 3 || found.has(refused) || !(8..=16).contains(&y.depth) {
            return None;
        }
        let (bits, bytes) = (y.depth as u8, if y.depth > 8 { 2 } else { 1 });
        let even = [u, v].iter().all(|c| c.depth == y.depth && c.shift == y.shift) && y.step == bytes;
        let planes = [y.plane, u.plane, v.plane];
        if planes == [0, 1, 2] && even && y.shift == 0 && u.step == bytes && v.step == bytes {
            return Some(Self::Planar { chroma, bits });
        }
        let high_bits = y.shift == 8 * bytes - y.depth;
        let interleaved = u.step == 2 * bytes && u.offset == 0 && v.offset == bytes;
        (planes == [0, 1, 1] && even && high_bits && interleaved).then_some(Self::SemiPlanar { chroma, bits })
    }

    /// Number of planes.
    pub fn planes(self) -> usize {
        match self {
            Self::Planar { .. } => 3,
            Self::SemiPlanar { .. } => 2,
            Self::Rgb24 | Self::Gray8 => 1,
        }
    }

    /// (bytes a row, rows) of plane `index` of a picture of `width` x `height` pixels; (0, 0) when there is none.
    pub fn plane_size(self, index: usize, width: usize, height: usize) -> (usize, usize) {
        match (self, index) {
            (Self::Planar { bits, .. } | Self::SemiPlanar { bits, .. }, 0) => {
                (width * bytes_for(bits), height)
            }
            (Self::Planar { chroma, bits }, 1 | 2) => {
                let (columns, rows) = chroma.size(width, height);
                (columns * bytes_for(bits), rows)
            }
            (Self::SemiPlanar { chroma, bits }, 1) => {
                let (columns, rows) = chroma.size(width, height);
                (2 * columns * bytes_for(bits), rows)
            }
            (Self::Rgb24, 0) => (3 * width, height),
            (Self::Gray8, 0) => (width, height),
            _ => (0, 0),
        }
    }
}

impl Chroma {
    /// (columns, rows) of chroma for a picture of `width` x `height` pixels.
    pub fn size(self, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::C420 => (width.div_ceil(2), height.div_ceil(2)),
            Self::C422 => (width.div_ceil(2), height),
            Self::C444 => (width, height),
        }
    }
}

/// The format that a picture of `format` is converted to when [`PixelLayout::of`] has none for it.
pub(crate) fn fallback(format: c_int) -> c_int {
    match Description::of(format) {
        Some(found)
            if found
                .has(sys::AV_PIX_FMT_FLAG_RGB | sys::AV_PIX_FMT_FLAG_PAL | sys::AV_PIX_FMT_FLAG_BAYER) =>
        {
            RGB24
        }
        // One component, or one and alpha.
        Some(found) if found.count <= 2 => GRAY8,
        _ => YUV420P,
    }
}

/// The range of a picture: as tagged, else as its format is used.
pub(crate) fn range_of(tag: c_int, format: c_int) -> ColorRange {
    const FULL: c_int = sys::AVColorRange::AVCOL_RANGE_JPEG as c_int;
    const LIMITED: c_int = sys::AVColorRange::AVCOL_RANGE_MPEG as c_int;
    let full_by_nature = || {
        raw::pixel_name(format).starts_with("yuvj")
            || Description::of(format).is_some_and(|found| {
                let is_grey = found.count <= 2 && !found.has(sys::AV_PIX_FMT_FLAG_HWACCEL);
                is_grey || found.has(sys::AV_PIX_FMT_FLAG_RGB | sys::AV_PIX_FMT_FLAG_PAL)
            })
    };
    match tag {
        FULL => ColorRange::Full,
        LIMITED => ColorRange::Limited,
        _ if full_by_nature() => ColorRange::Full,
        _ => ColorRange::Limited,
    }
}

/// The matrix of a picture of `height` rows with FFmpeg's `tag` (ITU-T H.273, table 4).
pub(crate) fn matrix_of(tag: c_int, height: usize) -> ColorMatrix {
    match tag {
        1 => ColorMatrix::Bt709,
        4..=6 => ColorMatrix::Bt601,
        9 | 10 => ColorMatrix::Bt2020,
        _ if height >= 720 => ColorMatrix::Bt709,
        _ => ColorMatrix::Bt601,
    }
}

impl ColorMatrix {
    /// The number of the matrix in swscale.
    pub(crate) fn swscale(self) -> c_int {
        match self {
            Self::Bt601 => sys::SWS_CS_ITU601,
            Self::Bt709 => sys::SWS_CS_ITU709,
            Self::Bt2020 => sys::SWS_CS_BT2020,
        }
    }
}

fn bytes_for(bits: u8) -> usize {
    usize::from(bits).div_ceil(8)
}

/// The part of FFmpeg's description of a pixel format that is looked at here.
struct Description {
    count: u8,
    flags: u64,
    components: [sys::AVComponentDescriptor; 4],
    chroma: Option<Chroma>,
}

impl Description {
    fn of(format: c_int) -> Option<Self> {
        // SAFETY: any integer is allowed; null means unknown, and what is found is static and never changes.
        let raw = unsafe { raw::pixel_descriptor(format).as_ref() }?;
        let chroma = match (raw.log2_chroma_w, raw.log2_chroma_h) {
            (1, 1) => Some(Chroma::C420),
            (1, 0) => Some(Chroma::C422),
            (0, 0) => Some(Chroma::C444),
            _ => None,
        };
        Some(Self { count: raw.nb_components, flags: raw.flags, components: raw.comp, chroma })
    }

    fn has(&self, any_of: c_int) -> bool {
        self.flags & any_of as u64 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::AVPixelFormat::*;

    #[test]
    fn common_formats_are_handed_on_as_they_are() {
        for (format, layout) in [
            (AV_PIX_FMT_YUV420P, PixelLayout::Planar { chroma: Chroma::C420, bits: 8 }),
            (AV_PIX_FMT_YUVJ422P, PixelLayout::Planar { chroma: Chroma::C422, bits: 8 }),
            (AV_PIX_FMT_YUV444P12LE, PixelLayout::Planar { chroma: Chroma::C444, bits: 12 }),
            (AV_PIX_FMT_YUV420P10LE, PixelLayout::Planar { chroma: Chroma::C420, bits: 10 }),
            (AV_PIX_FMT_NV12, PixelLayout::SemiPlanar { chroma: Chroma::C420, bits: 8 }),
            (AV_PIX_FMT_P010LE, PixelLayout::SemiPlanar { chroma: Chroma::C420, bits: 10 }),
            (AV_PIX_FMT_NV16, PixelLayout::SemiPlanar { chroma: Chroma::C422, bits: 8 }),
        ] {
            assert_eq!(PixelLayout::of(format as c_int), Some(layout), "{format:?}");
        }
    }

    #[test]
    fn a_picture_without_a_range_has_the_one_that_its_format_usually_has() {
        for (format, range) in [
            (AV_PIX_FMT_YUV420P, ColorRange::Limited),
            (AV_PIX_FMT_NV12, ColorRange::Limited),
            (AV_PIX_FMT_YUVJ420P, ColorRange::Full),
            (AV_PIX_FMT_GRAY8, ColorRange::Full),
            (AV_PIX_FMT_RGB24, ColorRange::Full),
            // Says only where a picture is.
            (AV_PIX_FMT_CUDA, ColorRange::Limited),
        ] {
            assert_eq!(range_of(0, format as c_int), range, "{format:?}");
        }
    }

    #[test]
    fn the_rest_falls_back() {
        for (format, to) in [
            (AV_PIX_FMT_NV21, YUV420P),
            (AV_PIX_FMT_YUV420P10BE, YUV420P),
            (AV_PIX_FMT_YUVA420P, YUV420P),
            (AV_PIX_FMT_YUYV422, YUV420P),
            (AV_PIX_FMT_YUV411P, YUV420P),
            (AV_PIX_FMT_PAL8, RGB24),
            (AV_PIX_FMT_GBRP, RGB24),
            (AV_PIX_FMT_BGR24, RGB24),
            (AV_PIX_FMT_GRAY16LE, GRAY8),
            (AV_PIX_FMT_YA8, GRAY8),
        ] {
            assert_eq!(
                (PixelLayout::of(format as c_int), fallback(format as c_int)),
                (None, to),
                "{format:?}"
            );
        }
        assert_eq!(PixelLayout::of(1_000_000), None);
    }

    #[test]
    fn odd_sizes_round_up() {
        let layout = PixelLayout::SemiPlanar { chroma: Chroma::C420, bits: 10 };
        assert_eq!(layout.plane_size(1, 5, 7), (12, 4));
        assert_eq!(layout.plane_size(2, 5, 7), (0, 0));
    }
}
