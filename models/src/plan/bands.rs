//! Chains of layers, and the order in which their rows are made.
//!
//! Layers that each read only what the one before made form a chain. A chain is run some rows of its result at a
//! time: each layer makes the rows that the next one is about to read, so that what passes between them stays in
//! the cache and is never there as a whole. Rows that the next band reads again are moved to the front of their
//! buffer.

use std::ops::Range;

use kinora_kernels::rows::WindowShape;

use super::layers::Layer;
use super::values::Values;

/// Bytes that what passes between the layers of a chain should fit into: a part of a second-level cache.
const BAND_BYTES: usize = 768 << 10;

/// Layers `first..=last`, run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) layers: Vec<usize>,
}

/// One thing to do for a chain. Rows are those of the image; a buffer that passes between two layers holds the rows
/// from `held` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Moves rows of the buffer behind a layer (by its place in the chain) to its front.
    Keep { link: usize, from: usize, rows: usize },
    /// Runs a layer, by its place in the chain: makes `rows` and puts them `at` rows into its output; its input
    /// begins with row `input_first`.
    Run { link: usize, rows: Range<usize>, at: usize, input_first: usize },
}

/// A chain's steps, and how many rows the buffers between its layers have to hold.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) steps: Vec<Step>,
    /// One for each layer but the last.
    pub(super) held: Vec<usize>,
}

/// Cuts layers into chains; each is as long as possible.
pub(super) fn chains(layers: &[Layer], values: &Values) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let before = chains.iter().position(|chain| {
            let last = &layers[chain.layers[chain.layers.len() - 1]];
            follows(last, layer, layers, values)
        });
        // A chain stands where its last layer stands: everything that it reads has been made by then.
        let mut chain = before.map_or(Chain { layers: Vec::new() }, |before| chains.remove(before));
        chain.layers.push(index);
        chains.push(chain);
    }
    chains
}

/// Whether a layer reads what another made, both work on rows, and nobody else reads it.
fn follows(before: &Layer, layer: &Layer, layers: &[Layer], values: &Values) -> bool {
    let value = before.output;
    let readers = layers.iter().filter(|layer| layer.input == value || layer.beside == Some(value)).count();
    let by_rows = before.window().is_some() && layer.window().is_some();
    layer.input == value && layer.beside != Some(value) && readers == 1 && by_rows && values.is_private(value)
}

/// The shape of a layer that works on rows.
pub(super) fn shape(layer: &Layer, values: &Values) -> WindowShape {
    let window = layer.window().expect("layers of a chain should have a window");
    let (input, output) = (values.image(layer.input), values.image(layer.output));
    WindowShape {
        input_height: input.height,
        input: input.layout(),
        output: output.layout(),
        kernel: window.kernel,
        stride: window.stride,
        padding: [window.padding.top, window.padding.left],
    }
}

/// The best order for a chain: bands as high as the cache allows.
pub(super) fn schedule(chain: &Chain, layers: &[Layer], values: &Values) -> Schedule {
    let shapes: Vec<WindowShape> = chain.layers.iter().map(|layer| shape(&layers[*layer], values)).collect();
    let height = values.image(layers[chain.layers[shapes.len() - 1]].output).height;
    let mut rows = height;
    loop {
        let schedule = in_bands(&shapes, height, rows);
        let bytes = schedule.held.iter().zip(&shapes).map(|(rows, shape)| rows * shape.output.row_len() * 4);
        if rows == 1 || bytes.sum::<usize>() <= BAND_BYTES {
            return schedule;
        }
        rows = rows.div_ceil(2);
    }
}

/// The steps that make `height` rows of the last layer, `band` at a time.
fn in_bands(shapes: &[WindowShape], height: usize, band: usize) -> Schedule {
    let links = shapes.len() - 1;
    let mut schedule = Schedule { steps: Vec::new(), held: vec![0; links] };
    let mut held: Vec<Range<usize>> = vec![0..0; links];
    for first in (0..height).step_by(band) {
        let mut needs = vec![first..(first + band).min(height); shapes.len()];
        for link in (0..links).rev() {
            needs[link] = shapes[link + 1].input_rows(&needs[link + 1]);
        }
        for link in 0..shapes.len() {
            // The first layer of a chain reads a whole image.
            let input_first = if link == 0 { 0 } else { held[link - 1].start };
            if link == links {
                let rows = needs[link].clone();
                schedule.steps.push(Step::Run { link, at: rows.start, rows, input_first });
            } else {
                let made = keep(link, &mut held[link], &needs[link], &mut schedule.steps);
                schedule.held[link] = schedule.held[link].max(held[link].len());
                if !made.is_empty() {
                    schedule.steps.push(Step::Run {
                        link,
                        at: made.start - held[link].start,
                        rows: made,
                        input_first,
                    });
                }
            }
        }
    }
    schedule
}

/// Lets go of rows above those needed; gives the rows that have to be made, which then are held too.
fn keep(link: usize, held: &mut Range<usize>, need: &Range<usize>, steps: &mut Vec<Step>) -> Range<usize> {
    let kept = need.start.max(held.start)..held.end.max(need.start);
    if kept.start > held.start && !kept.is_empty() {
        steps.push(Step::Keep { link, from: kept.start - held.start, rows: kept.len() });
    }
    let made = kept.end..need.end.max(kept.end);
    *held = kept.start..made.end;
    made
}

#[cfg(test)]
mod tests {
    use kinora_kernels::rows::RowLayout;

    use super::*;

    fn window(height: usize, kernel: usize, stride: usize, padding: usize) -> WindowShape {
        let layout = RowLayout { width: 4, channels: 1, left: 2, right: 2 };
        let (kernel, stride) = ([kernel; 2], [stride; 2]);
        WindowShape {
            input_height: height,
            input: layout,
            output: layout,
            kernel,
            stride,
            padding: [padding; 2],
        }
    }

    /// Follows the steps with row numbers in place of rows: each layer must find the rows that it reads.
    fn follow(shapes: &[WindowShape], height: usize, band: usize) {
        let schedule = in_bands(shapes, height, band);
        let mut buffers: Vec<Vec<usize>> = schedule.held.iter().map(|rows| vec![usize::MAX; *rows]).collect();
        let mut made = Vec::new();
        for step in schedule.steps {
            match step {
                Step::Keep { link, from, rows } => buffers[link].copy_within(from..from + rows, 0),
                Step::Run { link, rows, at, input_first } => {
                    for row in shapes[link].input_rows(&rows) {
                        assert!(link == 0 || buffers[link - 1][row - input_first] == row, "band of {band}");
                    }
                    match buffers.get_mut(link) {
                        Some(buffer) => rows.enumerate().for_each(|(index, row)| buffer[at + index] = row),
                        None => made.extend(rows),
                    }
                }
            }
        }
        assert_eq!(made, (0..height).collect::<Vec<_>>());
    }

    #[test]
    fn every_layer_finds_the_rows_that_it_reads() {
        let pointwise = |height| window(height, 1, 1, 0);
        // 21 rows, halved twice by windows of three and five rows, between pointwise layers.
        let shapes = [
            pointwise(21),
            window(21, 3, 2, 0),
            pointwise(10),
            window(10, 5, 1, 2),
            window(10, 5, 2, 1),
            pointwise(4),
        ];
        (1..=4).for_each(|band| follow(&shapes, 4, band));
        follow(&shapes[..1], 21, 4);
    }
}
