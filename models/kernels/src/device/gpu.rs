//! Programs on an NVIDIA GPU, by the driver's own interface, which is opened at run time: a binary that has this code
//! starts where there is no driver, and is told so when it asks for a device.
//!
//! A device has one primary context, which everything in the process shares (FFmpeg's decoder too, which works on the default
//! stream); each network has a stream of its own there. What a
//! network needs there is allocated once; for each size of a batch its kernels are captured into a graph, so that a batch
//! costs one copy in, one launch and one copy out, both from and to pinned memory.

mod input;

use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use cudarc::driver::sys::{CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaModule, CudaSlice, CudaStream, DevicePtr, DriverError,
    PinnedHostSlice, result, sys,
};
use cudarc::nvrtc::Ptx;

use super::launch::{Bases, Launch};
use super::picture::NetworkInput;
use super::program::{Fault, Program};
use input::Samplers;

/// Machine code for each kind of device, made by `build.rs`.
static KERNELS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));

/// Sizes of a batch that have a graph; other numbers of images are filled up to the next one.
const BATCHES: [usize; 4] = [1, 2, 4, 8];

/// Why a device did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// There is no such device, or no driver.
    #[error("no CUDA device: {0}")]
    Missing(String),
    /// The driver refused a call; the device is as before.
    #[error("CUDA refused to {action}: {reason}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The driver's name for the reason.
        reason: String,
    },
    /// The context is damaged for good: only a new process gets another one.
    #[error("the CUDA context is lost ({reason}); the process has to start anew")]
    Lost {
        /// The driver's name for the reason.
        reason: String,
    },
    /// A program that leaves its memory: a bug of who made it.
    #[error(transparent)]
    Program(#[from] Fault),
}

impl GpuError {
    /// Whether nothing will work in this process again.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// An open device with its kernels. Clones share it.
#[derive(Debug, Clone)]
pub struct Gpu {
    number: usize,
    context: Arc<CudaContext>,
    /// Each network has its own: a thread that was given up may still be at the one that it had.
    stream: Arc<CudaStream>,
    /// The default stream, on which FFmpeg's decoders of this device put their pictures.
    decoders: Arc<CudaStream>,
    module: Arc<CudaModule>,
}

impl Gpu {
    /// Opens device `ordinal`, from 0.
    ///
    /// # Errors
    /// `Missing` without a driver or such a device; `Refused` if the kernels have no code for it.
    pub fn open(ordinal: usize) -> Result<Self, GpuError> {
        // SAFETY: the driver's library, if there is one, is NVIDIA's; loading it runs no code of ours.
        if !unsafe { sys::is_culib_present() } {
            return Err(GpuError::Missing("the driver's library libcuda.so.1 is not there".into()));
        }
        sleep_while_waiting(ordinal).map_err(|error| missing(ordinal, error))?;
        let context = CudaContext::new(ordinal).map_err(|error| missing(ordinal, error))?;
        // SAFETY: what a network has is used on its own stream alone, so no access has to wait for another one. Weights, which
        // several share, are only read once `GpuNetwork::new` has waited for them, and `send` waits for pictures itself. A
        // captured stream must not meet events from before the capture.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(refused("make a stream"))?;
        let kernels = Ptx::from_binary(KERNELS.to_vec());
        let module = context.load_module(kernels).map_err(refused("load the kernels"))?;
        let decoders = context.default_stream();
        Ok(Self { number: ordinal, context, stream, decoders, module })
    }

    /// How many devices there are; none without a driver.
    pub fn count() -> usize {
        // SAFETY: as in `open`.
        if !unsafe { sys::is_culib_present() } || result::init().is_err() {
            return 0;
        }
        CudaContext::device_count().ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
    }

    /// The device's name.
    pub fn name(&self) -> String {
        self.context.name().unwrap_or_else(|_| "unknown".into())
    }

    /// Whether the context still works; a fault of a kernel ends it for the whole process. It waits for nothing: somebody may
    /// be recording on another stream, or hang.
    pub fn is_alive(&self) -> bool {
        // What some call left there is taken away: a harmless error must not look like a lost context.
        let _ = self.context.check_err();
        if self.context.bind_to_thread().is_err() {
            return false;
        }
        // SAFETY: the stream was made by `new_stream` and lives as long as this value.
        let answer = unsafe { sys::cuStreamQuery(self.stream.cu_stream()) }.result();
        // A lost context answers every call with its error.
        !answer.is_err_and(|error| refused("ask a stream")(error).is_lost())
    }

    /// The device's number that every program of the machine knows it by, as NVIDIA's tools write it (`GPU-...`); nothing without
    /// a driver or such a device.
    pub fn uuid(ordinal: usize) -> Option<String> {
        // SAFETY: as in `open`.
        if !unsafe { sys::is_culib_present() } {
            return None;
        }
        result::init().ok()?;
        let device = result::device::get(c_int::try_from(ordinal).ok()?).ok()?;
        let uuid = result::device::get_uuid(device).ok()?;
        let hex: Vec<String> =
            uuid.bytes.iter().map(|byte| format!("{:02x}", byte.cast_unsigned())).collect();
        let part = |range: std::ops::Range<usize>| hex[range].concat();
        Some(format!("GPU-{}-{}-{}-{}-{}", part(0..4), part(4..6), part(6..8), part(8..10), part(10..16)))
    }

    /// The same device with a stream of its own.
    fn with_own_stream(&self) -> Result<Self, GpuError> {
        let stream = self.context.new_stream().map_err(refused("make a stream"))?;
        Ok(Self { stream, ..self.clone() })
    }

    /// Waits for all that is on the stream, whatever other threads' calls came to: [`CudaStream::synchronize`] would return at
    /// once with an error that one of them left. The thread has to be in the context.
    fn finish(&self, action: &'static str) -> Result<(), GpuError> {
        // SAFETY: the stream was made by `new_stream` and lives as long as this value.
        unsafe { result::stream::synchronize(self.stream.cu_stream()) }.map_err(refused(action))
    }

    fn upload(&self, bytes: &[u8]) -> Result<CudaSlice<u8>, GpuError> {
        self.stream.clone_htod(bytes).map_err(refused("upload weights"))
    }
}

/// A program with its memory on a device, for one lane. It is `Send` and used by one thread at a time.
pub struct GpuNetwork {
    program: Arc<Program>,
    weights: Arc<CudaSlice<u8>>,
    gpu: Gpu,
    // Held for their memory; kernels know the addresses.
    _arena: CudaSlice<u8>,
    _input: CudaSlice<f32>,
    _output: CudaSlice<f32>,
    bases: Bases,
    pinned_input: PinnedHostSlice<f32>,
    pinned_output: PinnedHostSlice<f32>,
    samplers: Samplers,
    graphs: Vec<(usize, CudaGraph)>,
}

// SAFETY: what keeps it from being `Send` are the handles of the graphs. The driver takes calls from any thread; it only
// asks that no two threads use a graph at once, and every use of one here goes through `&mut self`.
unsafe impl Send for GpuNetwork {}
// SAFETY: through `&` no graph is touched: only what clones share, which the driver lets any thread use.
unsafe impl Sync for GpuNetwork {}

impl GpuNetwork {
    /// Checks a program, uploads its weights, takes all memory and captures a graph for each size of a batch.
    ///
    /// # Errors
    /// `Program` if it leaves its memory; `Refused` or `Lost` by the driver.
    pub fn new(gpu: &Gpu, program: Arc<Program>) -> Result<Self, GpuError> {
        program.check()?;
        gpu.context.bind_to_thread().map_err(refused("enter the context"))?;
        let gpu = gpu.with_own_stream()?;
        let weights = Arc::new(gpu.upload(&program.weights)?);
        // Clones read them on other streams.
        gpu.finish("upload weights")?;
        Self::with_weights(gpu, program, weights)
    }

    /// Another one with the same weights and memory of its own.
    ///
    /// # Errors
    /// As `new`.
    pub fn try_clone(&self) -> Result<Self, GpuError> {
        self.gpu.context.bind_to_thread().map_err(refused("enter the context"))?;
        Self::with_weights(self.gpu.with_own_stream()?, Arc::clone(&self.program), Arc::clone(&self.weights))
    }

    fn with_weights(gpu: Gpu, program: Arc<Program>, weights: Arc<CudaSlice<u8>>) -> Result<Self, GpuError> {
        let (stream, most) = (&gpu.stream, program.most);
        let arena = stream
            .alloc_zeros::<u8>(program.arena_len * program.element.bytes())
            .map_err(refused("take memory"))?;
        let input = stream.alloc_zeros::<f32>(most * program.input_len).map_err(refused("take memory"))?;
        let output = stream.alloc_zeros::<f32>(most * program.output_len).map_err(refused("take memory"))?;
        let bases = Bases {
            input: address(&input, stream),
            arena: address(&arena, stream),
            output: address(&output, stream),
            weights: address(&*weights, stream),
        };
        // SAFETY: floats of any bits are floats; inputs are written before they are read, results before they are looked at.
        // Written combined: the host only writes inputs. Results it reads, for which such memory is slow.
        let [pinned_input, pinned_output] = unsafe {
            [
                gpu.context
                    .alloc_pinned_with_flags(most * program.input_len, sys::CU_MEMHOSTALLOC_WRITECOMBINED),
                gpu.context.alloc_pinned_with_flags(most * program.output_len, 0),
            ]
        };
        let samplers = Samplers::find(&gpu)?;
        let mut network = Self {
            pinned_input: pinned_input.map_err(refused("pin memory"))?,
            pinned_output: pinned_output.map_err(refused("pin memory"))?,
            program,
            weights,
            gpu,
            _arena: arena,
            _input: input,
            _output: output,
            bases,
            samplers,
            graphs: Vec::new(),
        };
        let captured = network.capture();
        // In any case: what was begun reads weights, which are another stream's to give back.
        let finished = network.gpu.finish("run the network");
        captured.and(finished)?;
        Ok(network)
    }

    /// Runs the program on up to `program.most` images that come to `input_len` floats each; gives `output_len` floats for each.
    /// Pictures are not read any more when it returns.
    ///
    /// # Errors
    /// `Refused` or `Lost` by the driver; `Refused` for a picture that is not in this device's memory.
    ///
    /// # Panics
    /// If there are more images than that, none, or one of another length: a bug of the caller.
    pub fn forward(&mut self, images: &[NetworkInput<'_>]) -> Result<Vec<Vec<f32>>, GpuError> {
        let (input_len, output_len) = (self.program.input_len, self.program.output_len);
        assert!(
            images.iter().all(|image| image.len() == input_len),
            "each image should have the input's length"
        );
        let Some(graph) = self.graphs.iter().position(|(batch, _)| (1..=*batch).contains(&images.len()))
        else {
            panic!("a batch should be what the memory is planned for, not {}", images.len());
        };
        self.gpu.context.bind_to_thread().map_err(refused("enter the context"))?;
        let enqueued = self.enqueue(images, graph);
        // In any case: what was begun reads pinned memory and pictures until it is done.
        let finished = self.gpu.finish("finish the network");
        enqueued.and(finished)?;
        let pinned = self.pinned_output.as_slice().map_err(refused("reach pinned memory"))?;
        let received = &pinned[..images.len() * output_len];
        Ok(received.chunks_exact(output_len).map(<[f32]>::to_vec).collect())
    }

    /// Orders a batch: inputs in, the network, results out.
    fn enqueue(&mut self, images: &[NetworkInput<'_>], graph: usize) -> Result<(), GpuError> {
        self.send(images)?;
        self.graphs[graph].1.launch().map_err(refused("run the network"))?;
        let pinned = self.pinned_output.as_mut_slice().map_err(refused("reach pinned memory"))?;
        let received = &mut pinned[..images.len() * self.program.output_len];
        // SAFETY: the device's output holds `most` results, of which these are the first; the pinned memory lives as long as
        // this value and is not touched before the caller has synchronised.
        unsafe { result::memcpy_dtoh_async(received, self.bases.output, self.gpu.stream.cu_stream()) }
            .map_err(refused("fetch results"))
    }

    /// Runs all kernels once for each size of a batch, which loads them, then records them.
    fn capture(&mut self) -> Result<(), GpuError> {
        let mut functions = HashMap::new();
        for batch in BATCHES.into_iter().filter(|batch| *batch <= self.program.most) {
            let launches = self.program.launches(&self.bases, batch);
            for launch in &launches {
                if !functions.contains_key(launch.kernel) {
                    let found = self.gpu.module.load_function(launch.kernel);
                    functions.insert(launch.kernel, found.map_err(refused("find a kernel"))?);
                }
            }
            self.launch(&launches, &functions)?;
            self.gpu.stream.synchronize().map_err(refused("run the network"))?;
            let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
            self.gpu.stream.begin_capture(mode).map_err(refused("record the network"))?;
            let launched = self.launch(&launches, &functions);
            // A recording that was begun is ended in any case.
            let graph = self.gpu.stream.end_capture(CUgraphInstantiate_flags(0));
            launched?;
            let graph = graph.map_err(refused("record the network"))?;
            let graph = graph.ok_or_else(|| refused_because("record the network", "nothing was recorded"))?;
            graph.upload().map_err(refused("upload the recording"))?;
            self.graphs.push((batch, graph));
        }
        Ok(())
    }

    fn launch(
        &self,
        launches: &[Launch],
        functions: &HashMap<&'static str, CudaFunction>,
    ) -> Result<(), GpuError> {
        for Launch { kernel, grid, block, call } in launches {
            let mut call = *call;
            let mut operands = [std::ptr::from_mut(&mut call).cast::<c_void>()];
            // SAFETY: the kernel takes one `Call`, which the driver copies before this returns. The program was checked:
            // with these addresses no thread of the kernel leaves the memory that this value holds.
            let launched = unsafe {
                result::launch_kernel(
                    functions[kernel].cu_function(),
                    (grid[0], grid[1], 1),
                    (*block, 1, 1),
                    0,
                    self.gpu.stream.cu_stream(),
                    &mut operands,
                )
            };
            launched.map_err(refused("launch a kernel"))?;
        }
        Ok(())
    }
}

/// Threads that wait for this device sleep, since decoders need the cores. That is set for the primary context before it is
/// opened, in the very way in which FFmpeg's decoder sets it: FFmpeg refuses a context that was opened otherwise.
fn sleep_while_waiting(ordinal: usize) -> Result<(), DriverError> {
    result::init()?;
    let number = c_int::try_from(ordinal).map_err(|_| DriverError(CUresult::CUDA_ERROR_INVALID_DEVICE))?;
    let device = result::device::get(number)?;
    let flags = sys::CUctx_flags::CU_CTX_SCHED_BLOCKING_SYNC as c_uint;
    // SAFETY: the device is one of the driver's; the call changes how threads wait, and nothing else.
    unsafe { sys::cuDevicePrimaryCtxSetFlags_v2(device, flags) }.result()
}

fn address<T>(memory: &CudaSlice<T>, stream: &CudaStream) -> u64 {
    memory.device_ptr(stream).0
}

fn missing(ordinal: usize, error: DriverError) -> GpuError {
    match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => GpuError::Missing("the driver finds none".into()),
        CUresult::CUDA_ERROR_INVALID_DEVICE => {
            GpuError::Missing(format!("the driver has no device {ordinal}"))
        }
        _ => GpuError::Missing(name(error)),
    }
}

fn refused(action: &'static str) -> impl Fn(DriverError) -> GpuError {
    move |error| match error.0 {
        // After these the driver answers every call of the context with the same error.
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
        | CUresult::CUDA_ERROR_INVALID_PC
        | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
        | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
        | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
        | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
        | CUresult::CUDA_ERROR_ASSERT
        | CUresult::CUDA_ERROR_DEINITIALIZED
        | CUresult::CUDA_ERROR_SYSTEM_NOT_READY => GpuError::Lost { reason: name(error) },
        _ => refused_because(action, &name(error)),
    }
}

fn refused_because(action: &'static str, reason: &str) -> GpuError {
    GpuError::Refused { action, reason: reason.into() }
}

/// The driver's name for an error, like `CUDA_ERROR_OUT_OF_MEMORY`.
fn name(error: DriverError) -> String {
    format!("{:?}", error.0)
}
