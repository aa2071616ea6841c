//! Kernels: plain loops over slices of floats, written once and compiled for each instruction set.
//!
//! One of the two crates with `unsafe` code (vector loads and stores); it knows no tensor, no model and no
//! video frame. Public functions check the lengths of their slices and are safe.

mod add;
mod bf16;
mod bias;
mod depthwise;
pub mod device;
mod floats;
mod im2col;
mod resize;
pub mod rows;
pub mod sample;
mod shape;
mod simd;
#[cfg(test)]
mod testing;

pub use add::{add, add_with};
pub use bf16::Bf16;
pub use bias::{add_bias, add_bias_with};
pub use depthwise::{DepthwiseShape, depthwise, depthwise_with};
pub use floats::Floats;
pub use im2col::{PatchShape, im2col};
pub use resize::{ResizeShape, resize_bilinear};
pub use simd::Simd;

/// The bounds that a result is kept in: an activation as numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Least value.
    pub low: f32,
    /// Greatest value; not below `low`.
    pub high: f32,
}

impl Clamp {
    /// No bounds.
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    /// `max(x, 0)`.
    pub const RELU: Self = Self { low: 0.0, high: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };
}
