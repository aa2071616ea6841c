//! A plan as a candle op: reads a tensor, writes into a given one.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{CpuStorage, Device, InplaceOp1, InplaceOp2, Layout, Result, Tensor, bail};

use super::{Instructions, LayerCard, Plan, Workspace};
use crate::error::ModelError;
use crate::graph::Graph;

/// A plan with the memory of one lane: tensors for input and output, and the workspace. Clones share the plan and
/// its weights and have memory of their own.
#[derive(Debug)]
pub(crate) struct PlannedNetwork {
    plan: Arc<Plan>,
    workspace: Workspace,
    input: Tensor,
    /// All outputs, one after another.
    output: Tensor,
}

impl Clone for PlannedNetwork {
    fn clone(&self) -> Self {
        Self::new(self.plan.clone()).expect("memory of the same size was there before")
    }
}

impl PlannedNetwork {
    /// Compiles a graph. Errors: `Network` if it needs what plans lack, `Tensor`.
    pub(crate) fn load(
        name: &'static str,
        graph: &Graph,
        instructions: Instructions,
    ) -> std::result::Result<Self, ModelError> {
        Ok(Self::new(Arc::new(Plan::compile(name, graph, instructions)?))?)
    }

    fn new(plan: Arc<Plan>) -> Result<Self> {
        let input = Tensor::zeros(plan.input_len(), candle_core::DType::F32, &Device::Cpu)?;
        let output = Tensor::zeros(plan.output_len(), candle_core::DType::F32, &Device::Cpu)?;
        Ok(Self { workspace: plan.workspace(), plan, input, output })
    }

    /// Floats of the input.
    pub(crate) fn input_len(&self) -> usize {
        self.plan.input_len()
    }

    /// Runs the network on an image of `input_len` floats; gives its outputs, in the graph's order.
    pub(crate) fn forward(&mut self, image: &[f32]) -> Result<Vec<Vec<f32>>> {
        self.input.inplace_op1(&Fill(image))?;
        self.output.inplace_op2(&self.input, &Execute(&self.plan, RefCell::new(&mut self.workspace)))?;
        let mut begin = 0;
        let output = |len: usize| {
            begin += len;
            self.output.narrow(0, begin - len, len)?.to_vec1()
        };
        self.plan.output_lens().into_iter().map(output).collect()
    }

    /// What its layers are.
    pub(crate) fn layers(&self) -> Vec<LayerCard> {
        self.plan.describe()
    }

    /// Runs the network and tells after each call for which layer it was: to find where time goes.
    pub(crate) fn watch(&mut self, image: &[f32], watch: &mut impl FnMut(usize)) {
        let mut outputs = vec![0.0; self.plan.output_len()];
        self.plan.run_watched(&mut self.workspace, image, &mut outputs, watch);
    }
}

/// Copies an image into a tensor.
struct Fill<'a>(&'a [f32]);

impl InplaceOp1 for Fill<'_> {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        floats_mut(storage, layout, self.0.len(), self.name())?.copy_from_slice(self.0);
        Ok(())
    }
}

/// Runs a plan from the second tensor into the first.
struct Execute<'a>(&'a Plan, RefCell<&'a mut Workspace>);

impl InplaceOp2 for Execute<'_> {
    fn name(&self) -> &'static str {
        "compiled-plan"
    }

    fn cpu_fwd(&self, output: &mut CpuStorage, to: &Layout, input: &CpuStorage, from: &Layout) -> Result<()> {
        let input = match (input, from.contiguous_offsets()) {
            (CpuStorage::F32(input), Some((first, end))) if end - first == self.0.input_len() => {
                &input[first..end]
            }
            _ => bail!("{} takes {} contiguous floats", self.name(), self.0.input_len()),
        };
        let output = floats_mut(output, to, self.0.output_len(), self.name())?;
        self.0.run(&mut self.1.borrow_mut(), input, output);
        Ok(())
    }
}

/// The floats of a contiguous tensor of `len`. Errors: anything else; `op` names who asked.
fn floats_mut<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
    len: usize,
    op: &str,
) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((first, end))) if end - first == len => Ok(&mut values[first..end]),
        _ => bail!("{op} takes {len} contiguous floats"),
    }
}
