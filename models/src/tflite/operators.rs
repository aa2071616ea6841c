//! One operator of a file as a node of the graph, or folded away if all it does is unpack a constant.

use super::constants::Constants;
use super::flatbuffer::Table;
use super::{Operator, Tensor};
use crate::error::ModelError;
use crate::graph::{Activation, Edges, Node, Op, ValueId, Window};

/// The node, or `None` for DEQUANTIZE and DENSIFY of a constant. Errors: `Format` for what is not known or
/// corrupt.
pub(super) fn node(
    operator: &Operator<'_>,
    tensors: &[Tensor<'_>],
    constants: &mut Constants<'_, '_>,
) -> Result<Option<Node>, ModelError> {
    let reader = Reader { operator, tensors };
    let output = reader.output()?;
    let (op, operands) = match operator.code {
        // DEQUANTIZE (of float16) and DENSIFY: loading a constant has done their work.
        6 | 124 => {
            constants.alias(reader.input(0)?.0, output.0)?;
            return Ok(None);
        }
        0 => (Op::Add(activation(reader.options()?.i8(0, 0)?)?), 2),
        2 => (reader.concat()?, operator.inputs.len()),
        3 => (reader.conv()?, 3),
        4 => (reader.depthwise()?, 3),
        5 => (Op::DepthToSpace(unsigned(reader.options()?.i32(0, 0)?)?), 1),
        14 => (Op::Logistic, 1),
        17 => (reader.max_pool()?, 1),
        22 => (Op::Reshape, 1),
        23 => (reader.resize(constants)?, 1),
        34 => (reader.pad(constants)?, 1),
        code => return Err(ModelError::format(format!("operator {code} is not known"))),
    };
    let inputs = (0..operands).map(|index| reader.input(index)).collect::<Result<_, _>>()?;
    Ok(Some(Node { op, inputs, output }))
}

/// An operator with the tensors that its numbers mean.
struct Reader<'a, 't> {
    operator: &'t Operator<'a>,
    tensors: &'t [Tensor<'a>],
}

impl<'a> Reader<'a, '_> {
    fn conv(&self) -> Result<Op, ModelError> {
        let options = self.options()?;
        // Weights are C_out, height, width, C_in.
        let window = self.window(options, self.kernel()?, [4, 5])?;
        Ok(Op::Conv2d(window, activation(options.i8(3, 0)?)?))
    }

    fn depthwise(&self) -> Result<Op, ModelError> {
        let options = self.options()?;
        let window = self.window(options, self.kernel()?, [5, 6])?;
        Ok(Op::DepthwiseConv2d(window, activation(options.i8(4, 0)?)?))
    }

    fn max_pool(&self) -> Result<Op, ModelError> {
        let options = self.options()?;
        let kernel = [unsigned(options.i32(4, 0)?)?, unsigned(options.i32(3, 0)?)?];
        only(activation(options.i8(5, 0)?)? == Activation::None, "pooling with an activation")?;
        // Pooling has no dilation: fields that do not exist read as 1.
        Ok(Op::MaxPool2d(self.window(options, kernel, [6, 7])?))
    }

    fn concat(&self) -> Result<Op, ModelError> {
        let options = self.options()?;
        only(activation(options.i8(1, 0)?)? == Activation::None, "concatenation with an activation")?;
        let axis = options.i32(0, 0)?;
        // A negative axis counts from the end.
        let rank = self.tensor(self.output()?).shape.len();
        let axis = if axis < 0 { axis.saturating_add(i32::try_from(rank).unwrap_or(i32::MAX)) } else { axis };
        Ok(Op::Concat(unsigned(axis)?))
    }

    fn resize(&self, constants: &Constants<'_, '_>) -> Result<Op, ModelError> {
        let options = self.options()?;
        only(options.i8(2, 0)? == 0 && options.i8(3, 0)? == 1, "resizing without half-pixel centres")?;
        match constants.integers(self.input(1)?.0)?[..] {
            [height, width] => Ok(Op::ResizeBilinear([unsigned(height)?, unsigned(width)?])),
            _ => Err(ModelError::format("resizing needs a height and a width")),
        }
    }

    fn pad(&self, constants: &Constants<'_, '_>) -> Result<Op, ModelError> {
        match constants.integers(self.input(1)?.0)?[..] {
            [0, 0, top, bottom, left, right, 0, 0] => Ok(Op::Pad(Edges {
                top: unsigned(top)?,
                bottom: unsigned(bottom)?,
                left: unsigned(left)?,
                right: unsigned(right)?,
            })),
            _ => Err(ModelError::format("padding of batch or channels is not known")),
        }
    }

    /// A window whose fields 0 to 2 are padding, stride of the width and of the height, as in all of these
    /// options.
    fn window(
        &self,
        options: Table<'_>,
        kernel: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<Window, ModelError> {
        let stride = [unsigned(options.i32(2, 0)?)?, unsigned(options.i32(1, 0)?)?];
        let dilation = [unsigned(options.i32(dilation[1], 1)?)?, unsigned(options.i32(dilation[0], 1)?)?];
        let mut window = Window { kernel, stride, dilation, padding: Edges::default() };
        match (options.i8(0, 0)?, self.tensor(self.input(0)?).shape.as_slice()) {
            (0, &[_, height, width, _]) => {
                [window.padding.top, window.padding.bottom] = same(height, &window, 0)?;
                [window.padding.left, window.padding.right] = same(width, &window, 1)?;
                Ok(window)
            }
            (1, _) => Ok(window),
            (other, shape) => Err(ModelError::format(format!("padding {other} of {shape:?} is not known"))),
        }
    }

    /// Height and width of the weights.
    fn kernel(&self) -> Result<[usize; 2], ModelError> {
        match self.tensor(self.input(1)?).shape[..] {
            [_, height, width, _] => Ok([height, width]),
            _ => Err(ModelError::format("weights of a convolution need four dimensions")),
        }
    }

    fn options(&self) -> Result<Table<'a>, ModelError> {
        self.operator.options.ok_or_else(|| ModelError::format("an operator lacks its options"))
    }

    fn input(&self, index: usize) -> Result<ValueId, ModelError> {
        self.id(self.operator.inputs.get(index))
    }

    fn output(&self) -> Result<ValueId, ModelError> {
        self.id(self.operator.outputs.first())
    }

    fn id(&self, number: Option<&i32>) -> Result<ValueId, ModelError> {
        let id = number.and_then(|number| usize::try_from(*number).ok());
        let id = id.filter(|id| *id < self.tensors.len());
        id.map(ValueId).ok_or_else(|| ModelError::format("an operator lacks an operand"))
    }

    /// The tensor of an id that `id` has checked.
    fn tensor(&self, id: ValueId) -> &Tensor<'a> {
        &self.tensors[id.0]
    }
}

/// "Same" padding before and after, as TensorFlow defines it: ceil(size / stride) outputs, the odd zero at
/// the end.
fn same(size: usize, window: &Window, axis: usize) -> Result<[usize; 2], ModelError> {
    let (kernel, stride, dilation) = (window.kernel[axis], window.stride[axis], window.dilation[axis]);
    only(kernel > 0 && stride > 0 && dilation > 0 && size > 0, "an empty window")?;
    let reach = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    let span = (size.div_ceil(stride) - 1).saturating_mul(stride).saturating_add(reach);
    let zeros = span.saturating_sub(size);
    Ok([zeros / 2, zeros - zeros / 2])
}

/// `ActivationFunctionType`.
fn activation(code: i8) -> Result<Activation, ModelError> {
    match code {
        0 => Ok(Activation::None),
        1 => Ok(Activation::Relu),
        3 => Ok(Activation::Relu6),
        _ => Err(ModelError::format(format!("activation {code} is not known"))),
    }
}

fn unsigned(number: i32) -> Result<usize, ModelError> {
    usize::try_from(number).map_err(|_| ModelError::format(format!("{number} where a size is expected")))
}

fn only(known: bool, what: &str) -> Result<(), ModelError> {
    if known { Ok(()) } else { Err(ModelError::format(format!("{what} is not known"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_zero_at_the_end() {
        let window = |kernel, stride| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            padding: Edges::default(),
        };
        assert_eq!(same(8, &window(3, 1), 0).unwrap(), [1, 1]);
        assert_eq!(same(8, &window(3, 2), 0).unwrap(), [0, 1]);
        assert_eq!(same(8, &window(5, 1), 1).unwrap(), [2, 2]);
        assert_eq!(same(7, &window(3, 2), 1).unwrap(), [1, 1]);
        assert_eq!(same(8, &window(1, 1), 0).unwrap(), [0, 0]);
    }
}
