//! Reads a TensorFlow Lite file into a `Graph`.
//!
//! Written by hand, because code generated for FlatBuffers needs `unsafe`, which this crate forbids, and
//! because a file is not to be trusted: every offset is checked, and no allocation is larger than the file or
//! the bound on a value allows. Only float networks with static shapes and the operations that the pose
//! networks use are known; anything else is an error that names it. Field numbers follow TensorFlow's
//! `schema.fbs`.

mod constants;
mod flatbuffer;
mod operators;
mod sparse;

use crate::error::ModelError;
use crate::graph::{Graph, MAX_ELEMENTS, Node, Value, ValueId};
use constants::Constants;
use flatbuffer::{Table, Vector};

/// FlatBuffers' file identifier of TensorFlow Lite.
const IDENTIFIER: &[u8; 4] = b"TFL3";
/// Most tensors, operators and the like of a file: vectors of a corrupt file may overlap, so its size bounds
/// nothing.
const MAX_TABLES: usize = 1 << 14;
/// Longest list of operands or dimensions.
const MAX_LIST: usize = 64;
/// Most bytes that are kept of a name.
const MAX_NAME: usize = 128;

/// Reads a file. Its first subgraph is the network. Errors: `Format` for whatever is broken or not known.
pub(crate) fn read(file: &[u8]) -> Result<Graph, ModelError> {
    let model = Table::root(file, IDENTIFIER)?;
    let codes = operator_codes(model)?;
    let subgraphs = model.vector(2, 4)?.ok_or_else(|| ModelError::format("no subgraphs"))?;
    let subgraph = subgraphs.table(0)?;
    let tensors = tensors(subgraph)?;
    let mut constants = Constants::new(model.vector(4, 4)?, &tensors);

    let mut nodes = Vec::new();
    for table in tables(subgraph.vector(3, 4)?)? {
        let operator = Operator::read(table, &codes)?;
        if let Some(node) = operators::node(&operator, &tensors, &mut constants)? {
            nodes.push(node);
        }
    }
    let (inputs, outputs) = (ids(subgraph, 1)?, ids(subgraph, 2)?);
    let used: Vec<ValueId> = nodes.iter().flat_map(|node: &Node| node.inputs.clone()).collect();
    for id in used {
        constants.load(id.0)?;
    }
    let constants = constants.finish();
    let values = tensors.into_iter().zip(constants);
    let values = values.map(|(tensor, constant)| Value { name: tensor.name, shape: tensor.shape, constant });
    Graph::new(values.collect(), nodes, inputs, outputs)
}

/// A tensor's head, as in the file.
struct Tensor<'a> {
    name: String,
    shape: Vec<usize>,
    /// Code of the element type.
    kind: u8,
    /// Index of its buffer; buffer 0 is the empty one.
    buffer: usize,
    /// How its elements are left out, if some are.
    sparsity: Option<Table<'a>>,
}

/// An operator's head, as in the file.
struct Operator<'a> {
    code: i32,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Option<Table<'a>>,
}

impl<'a> Operator<'a> {
    fn read(table: Table<'a>, codes: &[i32]) -> Result<Self, ModelError> {
        let index = table.u32(0, 0)? as usize;
        let code = codes.get(index).ok_or_else(|| ModelError::format(format!("no operator code {index}")))?;
        Ok(Self {
            code: *code,
            inputs: short_list(table.vector(1, 4)?)?,
            outputs: short_list(table.vector(2, 4)?)?,
            options: table.table(4)?,
        })
    }
}

/// What each operator code stands for. Old files have only the one-byte field, new ones both; the larger one
/// counts.
fn operator_codes(model: Table<'_>) -> Result<Vec<i32>, ModelError> {
    let codes = tables(model.vector(1, 4)?)?.into_iter();
    codes.map(|code| Ok(i32::from(code.i8(0, 0)?).max(code.i32(3, 0)?))).collect()
}

fn tensors(subgraph: Table<'_>) -> Result<Vec<Tensor<'_>>, ModelError> {
    tables(subgraph.vector(0, 4)?)?.into_iter().map(tensor).collect()
}

fn tensor(table: Table<'_>) -> Result<Tensor<'_>, ModelError> {
    let name = table.vector(3, 1)?.map_or(&[][..], |name| name.bytes());
    let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]).into_owned();
    let shape = short_list(table.vector(0, 4)?)?;
    let shape: Option<Vec<usize>> = shape.into_iter().map(|size| usize::try_from(size).ok()).collect();
    // An empty dimension counts as one here: it must not hide a huge one beside it.
    let elements =
        |shape: &Vec<usize>| shape.iter().try_fold(1usize, |all, size| all.checked_mul(*size.max(&1)));
    let shape = shape.filter(|shape| elements(shape).is_some_and(|elements| elements <= MAX_ELEMENTS));
    Ok(Tensor {
        shape: shape.ok_or_else(|| ModelError::format(format!("tensor `{name}` has no static shape")))?,
        name,
        kind: table.i8(1, 0)?.cast_unsigned(),
        buffer: table.u32(2, 0)? as usize,
        sparsity: table.table(6)?,
    })
}

fn tables(vector: Option<Vector<'_>>) -> Result<Vec<Table<'_>>, ModelError> {
    let Some(vector) = vector else {
        return Ok(Vec::new());
    };
    if vector.len() > MAX_TABLES {
        return Err(ModelError::format(format!("{} parts of a kind are too many", vector.len())));
    }
    (0..vector.len()).map(|index| vector.table(index)).collect()
}

fn short_list(vector: Option<Vector<'_>>) -> Result<Vec<i32>, ModelError> {
    match vector {
        Some(long) if long.len() > MAX_LIST => {
            Err(ModelError::format(format!("a list of {} numbers is too long", long.len())))
        }
        short => integers(short),
    }
}

fn integers(vector: Option<Vector<'_>>) -> Result<Vec<i32>, ModelError> {
    vector.map_or(Ok(Vec::new()), |vector| (0..vector.len()).map(|index| vector.i32(index)).collect())
}

fn ids(subgraph: Table<'_>, field: usize) -> Result<Vec<ValueId>, ModelError> {
    let ids = short_list(subgraph.vector(field, 4)?)?.into_iter();
    ids.map(|id| usize::try_from(id).map(ValueId).map_err(|_| ModelError::format(format!("no tensor {id}"))))
        .collect()
}

#[cfg(test)]
mod tests;
