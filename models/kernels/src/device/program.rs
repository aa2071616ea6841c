//! A network as a list of kernel calls on planned memory, and the check that no call leaves that memory.

use super::weights::Packed;
use crate::Clamp;

/// Numbers that pass between layers, and weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Half precision; sums are made in single precision.
    F16,
    /// Single precision.
    F32,
}

impl Element {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// The memory that a piece lies in. Inputs and outputs are in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The images that the network is given.
    Input,
    /// What passes between layers.
    Arena,
    /// What the network gives: all outputs of an image one after another, then those of the next image.
    Output,
}

/// The images of one value, NHWC without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where they lie.
    pub space: Space,
    /// Where the first image begins, in elements.
    pub offset: usize,
    /// Elements from one image to the next.
    pub stride: usize,
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Elements of a pixel.
    pub channels: usize,
}

impl Piece {
    /// Elements of one image.
    pub fn len(&self) -> usize {
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element after the last one of a batch.
    fn end(&self, batch: usize) -> usize {
        let last = batch.saturating_sub(1).saturating_mul(self.stride);
        self.offset.saturating_add(last).saturating_add(self.len())
    }

    /// Whether every image, and so every pixel, begins at a multiple of so many elements.
    pub(super) fn is_aligned(&self, elements: usize) -> bool {
        [self.offset, self.stride, self.channels].iter().all(|number| number % elements == 0)
    }
}

/// How a window moves over an image. Pairs are `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Taps.
    pub kernel: [usize; 2],
    /// Step between two outputs.
    pub stride: [usize; 2],
    /// Zeros above and on the left; below and on the right there are as many as the output needs.
    pub padding: [usize; 2],
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Brings the network's input into the arena.
    Load,
    /// A full convolution; adds `beside`, if there is one.
    Conv(Window, Packed),
    /// A convolution of each channel with a filter of its own.
    Depthwise(Window, Packed),
    /// Bilinear resizing; adds `beside`, if there is one.
    Resize,
    /// Sum of input and `beside`.
    Add,
    /// Largest value of each window.
    MaxPool(Window),
    /// Channels become pixels, in blocks of this side.
    DepthToSpace(usize),
    /// `1 / (1 + exp(-x))`.
    Logistic,
}

/// One kernel call for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub work: Work,
    /// What is read.
    pub input: Piece,
    /// What is added.
    pub beside: Option<Piece>,
    /// What is made.
    pub output: Piece,
    /// The bounds that the result is kept in.
    pub clamp: Clamp,
}

/// A network that a device can run.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Numbers between layers.
    pub element: Element,
    /// Calls, each after those it reads from.
    pub steps: Vec<Step>,
    /// Weights and biases of all steps.
    pub weights: Vec<u8>,
    /// Images that the memory is planned for.
    pub most: usize,
    /// Floats of an image's input.
    pub input_len: usize,
    /// Elements between layers, for all images.
    pub arena_len: usize,
    /// Floats of an image's outputs.
    pub output_len: usize,
}

/// Why a program cannot be run: a bug of who made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step} of a device program: {reason}")]
pub struct Fault {
    /// The step.
    pub step: usize,
    /// What does not fit.
    pub reason: &'static str,
}

impl Program {
    /// Sees to it that no call reads or writes beyond the memory that the program asks for. Machines rely on it.
    ///
    /// # Errors
    /// The first step that does not fit.
    pub fn check(&self) -> Result<(), Fault> {
        for (step, call) in self.steps.iter().enumerate() {
            self.check_step(call).map_err(|reason| Fault { step, reason })?;
        }
        Ok(())
    }

    fn check_step(&self, step: &Step) -> Result<(), &'static str> {
        let Step { work, input, beside, output, .. } = step;
        for piece in [Some(input), beside.as_ref(), Some(output)].into_iter().flatten() {
            ensure(!piece.is_empty() && piece.stride >= piece.len(), "images overlap or are empty")?;
            ensure(piece.end(self.most) <= self.len(piece.space), "a piece leaves its memory")?;
            // Kernels count the numbers of a batch in 32 bit.
            let numbers = piece.len().checked_mul(self.most);
            ensure(numbers.is_some_and(|numbers| i32::try_from(numbers).is_ok()), "images are too large")?;
        }
        let is_load = matches!(work, Work::Load);
        ensure((input.space == Space::Input) == is_load, "only loading reads the input")?;
        ensure(input.space != Space::Output && output.space != Space::Input, "outputs are not read")?;
        ensure(beside.is_none_or(|beside| beside.space == Space::Arena), "what is added is in the arena")?;
        ensure(
            beside.is_none_or(|beside| same_size(&beside, output)),
            "what is added has the output's size",
        )?;
        self.check_work(step)
    }

    fn check_work(&self, Step { work, input, beside, output, .. }: &Step) -> Result<(), &'static str> {
        match work {
            Work::Load | Work::Logistic => ensure(same_size(input, output), "the result has another size"),
            Work::Add => {
                ensure(beside.is_some() && same_size(input, output), "a sum has two operands of one size")
            }
            Work::Resize => ensure(input.channels == output.channels, "resizing keeps the channels"),
            Work::DepthToSpace(block) => {
                let fits = |side: usize, to: usize| side.checked_mul(*block) == Some(to);
                let area = block.checked_mul(*block).and_then(|area| area.checked_mul(output.channels));
                let pixels = fits(input.height, output.height) && fits(input.width, output.width);
                ensure(pixels && area == Some(input.channels), "blocks do not fit")
            }
            Work::MaxPool(window) => {
                ensure(input.channels == output.channels, "pooling keeps the channels")?;
                ensure(
                    window.padding == [0, 0] && inside(reach(window, output), input),
                    "windows leave the image",
                )
            }
            Work::Conv(window, packed) => {
                let depth = window.kernel[0] * window.kernel[1] * input.channels;
                ensure(packed.depth >= depth && packed.columns >= output.channels, "weights are too few")?;
                // Eight channels are read at once.
                let apart = self.element == Element::F32 || input.channels % 8 != 0 || input.is_aligned(8);
                ensure(apart, "an image does not begin where eight numbers can be read at once")?;
                self.check_weights(window, packed, packed.depth * packed.columns, packed.columns)
            }
            Work::Depthwise(window, packed) => {
                ensure(input.channels == output.channels, "a depthwise convolution keeps the channels")?;
                let taps = window.kernel[0] * window.kernel[1];
                self.check_weights(window, packed, taps * output.channels, output.channels)
            }
        }
    }

    fn check_weights(
        &self,
        window: &Window,
        packed: &Packed,
        values: usize,
        biases: usize,
    ) -> Result<(), &'static str> {
        ensure(window.stride[0] > 0 && window.stride[1] > 0, "a window stands still")?;
        let ends = [(packed.weights, values * self.element.bytes()), (packed.bias, biases * 4)];
        let inside = ends.iter().all(|(at, bytes)| at % 16 == 0 && at + bytes <= self.weights.len());
        ensure(inside, "weights leave their memory")
    }

    fn len(&self, space: Space) -> usize {
        match space {
            Space::Input => self.most * self.input_len,
            Space::Arena => self.arena_len,
            Space::Output => self.most * self.output_len,
        }
    }
}

/// Rows and columns that windows without padding touch.
fn reach(window: &Window, output: &Piece) -> [usize; 2] {
    let axis = |side: usize, axis: usize| {
        (side - 1).saturating_mul(window.stride[axis]).saturating_add(window.kernel[axis])
    };
    [axis(output.height, 0), axis(output.width, 1)]
}

fn inside([rows, columns]: [usize; 2], image: &Piece) -> bool {
    rows <= image.height && columns <= image.width
}

fn same_size(one: &Piece, other: &Piece) -> bool {
    [one.height, one.width, one.channels] == [other.height, other.width, other.channels]
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(space: Space, offset: usize, [height, width, channels]: [usize; 3]) -> Piece {
        Piece { space, offset, stride: height * width * channels, height, width, channels }
    }

    /// Loads two images of 4 x 4 x 8 and convolves them with 3 x 3 taps to 4 channels.
    fn program() -> Program {
        let window = Window { kernel: [3, 3], stride: [1, 1], padding: [1, 1] };
        let packed = Packed { weights: 0, bias: 96 * 32 * 2, depth: 96, columns: 32 };
        let loaded = piece(Space::Arena, 0, [4, 4, 8]);
        let load = Step {
            work: Work::Load,
            input: piece(Space::Input, 0, [4, 4, 8]),
            beside: None,
            output: loaded,
            clamp: Clamp::NONE,
        };
        let output = piece(Space::Output, 0, [4, 4, 4]);
        let conv = Step {
            work: Work::Conv(window, packed),
            input: loaded,
            beside: None,
            output,
            clamp: Clamp::RELU,
        };
        Program {
            element: Element::F16,
            steps: vec![load, conv],
            weights: vec![0; 96 * 32 * 2 + 32 * 4],
            most: 2,
            input_len: 128,
            arena_len: 256,
            output_len: 64,
        }
    }

    #[test]
    fn a_program_whose_calls_stay_inside_is_accepted() {
        assert_eq!(program().check(), Ok(()));
    }

    #[test]
    fn every_way_out_of_the_memory_is_refused() {
        let refused = |change: fn(&mut Program)| {
            let mut program = program();
            change(&mut program);
            program.check().unwrap_err().step
        };
        assert_eq!(refused(|program| program.arena_len -= 1), 0);
        assert_eq!(refused(|program| program.most = 3), 0);
        assert_eq!(refused(|program| program.input_len -= 1), 0);
        assert_eq!(refused(|program| program.output_len -= 1), 1);
        assert_eq!(refused(|program| program.weights.truncate(6_000)), 1);
        assert_eq!(refused(|program| program.steps[0].output.offset = usize::MAX), 0);
        assert_eq!(refused(|program| program.steps[0].output.height = usize::MAX), 0);
        assert_eq!(refused(|program| program.steps[0].output.stride = 0), 0);
        assert_eq!(refused(|program| program.steps[1].input.channels = 16), 1);
        assert_eq!(refused(|program| program.steps[1].input.space = Space::Input), 1);
        assert_eq!(refused(|program| program.steps[1].beside = Some(program.steps[0].output)), 1);
        assert_eq!(refused(|program| program.steps[1].work = Work::Add), 1);
        assert_eq!(refused(|program| program.steps[1].work = Work::DepthToSpace(3)), 1);
        let pool = |program: &mut Program| {
            program.steps[1].output.channels = 8;
            program.output_len = 128;
            program.steps[1].output.stride = 128;
            program.steps[1].work = Work::MaxPool(Window { kernel: [2, 2], stride: [2, 2], padding: [0, 0] });
        };
        assert_eq!(refused(pool), 1);
    }
}
