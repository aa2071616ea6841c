//! The plain network: a graph run node by node with candle tensors (NHWC, f32).
//!
//! This is the reference that every faster executor is compared with. It is plain, not careless: pointwise
//! convolutions are matrix products without a copy, other full ones become one product by way of patches,
//! depthwise ones are one kernel call, bias and activation one pass; and a value is freed after its last
//! reader.

mod blocks;
mod conv;
mod depthwise;
mod ops;

use candle_core::{Device, Tensor};

use crate::error::ModelError;
use crate::graph::{Graph, Node};
use blocks::Block;

/// A network ready to run. Immutable: threads share it by reference and clones share its weights.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    name: &'static str,
    steps: Vec<Step>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Slots for values.
    slots: usize,
}

/// One node: what to run on which values.
#[derive(Debug, Clone)]
struct Step {
    block: Block,
    inputs: Vec<usize>,
    output: usize,
    /// Values that nothing reads after this step.
    dead: Vec<usize>,
}

impl Network {
    /// Puts a graph's weights on `device` and makes a block of each node. Errors: `Network` if a node needs
    /// what this executor lacks, `Tensor`.
    pub(crate) fn load(name: &'static str, graph: &Graph, device: &Device) -> Result<Self, ModelError> {
        let step = |(index, node): (usize, &Node)| {
            let reason = |error: ModelError| match error {
                ModelError::Format(reason) => ModelError::Network { network: name, reason },
                other => other,
            };
            let block = Block::load(graph, node, device).map_err(reason)?;
            let inputs: Vec<usize> = node.inputs.iter().take(block.operands(node)).map(|id| id.0).collect();
            Ok(Step { block, dead: dead(graph, index, node), inputs, output: node.output.0 })
        };
        Ok(Self {
            name,
            steps: graph.nodes().iter().enumerate().map(step).collect::<Result<_, ModelError>>()?,
            inputs: graph.inputs().iter().map(|id| id.0).collect(),
            outputs: graph.outputs().iter().map(|id| id.0).collect(),
            slots: graph.value_count(),
        })
    }

    /// Runs the network on one tensor for each input, in the graph's order; gives its outputs, in the graph's
    /// order. The batch may differ from the file's. Errors: `Network` for a wrong number of inputs, `Tensor`.
    pub(crate) fn forward(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, ModelError> {
        let mut values: Vec<Option<Tensor>> = vec![None; self.slots];
        if inputs.len() != self.inputs.len() {
            let reason = format!("takes {} inputs, got {}", self.inputs.len(), inputs.len());
            return Err(ModelError::Network { network: self.name, reason });
        }
        for (slot, input) in self.inputs.iter().zip(inputs) {
            values[*slot] = Some(input.clone());
        }
        for step in &self.steps {
            let output = step.block.forward(&gather(&values, &step.inputs))?;
            values[step.output] = Some(output);
            for slot in &step.dead {
                values[*slot] = None;
            }
        }
        Ok(gather(&values, &self.outputs).into_iter().cloned().collect())
    }
}

/// The values of some slots.
fn gather<'a>(values: &'a [Option<Tensor>], slots: &[usize]) -> Vec<&'a Tensor> {
    let value = |slot: &usize| {
        values[*slot].as_ref().expect("a checked graph should make each value before it is read")
    };
    slots.iter().map(value).collect()
}

/// Operands of a node that no later node reads and that are no outputs.
fn dead(graph: &Graph, index: usize, node: &Node) -> Vec<usize> {
    let later = &graph.nodes()[index + 1..];
    let lives = |id| graph.outputs().contains(id) || later.iter().any(|node| node.inputs.contains(id));
    node.inputs.iter().filter(|id| !lives(id)).map(|id| id.0).collect()
}
