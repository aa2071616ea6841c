//! From a graph to layers: what a plan runs, with weights packed and with sums and activations folded in.

use kinora_kernels::Clamp;
use kinora_kernels::rows::{ConvWeights, DepthwiseWeights};

use super::Instructions;
use super::values::{Image, Values};
use crate::error::ModelError;
use crate::graph::{Activation, Graph, Node, Op, ValueId, Window};

/// What a layer does with its input. Weights are packed for whatever runs the plan: `C` of full convolutions, `D` of
/// depthwise ones; the CPU's unless said otherwise.
#[derive(Debug)]
pub(super) enum Work<C = ConvWeights, D = DepthwiseWeights> {
    /// Brings the network's input into a layout with zeros beside the rows.
    Load,
    /// A full convolution; adds `beside`, if there is one, before the clamp.
    Conv { window: Window, clamp: Clamp, weights: C },
    /// A convolution of each channel with a filter of its own.
    Depthwise { window: Window, clamp: Clamp, weights: D },
    /// Bilinear resizing to the output's size; adds `beside`, if there is one.
    Resize { clamp: Clamp },
    /// Sum of input and `beside`.
    Add { clamp: Clamp },
    /// Largest value of each window.
    MaxPool { window: Window },
    /// Channels become pixels, in blocks of this side.
    DepthToSpace { block: usize },
    /// `1 / (1 + exp(-x))`.
    Logistic,
}

/// One step of a plan.
#[derive(Debug)]
pub(super) struct Layer<C = ConvWeights, D = DepthwiseWeights> {
    pub(super) work: Work<C, D>,
    /// The value that is read.
    pub(super) input: usize,
    /// A second value that is added.
    pub(super) beside: Option<usize>,
    /// The value that is made.
    pub(super) output: usize,
}

impl<C, D> Layer<C, D> {
    /// The window that moves over the input, for layers that can be run some rows at a time.
    pub(super) fn window(&self) -> Option<Window> {
        match &self.work {
            Work::Load => {
                Some(Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding: Default::default() })
            }
            Work::Conv { window, .. } | Work::Depthwise { window, .. } => Some(*window),
            _ => None,
        }
    }

    /// What it is, for reports.
    pub(super) fn kind(&self) -> &'static str {
        match &self.work {
            Work::Load => "load",
            Work::Conv { .. } => "conv",
            Work::Depthwise { .. } => "depthwise",
            Work::Resize { .. } => "resize",
            Work::Add { .. } => "add",
            Work::MaxPool { .. } => "max-pool",
            Work::DepthToSpace { .. } => "depth-to-space",
            Work::Logistic => "logistic",
        }
    }
}

/// Packs weights for whatever runs the plan.
pub(super) trait Pack<C, D> {
    /// Those of a full convolution of windows that are not dilated: `[C_out, kh, kw, C_in]` and `[C_out]`.
    ///
    /// `depth` is how many products a sum has; `is_output` says that the result is an output but for its name and scale.
    fn conv(&mut self, window: &Window, depth: usize, is_output: bool, weights: &[f32], bias: &[f32]) -> C;

    /// Those of a depthwise one: `[kh, kw, C]` and `[C]`. Errors: `Format` for windows that cannot be run.
    fn depthwise(&mut self, window: &Window, weights: &[f32], bias: &[f32]) -> Result<D, ModelError>;
}

impl Pack<ConvWeights, DepthwiseWeights> for Instructions {
    fn conv(
        &mut self,
        window: &Window,
        depth: usize,
        is_output: bool,
        weights: &[f32],
        bias: &[f32],
    ) -> ConvWeights {
        match self.bf16.filter(|_| pays(window, depth, bias.len()) && !is_output) {
            Some(bf16) => ConvWeights::pack_bf16(bf16, self.simd, depth, weights, bias),
            None => ConvWeights::pack(self.simd, depth, weights, bias),
        }
    }

    fn depthwise(
        &mut self,
        window: &Window,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<DepthwiseWeights, ModelError> {
        let known = DepthwiseWeights::takes(window.kernel, window.stride);
        only(known, "a depthwise convolution that is not 3 or 5 columns wide")?;
        Ok(DepthwiseWeights::new(self.simd, weights, bias))
    }
}

/// Layers and the table of the values that they read and make.
pub(super) type Lowered<C, D> = (Vec<Layer<C, D>>, Values);

/// Makes layers of the nodes of a graph, and the table of the values that they read and make.
///
/// Errors: `Format` if a node needs what plans lack.
pub(super) fn lower<C, D>(graph: &Graph, pack: &mut impl Pack<C, D>) -> Result<Lowered<C, D>, ModelError> {
    let mut values = Values::new(graph)?;
    let [input] = graph.inputs() else { return Err(ModelError::format("a plan takes one input")) };
    let loaded = values.add_copy_of(input.0);
    let mut layers = vec![Layer { work: Work::Load, input: input.0, beside: None, output: loaded }];
    let place = |id: ValueId| if id == *input { loaded } else { id.0 };
    for node in graph.nodes() {
        match &node.op {
            Op::Reshape => values.join(node.inputs[0].0, node.output.0, 0)?,
            Op::Concat(axis) => join_parts(graph, node, *axis, &mut values)?,
            Op::Add(activation) => add(node, *activation, &place, &values, graph, &mut layers),
            _ => {
                let work = work(graph, node, pack)?;
                layers.push(Layer {
                    work,
                    input: place(node.inputs[0]),
                    beside: None,
                    output: node.output.0,
                });
            }
        }
    }
    Ok((layers, values))
}

/// The work of a node that is neither a sum nor a change of names.
fn work<C, D>(graph: &Graph, node: &Node, pack: &mut impl Pack<C, D>) -> Result<Work<C, D>, ModelError> {
    Ok(match &node.op {
        Op::Conv2d(window, activation) => {
            let depth = window.kernel[0] * window.kernel[1] * Image::of(graph, node.inputs[0])?.channels;
            let (weights, bias) = (constant(graph, node, 1)?, constant(graph, node, 2)?);
            only(window.dilation == [1, 1], "a dilated convolution")?;
            let weights = pack.conv(window, depth, feeds_output(graph, node.output), weights, bias);
            Work::Conv { window: *window, clamp: clamp(*activation), weights }
        }
        Op::DepthwiseConv2d(window, activation) => {
            only(window.dilation == [1, 1], "a dilated convolution")?;
            let weights = pack.depthwise(window, constant(graph, node, 1)?, constant(graph, node, 2)?)?;
            Work::Depthwise { window: *window, clamp: clamp(*activation), weights }
        }
        Op::ResizeBilinear(_) => Work::Resize { clamp: Clamp::NONE },
        Op::MaxPool2d(window) => {
            only(window.dilation == [1, 1], "pooling with dilation")?;
            Work::MaxPool { window: *window }
        }
        Op::DepthToSpace(block) => Work::DepthToSpace { block: *block },
        Op::Logistic => Work::Logistic,
        Op::Pad(_) => return Err(ModelError::format("a plan has no padding that no convolution takes")),
        Op::Add(_) | Op::Reshape | Op::Concat(_) => unreachable!("these should be no work of their own"),
    })
}

/// Whether tiles are faster than vectors: numbers have to be split first, and sums go through memory, which only many
/// products a number make up for. Measured on a Sapphire Rapids core.
fn pays(window: &Window, depth: usize, columns: usize) -> bool {
    window.kernel == [1, 1] && depth >= 32 && columns >= 32
}

/// Whether a value is an output but for its name and its scale: what makes it is kept in single precision.
fn feeds_output(graph: &Graph, value: ValueId) -> bool {
    let only_renames = |node: &Node| matches!(node.op, Op::Reshape | Op::Concat(_) | Op::Logistic);
    let mut readers = graph.nodes().iter().filter(|node| node.inputs.contains(&value));
    graph.outputs().contains(&value)
        || readers.any(|node| only_renames(node) && feeds_output(graph, node.output))
}

/// A sum. It becomes a part of the layer that makes one of its operands, if nothing else reads that one and
/// nothing was clamped before; that layer then runs in the sum's place, when the other operand is there.
fn add<C, D>(
    node: &Node,
    activation: Activation,
    place: &impl Fn(ValueId) -> usize,
    values: &Values,
    graph: &Graph,
    layers: &mut Vec<Layer<C, D>>,
) {
    let [left, right] = [place(node.inputs[0]), place(node.inputs[1])];
    let clamp = clamp(activation);
    let takes = |layer: &Layer<C, D>, operand: usize| {
        let open = match &layer.work {
            Work::Conv { clamp, .. } | Work::Resize { clamp } => *clamp == Clamp::NONE,
            _ => false,
        };
        let readers = graph.nodes().iter().filter(|node| node.inputs.contains(&ValueId(operand))).count();
        open && layer.output == operand
            && layer.beside.is_none()
            && readers == 1
            && !values.is_output(operand)
    };
    let found = [(left, right), (right, left)].into_iter().filter(|(operand, other)| operand != other);
    let found = found.filter_map(|(operand, other)| {
        layers.iter().position(|layer| takes(layer, operand)).map(|index| (index, other))
    });
    // The later one: less lies between the two operands, and less memory is held meanwhile.
    match found.max_by_key(|(index, _)| *index) {
        Some((index, other)) => {
            let mut layer = layers.remove(index);
            if let Work::Conv { clamp: own, .. } | Work::Resize { clamp: own } = &mut layer.work {
                *own = clamp;
            }
            layers.push(Layer { beside: Some(other), output: node.output.0, ..layer });
        }
        None => {
            let work = Work::Add { clamp };
            layers.push(Layer { work, input: left, beside: Some(right), output: node.output.0 });
        }
    }
}

/// The parts of a concatenation are made in place, which works where each is one piece of the whole.
fn join_parts(graph: &Graph, node: &Node, axis: usize, values: &mut Values) -> Result<(), ModelError> {
    let shape = &graph.value(node.output).shape;
    only(shape[..axis].iter().product::<usize>() == 1, "a concatenation of parts that interleave")?;
    let mut offset = 0;
    for part in &node.inputs {
        values.join(part.0, node.output.0, offset)?;
        offset += graph.value(*part).shape.iter().product::<usize>();
    }
    Ok(())
}

/// A node's operand that has to be a weight.
fn constant<'a>(graph: &'a Graph, node: &Node, index: usize) -> Result<&'a [f32], ModelError> {
    let value = graph.value(node.inputs[index]);
    let content = value.constant.as_deref();
    content.ok_or_else(|| ModelError::format(format!("`{}` should be a weight", value.name)))
}

fn clamp(activation: Activation) -> Clamp {
    match activation {
        Activation::None => Clamp::NONE,
        Activation::Relu => Clamp::RELU,
        Activation::Relu6 => Clamp::RELU6,
    }
}

fn only(holds: bool, otherwise: &str) -> Result<(), ModelError> {
    if holds {
        Ok(())
    } else {
        Err(ModelError::format(format!("a plan has no {}", otherwise.trim_start_matches("a "))))
    }
}
