//! Products of split numbers in tiles (AMX): one or two tiles of sixteen pixels times one or two of sixteen channels.

use std::arch::asm;

use super::bf16::{LANES, Sums};
use crate::Bf16;

/// Rows of a tile and its bytes in a row.
const ROWS: u8 = 16;
const ROW_BYTES: u16 = 64;
pub(super) const TILE_BYTES: usize = ROWS as usize * ROW_BYTES as usize;

/// The processor's form of the shapes of tiles.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// A stretch of work in which the tiles of this thread are in use. Ended, they are given back, so that the kernel
/// need not save them.
pub(super) struct Session(());

impl Session {
    /// Begins to use tiles.
    pub(super) fn begin(_: Bf16) -> Self {
        let mut config =
            Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        config.row_bytes[..8].fill(ROW_BYTES);
        config.rows[..8].fill(ROWS);
        // SAFETY: a `Bf16` exists only where the processor has tiles and the kernel grants them; the configuration is
        // a valid one of eight full tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly)) };
        Self(())
    }

    /// Multiplies one tile of pixels, or `both`, with one or two vectors of channels over `steps` steps of taps.
    ///
    /// # Safety
    /// `patches` has to hold a coarse and a fine tile for each step and sixteen pixels, `panel` as many for each step
    /// and vector.
    pub(super) unsafe fn multiply(
        &self,
        steps: usize,
        vectors: usize,
        both: bool,
        patches: *const u8,
        panel: *const u8,
        sums: &mut Sums,
    ) {
        // SAFETY: the caller's promise; the tiles are configured. Pixels that a block lacks are whatever memory holds,
        // and their sums go nowhere.
        unsafe {
            match (both, vectors) {
                (true, 2) => two_by_two(steps, patches, panel, sums),
                (true, _) => two_by_one(steps, patches, panel, sums),
                (false, 2) => one_by_two(steps, patches, panel, sums),
                (false, _) => one_by_one(steps, patches, panel, sums),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: a session exists only where tiles may be used; nothing in them is needed any more.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Defines the product of some tiles of pixels with some of channels. Tiles 0 to 3 hold sums, 4 and 5 pixels, 6 and 7
/// weights. The three lists are the instructions before the steps, of one step, and after them.
macro_rules! product {
    ($name:ident, $vectors:literal, [$($zero:literal),*], [$($step:literal),*], [$($store:literal),*]) => {
        /// # Safety
        /// The tiles have to be configured; `a` and `b` have to hold the tiles of `steps` steps.
        #[inline]
        unsafe fn $name(steps: usize, a: *const u8, b: *const u8, sums: &mut Sums) {
            // SAFETY: the caller's promise; sums have room for all tiles.
            unsafe {
                asm!(
                    $($zero,)*
                    "2:",
                    $($step,)*
                    "add {a}, 2048",
                    "add {a2}, 2048",
                    "add {b}, {b_step}",
                    "dec {steps}",
                    "jnz 2b",
                    $($store,)*
                    a = inout(reg) a => _,
                    a2 = inout(reg) a.wrapping_add(2 * TILE_BYTES * steps) => _,
                    b = inout(reg) b => _,
                    steps = inout(reg) steps => _,
                    row = in(reg) ROW_BYTES as usize,
                    b_step = const 2 * TILE_BYTES * $vectors,
                    sums = in(reg) sums.0.as_mut_ptr(),
                    sums_row = in(reg) 2 * LANES * size_of::<f32>(),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

product!(
    two_by_two,
    2,
    ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"],
    [
        "tileloadd tmm6, [{b} + {row}*1]",
        "tileloadd tmm7, [{b} + {row}*1 + 1024]",
        "tileloadd tmm4, [{a} + {row}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm5, [{a2} + {row}*1]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7",
        "tileloadd tmm4, [{a} + {row}*1 + 1024]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm5, [{a2} + {row}*1 + 1024]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7",
        "tileloadd tmm6, [{b} + {row}*1 + 2048]",
        "tileloadd tmm7, [{b} + {row}*1 + 3072]",
        "tileloadd tmm4, [{a} + {row}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tileloadd tmm5, [{a2} + {row}*1]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tdpbf16ps tmm3, tmm5, tmm7"
    ],
    [
        "tilestored [{sums} + {sums_row}*1], tmm0",
        "tilestored [{sums} + {sums_row}*1 + 64], tmm1",
        "tilestored [{sums} + {sums_row}*1 + 2048], tmm2",
        "tilestored [{sums} + {sums_row}*1 + 2112], tmm3"
    ]
);
product!(
    two_by_one,
    1,
    ["tilezero tmm0", "tilezero tmm2"],
    [
        "tileloadd tmm6, [{b} + {row}*1]",
        "tileloadd tmm4, [{a} + {row}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{a2} + {row}*1]",
        "tdpbf16ps tmm2, tmm5, tmm6",
        "tileloadd tmm7, [{b} + {row}*1 + 1024]",
        "tdpbf16ps tmm0, tmm4, tmm7",
        "tdpbf16ps tmm2, tmm5, tmm7",
        "tileloadd tmm4, [{a} + {row}*1 + 1024]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{a2} + {row}*1 + 1024]",
        "tdpbf16ps tmm2, tmm5, tmm6"
    ],
    ["tilestored [{sums} + {sums_row}*1], tmm0", "tilestored [{sums} + {sums_row}*1 + 2048], tmm2"]
);
product!(
    one_by_two,
    2,
    ["tilezero tmm0", "tilezero tmm1"],
    [
        "tileloadd tmm4, [{a} + {row}*1]",
        "tileloadd tmm5, [{a} + {row}*1 + 1024]",
        "tileloadd tmm6, [{b} + {row}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm7, [{b} + {row}*1 + 1024]",
        "tdpbf16ps tmm1, tmm4, tmm7",
        "tdpbf16ps tmm0, tmm5, tmm6",
        "tdpbf16ps tmm1, tmm5, tmm7",
        "tileloadd tmm6, [{b} + {row}*1 + 2048]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm7, [{b} + {row}*1 + 3072]",
        "tdpbf16ps tmm1, tmm4, tmm7"
    ],
    ["tilestored [{sums} + {sums_row}*1], tmm0", "tilestored [{sums} + {sums_row}*1 + 64], tmm1"]
);
product!(
    one_by_one,
    1,
    ["tilezero tmm0"],
    [
        "tileloadd tmm4, [{a} + {row}*1]",
        "tileloadd tmm6, [{b} + {row}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{a} + {row}*1 + 1024]",
        "tdpbf16ps tmm0, tmm5, tmm6",
        "tileloadd tmm7, [{b} + {row}*1 + 1024]",
        "tdpbf16ps tmm0, tmm4, tmm7"
    ],
    ["tilestored [{sums} + {sums_row}*1], tmm0"]
);
