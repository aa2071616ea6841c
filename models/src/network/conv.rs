//! Full convolutions as matrix products: `[N * H' * W', K] x [K, C_out]`, then bias and activation in one
//! pass.

use candle_core::{CpuStorage, CustomOp1, DType, InplaceOp2, Layout, Module, Result, Shape, Tensor, bail};
use kinora_kernels::{Clamp, PatchShape, add_bias, im2col};

use super::ops::{cpu_slice, windows};
use crate::error::ModelError;
use crate::graph::Window;

/// A convolution with its weights, turned once so that the product reads them row by row.
#[derive(Debug, Clone)]
pub(super) struct Conv2d {
    /// `[kh * kw * C_in, C_out]`.
    weights: Tensor,
    /// `[C_out]`.
    bias: Tensor,
    window: Window,
    clamp: Clamp,
}

impl Conv2d {
    /// From weights `[C_out, kh, kw, C_in]` and bias `[C_out]`.
    pub(super) fn new(
        weights: &Tensor,
        bias: Tensor,
        window: Window,
        clamp: Clamp,
    ) -> std::result::Result<Self, ModelError> {
        let weights = weights.flatten_from(1)?.t()?.contiguous()?;
        Ok(Self { weights, bias, window, clamp })
    }

    /// The input as the product's left side. A pointwise convolution, and a window that covers the whole
    /// image, need no copy: in NHWC the image already is that matrix.
    fn patches(&self, xs: &Tensor, [height, width]: [usize; 2]) -> Result<Tensor> {
        let (n, h, w, _) = xs.dims4()?;
        let depth = self.weights.dim(0)?;
        let Window { kernel, stride, padding, .. } = self.window;
        let unpadded = padding == Default::default();
        let pointwise = kernel == [1, 1] && stride == [1, 1];
        let whole = kernel == [h, w] && [height, width] == [1, 1] && self.window.dilation == [1, 1];
        if unpadded && (pointwise || whole) {
            return xs.reshape((n * height * width, depth));
        }
        xs.apply_op1_no_bwd(&Patches { window: self.window, output: [height, width] })
    }
}

impl Module for Conv2d {
    /// `[N, H, W, C_in]` to `[N, H', W', C_out]`.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (n, h, w, _) = xs.dims4()?;
        let [height, width] = windows([h, w], &self.window)?;
        let ys = self.patches(xs, [height, width])?.matmul(&self.weights)?;
        ys.inplace_op2(&self.bias, &BiasClamp(self.clamp))?;
        ys.reshape((n, height, width, ()))
    }
}

/// The patches of each image, `[N * H' * W', kh * kw * C]`.
struct Patches {
    window: Window,
    output: [usize; 2],
}

impl CustomOp1 for Patches {
    fn name(&self) -> &'static str {
        "im2col"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let Window { kernel, stride, dilation, padding } = self.window;
        let shape = PatchShape {
            input: [h, w],
            output: self.output,
            channels: c,
            kernel,
            stride,
            dilation,
            padding: [padding.top, padding.left],
        };
        let input = cpu_slice(storage, layout, self.name())?;
        let mut patches = vec![0.0; n * shape.output_len()];
        for index in 0..n {
            let image = &input[index * shape.input_len()..][..shape.input_len()];
            im2col(&shape, image, &mut patches[index * shape.output_len()..][..shape.output_len()]);
        }
        let rows = n * self.output[0] * self.output[1];
        Ok((CpuStorage::F32(patches), (rows, shape.patch_len()).into()))
    }
}

/// Adds a bias to each row and clamps, in place.
pub(super) struct BiasClamp(pub(super) Clamp);

impl InplaceOp2 for BiasClamp {
    fn name(&self) -> &'static str {
        "bias-clamp"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<()> {
        let bias = cpu_slice(bias, bias_layout, self.name())?;
        match (values, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((from, to))) => {
                add_bias(&mut values[from..to], bias, self.0);
                Ok(())
            }
            (other, _) => bail!(
                "{} takes contiguous {:?}, got {:?}",
                InplaceOp2::name(self),
                DType::F32,
                other_type(other)
            ),
        }
    }
}

/// A storage's element type, for messages.
fn other_type(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}
