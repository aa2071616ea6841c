//! One node of a graph as a candle block: weights loaded, parameters checked, ready to run.

use candle_core::{Device, Module, Tensor};
use kinora_kernels::Clamp;

use super::conv::Conv2d;
use super::depthwise::DepthwiseConv2d;
use super::ops;
use crate::error::ModelError;
use crate::graph::{Activation, Edges, Graph, Node, Op, ValueId, Window};

/// What one node does.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Conv2d(Conv2d),
    DepthwiseConv2d(DepthwiseConv2d),
    Add(Clamp),
    Pad(Edges),
    ResizeBilinear([usize; 2]),
    MaxPool2d(Window),
    DepthToSpace(usize),
    Reshape(Vec<usize>),
    Concat(usize),
    Logistic,
}

impl Block {
    /// The block of a node of a checked graph. Errors: `Format` if it needs what candle or this executor
    /// lacks.
    pub(super) fn load(graph: &Graph, node: &Node, device: &Device) -> Result<Self, ModelError> {
        Ok(match &node.op {
            Op::Conv2d(window, activation) => {
                let (weights, bias) = (constant(graph, node, 1, device)?, constant(graph, node, 2, device)?);
                Self::Conv2d(Conv2d::new(&weights, bias, *window, clamp(*activation))?)
            }
            Op::DepthwiseConv2d(window, activation) => {
                let (weights, bias) = (constant(graph, node, 1, device)?, constant(graph, node, 2, device)?);
                Self::DepthwiseConv2d(DepthwiseConv2d::new(weights, bias, *window, clamp(*activation)))
            }
            Op::Add(activation) => Self::Add(clamp(*activation)),
            Op::Pad(edges) => Self::Pad(*edges),
            Op::ResizeBilinear(size) => Self::ResizeBilinear(*size),
            Op::MaxPool2d(window) if window.dilation == [1, 1] => Self::MaxPool2d(*window),
            Op::MaxPool2d(_) => return Err(ModelError::format("pooling with dilation is not known")),
            Op::DepthToSpace(block) => Self::DepthToSpace(*block),
            Op::Reshape => Self::Reshape(graph.value(node.output).shape.clone()),
            Op::Concat(axis) => Self::Concat(*axis),
            Op::Logistic => Self::Logistic,
        })
    }

    /// How many of the node's operands are given to `forward`; the others are weights.
    pub(super) fn operands(&self, node: &Node) -> usize {
        match self {
            Self::Add(_) | Self::Concat(_) => node.inputs.len(),
            _ => 1,
        }
    }

    /// Runs the block on its operands, of which there are as many as `operands` says.
    pub(super) fn forward(&self, operands: &[&Tensor]) -> candle_core::Result<Tensor> {
        let xs = operands[0];
        match self {
            Self::Conv2d(conv) => conv.forward(xs),
            Self::DepthwiseConv2d(conv) => conv.forward(xs),
            Self::Add(clamp) => ops::add(xs, operands[1], *clamp),
            Self::Pad(edges) => {
                xs.pad_with_zeros(1, edges.top, edges.bottom)?.pad_with_zeros(2, edges.left, edges.right)
            }
            Self::ResizeBilinear(size) => ops::resize_bilinear(xs, *size),
            Self::MaxPool2d(window) => ops::max_pool(xs, window),
            Self::DepthToSpace(block) => ops::depth_to_space(xs, *block),
            Self::Reshape(shape) => ops::reshape(xs, shape),
            Self::Concat(axis) => Tensor::cat(operands, *axis),
            Self::Logistic => candle_nn::ops::sigmoid(xs),
        }
    }
}

/// A node's operand that has to be a weight.
fn constant(graph: &Graph, node: &Node, index: usize, device: &Device) -> Result<Tensor, ModelError> {
    let id: ValueId = node.inputs[index];
    let value = graph.value(id);
    let content = value.constant.as_deref();
    let content =
        content.ok_or_else(|| ModelError::format(format!("`{}` should be a weight", value.name)))?;
    Ok(Tensor::from_slice(content, value.shape.as_slice(), device)?)
}

fn clamp(activation: Activation) -> Clamp {
    match activation {
        Activation::None => Clamp::NONE,
        Activation::Relu => Clamp::RELU,
        Activation::Relu6 => Clamp::RELU6,
    }
}
