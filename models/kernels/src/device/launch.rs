//! From a program to kernel launches: names, grids and operands for a batch.

use super::call::{Call, Map};
use super::program::{Element, Piece, Program, Space, Step, Window, Work};

/// Threads of a block of the kernels that make one number, or a few, a thread.
pub(super) const THREADS: usize = 256;
/// `TILE_PIXELS`, `TILE_COLUMNS` and `TILE_THREADS` of `cuda/conv.cuh`.
const TILE_PIXELS: usize = 64;
const TILE_COLUMNS: usize = 32;
const TILE_THREADS: usize = 128;

/// One kernel launch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launch<C = Call> {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Blocks along x and y.
    pub grid: [u32; 2],
    /// Threads of a block.
    pub block: u32,
    /// Operands.
    pub call: C,
}

/// Addresses of the memory that a program works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bases {
    /// Floats: inputs of all images.
    pub input: u64,
    /// Elements between layers.
    pub arena: u64,
    /// Floats: outputs of all images.
    pub output: u64,
    /// Weights and biases.
    pub weights: u64,
}

impl Program {
    /// The launches for `batch` images, which is at most `self.most`.
    ///
    /// # Panics
    /// If it is more, or none: a bug of the caller.
    pub fn launches(&self, bases: &Bases, batch: usize) -> Vec<Launch> {
        assert!((1..=self.most).contains(&batch), "a batch should be what the memory is planned for");
        self.steps.iter().map(|step| self.launch(step, bases, batch)).collect()
    }

    fn launch(&self, step: &Step, bases: &Bases, batch: usize) -> Launch {
        let call = self.call(step, bases, batch);
        let count = batch * step.output.len();
        // Kernels are named by what layers read and what they make.
        let pick =
            |[half_half, half_float, float_float]: [&'static str; 3]| match (self.element, step.output.space)
            {
                (Element::F32, _) => float_float,
                (Element::F16, Space::Output) => half_float,
                (Element::F16, _) => half_half,
            };
        let plain =
            |kernel| Launch { kernel, grid: [blocks(count, THREADS), 1], block: THREADS as u32, call };
        match &step.work {
            Work::Load => plain(if self.element == Element::F16 { "load_half" } else { "load_float" }),
            Work::Conv(..) if self.element == Element::F16 => Launch {
                kernel: pick(["conv_tiles_half_half", "conv_tiles_half_float", "conv_direct_float_float"]),
                grid: [
                    blocks(batch * step.output.height * step.output.width, TILE_PIXELS),
                    blocks(step.output.channels, TILE_COLUMNS),
                ],
                block: TILE_THREADS as u32,
                call,
            },
            Work::Conv(..) => plain("conv_direct_float_float"),
            Work::Depthwise(..) => self.depthwise(step, count, call),
            Work::Resize => plain(pick(["resize_half_half", "resize_half_float", "resize_float_float"])),
            Work::Add => plain(pick(["add_half_half", "add_half_float", "add_float_float"])),
            Work::MaxPool(_) => {
                plain(pick(["max_pool_half_half", "max_pool_half_float", "max_pool_float_float"]))
            }
            Work::DepthToSpace(_) => plain(pick([
                "depth_to_space_half_half",
                "depth_to_space_half_float",
                "depth_to_space_float_float",
            ])),
            Work::Logistic => {
                plain(pick(["logistic_half_half", "logistic_half_float", "logistic_float_float"]))
            }
        }
    }

    /// As many channels a thread as are 16 bytes, where all of them begin at such a place.
    fn depthwise(&self, step: &Step, count: usize, call: Call) -> Launch {
        let aligned = |width| step.input.is_aligned(width) && step.output.is_aligned(width);
        let (kernel, width) = match (self.element, step.output.space) {
            (Element::F16, Space::Output) => ("depthwise_1_half_float", 1),
            (Element::F16, _) if aligned(8) => ("depthwise_8_half_half", 8),
            (Element::F16, _) => ("depthwise_1_half_half", 1),
            (Element::F32, _) if aligned(4) => ("depthwise_4_float_float", 4),
            (Element::F32, _) => ("depthwise_1_float_float", 1),
        };
        Launch { kernel, grid: [blocks(count / width, THREADS), 1], block: THREADS as u32, call }
    }

    fn call(&self, step: &Step, bases: &Bases, batch: usize) -> Call {
        let none = Window { kernel: [1, 1], stride: [1, 1], padding: [0, 0] };
        let (window, packed, block) = match &step.work {
            Work::Conv(window, packed) | Work::Depthwise(window, packed) => (window, Some(packed), 1),
            Work::MaxPool(window) => (window, None, 1),
            Work::DepthToSpace(block) => (&none, None, *block),
            _ => (&none, None, 1),
        };
        let address = |at: Option<usize>| at.map_or(0, |at| bases.weights + at as u64);
        Call {
            input: self.map(Some(&step.input), bases),
            beside: self.map(step.beside.as_ref(), bases),
            output: self.map(Some(&step.output), bases),
            weights: address(packed.map(|packed| packed.weights)),
            bias: address(packed.map(|packed| packed.bias)),
            window: window.kernel.map(int),
            step: window.stride.map(int),
            padding: window.padding.map(int),
            low: step.clamp.low,
            high: step.clamp.high,
            batch: int(batch),
            depth: packed.map_or(0, |packed| int(packed.depth)),
            columns: packed.map_or(0, |packed| int(packed.columns)),
            block: int(block),
        }
    }

    fn map(&self, piece: Option<&Piece>, bases: &Bases) -> Map {
        let Some(piece) = piece else {
            return Map { data: 0, stride: 0, height: 0, width: 0, channels: 0, unused: 0 };
        };
        let (base, bytes) = match piece.space {
            Space::Input => (bases.input, 4),
            Space::Arena => (bases.arena, self.element.bytes()),
            Space::Output => (bases.output, 4),
        };
        Map {
            data: base + (piece.offset * bytes) as u64,
            stride: piece.stride as i64,
            height: int(piece.height),
            width: int(piece.width),
            channels: int(piece.channels),
            unused: 0,
        }
    }
}

/// Blocks of `threads` for `count` pieces of work.
pub(super) fn blocks(count: usize, threads: usize) -> u32 {
    u32::try_from(count.div_ceil(threads)).expect("a checked image should fit a grid")
}

fn int(number: usize) -> i32 {
    i32::try_from(number).expect("a checked program should fit 32 bit")
}
