//! Products of tiles of bfloat16 numbers (AMX): two tiles of sixteen pixels times two of sixteen channels.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::bf16::{BLOCK, LANES, Patches, Target};
use super::dot::finish;
use crate::bf16::Bf16;

/// Rows of a tile and its bytes in a row.
const ROWS: u8 = 16;
const ROW_BYTES: u16 = 64;
/// Taps that a tile multiplies at once.
const STEP: usize = 32;

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

/// Sums of a block: pixels, two vectors of channels.
#[repr(align(64))]
struct Sums([MaybeUninit<f32>; BLOCK * 2 * LANES]);

impl Session {
    /// Begins to use tiles, if that is how products are made.
    pub(super) fn begin(how: Bf16) -> Option<Self> {
        if !how.has_tiles() {
            return None;
        }
        let mut config =
            Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        config.row_bytes[..8].fill(ROW_BYTES);
        config.rows[..8].fill(ROWS);
        // SAFETY: `how` says that the processor has tiles and the kernel grants them; the configuration is a valid one
        // of eight full tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly)) };
        Some(Self(()))
    }

    /// Multiplies a block of patches with a panel of one or two vectors.
    ///
    /// # Safety
    /// `patches` has to hold a patch of `depth` taps for each pixel of the target, `panel` pairs of `depth` taps for
    /// `vectors` vectors; the target's pixels have to be valid.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn panel(
        &self,
        depth: usize,
        vectors: usize,
        patches: &Patches,
        panel: &[f32],
        target: &Target<'_>,
    ) {
        let mut sums = Sums([MaybeUninit::uninit(); BLOCK * 2 * LANES]);
        let both_rows = target.pixels.len() > LANES;
        let (a, b): (*const u8, *const u8) = (patches.0.as_ptr().cast(), panel.as_ptr().cast());
        // SAFETY: the caller's promise. A second tile of pixels is read only if the block has more than one; taps of
        // pixels that the block lacks are whatever memory holds, and their sums go nowhere.
        unsafe {
            match (both_rows, vectors) {
                (true, 2) => two_by_two(depth, a, b, &mut sums),
                (true, _) => two_by_one(depth, a, b, &mut sums),
                (false, 2) => one_by_two(depth, a, b, &mut sums),
                (false, _) => one_by_one(depth, a, b, &mut sums),
            }
            for pixel in 0..target.pixels.len() {
                for vector in 0..vectors {
                    let sum = _mm512_load_ps(sums.0.as_ptr().add((pixel * 2 + vector) * LANES).cast());
                    finish(sum, target, pixel, vector);
                }
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

/// Defines the product of some tiles of pixels with some tiles of channels. Tiles 0 to 3 hold sums, 4 and 5 pixels,
/// 6 and 7 weights. `$first` are the instructions for one step of taps; `$last` store the sums.
macro_rules! product {
    ($name:ident, $vectors:literal, [$($zero:literal),*], [$($step:literal),*], [$($store:literal),*]) => {
        /// # Safety
        /// The tiles have to be configured; `a` has to hold sixteen patches of `depth` taps for each tile of pixels, `b`
        /// pairs of weights for as many taps and all vectors.
        #[inline]
        unsafe fn $name(depth: usize, a: *const u8, b: *const u8, sums: &mut Sums) {
            let (a_row, b_row) = (depth * 2, $vectors * 64usize);
            // SAFETY: the caller's promise; sums have room for all tiles.
            unsafe {
                asm!(
                    $($zero,)*
                    "2:",
                    $($step,)*
                    "add {a}, 64",
                    "add {a2}, 64",
                    "add {b}, {b_step}",
                    "dec {steps}",
                    "jnz 2b",
                    $($store,)*
                    a = inout(reg) a => _,
                    a2 = inout(reg) a.wrapping_add(16 * a_row) => _,
                    b = inout(reg) b => _,
                    steps = inout(reg) depth / STEP => _,
                    a_row = in(reg) a_row,
                    b_row = in(reg) b_row,
                    b_step = in(reg) b_row * 16,
                    sums = in(reg) sums.0.as_mut_ptr(),
                    sums_row = in(reg) 2 * LANES * 4,
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
        "tileloadd tmm4, [{a} + {a_row}*1]",
        "tileloadd tmm6, [{b} + {b_row}*1]",
        "tileloadd tmm7, [{b} + {b_row}*1 + 64]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{a2} + {a_row}*1]",
        "tdpbf16ps tmm1, tmm4, tmm7",
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
        "tileloadd tmm6, [{b} + {b_row}*1]",
        "tileloadd tmm4, [{a} + {a_row}*1]",
        "tileloadd tmm5, [{a2} + {a_row}*1]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm2, tmm5, tmm6"
    ],
    ["tilestored [{sums} + {sums_row}*1], tmm0", "tilestored [{sums} + {sums_row}*1 + 2048], tmm2"]
);
product!(
    one_by_two,
    2,
    ["tilezero tmm0", "tilezero tmm1"],
    [
        "tileloadd tmm4, [{a} + {a_row}*1]",
        "tileloadd tmm6, [{b} + {b_row}*1]",
        "tileloadd tmm7, [{b} + {b_row}*1 + 64]",
        "tdpbf16ps tmm0, tmm4, tmm6",
        "tdpbf16ps tmm1, tmm4, tmm7"
    ],
    ["tilestored [{sums} + {sums_row}*1], tmm0", "tilestored [{sums} + {sums_row}*1 + 64], tmm1"]
);
product!(
    one_by_one,
    1,
    ["tilezero tmm0"],
    ["tileloadd tmm4, [{a} + {a_row}*1]", "tileloadd tmm6, [{b} + {b_row}*1]", "tdpbf16ps tmm0, tmm4, tmm6"],
    ["tilestored [{sums} + {sums_row}*1], tmm0"]
);
