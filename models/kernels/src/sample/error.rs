//! Why a picture cannot be sampled.

use thiserror::Error;

/// Why [`sample`](super::sample) refused. Each is a mistake of the caller or a broken picture; none goes away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The picture has no area, or a side of more than 65535 pixels.
    #[error("picture of {width}x{height} pixels cannot be sampled")]
    Size {
        /// Stored width in pixels.
        width: u32,
        /// Stored height in pixels.
        height: u32,
    },
    /// A depth outside 8 to 16 bit, or a chroma subsampling by more than 4.
    #[error("layout with {bits} bit and chroma subsampled by 2^{sub_x} x 2^{sub_y} is not supported")]
    Layout {
        /// Bits of a sample.
        bits: u8,
        /// Horizontal subsampling, log2.
        sub_x: u8,
        /// Vertical subsampling, log2.
        sub_y: u8,
    },
    /// A plane that the layout needs is not there.
    #[error("plane {index} is missing")]
    MissingPlane {
        /// Index of the plane.
        index: usize,
    },
    /// A plane's stride is shorter than its rows, or its data than its rows at that stride.
    #[error("plane {index} of {length} bytes with stride {stride} is too short")]
    ShortPlane {
        /// Index of the plane.
        index: usize,
        /// Length of the data in bytes.
        length: usize,
        /// Distance of rows in bytes.
        stride: usize,
    },
    /// A plane takes 2 GiB or more.
    #[error("plane {index} of {length} bytes is too large")]
    LargePlane {
        /// Index of the plane.
        index: usize,
        /// Bytes from its first sample to its last.
        length: usize,
    },
    /// The region is not finite, not larger than nothing, or absurdly far away.
    #[error("region of interest is not a finite square near the picture")]
    Region,
    /// The output is not `size` x `size` x 3 numbers with a size of 1 to 65535.
    #[error("output of {length} numbers does not hold {size} x {size} x 3")]
    Output {
        /// Side in pixels.
        size: usize,
        /// Numbers in the slice.
        length: usize,
    },
    /// An end of the output range is not finite.
    #[error("output range is not finite")]
    OutputRange,
}
