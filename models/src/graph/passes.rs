//! Passes that make a graph smaller without changing what it computes. Each gives a new, checked graph.

use super::{Activation, Edges, Graph, Node, Op, ValueId};
use crate::error::ModelError;

impl Graph {
    /// Keeps only what `outputs` need, in that order: branches that nobody reads (the segmentation) are never
    /// computed. Errors: `Format` if an id is no value of this graph.
    pub(crate) fn prune(mut self, outputs: &[ValueId]) -> Result<Self, ModelError> {
        let mut needed = vec![false; self.values.len()];
        for id in outputs {
            let slot = needed.get_mut(id.0);
            *slot.ok_or_else(|| ModelError::format(format!("value {} does not exist", id.0)))? = true;
        }
        // Backwards over a valid running order each node is met after all that read from it.
        self.nodes = self.nodes.into_iter().rev().filter(|node| mark(node, &mut needed)).collect();
        self.nodes.reverse();
        for (value, _) in self.values.iter_mut().zip(&needed).filter(|(_, needed)| !**needed) {
            value.constant = None;
        }
        Self::new(self.values, self.nodes, self.inputs, outputs.to_vec())
    }

    /// Moves zeros that a `Pad` writes around an image into the convolutions that read it, which skip zeros
    /// for free. A `Pad` that anything else reads, or that is an output, stays.
    pub(crate) fn fold_padding(mut self) -> Result<Self, ModelError> {
        while let Some(index) = self.foldable_pad() {
            let pad = self.nodes.remove(index);
            for node in self.nodes.iter_mut().filter(|node| node.inputs[0] == pad.output) {
                node.inputs[0] = pad.inputs[0];
                if let (Op::Conv2d(window, _) | Op::DepthwiseConv2d(window, _), Op::Pad(edges)) =
                    (&mut node.op, &pad.op)
                {
                    window.padding = joined(window.padding, *edges);
                }
            }
        }
        Self::new(self.values, self.nodes, self.inputs, self.outputs)
    }

    /// Lets a pointwise convolution come before the resizing that it reads, where that has fewer pixels to work on.
    /// Both are linear and the weights of a resized pixel add up to one, so they may change places, bias included;
    /// only rounding differs.
    pub(crate) fn convolve_before_resizing(mut self) -> Result<Self, ModelError> {
        while let Some((resize, conv)) = self.swappable_resize() {
            let mut small = self.value(self.nodes[conv].output).clone();
            let input = self.nodes[resize].inputs[0];
            small.shape[1..3].copy_from_slice(&self.value(input).shape[1..3]);
            let between = ValueId(self.values.len());
            self.values.push(small);
            let mut first = self.nodes.remove(conv);
            let mut second = self.nodes.remove(resize);
            (second.output, second.inputs[0]) = (first.output, between);
            (first.output, first.inputs[0]) = (between, input);
            // Nothing between the two reads what either makes.
            self.nodes.splice(resize..resize, [first, second]);
        }
        Self::new(self.values, self.nodes, self.inputs, self.outputs)
    }

    /// A `ResizeBilinear` to more pixels and the pointwise convolution that alone reads it, by their places.
    fn swappable_resize(&self) -> Option<(usize, usize)> {
        self.nodes.iter().enumerate().find_map(|(resize, node)| {
            let area = |id: ValueId| self.value(id).shape[1] * self.value(id).shape[2];
            let resizes = matches!(node.op, Op::ResizeBilinear(_));
            if !resizes || self.outputs.contains(&node.output) || area(node.inputs[0]) >= area(node.output) {
                return None;
            }
            let mut readers =
                self.nodes.iter().enumerate().filter(|(_, reader)| reader.inputs.contains(&node.output));
            let (conv, reader) = readers.next()?;
            let pointwise = matches!(reader.op, Op::Conv2d(window, Activation::None)
                if window.kernel == [1, 1] && window.stride == [1, 1] && window.padding == Edges::default());
            let weights = reader.inputs[1..].iter().all(|id| self.value(*id).constant.is_some());
            (pointwise && weights && readers.next().is_none()).then_some((resize, conv))
        })
    }

    /// The first `Pad` that convolutions read as their image, and that nothing else reads.
    fn foldable_pad(&self) -> Option<usize> {
        let convolves = |node: &Node, id: &ValueId| {
            matches!(node.op, Op::Conv2d(..) | Op::DepthwiseConv2d(..)) && !node.inputs[1..].contains(id)
        };
        self.nodes.iter().position(|pad| {
            let mut readers = self.nodes.iter().filter(|node| node.inputs.contains(&pad.output));
            matches!(pad.op, Op::Pad(_))
                && !self.outputs.contains(&pad.output)
                && readers.all(|node| convolves(node, &pad.output))
        })
    }
}

/// Whether a node's output is needed; its operands then are needed too.
fn mark(node: &Node, needed: &mut [bool]) -> bool {
    if needed[node.output.0] {
        node.inputs.iter().for_each(|id| needed[id.0] = true);
    }
    needed[node.output.0]
}

fn joined(inner: Edges, outer: Edges) -> Edges {
    Edges {
        top: inner.top + outer.top,
        bottom: inner.bottom + outer.bottom,
        left: inner.left + outer.left,
        right: inner.right + outer.right,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Value, Window};
    use super::*;

    fn value(shape: &[usize], constant: bool) -> Value {
        let len = shape.iter().product();
        let constant = constant.then(|| vec![0.5; len].into());
        Value { name: String::new(), shape: shape.to_vec(), constant }
    }

    fn node(op: Op, inputs: &[usize], output: usize) -> Node {
        Node { op, inputs: inputs.iter().copied().map(ValueId).collect(), output: ValueId(output) }
    }

    /// image -> pad -> 3x3 convolution with stride 2 -> logistic; beside it a logistic of the image.
    fn graph() -> Graph {
        let values = vec![
            value(&[1, 4, 4, 2], false),
            value(&[1, 6, 6, 2], false),
            value(&[3, 3, 3, 2], true),
            value(&[3], true),
            value(&[1, 2, 2, 3], false),
            value(&[1, 2, 2, 3], false),
            value(&[1, 4, 4, 2], false),
        ];
        let window = Window { kernel: [3, 3], stride: [2, 2], dilation: [1, 1], padding: Edges::default() };
        let nodes = vec![
            node(Op::Logistic, &[0], 6),
            node(Op::Pad(Edges { top: 1, bottom: 1, left: 1, right: 1 }), &[0], 1),
            node(Op::Conv2d(window, Activation::None), &[1, 2, 3], 4),
            node(Op::Logistic, &[4], 5),
        ];
        Graph::new(values, nodes, vec![ValueId(0)], vec![ValueId(5), ValueId(6)]).unwrap()
    }

    #[test]
    fn pruning_keeps_only_what_an_output_needs() {
        let pruned = graph().prune(&[ValueId(6)]).unwrap();
        assert_eq!(pruned.nodes().len(), 1);
        assert!(pruned.value(ValueId(2)).constant.is_none());
        assert!(graph().prune(&[ValueId(99)]).is_err());
    }

    #[test]
    fn padding_moves_into_the_convolution() {
        let folded = graph().fold_padding().unwrap();
        assert_eq!(folded.nodes().len(), 3);
        let Op::Conv2d(window, _) = folded.nodes()[1].op else { panic!("the convolution should be second") };
        assert_eq!(window.padding, Edges { top: 1, bottom: 1, left: 1, right: 1 });
    }

    #[test]
    fn padding_that_is_an_output_stays() {
        let folded = graph().prune(&[ValueId(5), ValueId(1)]).unwrap().fold_padding().unwrap();
        assert!(folded.nodes().iter().any(|node| matches!(node.op, Op::Pad(_))));
    }

    #[test]
    fn pointwise_convolution_comes_before_the_resizing_that_it_reads() {
        let values = vec![
            value(&[1, 2, 2, 4], false),
            value(&[1, 4, 4, 4], false),
            value(&[3, 1, 1, 4], true),
            value(&[3], true),
            value(&[1, 4, 4, 3], false),
        ];
        let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: Edges::default() };
        let nodes = |activation| {
            vec![
                node(Op::ResizeBilinear([4, 4]), &[0], 1),
                node(Op::Conv2d(window, activation), &[1, 2, 3], 4),
            ]
        };
        let graph = |activation| {
            Graph::new(values.clone(), nodes(activation), vec![ValueId(0)], vec![ValueId(4)]).unwrap()
        };
        let swapped = graph(Activation::None).convolve_before_resizing().unwrap();
        assert!(matches!(swapped.nodes()[0].op, Op::Conv2d(..)));
        assert_eq!(swapped.value(swapped.nodes()[0].output).shape, [1, 2, 2, 3]);
        assert_eq!(swapped.nodes()[1].output, ValueId(4));
        let kept = graph(Activation::Relu).convolve_before_resizing().unwrap();
        assert!(matches!(kept.nodes()[0].op, Op::ResizeBilinear(_)), "a clamp may not change places");
    }

    #[test]
    fn graph_with_a_wrong_shape_is_refused() {
        let Graph { mut values, nodes, inputs, outputs } = graph();
        values[4].shape = vec![1, 2, 2, 4];
        assert!(Graph::new(values, nodes, inputs, outputs).is_err());
    }
}
