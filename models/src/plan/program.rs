//! From layers to a program: a flat list of calls whose places in memory are known.

use std::ops::Range;

use super::bands::{self, Chain, Step};
use super::layers::{Layer, Work};
use super::memory::{self, Lifetime};
use super::values::Values;
use crate::error::ModelError;

/// A piece of memory that a call works on, in floats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The network's input.
    Input,
    /// In the plan's own memory.
    Arena(Range<usize>),
    /// In the outputs, which lie one after another.
    Output(Range<usize>),
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Call {
    /// Writes zeros beside the rows of a buffer: `rows` of them, laid out as the layer's output.
    Clear { layer: usize, rows: Range<usize> },
    /// Moves floats to a lower place, where they may overlap with themselves.
    Move { from: Range<usize>, to: usize },
    /// Runs a layer for some rows of its result.
    Run(Run),
}

/// Operands of one run of a layer. Places hold exactly what is touched, from whole rows on.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) layer: usize,
    /// Rows of the result to make.
    pub(super) rows: Range<usize>,
    /// The row that the input's place begins with.
    pub(super) input_first: usize,
    pub(super) input: Place,
    pub(super) beside: Option<Place>,
    pub(super) output: Place,
}

/// Calls in order, and the memory that they need.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) calls: Vec<Call>,
    /// Floats of the arena.
    pub(super) arena_len: usize,
    /// Floats of all outputs.
    pub(super) output_len: usize,
}

/// Where values and the buffers inside chains lie.
struct Places<'a> {
    values: &'a Values,
    /// For each value that has memory of its own: where that begins in the arena.
    wholes: Vec<usize>,
    /// For each chain, for each layer but the last: the buffer behind it.
    links: Vec<Vec<Range<usize>>>,
    /// For each output: where it begins among the outputs.
    outputs: Vec<usize>,
}

/// Orders layers, finds places for all that they make, and writes down the calls. Errors: `Format` if an output is
/// read again.
pub(super) fn compile(layers: &[Layer], values: &Values) -> Result<Program, ModelError> {
    let chains = bands::chains(layers, values);
    let schedules: Vec<_> = chains.iter().map(|chain| by_rows(chain, layers, values)).collect();
    let held: Vec<Vec<usize>> = schedules.iter().map(|(_, held)| held.clone()).collect();
    let (places, arena_len) = places(&chains, &held, layers, values)?;
    let mut calls = Vec::new();
    for (index, (chain, (steps, _))) in chains.iter().zip(&schedules).enumerate() {
        for (link, layer) in chain.layers.iter().enumerate() {
            clear(*layer, link, &places.links[index], &places, layers, &mut calls);
        }
        for step in steps {
            calls.push(call(step, index, chain, &places, layers));
        }
    }
    let output_len = values.outputs().iter().map(|output| values.len(*output)).sum();
    Ok(Program { calls, arena_len, output_len })
}

/// The steps of a chain and the rows that its buffers hold; a layer that is not run by rows is one step.
fn by_rows(chain: &Chain, layers: &[Layer], values: &Values) -> (Vec<Step>, Vec<usize>) {
    let first = &layers[chain.layers[0]];
    if first.window().is_some() {
        let schedule = bands::schedule(chain, layers, values);
        return (schedule.steps, schedule.held);
    }
    let rows = 0..values.image(first.output).height;
    (vec![Step::Run { link: 0, rows, at: 0, input_first: 0 }], Vec::new())
}

/// Places for all values and buffers.
fn places<'a>(
    chains: &[Chain],
    held: &[Vec<usize>],
    layers: &[Layer],
    values: &'a Values,
) -> Result<(Places<'a>, usize), ModelError> {
    let mut buffers = Vec::new();
    let mut places =
        Places { values, wholes: vec![usize::MAX; values.count()], links: Vec::new(), outputs: Vec::new() };
    for (index, chain) in chains.iter().enumerate() {
        let links = chain.layers.iter().zip(&held[index]).map(|(layer, rows)| {
            buffers.push(Lifetime {
                len: rows * values.image(layers[*layer].output).row_len(),
                first: index,
                last: index,
            });
            buffers.len() - 1
        });
        let links: Vec<usize> = links.collect();
        let (first, last) = (&layers[chain.layers[0]], &layers[chain.layers[chain.layers.len() - 1]]);
        let beside = chain.layers.iter().filter_map(|layer| layers[*layer].beside);
        for value in beside.chain([first.input, last.output]) {
            let whole = values.whole(value).0;
            if values.is_output(whole) && value != last.output {
                return Err(ModelError::format("a plan has no output that is read again"));
            }
            if values.is_output(whole) || matches!(first.work, Work::Load) && value == first.input {
                continue;
            }
            if places.wholes[whole] == usize::MAX {
                places.wholes[whole] = buffers.len();
                buffers.push(Lifetime { len: values.len(whole), first: index, last: index });
            }
            buffers[places.wholes[whole]].last = index;
        }
        places.links.push(links.into_iter().map(|link| link..link).collect());
    }
    let (offsets, len) = memory::place(&buffers);
    for link in places.links.iter_mut().flatten() {
        *link = offsets[link.start]..offsets[link.start] + buffers[link.start].len;
    }
    for whole in places.wholes.iter_mut().filter(|whole| **whole != usize::MAX) {
        *whole = offsets[*whole];
    }
    places.outputs = values
        .outputs()
        .iter()
        .scan(0, |end, output| {
            *end += values.len(*output);
            Some(*end - values.len(*output))
        })
        .collect();
    Ok((places, len))
}

impl Places<'_> {
    /// Rows of a value; all of them where none are named.
    fn value(&self, value: usize, rows: Option<Range<usize>>) -> Place {
        let (whole, offset) = self.values.whole(value);
        let image = self.values.image(value);
        let rows = rows.unwrap_or(0..image.height);
        let part = |begin: usize| {
            begin + offset + rows.start * image.row_len()..begin + offset + rows.end * image.row_len()
        };
        match self.values.outputs().iter().position(|output| *output == whole) {
            Some(output) => Place::Output(part(self.outputs[output])),
            None => Place::Arena(part(self.wholes[whole])),
        }
    }
}

/// Zeros beside the rows that a layer makes, once before its chain runs.
fn clear(
    layer: usize,
    link: usize,
    links: &[Range<usize>],
    places: &Places<'_>,
    layers: &[Layer],
    calls: &mut Vec<Call>,
) {
    let output = layers[layer].output;
    let image = places.values.image(output);
    if image.left + image.right == 0 {
        return;
    }
    match (links.get(link), places.value_if_placed(output)) {
        (Some(rows), _) => calls.push(Call::Clear { layer, rows: rows.clone() }),
        (None, Some(Place::Arena(rows))) => calls.push(Call::Clear { layer, rows }),
        _ => {}
    }
}

impl Places<'_> {
    /// All rows of a value, if it has memory of its own.
    fn value_if_placed(&self, value: usize) -> Option<Place> {
        let whole = self.values.whole(value).0;
        (self.values.is_output(whole) || self.wholes[whole] != usize::MAX).then(|| self.value(value, None))
    }
}

/// The call of a chain's step.
fn call(step: &Step, index: usize, chain: &Chain, places: &Places<'_>, layers: &[Layer]) -> Call {
    let links = &places.links[index];
    let row_len = |link: usize| places.values.image(layers[chain.layers[link]].output).row_len();
    match step {
        Step::Keep { link, from, rows } => {
            let begin = links[*link].start;
            let from = begin + from * row_len(*link)..begin + (from + rows) * row_len(*link);
            Call::Move { from, to: begin }
        }
        Step::Run { link, rows, at, input_first } => {
            let layer = chain.layers[*link];
            let Layer { work, input, beside, output } = &layers[layer];
            let input = match link.checked_sub(1) {
                Some(before) => Place::Arena(links[before].clone()),
                None if matches!(work, Work::Load) => Place::Input,
                None => places.value(*input, None),
            };
            let output = match links.get(*link) {
                Some(buffer) => {
                    let begin = buffer.start + at * row_len(*link);
                    Place::Arena(begin..begin + rows.len() * row_len(*link))
                }
                None => places.value(*output, Some(rows.clone())),
            };
            let beside = beside.map(|beside| places.value(beside, Some(rows.clone())));
            Call::Run(Run { layer, rows: rows.clone(), input_first: *input_first, input, beside, output })
        }
    }
}
