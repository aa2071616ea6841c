//! Depthwise convolution as one candle op: no convolution is run channel by channel.

use candle_core::{CpuStorage, CustomOp3, Layout, Module, Result, Shape, Tensor};
use kinora_kernels::{Clamp, DepthwiseShape, depthwise};

use super::ops::{cpu_slice, windows};
use crate::graph::Window;

/// A depthwise convolution with its weights, bias and activation.
#[derive(Debug, Clone)]
pub(super) struct DepthwiseConv2d {
    /// `[1, kh, kw, C]`.
    weights: Tensor,
    /// `[C]`.
    bias: Tensor,
    window: Window,
    clamp: Clamp,
}

impl DepthwiseConv2d {
    /// From weights `[1, kh, kw, C]` and bias `[C]`.
    pub(super) fn new(weights: Tensor, bias: Tensor, window: Window, clamp: Clamp) -> Self {
        Self { weights, bias, window, clamp }
    }
}

impl Module for DepthwiseConv2d {
    /// `[N, H, W, C]` to `[N, H', W', C]`.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        xs.apply_op3_no_bwd(&self.weights, &self.bias, &Depthwise { window: self.window, clamp: self.clamp })
    }
}

/// The op: image, weights, bias.
struct Depthwise {
    window: Window,
    clamp: Clamp,
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise-conv2d"
    }

    fn cpu_fwd(
        &self,
        image: &CpuStorage,
        image_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = image_layout.shape().dims4()?;
        let Window { kernel, stride, dilation, padding } = self.window;
        let output = windows([h, w], &self.window)?;
        let padding = [padding.top, padding.left];
        let shape = DepthwiseShape { input: [h, w], output, channels: c, kernel, stride, dilation, padding };
        let input = cpu_slice(image, image_layout, self.name())?;
        let weights = cpu_slice(weights, weights_layout, self.name())?;
        let bias = cpu_slice(bias, bias_layout, self.name())?;
        let mut result = vec![0.0; n * shape.output_len()];
        for index in 0..n {
            let image = &input[index * shape.input_len()..][..shape.input_len()];
            let to = &mut result[index * shape.output_len()..][..shape.output_len()];
            depthwise(&shape, image, weights, bias, self.clamp, to);
        }
        Ok((CpuStorage::F32(result), (n, output[0], output[1], c).into()))
    }
}
