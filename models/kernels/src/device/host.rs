//! Programs on the host: the kernels' own source, compiled by an ordinary C++ compiler, run block by block. For tests.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};

use super::call::SampleCall;
use super::launch::{Bases, Launch};
use super::picture::{Home, NetworkInput};
use super::program::{Fault, Program};

unsafe extern "C" {
    /// See `cuda/host.cpp`.
    fn kinora_host_launch(
        name: *const c_char,
        operands: *const c_void,
        grid_x: c_uint,
        grid_y: c_uint,
        block: c_uint,
    ) -> c_int;
}

/// Bytes that begin where sixteen of them can be read at once, as memory of a device does.
#[derive(Debug, Clone)]
struct Memory(Vec<u128>);

impl Memory {
    fn zeros(bytes: usize) -> Self {
        Self(vec![0; bytes.div_ceil(16)])
    }

    fn address(&mut self) -> u64 {
        self.0.as_mut_ptr() as u64
    }

    /// Copies bytes to its front.
    fn fill(&mut self, bytes: impl Iterator<Item = u8>) {
        let bytes: Vec<u8> = bytes.collect();
        for (word, bytes) in self.0.iter_mut().zip(bytes.chunks(16)) {
            let mut whole = [0; 16];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u128::from_le_bytes(whole);
        }
    }

    fn floats(&self, len: usize) -> Vec<f32> {
        let bytes = self.0.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let floats =
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        floats.take(len).collect()
    }
}

/// A program with its memory.
#[derive(Debug, Clone)]
pub struct HostNetwork {
    program: Program,
    weights: Memory,
    arena: Memory,
}

impl HostNetwork {
    /// Checks a program and takes all its memory.
    ///
    /// # Errors
    /// If it leaves its memory.
    pub fn new(program: Program) -> Result<Self, Fault> {
        program.check()?;
        let mut weights = Memory::zeros(program.weights.len());
        weights.fill(program.weights.iter().copied());
        // What a layer does not write and another reads shows as numbers that are none.
        let mut arena = Memory::zeros(program.arena_len * program.element.bytes());
        arena.0.fill(u128::MAX);
        Ok(Self { program, weights, arena })
    }

    /// Runs the program on up to `program.most` images of `input_len` floats; gives `output_len` floats for each.
    ///
    /// # Panics
    /// If there are more images than that, none, or one of another length or place: a bug of the caller.
    pub fn forward(&mut self, images: &[NetworkInput<'_>]) -> Vec<Vec<f32>> {
        let Program { input_len, output_len, .. } = self.program;
        assert!(
            images.iter().all(|image| image.len() == input_len),
            "each image should have the input's length"
        );
        let mut input = Memory::zeros(images.len() * input_len * 4);
        let floats = images.iter().flat_map(|image| match image {
            NetworkInput::Floats(floats) => floats.to_vec(),
            NetworkInput::Region(..) => vec![f32::NAN; input_len],
        });
        input.fill(floats.flat_map(f32::to_le_bytes));
        for (index, image) in images.iter().enumerate() {
            if let NetworkInput::Region(picture, region, output) = image {
                assert_eq!(picture.home(), Home::Host, "the picture should be of the host");
                let address = input.address() + (index * input_len * 4) as u64;
                let launch =
                    picture.launch(region, output, address).expect("the caller should have checked it");
                // SAFETY: pictures of the host own planes of the sizes that they tell; the output is an image of `input`.
                unsafe { sample_on_host(&launch) };
            }
        }
        let mut output = Memory::zeros(images.len() * output_len * 4);
        output.0.fill(u128::MAX);
        let bases = Bases {
            input: input.address(),
            arena: self.arena.address(),
            output: output.address(),
            weights: self.weights.address(),
        };
        for Launch { kernel, grid, block, call } in self.program.launches(&bases, images.len()) {
            // SAFETY: the program was checked: with these addresses no thread of a kernel leaves the memory of this value,
            // of `input` and of `output`, of which a batch of `images.len()` touches the first so many images.
            unsafe { run(kernel, std::ptr::from_ref(&call).cast(), grid, block) };
        }
        output.floats(images.len() * output_len).chunks_exact(output_len).map(<[f32]>::to_vec).collect()
    }
}

/// Runs a sampler whose picture lies in memory of the host.
///
/// # Safety
/// The launch must come from [`super::sample_launch`] for planes that are alive, and an output of `size` x `size` x 3 floats
/// that nobody else uses meanwhile.
pub unsafe fn sample_on_host(launch: &Launch<SampleCall>) {
    // SAFETY: by the caller's promise.
    unsafe { run(launch.kernel, std::ptr::from_ref(&launch.call).cast(), launch.grid, launch.block) };
}

/// # Safety
/// `operands` must be what the kernel takes, with addresses of memory that holds all that it touches.
unsafe fn run(kernel: &str, operands: *const c_void, [x, y]: [u32; 2], block: u32) {
    let name = CString::new(kernel).expect("names of kernels should have no zeros");
    let name: &CStr = &name;
    // SAFETY: by the caller's promise; the name ends with a zero.
    let found = unsafe { kinora_host_launch(name.as_ptr(), operands, x, y, block) };
    assert_eq!(found, 0, "the host should know the kernel {kernel}");
}
