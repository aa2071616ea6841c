//! A buffer of floats that begins on a cache line, so that whole vectors of it never straddle two.

/// Floats in a cache line.
const LINE: usize = 16;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Floats that begin on a cache line; as long as they were made.
#[derive(Debug, Clone)]
pub struct Floats {
    lines: Vec<Line>,
    len: usize,
}

impl Floats {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)], len }
    }
}

impl std::ops::Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is an array of floats without padding (64 bytes, aligned to 64), lines of a vector lie
        // side by side, and there are enough of them for `len` floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl std::ops::DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the borrow of `self` makes this the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_has_its_length_and_begins_on_a_line() {
        for len in [0, 1, 16, 100] {
            let mut floats = Floats::zeros(len);
            floats.fill(1.0);
            assert_eq!(floats.iter().sum::<f32>(), len as f32);
            assert_eq!(floats.as_ptr() as usize % 64, 0);
        }
    }
}
