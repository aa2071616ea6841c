//! The operands of kernel calls, as `cuda/call.cuh` and `cuda/sample.cuh` declare them. Addresses are those of the machine
//! that runs the kernel.

/// Images of a batch, NHWC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Map {
    /// Address of the first image; 0 for no image.
    pub data: u64,
    /// Elements from one image to the next.
    pub stride: i64,
    /// Rows.
    pub height: i32,
    /// Pixels of a row.
    pub width: i32,
    /// Elements of a pixel.
    pub channels: i32,
    pub(super) unused: i32,
}

/// What every kernel of a network is called with; each reads the members that concern it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Call {
    /// What is read.
    pub input: Map,
    /// What is added.
    pub beside: Map,
    /// What is made.
    pub output: Map,
    /// Address of the weights.
    pub weights: u64,
    /// Address of the bias, in single precision.
    pub bias: u64,
    /// Taps of the window: height, width.
    pub window: [i32; 2],
    /// Step between two outputs.
    pub step: [i32; 2],
    /// Zeros above and on the left.
    pub padding: [i32; 2],
    /// Bounds of the result.
    pub low: f32,
    /// See `low`.
    pub high: f32,
    /// Images.
    pub batch: i32,
    /// Rows of packed weights.
    pub depth: i32,
    /// Columns of packed weights.
    pub columns: i32,
    /// Side of the block of pixels that channels become.
    pub block: i32,
}

/// One axis of a plane; see `Axis` of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct SampleAxis {
    pub(super) first: i32,
    pub(super) bits: i32,
    pub(super) last: i32,
    pub(super) length: i32,
}

/// What the samplers of NV12 and P010 are called with.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct SampleCall {
    pub(super) luma: u64,
    pub(super) chroma: u64,
    pub(super) output: u64,
    pub(super) luma_stride: i64,
    pub(super) chroma_stride: i64,
    pub(super) origin: [f64; 2],
    pub(super) column: [f64; 2],
    pub(super) row: [f64; 2],
    pub(super) luma_axes: [SampleAxis; 2],
    pub(super) chroma_axes: [SampleAxis; 2],
    /// Black and scale of luma, zero of chroma, then red by v, green by u, green by v, blue by u.
    pub(super) colour: [f32; 7],
    pub(super) black: f32,
    pub(super) level: f32,
    pub(super) size: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

// The kernels assert the same.
const _: () = assert!(size_of::<Map>() == 32 && size_of::<Call>() == 160 && size_of::<SampleCall>() == 200);
