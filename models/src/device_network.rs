//! A network on a device, as one lane holds it.
//!
//! Clones share the program and have no memory until they are first used, which happens on the lane's own thread. The first
//! of them takes what was warmed up. What failed is thrown away: the next use takes fresh memory from the device, if that
//! still gives any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "cuda-host")]
use kinora_kernels::device::HostNetwork;
#[cfg(feature = "cuda")]
use kinora_kernels::device::{Gpu, GpuNetwork};
use kinora_kernels::device::{NetworkInput, Program};

use crate::error::ModelError;

/// Images that a device is given at once at most.
pub(crate) const MOST_BATCH: usize = 8;

/// What runs a program.
#[derive(Debug, Clone)]
pub(crate) enum Machine {
    #[cfg(feature = "cuda")]
    Gpu(Gpu, usize),
    /// The host that plays a device, for tests.
    #[cfg(feature = "cuda-host")]
    Host,
}

/// A program, and the machine that runs it.
pub(crate) struct DeviceNetwork {
    program: Arc<Program>,
    /// Floats of each output.
    outputs: Arc<[usize]>,
    machine: Machine,
    running: Option<Running>,
    /// Warm, and nobody's yet.
    spare: Spare,
}

/// One for all clones.
type Spare = Arc<Mutex<Option<Running>>>;

/// A program with its memory.
enum Running {
    #[cfg(feature = "cuda")]
    Gpu(Box<GpuNetwork>),
    #[cfg(feature = "cuda-host")]
    Host(Box<HostNetwork>),
}

impl Clone for DeviceNetwork {
    fn clone(&self) -> Self {
        let (program, outputs) = (Arc::clone(&self.program), Arc::clone(&self.outputs));
        Self {
            program,
            outputs,
            machine: self.machine.clone(),
            running: None,
            spare: Arc::clone(&self.spare),
        }
    }
}

impl std::fmt::Debug for DeviceNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceNetwork").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl DeviceNetwork {
    /// A network without memory yet; `outputs` are the lengths of its outputs.
    pub(crate) fn new(program: Program, outputs: Vec<usize>, machine: Machine) -> Self {
        let spare = Spare::default();
        Self { program: Arc::new(program), outputs: outputs.into(), machine, running: None, spare }
    }

    /// The name of its device.
    pub(crate) fn device(&self) -> String {
        match &self.machine {
            #[cfg(feature = "cuda")]
            Machine::Gpu(_, number) => format!("cuda:{number}"),
            #[cfg(feature = "cuda-host")]
            Machine::Host => "cuda-host".into(),
            #[cfg(not(any(feature = "cuda", feature = "cuda-host")))]
            _ => unreachable!("there should be no machine without a feature"),
        }
    }

    /// Whether the device will not do anything in this process again.
    pub(crate) fn is_lost(&self) -> bool {
        match &self.machine {
            #[cfg(feature = "cuda")]
            Machine::Gpu(gpu, _) => !gpu.is_alive(),
            #[cfg(any(feature = "cuda-host", not(feature = "cuda")))]
            _ => false,
        }
    }

    /// Takes the device's memory and runs the network once; the first clone that is used goes on with it. Errors: `Device`.
    #[cfg(feature = "cuda")]
    pub(crate) fn warm_up(&mut self) -> Result<(), ModelError> {
        let image = vec![0.0; self.program.input_len];
        self.forward(&[NetworkInput::Floats(&image)])?;
        *self.spare() = self.running.take();
        Ok(())
    }

    fn spare(&self) -> MutexGuard<'_, Option<Running>> {
        // It is put in and taken out whole.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the network on any number of images; gives the outputs of each. Errors: `Device`.
    pub(crate) fn forward(&mut self, images: &[NetworkInput<'_>]) -> Result<Vec<Vec<Vec<f32>>>, ModelError> {
        let mut all = Vec::with_capacity(images.len());
        for batch in images.chunks(MOST_BATCH) {
            let outputs = match self.running() {
                Ok(running) => running.forward(batch),
                Err(error) => Err(error),
            };
            match outputs {
                Ok(outputs) => all.extend(outputs.into_iter().map(|floats| self.split(&floats))),
                Err(error) => {
                    self.running = None;
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    fn running(&mut self) -> Result<&mut Running, ModelError> {
        if self.running.is_none() {
            let spare = self.spare().take();
            self.running = Some(spare.map_or_else(|| self.start(), Ok)?);
        }
        Ok(self.running.as_mut().expect("it should have been started"))
    }

    fn start(&self) -> Result<Running, ModelError> {
        match &self.machine {
            #[cfg(feature = "cuda")]
            Machine::Gpu(gpu, _) => {
                let network = GpuNetwork::new(gpu, Arc::clone(&self.program));
                network.map(Box::new).map(Running::Gpu).map_err(|error| ModelError::Device(error.to_string()))
            }
            #[cfg(feature = "cuda-host")]
            Machine::Host => {
                let network = HostNetwork::new(Program::clone(&self.program));
                network
                    .map(Box::new)
                    .map(Running::Host)
                    .map_err(|error| ModelError::Device(error.to_string()))
            }
        }
    }

    /// The outputs of one image.
    fn split(&self, floats: &[f32]) -> Vec<Vec<f32>> {
        let mut rest = floats;
        let outputs = self.outputs.iter().map(|len| {
            let (output, after) = rest.split_at(*len);
            rest = after;
            output.to_vec()
        });
        outputs.collect()
    }
}

impl Running {
    fn forward(&mut self, images: &[NetworkInput<'_>]) -> Result<Vec<Vec<f32>>, ModelError> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Gpu(network) => {
                network.forward(images).map_err(|error| ModelError::Device(error.to_string()))
            }
            #[cfg(feature = "cuda-host")]
            Self::Host(network) => Ok(network.forward(images)),
        }
    }
}
