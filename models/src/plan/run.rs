//! Runs a plan's calls, one after the other, on the memory of a lane.

use kinora_kernels::rows::{
    Epilogue, Residual, RowLayout, Span, conv, copy_pixels, depth_to_space, depthwise_rows, max_pool,
    resize_add,
};
use kinora_kernels::{Clamp, add};

use super::Plan;
use super::bands::shape;
use super::layers::{Layer, Work};
use super::program::{Call, Place, Run};

/// The memory that a plan works in: one for each thread that runs it.
#[derive(Debug, Clone)]
pub(crate) struct Workspace(pub(super) kinora_kernels::Floats);

impl Plan {
    /// Runs the network on one image; `outputs` are all outputs one after another.
    ///
    /// # Panics
    /// If the slices have other lengths than the plan says: a bug of the caller.
    pub(crate) fn run(&self, workspace: &mut Workspace, input: &[f32], outputs: &mut [f32]) {
        self.run_watched(workspace, input, outputs, &mut |_| {});
    }

    /// As `run`; tells after each call for which layer it was.
    pub(crate) fn run_watched(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        outputs: &mut [f32],
        watch: &mut impl FnMut(usize),
    ) {
        assert_eq!(input.len(), self.input_len(), "input should be one image");
        assert_eq!(outputs.len(), self.output_len(), "outputs should have their place");
        let arena = &mut *workspace.0;
        let mut last = 0;
        for call in &self.program.calls {
            match call {
                Call::Clear { layer, rows } => {
                    let layout = self.values.image(self.layers[*layer].output).layout();
                    clear(&layout, &mut arena[rows.clone()]);
                    last = *layer;
                }
                Call::Move { from, to } => arena.copy_within(from.clone(), *to),
                Call::Run(run) => {
                    self.layer(run, arena, input, outputs);
                    last = run.layer;
                }
            }
            watch(last);
        }
    }

    /// Lends a call its operands.
    fn layer(&self, run: &Run, arena: &mut [f32], input: &[f32], outputs: &mut [f32]) {
        const APART: &str = "operands should have been placed apart from each other";
        let layer = &self.layers[run.layer];
        // Only what is added may be missing, and what is missing is an empty piece at the end.
        let nothing = arena.len()..arena.len();
        let beside = match &run.beside {
            Some(Place::Arena(range)) => range.clone(),
            _ => nothing.clone(),
        };
        let added = |rows| run.beside.as_ref().map(|_| rows);
        match (&run.input, &run.output) {
            (Place::Input, Place::Arena(to)) => self.work(layer, run, input, None, &mut arena[to.clone()]),
            (Place::Arena(from), Place::Arena(to)) => {
                let operands = arena.get_disjoint_mut([from.clone(), beside, to.clone()]);
                let [from, beside, to] = operands.expect(APART);
                self.work(layer, run, from, added(beside), to);
            }
            (Place::Arena(from), Place::Output(to)) => {
                let [from, beside] = arena.get_disjoint_mut([from.clone(), beside]).expect(APART);
                self.work(layer, run, from, added(beside), &mut outputs[to.clone()]);
            }
            (from, to) => unreachable!("no layer should read {from:?} and make {to:?}"),
        }
    }

    /// Does a layer's work on its operands.
    fn work(&self, layer: &Layer, run: &Run, input: &[f32], beside: Option<&mut [f32]>, output: &mut [f32]) {
        let image = |value: usize| self.values.image(value);
        let [from, to] = [image(layer.input).layout(), image(layer.output).layout()];
        let beside = beside.zip(layer.beside).map(|(rows, value)| (image(value).layout(), &*rows));
        let span = || Span { input_first: run.input_first, output: run.rows.clone() };
        match &layer.work {
            Work::Load => {
                let rows = run.rows.start * from.row_len()..run.rows.end * from.row_len();
                copy_pixels(&from, &input[rows], &to, output);
            }
            Work::Conv { clamp, weights, .. } => {
                let residual = beside.map(|(layout, rows)| Residual { rows, layout });
                let epilogue = Epilogue { residual, clamp: *clamp };
                conv(&shape(layer, &self.values), &span(), weights, input, epilogue, output);
            }
            Work::Depthwise { clamp, weights, .. } => {
                depthwise_rows(&shape(layer, &self.values), &span(), weights, input, *clamp, output);
            }
            Work::Resize { clamp } => {
                let heights = [image(layer.input).height, image(layer.output).height];
                let beside = beside.as_ref().map(|(layout, rows)| (layout, *rows));
                resize_add(heights, [&from, &to], input, beside, *clamp, output);
            }
            Work::Add { clamp } => {
                let (layout, rows) = beside.expect("a sum should have two operands");
                add_rows([&from, &layout, &to], input, rows, *clamp, output);
            }
            Work::MaxPool { window } => {
                let shape = kinora_kernels::rows::WindowShape {
                    input_height: image(layer.input).height,
                    input: from,
                    output: to,
                    kernel: window.kernel,
                    stride: window.stride,
                    padding: [window.padding.top, window.padding.left],
                };
                max_pool(&shape, input, output);
            }
            Work::DepthToSpace { block } => depth_to_space(*block, &from, input, &to, output),
            Work::Logistic => {
                copy_pixels(&from, input, &to, output);
                output.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp()));
            }
        }
    }
}

/// Zeros beside the rows of a buffer; the pixels are left alone.
fn clear(layout: &RowLayout, rows: &mut [f32]) {
    let (left, right) = (layout.left * layout.channels, layout.right * layout.channels);
    for row in rows.chunks_exact_mut(layout.row_len()) {
        let len = row.len();
        row[..left].fill(0.0);
        row[len - right..].fill(0.0);
    }
}

/// Sums two images row by row.
fn add_rows([a, b, to]: [&RowLayout; 3], first: &[f32], second: &[f32], clamp: Clamp, output: &mut [f32]) {
    let pixels = |layout: &RowLayout| {
        let begin = layout.left * layout.channels;
        begin..begin + layout.width * layout.channels
    };
    let operands = first.chunks_exact(a.row_len()).zip(second.chunks_exact(b.row_len()));
    for ((a_row, b_row), row) in operands.zip(output.chunks_exact_mut(to.row_len())) {
        add(&a_row[pixels(a)], &b_row[pixels(b)], clamp, &mut row[pixels(to)]);
    }
}
