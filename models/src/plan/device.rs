//! A network as a program for a device: the plan's layers with weights as tensor cores read them, on memory that is
//! planned for a whole batch.
//!
//! The same lowering as for the CPU folds sums and activations and joins the parts of concatenations. What differs: a value
//! has no zeros beside its rows, since threads that reach beyond an image read zeros without being told, and layers are not
//! run in bands, since what passes between them stays in the device's cache.

use kinora_kernels::Clamp;
use kinora_kernels::device::{
    Element, Packed, Piece, Program, Space, Step, Weights, Window as DeviceWindow, Work as DeviceWork,
};

use super::layers::{self, Layer, Pack, Work};
use super::memory::{self, Lifetime};
use super::values::{Image, Values};
use crate::error::ModelError;
use crate::graph::{Graph, Window};

type DeviceLayer = Layer<Packed, Packed>;

impl Pack<Packed, Packed> for Weights {
    fn conv(&mut self, _: &Window, _: usize, _: bool, weights: &[f32], bias: &[f32]) -> Packed {
        Weights::conv(self, weights, bias)
    }

    fn depthwise(&mut self, _: &Window, weights: &[f32], bias: &[f32]) -> Result<Packed, ModelError> {
        Ok(Weights::depthwise(self, weights, bias))
    }
}

/// Compiles a graph of one input for batches of up to `most` images. Errors: `Network` if a node needs what programs lack.
pub(crate) fn compile(
    name: &'static str,
    graph: &Graph,
    element: Element,
    most: usize,
) -> Result<Program, ModelError> {
    let reason = |error: ModelError| match error {
        ModelError::Format(reason) => ModelError::Network { network: name, reason },
        other => other,
    };
    let program = lower(graph, element, most).map_err(reason)?;
    program.check().map_err(|fault| ModelError::Network { network: name, reason: fault.to_string() })?;
    Ok(program)
}

fn lower(graph: &Graph, element: Element, most: usize) -> Result<Program, ModelError> {
    let mut weights = Weights::new(element);
    let (layers, values) = layers::lower(graph, &mut weights)?;
    let images = layers.iter().flat_map(|layer| [Some(layer.input), layer.beside, Some(layer.output)]);
    if images.flatten().any(|value| !values.is_image(value)) {
        return Err(ModelError::format("a device works on images only"));
    }
    let (memory, arena_len) = Memory::plan(&layers, &values, most);
    let input_len = values.len(layers[0].input);
    let output_len = values.outputs().iter().map(|output| values.len(*output)).sum();
    let steps = layers.iter().map(|layer| memory.step(layer)).collect::<Result<_, _>>()?;
    Ok(Program { element, steps, weights: weights.into_bytes(), most, input_len, arena_len, output_len })
}

/// Where values lie.
struct Memory<'a> {
    values: &'a Values,
    input: usize,
    /// For each value that has memory of its own in the arena: where its first image begins.
    wholes: Vec<Option<usize>>,
    /// For each output: where it begins among the outputs of an image.
    outputs: Vec<usize>,
    output_len: usize,
}

impl<'a> Memory<'a> {
    /// A place for everything, and the length of the arena.
    fn plan(layers: &[DeviceLayer], values: &'a Values, most: usize) -> (Self, usize) {
        let (mut buffers, mut wholes) = (Vec::<Lifetime>::new(), vec![None; values.count()]);
        for (index, layer) in layers.iter().enumerate() {
            let read = if index == 0 { None } else { Some(layer.input) };
            for value in [read, layer.beside, Some(layer.output)].into_iter().flatten() {
                let whole = values.whole(value).0;
                if values.is_output(whole) {
                    continue;
                }
                let buffer = *wholes[whole].get_or_insert_with(|| {
                    buffers.push(Lifetime { len: values.len(whole) * most, first: index, last: index });
                    buffers.len() - 1
                });
                buffers[buffer].last = index;
            }
        }
        let (offsets, arena_len) = memory::place(&buffers);
        let mut output_len = 0;
        let outputs = values.outputs().iter().map(|output| {
            output_len += values.len(*output);
            output_len - values.len(*output)
        });
        let outputs = outputs.collect();
        let wholes = wholes.into_iter().map(|buffer| buffer.map(|buffer| offsets[buffer])).collect();
        (Self { values, input: layers[0].input, wholes, outputs, output_len }, arena_len)
    }

    fn piece(&self, value: usize) -> Result<Piece, ModelError> {
        let Image { height, width, channels, .. } = *self.values.image(value);
        let piece = |space, offset, stride| Piece { space, offset, stride, height, width, channels };
        if value == self.input {
            return Ok(piece(Space::Input, 0, self.values.len(value)));
        }
        let (whole, at) = self.values.whole(value);
        let output = self.values.outputs().iter().position(|output| *output == whole);
        match (output, self.wholes[whole]) {
            (Some(output), _) => Ok(piece(Space::Output, self.outputs[output] + at, self.output_len)),
            (None, Some(begin)) => Ok(piece(Space::Arena, begin + at, self.values.len(whole))),
            (None, None) => Err(ModelError::format("a value that no layer makes is read")),
        }
    }

    fn step(&self, layer: &DeviceLayer) -> Result<Step, ModelError> {
        let (work, clamp) = match &layer.work {
            Work::Load => (DeviceWork::Load, Clamp::NONE),
            Work::Conv { window, clamp, weights } => (DeviceWork::Conv(moves(window), *weights), *clamp),
            Work::Depthwise { window, clamp, weights } => {
                (DeviceWork::Depthwise(moves(window), *weights), *clamp)
            }
            Work::Resize { clamp } => (DeviceWork::Resize, *clamp),
            Work::Add { clamp } => (DeviceWork::Add, *clamp),
            Work::MaxPool { window } => (DeviceWork::MaxPool(moves(window)), Clamp::NONE),
            Work::DepthToSpace { block } => (DeviceWork::DepthToSpace(*block), Clamp::NONE),
            Work::Logistic => (DeviceWork::Logistic, Clamp::NONE),
        };
        let beside = layer.beside.map(|beside| self.piece(beside)).transpose()?;
        Ok(Step { work, input: self.piece(layer.input)?, beside, output: self.piece(layer.output)?, clamp })
    }
}

fn moves(window: &Window) -> DeviceWindow {
    let padding = [window.padding.top, window.padding.left];
    DeviceWindow { kernel: window.kernel, stride: window.stride, padding }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Edges, Node, Op, Value, ValueId};

    fn value(shape: &[usize], constant: bool) -> Value {
        let len = shape.iter().product();
        let constant = constant.then(|| vec![0.5; len].into());
        Value { name: String::new(), shape: shape.to_vec(), constant }
    }

    fn window(kernel: usize, stride: usize, padding: usize) -> Window {
        let padding = Edges { top: padding, bottom: padding, left: padding, right: padding };
        Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], padding }
    }

    /// A first convolution, a block of a depthwise and a pointwise one with a sum, and two outputs that are joined.
    fn graph() -> Graph {
        let values = vec![
            value(&[1, 8, 8, 3], false),
            value(&[8, 3, 3, 3], true),
            value(&[8], true),
            value(&[1, 4, 4, 8], false),
            value(&[1, 3, 3, 8], true),
            value(&[1, 4, 4, 8], false),
            value(&[8, 1, 1, 8], true),
            value(&[1, 4, 4, 8], false),
            value(&[1, 4, 4, 8], false),
            value(&[2, 1, 1, 8], true),
            value(&[2], true),
            value(&[1, 4, 4, 2], false),
            value(&[1, 32, 1], false),
            value(&[1, 4, 4, 2], false),
            value(&[1, 32, 1], false),
            value(&[1, 64, 1], false),
        ];
        let conv = |kernel, stride, padding| Op::Conv2d(window(kernel, stride, padding), Activation::None);
        let depthwise = Op::DepthwiseConv2d(window(3, 1, 1), Activation::Relu);
        let node = |op: Op, inputs: &[usize], output: usize| Node {
            op,
            inputs: inputs.iter().copied().map(ValueId).collect(),
            output: ValueId(output),
        };
        let nodes = vec![
            node(Op::Conv2d(window(3, 2, 1), Activation::Relu), &[0, 1, 2], 3),
            node(depthwise, &[3, 4, 2], 5),
            node(conv(1, 1, 0), &[5, 6, 2], 7),
            node(Op::Add(Activation::Relu), &[7, 3], 8),
            node(conv(1, 1, 0), &[8, 9, 10], 11),
            node(Op::Reshape, &[11], 12),
            node(conv(1, 1, 0), &[3, 9, 10], 13),
            node(Op::Reshape, &[13], 14),
            node(Op::Concat(1), &[12, 14], 15),
        ];
        Graph::new(values, nodes, vec![ValueId(0)], vec![ValueId(15)]).unwrap()
    }

    #[test]
    fn sums_are_folded_and_joined_outputs_are_made_in_place() {
        let program = compile("test", &graph(), Element::F16, 4).unwrap();
        assert_eq!((program.input_len, program.output_len, program.steps.len()), (192, 64, 6));
        let sum = program.steps.iter().find(|step| step.beside.is_some()).unwrap();
        assert!(matches!(sum.work, DeviceWork::Conv(..)), "the pointwise convolution adds");
        let outputs =
            program.steps.iter().map(|step| step.output).filter(|piece| piece.space == Space::Output);
        assert_eq!(
            outputs.map(|piece| (piece.offset, piece.stride)).collect::<Vec<_>>(),
            [(0, 64), (32, 64)]
        );
    }

    #[test]
    fn what_a_step_reads_is_never_where_it_writes_and_memory_is_shared() {
        for most in [1, 8] {
            let program = compile("test", &graph(), Element::F32, most).unwrap();
            let range = |piece: &Piece| piece.offset..piece.offset + (most - 1) * piece.stride + piece.len();
            let mut written = 0;
            for step in program.steps.iter().filter(|step| step.output.space == Space::Arena) {
                let output = range(&step.output);
                written += output.len();
                for read in [Some(&step.input), step.beside.as_ref()].into_iter().flatten() {
                    let read_range = range(read);
                    let apart = read_range.end <= output.start || output.end <= read_range.start;
                    assert!(apart || read.space != Space::Arena, "{step:?}");
                }
            }
            assert!(program.arena_len < written, "layers that do not live together share memory");
        }
    }
}
