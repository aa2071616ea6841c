//! The number of the frame as a strip of black and white blocks along the upper edge.
//!
//! Fifty-six blocks across the frame: a sync pattern, 32 bits of the number, 16 bits of its checksum, and a second sync
//! pattern, most significant bit first. A block is a fifty-eighth of the width, so a frame 360 rows high still has blocks of
//! 11 pixels. The reader knows the layout from the size of the picture alone.

use super::picture::Yuv420;

const SYNC: usize = 4;
const BLOCKS: usize = SYNC + 32 + 16 + SYNC;
/// First sync pattern and second: alternating, so that both levels and the place are sure.
const HEAD: u64 = 0b1010;
const TAIL: u64 = 0b0101;
/// Free blocks on the left and on the right of the strip.
const MARGIN: f32 = 1.0;
/// Luma of the two levels.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
/// Least difference of the levels that is read: far above what compression leaves of a flat picture.
const LEAST_CONTRAST: f32 = 60.0;

/// Height of the strip in rows: three quarters of a block's width, and at most 1/24 of the picture.
pub(crate) fn rows(width: usize, height: usize) -> usize {
    let block = width as f32 / (BLOCKS as f32 + 2.0 * MARGIN);
    ((block * 0.8).min(height as f32 / 24.0) as usize & !1).max(2).min(height)
}

/// Draws the number into the upper edge of the picture.
pub(crate) fn draw(picture: &mut Yuv420, number: u32) {
    let word = encode(number);
    let (width, rows) = (picture.width, rows(picture.width, picture.height));
    let mut line = vec![BLACK; width];
    for index in (0..BLOCKS).filter(|i| word >> (BLOCKS - 1 - i) & 1 == 1) {
        let (from, to) = (edge(width, index as f32), edge(width, index as f32 + 1.0));
        line[from as usize..(to as usize).min(width)].fill(WHITE);
    }
    for row in picture.y.chunks_mut(width.max(1)).take(rows) {
        row.copy_from_slice(&line);
    }
    let neutral = picture.chroma_width() * rows.div_ceil(2);
    picture.u[..neutral].fill(128);
    picture.v[..neutral].fill(128);
}

/// Reads the number from the luma plane of a picture, or nothing where no strip is or it is damaged.
///
/// `luma` has `height` rows of `width` samples, `stride` samples apart.
pub(crate) fn read(width: usize, height: usize, luma: &[u8], stride: usize) -> Option<u32> {
    let rows = rows(width, height);
    if width < 2 * BLOCKS || stride < width || luma.len() < stride * (rows - 1) + width {
        return None;
    }
    let mut levels = [0.0; BLOCKS];
    for (index, level) in levels.iter_mut().enumerate() {
        *level = mean_of_block(width, rows, luma, stride, index);
    }
    decode(slice(&levels)?)
}

/// Left edge in samples of a block, or of a part of it.
fn edge(width: usize, block: f32) -> f32 {
    (block + MARGIN) * width as f32 / (BLOCKS as f32 + 2.0 * MARGIN)
}

/// Mean luma of the middle of a block; its rim may have run into its neighbours.
fn mean_of_block(width: usize, rows: usize, luma: &[u8], stride: usize, index: usize) -> f32 {
    let from = edge(width, index as f32 + 0.3) as usize;
    let to = (edge(width, index as f32 + 0.7) as usize).max(from + 1);
    let (top, bottom) = (rows / 4, (rows * 3 / 4).max(rows / 4 + 1));
    let lines = (top..bottom).flat_map(|y| &luma[y * stride + from..y * stride + to]);
    lines.map(|&v| f32::from(v)).sum::<f32>() / ((to - from) * (bottom - top)) as f32
}

/// Decides each block against the levels of the sync patterns; a block between the levels is damage.
fn slice(levels: &[f32; BLOCKS]) -> Option<u64> {
    let ends = levels[..SYNC].iter().chain(&levels[BLOCKS - SYNC..]);
    let pattern = HEAD << SYNC | TAIL;
    let (mut white, mut black) = (0.0, 0.0);
    for (i, level) in ends.enumerate() {
        let bright = pattern >> (2 * SYNC - 1 - i) & 1 == 1;
        *(if bright { &mut white } else { &mut black }) += level / SYNC as f32;
    }
    let (middle, contrast) = (0.5 * (white + black), white - black);
    if contrast < LEAST_CONTRAST {
        return None;
    }
    levels.iter().try_fold(0, |word, level| {
        let clear = (level - middle).abs() > 0.15 * contrast;
        clear.then_some(word << 1 | u64::from(*level > middle))
    })
}

fn encode(number: u32) -> u64 {
    let body = u64::from(number) << 16 | u64::from(checksum(number));
    HEAD << (BLOCKS - SYNC) | body << SYNC | TAIL
}

fn decode(word: u64) -> Option<u32> {
    let number = (word >> (SYNC + 16)) as u32;
    (encode(number) == word).then_some(number)
}

/// CRC-16/IBM-3740 (polynomial 0x1021, start 0xFFFF) of the number's four bytes, the most significant first.
fn checksum(number: u32) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in number.to_be_bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::super::math::hash;
    use super::*;

    const NUMBERS: [u32; 5] = [0, 1, 599, 0x8000_0001, u32::MAX];

    fn drawn(width: usize, height: usize, number: u32) -> Yuv420 {
        let mut p = Yuv420::new(width, height);
        p.y.fill(120);
        draw(&mut p, number);
        p
    }

    fn read_back(p: &Yuv420) -> Option<u32> {
        read(p.width, p.height, &p.y, p.width)
    }

    #[test]
    fn numbers_come_back_at_every_size() {
        for (w, h) in
            [(1920, 1080), (1280, 720), (640, 360), (853, 479), (360, 640), (240, 240), (3840, 2160)]
        {
            for number in NUMBERS {
                assert_eq!(read_back(&drawn(w, h, number)), Some(number), "{number} at {w}x{h}");
            }
        }
    }

    #[test]
    fn numbers_survive_noise_and_halving() {
        for number in NUMBERS {
            let mut p = drawn(1280, 720, number);
            for (i, v) in p.y.iter_mut().enumerate() {
                *v = v.saturating_add_signed((hash(i as u32, number) % 61) as i8 - 30);
            }
            assert_eq!(read_back(&p), Some(number));
            let half: Vec<u8> = (0..640 * 360)
                .map(|i| {
                    let at = i / 640 * 2 * 1280 + i % 640 * 2;
                    let sum: u32 =
                        [at, at + 1, at + 1280, at + 1281].iter().map(|&k| u32::from(p.y[k])).sum();
                    (sum / 4) as u8
                })
                .collect();
            assert_eq!(read(640, 360, &half, 640), Some(number));
        }
    }

    #[test]
    fn any_inverted_block_is_refused() {
        let clean = drawn(640, 360, 123_456);
        for index in 0..BLOCKS {
            let mut p = clean.clone();
            let (from, to) = (edge(640, index as f32) as usize, edge(640, index as f32 + 1.0) as usize);
            for row in p.y.chunks_mut(640).take(rows(640, 360)) {
                row[from..to].iter_mut().for_each(|v| *v = 251 - *v);
            }
            assert_eq!(read_back(&p), None, "block {index}");
        }
    }

    #[test]
    fn pictures_without_a_strip_have_no_number() {
        let mut p = Yuv420::new(640, 360);
        assert_eq!(read_back(&p), None, "black");
        p.y.iter_mut().enumerate().for_each(|(i, v)| *v = hash(i as u32, 1) as u8);
        assert_eq!(read_back(&p), None, "noise");
        p.y.iter_mut().enumerate().for_each(|(i, v)| *v = (i % 640 / 3) as u8);
        assert_eq!(read_back(&p), None, "gradient");
    }

    #[test]
    fn short_planes_and_tiny_pictures_are_refused() {
        let p = drawn(640, 360, 5);
        assert_eq!(read(640, 360, &p.y[..640], 640), None);
        assert_eq!(read(640, 360, &p.y, 639), None);
        assert_eq!(read(64, 36, &p.y, 64), None);
        assert_eq!(read(0, 0, &[], 0), None);
    }

    #[test]
    fn padding_between_rows_is_skipped() {
        let p = drawn(640, 360, 77);
        let padded: Vec<u8> = p.y.chunks(640).flat_map(|r| r.iter().copied().chain([9; 32])).collect();
        assert_eq!(read(640, 360, &padded, 672), Some(77));
    }
}
