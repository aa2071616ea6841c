//! Operations without weights, on NHWC tensors of any batch, and what the blocks share.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use kinora_kernels::{Clamp, ResizeShape, add as add_maps, resize_bilinear as resize_image};

use crate::graph::Window;

/// `min(max(a + b, low), high)`, in one pass on the thread at hand: candle's own sum shares such small work out to a
/// pool of threads and waits for them, which took longer than a whole network on a busy machine.
pub(super) fn add(a: &Tensor, b: &Tensor, clamp: Clamp) -> Result<Tensor> {
    a.apply_op2_no_bwd(b, &Add(clamp))
}

/// The largest value of each window; candle pools NCHW, and the maps that are pooled here are tiny.
pub(super) fn max_pool(xs: &Tensor, window: &Window) -> Result<Tensor> {
    let ([kh, kw], [sh, sw]) = (window.kernel, window.stride);
    xs.permute((0, 3, 1, 2))?.max_pool2d_with_stride((kh, kw), (sh, sw))?.permute((0, 2, 3, 1))?.contiguous()
}

/// `[N, H, W, b * b * C]` to `[N, H * b, W * b, C]`: channels hold the block's pixels row by row.
pub(super) fn depth_to_space(xs: &Tensor, block: usize) -> Result<Tensor> {
    let (n, h, w, c) = xs.dims4()?;
    let channels = c / (block * block);
    xs.reshape(&[n, h, w, block, block, channels])?.permute([0, 1, 3, 2, 4, 5])?.reshape((
        n,
        h * block,
        w * block,
        channels,
    ))
}

/// To a shape of the file, whose batch is 1, for the batch at hand.
pub(super) fn reshape(xs: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let mut shape = shape.to_vec();
    if let Some(batch) = shape.first_mut() {
        *batch *= xs.dim(0)?;
    }
    xs.reshape(shape)
}

/// To `[height, width]`, bilinear with pixel centres at half integers.
pub(super) fn resize_bilinear(xs: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    xs.apply_op1_no_bwd(&Resize(size))
}

/// Height and width of what a window gives on an image.
pub(super) fn windows(image: [usize; 2], window: &Window) -> Result<[usize; 2]> {
    let padding = [window.padding.top + window.padding.bottom, window.padding.left + window.padding.right];
    let mut outputs = [0; 2];
    for axis in 0..2 {
        let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        let Some(room) = (image[axis] + padding[axis]).checked_sub(reach) else {
            bail!("a window of {reach} is larger than an image of {}", image[axis])
        };
        outputs[axis] = room / window.stride[axis] + 1;
    }
    Ok(outputs)
}

/// A contiguous f32 tensor's elements. Errors: anything else; `op` names who asked.
pub(super) fn cpu_slice<'a>(storage: &'a CpuStorage, layout: &Layout, op: &'static str) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("{op} takes contiguous tensors of f32"),
    }
}

/// The op of `add`.
struct Add(Clamp);

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add-clamp"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if la.shape() != lb.shape() {
            bail!("{} takes operands of one shape, got {:?} and {:?}", self.name(), la.shape(), lb.shape());
        }
        let mut sums = vec![0.0; la.shape().elem_count()];
        add_maps(cpu_slice(a, la, self.name())?, cpu_slice(b, lb, self.name())?, self.0, &mut sums);
        Ok((CpuStorage::F32(sums), la.shape().clone()))
    }
}

/// The resizing op; holds the size to resize to.
struct Resize([usize; 2]);

impl CustomOp1 for Resize {
    fn name(&self) -> &'static str {
        "resize-bilinear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let shape = ResizeShape { input: [h, w], output: self.0, channels: c };
        let input = cpu_slice(storage, layout, self.name())?;
        let [to_h, to_w] = self.0;
        let mut result = vec![0.0; n * to_h * to_w * c];
        for (image, to) in input.chunks_exact(h * w * c).zip(result.chunks_exact_mut(to_h * to_w * c)) {
            resize_image(&shape, image, to);
        }
        Ok((CpuStorage::F32(result), (n, to_h, to_w, c).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn depth_to_space_spreads_a_pixel_row_by_row() {
        let xs = Tensor::new(&[0f32, 1., 2., 3., 4., 5., 6., 7.], &Device::Cpu).unwrap();
        // Two pixels beside each other, four channels each, to two rows of four pixels.
        let ys = depth_to_space(&xs.reshape((1, 1, 2, 4)).unwrap(), 2).unwrap();
        assert_eq!(ys.dims(), [1, 2, 4, 1]);
        assert_eq!(ys.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0., 1., 4., 5., 2., 3., 6., 7.]);
    }

    #[test]
    fn max_pool_takes_the_largest_of_each_window() {
        let xs = Tensor::arange(0f32, 16., &Device::Cpu).unwrap().reshape((1, 4, 4, 1)).unwrap();
        let window = Window { kernel: [2; 2], stride: [2; 2], dilation: [1; 2], padding: Default::default() };
        let ys = max_pool(&xs, &window).unwrap();
        assert_eq!(ys.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [5., 7., 13., 15.]);
    }
}
