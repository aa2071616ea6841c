//! Networks on a GPU: what its kernels are called with, and what runs them.
//!
//! A [`Program`] is a network as a list of kernel calls on planned memory, made once by the models crate. It knows no
//! device: it is data, it is checked once against all the memory that its calls touch, and a batch of images turns it into
//! [`Launch`]es. Two machines run those: `Gpu` (feature `cuda`), and `Host` (feature `cuda-host`), which runs the very
//! source of the kernels, compiled by an ordinary C++ compiler, so that tests need no GPU.
//!
//! The kernels are CUDA C in `cuda/`. `call` mirrors their structs.

mod call;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda-host")]
mod host;
mod launch;
mod picture;
mod program;
mod sample;
mod weights;

pub use call::{Call, Map, SampleCall};
#[cfg(feature = "cuda")]
pub use gpu::{Gpu, GpuError, GpuNetwork};
#[cfg(feature = "cuda-host")]
pub use host::{HostNetwork, sample_on_host};
pub use launch::{Bases, Launch};
pub use picture::{DevicePicture, NetworkInput};
pub use program::{Element, Fault, Piece, Program, Space, Step, Window, Work};
pub use sample::{DeviceImage, DevicePlane, sample_launch};
pub use weights::{Packed, Weights};
