//! The intermediate representation of a network: what a model file is read into, and what every executor is
//! built from.
//!
//! A graph is a list of nodes in an order in which they can be run, over values with static shapes (NHWC,
//! batch 1 as published; executors may run larger batches). Weights are constants in f32; whatever storage
//! tricks the file used (float16, sparsity) are gone. The plain candle network is built from it, and so will
//! be a compiled plan: passes over the graph (`passes`) serve both.

mod passes;
mod shapes;

use std::sync::Arc;

use crate::error::ModelError;

/// Most elements that a value may have: more than any network of this field needs, and too few to fill the
/// memory.
pub(crate) const MAX_ELEMENTS: usize = 1 << 25;

/// Index of a value in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ValueId(pub(crate) usize);

/// A tensor of the graph: an input, a constant, or what a node computes.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// Its name in the model file; for messages only.
    pub name: String,
    /// Its shape; images are N, H, W, C.
    pub shape: Vec<usize>,
    /// Its content, row-major, if it is a weight.
    pub constant: Option<Arc<[f32]>>,
}

/// What is applied to each element after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Zeros around an image, in pixels on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Edges {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

/// How a window moves over an image. `[height, width]` throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Size of the window, in taps.
    pub kernel: [usize; 2],
    /// Step between two outputs.
    pub stride: [usize; 2],
    /// Distance between two taps.
    pub dilation: [usize; 2],
    /// Zeros around the input; "same" padding is resolved to numbers when a file is read.
    pub padding: Edges,
}

/// An operation. Inputs are those of its node, in the order given here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// Input, weights `[C_out, kh, kw, C_in]`, bias `[C_out]`.
    Conv2d(Window, Activation),
    /// Input, weights `[1, kh, kw, C]`, bias `[C]`: each channel has a filter of its own.
    DepthwiseConv2d(Window, Activation),
    /// Two inputs of one shape.
    Add(Activation),
    /// Zeros around height and width of the input.
    Pad(Edges),
    /// Input, to `[height, width]`; pixel centres at half integers, borders replicated.
    ResizeBilinear([usize; 2]),
    /// Largest value of each window of the input.
    MaxPool2d(Window),
    /// Blocks of `n * n` channels become `n * n` pixels.
    DepthToSpace(usize),
    /// The input's elements in the shape of the node's output.
    Reshape,
    /// Any number of inputs, joined along this axis.
    Concat(usize),
    /// `1 / (1 + exp(-x))`.
    Logistic,
}

/// One operation with its operands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What is done.
    pub op: Op,
    /// Operands, in the operation's order.
    pub inputs: Vec<ValueId>,
    /// The one result.
    pub output: ValueId,
}

/// A network: values, and nodes in an order in which each comes after those it reads from.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
}

impl Graph {
    /// A graph whose parts have been checked: every operand is an input, a constant or an earlier node's
    /// result, no value is made twice, and each node's output has the shape that its operation gives. Errors:
    /// `Format`.
    pub(crate) fn new(
        values: Vec<Value>,
        nodes: Vec<Node>,
        inputs: Vec<ValueId>,
        outputs: Vec<ValueId>,
    ) -> Result<Self, ModelError> {
        let graph = Self { values, nodes, inputs, outputs };
        graph.check()?;
        Ok(graph)
    }

    /// The value behind an id of this graph.
    pub(crate) fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// Nodes in running order.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Inputs, in the file's order.
    pub(crate) fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Outputs, in the file's order, or in the order given to `prune`.
    pub(crate) fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// How many ids exist; ids are below it.
    pub(crate) fn value_count(&self) -> usize {
        self.values.len()
    }

    fn check(&self) -> Result<(), ModelError> {
        for value in &self.values {
            let elements = value.shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
            let elements = elements.filter(|elements| (1..=MAX_ELEMENTS).contains(elements));
            if elements.is_none_or(|elements| value.constant.as_ref().is_some_and(|c| c.len() != elements)) {
                return Err(ModelError::format(format!("value `{}` has no usable shape", value.name)));
            }
        }
        let mut known: Vec<bool> = self.values.iter().map(|value| value.constant.is_some()).collect();
        let mark = |known: &mut Vec<bool>, id: ValueId| match known.get_mut(id.0) {
            Some(seen @ false) => {
                *seen = true;
                Ok(())
            }
            _ => Err(ModelError::format(format!("value {} is made twice or does not exist", id.0))),
        };
        for &id in &self.inputs {
            mark(&mut known, id)?;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(id) = node.inputs.iter().find(|id| !known.get(id.0).is_some_and(|seen| *seen)) {
                return Err(ModelError::format(format!(
                    "node {index} reads value {} before it is made",
                    id.0
                )));
            }
            mark(&mut known, node.output)?;
            self.check_shape(index, node)?;
        }
        match self.outputs.iter().find(|id| !known.get(id.0).is_some_and(|seen| *seen)) {
            Some(id) => Err(ModelError::format(format!("output value {} is never made", id.0))),
            None => Ok(()),
        }
    }

    fn check_shape(&self, index: usize, node: &Node) -> Result<(), ModelError> {
        let inputs: Vec<&[usize]> = node.inputs.iter().map(|id| self.value(*id).shape.as_slice()).collect();
        let declared = &self.value(node.output).shape;
        match shapes::output_shape(&node.op, &inputs, declared) {
            Ok(shape) if shape == *declared => Ok(()),
            Ok(shape) => Err(format!("gives {shape:?}, but {declared:?} is declared")),
            Err(reason) => Err(reason),
        }
        .map_err(|reason| ModelError::format(format!("node {index} ({:?}): {reason}", node.op)))
    }
}
