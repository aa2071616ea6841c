//! The compiled plan of a network: a graph turned once into a flat list of kernel calls on planned memory.
//!
//! Compiling packs weights, folds sums and activations into the layers before them (`layers`), decides which values
//! get zeros beside their rows (`values`), joins layers into chains that are run some rows at a time (`bands`), and
//! finds a place for everything in one arena (`memory`, `program`). Running it (`run`) allocates nothing. A plan is
//! immutable and shared by threads; each brings a `Workspace` of its own.

mod bands;
#[cfg(any(test, feature = "cuda", feature = "cuda-host"))]
mod device;
mod layers;
mod memory;
mod op;
mod program;
mod run;
mod values;

use kinora_kernels::{Bf16, Floats, Simd};

use crate::error::ModelError;
use crate::graph::Graph;
use layers::{Layer, Work};
use values::Values;

#[cfg(any(feature = "cuda", feature = "cuda-host"))]
pub(crate) use device::compile as compile_for_device;
pub(crate) use op::PlannedNetwork;
pub(crate) use run::Workspace;

/// What a plan is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instructions {
    /// Vectors of single precision.
    pub simd: Simd,
    /// Products of bfloat16 numbers for convolutions; none to keep everything in single precision.
    pub bf16: Option<Bf16>,
}

/// How exact products have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The fastest that keeps landmarks within 0.2 % of the image of those of single precision.
    #[default]
    Auto,
    /// Single precision everywhere.
    F32,
    /// bfloat16 for convolutions; single precision where the machine has no such products.
    Bf16,
}

impl Instructions {
    /// The best that this machine has for a precision.
    pub fn best(precision: Precision) -> Self {
        let bf16 = match precision {
            Precision::F32 => None,
            Precision::Auto | Precision::Bf16 => Bf16::available(),
        };
        Self { simd: Simd::best(), bf16 }
    }

    /// Their name, for reports.
    pub fn name(&self) -> String {
        let bf16 = self.bf16.map_or(String::new(), |bf16| format!("+{}", bf16.name()));
        format!("{}{bf16}", self.simd.name())
    }
}

/// A network ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    layers: Vec<Layer>,
    values: Values,
    program: program::Program,
}

/// Layers for the CPU: values have room for the zeros beside their rows. Errors: as `layers::lower`.
fn lower(graph: &Graph, mut instructions: Instructions) -> Result<(Vec<Layer>, Values), ModelError> {
    let (layers, mut values) = layers::lower(graph, &mut instructions)?;
    for layer in &layers {
        values.make_room(layer)?;
    }
    Ok((layers, values))
}

/// What a layer is, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCard {
    /// Its kind and the shapes that it works on.
    pub name: String,
    /// Multiplications of one run; each comes with a sum.
    pub products: usize,
}

impl Plan {
    /// Compiles a graph of one input for the given instructions. Errors: `Network` if a node needs what plans
    /// lack.
    pub(crate) fn compile(
        name: &'static str,
        graph: &Graph,
        instructions: Instructions,
    ) -> Result<Self, ModelError> {
        let reason = |error: ModelError| match error {
            ModelError::Format(reason) => ModelError::Network { network: name, reason },
            other => other,
        };
        let (layers, values) = lower(graph, instructions).map_err(reason)?;
        let program = program::compile(&layers, &values).map_err(reason)?;
        Ok(Self { layers, values, program })
    }

    /// Memory for one thread that runs this plan.
    pub(crate) fn workspace(&self) -> Workspace {
        Workspace(Floats::zeros(self.program.arena_len))
    }

    /// Floats of the input.
    pub(crate) fn input_len(&self) -> usize {
        self.values.len(self.layers[0].input)
    }

    /// Floats of each output.
    pub(crate) fn output_lens(&self) -> Vec<usize> {
        self.values.outputs().iter().map(|output| self.values.len(*output)).collect()
    }

    /// Floats of all outputs.
    pub(crate) fn output_len(&self) -> usize {
        self.program.output_len
    }

    /// What its layers are.
    pub(crate) fn describe(&self) -> Vec<LayerCard> {
        self.layers.iter().map(|layer| self.card(layer)).collect()
    }

    fn card(&self, layer: &Layer) -> LayerCard {
        let (from, to) = (self.values.image(layer.input), self.values.image(layer.output));
        let made = to.height * to.width * to.channels;
        let (window, products) = match &layer.work {
            Work::Conv { window, weights, .. } => (Some(window), made * weights.depth()),
            Work::Depthwise { window, .. } => (Some(window), made * window.kernel[0] * window.kernel[1]),
            _ => (None, 0),
        };
        let kernel =
            window.map_or(String::new(), |window| format!(" {}x{}", window.kernel[0], window.kernel[1]));
        let shapes = [from, to].map(|image| format!("{}x{}x{}", image.height, image.width, image.channels));
        LayerCard { name: format!("{}{kernel} {} to {}", layer.kind(), shapes[0], shapes[1]), products }
    }
}
