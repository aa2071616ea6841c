//! Pictures to sample in the tests: every layout, filled with a fixed noise or with one colour.

use super::super::{Image, Layout, Matrix, Plane, Range, Rotation};

/// A picture that owns its planes, filled with a fixed pattern of noise.
pub(super) struct Picture {
    width: u32,
    height: u32,
    layout: Layout,
    pub(super) planes: Vec<(Vec<u8>, usize)>,
}

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
    pub(super) fn new(width: u32, height: u32, layout: Layout) -> Self {
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

    pub(super) fn image(&self, range: Range, matrix: Matrix, rotation: Rotation) -> Image<'_> {
        let plane =
            |index: usize| self.planes.get(index).map(|(data, stride)| Plane { data, stride: *stride });
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

    pub(super) fn plain(&self) -> Image<'_> {
        self.image(Range::Limited, Matrix::Bt709, Rotation::None)
    }

    /// Writes one colour into every pixel.
    pub(super) fn fill(&mut self, colour: [u16; 3]) {
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
