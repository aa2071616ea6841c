//! The constants of a file: loaded when first asked for, widened to f32, and shared where one stands for
//! another.

use std::sync::Arc;

use half::f16;

use super::flatbuffer::Vector;
use super::sparse::dense;
use super::{Tensor, integers};
use crate::error::ModelError;
use crate::graph::MAX_ELEMENTS;

/// Codes of `TensorType`.
const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
const INT32: u8 = 2;

/// The constants of one subgraph.
pub(super) struct Constants<'a, 't> {
    buffers: Option<Vector<'a>>,
    tensors: &'t [Tensor<'a>],
    loaded: Vec<Option<Arc<[f32]>>>,
    /// Elements that may still be loaded, all constants together: tensors of a corrupt file may share one
    /// buffer.
    budget: usize,
}

impl<'a, 't> Constants<'a, 't> {
    /// Nothing loaded yet.
    pub(super) fn new(buffers: Option<Vector<'a>>, tensors: &'t [Tensor<'a>]) -> Self {
        Self { buffers, tensors, loaded: vec![None; tensors.len()], budget: MAX_ELEMENTS }
    }

    /// A tensor's content in f32, dense; `None` if it is computed or is not of floats.
    pub(super) fn load(&mut self, id: usize) -> Result<Option<Arc<[f32]>>, ModelError> {
        let tensor = self.tensors.get(id).ok_or_else(|| ModelError::format(format!("no tensor {id}")))?;
        if self.loaded[id].is_none()
            && let Some(bytes) = self.bytes(tensor)?
            && matches!(tensor.kind, FLOAT32 | FLOAT16)
        {
            let elements = tensor.shape.iter().product();
            let left = self.budget.checked_sub(elements);
            self.budget = left.ok_or_else(|| ModelError::format("more weights than a network may have"))?;
            self.loaded[id] = Some(content(tensor, bytes, elements)?.into());
        }
        Ok(self.loaded[id].clone())
    }

    /// Lets `to` stand for the content of `from`: what DEQUANTIZE and DENSIFY do to a constant, once `load`
    /// has read it.
    pub(super) fn alias(&mut self, from: usize, to: usize) -> Result<(), ModelError> {
        let content =
            self.load(from)?.ok_or_else(|| ModelError::format(format!("tensor {from} is no constant")))?;
        let (Some(source), Some(target)) = (self.tensors.get(from), self.tensors.get(to)) else {
            return Err(ModelError::format(format!("no tensor {to}")));
        };
        if source.shape != target.shape {
            return Err(ModelError::format(format!("tensor `{}` changes its shape", target.name)));
        }
        self.loaded[to] = Some(content);
        Ok(())
    }

    /// A constant of 32-bit integers, such as a shape.
    pub(super) fn integers(&self, id: usize) -> Result<Vec<i32>, ModelError> {
        let tensor = self.tensors.get(id).filter(|tensor| tensor.kind == INT32);
        let tensor = tensor.ok_or_else(|| ModelError::format(format!("tensor {id} is not of integers")))?;
        let bytes = self.bytes(tensor)?.unwrap_or_default();
        Ok(bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// The loaded constants, by tensor.
    pub(super) fn finish(self) -> Vec<Option<Arc<[f32]>>> {
        self.loaded
    }

    /// A tensor's bytes in the file, or `None` if it is computed.
    fn bytes(&self, tensor: &Tensor<'a>) -> Result<Option<&'a [u8]>, ModelError> {
        let Some(buffers) = self.buffers.filter(|_| tensor.buffer != 0) else {
            return Ok(None);
        };
        let data = buffers.table(tensor.buffer)?.vector(0, 1)?;
        Ok(data.map(|data| data.bytes()).filter(|bytes| !bytes.is_empty()))
    }
}

/// A float tensor's elements, widened and with the elements that were left out put back.
fn content(tensor: &Tensor<'_>, bytes: &[u8], elements: usize) -> Result<Vec<f32>, ModelError> {
    let stored: Vec<f32> = match tensor.kind {
        FLOAT16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
    };
    let content = match tensor.sparsity {
        Some(sparsity) => dense(sparsity, &tensor.shape, &stored)?,
        None => stored,
    };
    if content.len() == elements {
        Ok(content)
    } else {
        let name = &tensor.name;
        Err(ModelError::format(format!("tensor `{name}` has {} of {elements} elements", content.len())))
    }
}

/// The indices of one sparse level, of whichever width they were stored in. `kind` is the union's type.
pub(super) fn indices(sparsity: super::Table<'_>, kind_field: usize) -> Result<Vec<usize>, ModelError> {
    let kind = sparsity.i8(kind_field, 0)?;
    let table = sparsity
        .table(kind_field + 1)?
        .ok_or_else(|| ModelError::format("a sparse level lacks its indices"))?;
    let negative = || ModelError::format("negative index of a sparse tensor");
    match kind {
        1 => integers(table.vector(0, 4)?)?
            .into_iter()
            .map(|index| usize::try_from(index).map_err(|_| negative()))
            .collect(),
        2 => {
            let bytes = table.vector(0, 2)?.map_or(&[][..], |vector| vector.bytes());
            Ok(bytes.as_chunks().0.iter().map(|bytes| usize::from(u16::from_le_bytes(*bytes))).collect())
        }
        3 => Ok(table
            .vector(0, 1)?
            .map_or(&[][..], |vector| vector.bytes())
            .iter()
            .map(|byte| usize::from(*byte))
            .collect()),
        _ => Err(ModelError::format(format!("index type {kind} of a sparse tensor is not known"))),
    }
}
