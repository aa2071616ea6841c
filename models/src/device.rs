//! Where networks run: the choice of a device by its name, and what it comes to on this machine.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "cuda")]
use kinora_kernels::device::Gpu;

use crate::error::ModelError;

/// A device as it is named in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first GPU, or the CPU where there is none.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number; an error where it is not there.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match (name, name.strip_prefix("cuda:")) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            // Digits alone: `parse` takes a sign.
            (_, Some(number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                number.parse().map(Self::Cuda).map_err(|_| wrong(name))
            }
            _ => Err(wrong(name)),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

fn wrong(name: &str) -> String {
    format!("`{name}` is no device; auto, cpu and cuda:N (cuda:0, cuda:1, ...) are")
}

/// A device that was chosen and is there.
#[derive(Debug, Clone)]
pub(crate) enum OpenDevice {
    Cpu,
    #[cfg(feature = "cuda")]
    Gpu(Gpu, usize),
}

impl DeviceChoice {
    /// Opens what was chosen. Errors: `Device` if a GPU was named that is not there.
    pub(crate) fn open(self) -> Result<OpenDevice, ModelError> {
        match self {
            Self::Cpu => Ok(OpenDevice::Cpu),
            // Whatever is wrong with a GPU that nobody named, the CPU is there.
            Self::Auto => Ok(open_gpu(0).unwrap_or(OpenDevice::Cpu)),
            Self::Cuda(number) => open_gpu(number),
        }
    }
}

#[cfg(feature = "cuda")]
fn open_gpu(number: usize) -> Result<OpenDevice, ModelError> {
    let gpu = Gpu::open(number).map_err(|error| ModelError::Device(error.to_string()))?;
    Ok(OpenDevice::Gpu(gpu, number))
}

#[cfg(not(feature = "cuda"))]
fn open_gpu(number: usize) -> Result<OpenDevice, ModelError> {
    let reason = "this binary was built without the feature `cuda`";
    Err(ModelError::Device(format!("no CUDA device: {reason}, so there is no cuda:{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_name_and_nothing_else_is() {
        let known =
            [("auto", DeviceChoice::Auto), ("cpu", DeviceChoice::Cpu), ("cuda:3", DeviceChoice::Cuda(3))];
        for (name, choice) in known {
            assert_eq!(name.parse(), Ok(choice));
            assert_eq!(choice.to_string(), name);
        }
        for name in
            ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "CPU", "cuda:99999999999999999999"]
        {
            let refused = name.parse::<DeviceChoice>().unwrap_err();
            assert!(refused.contains("auto, cpu and cuda:N"), "{refused}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_and_auto_is_the_cpu_then() {
        // No machine has so many.
        let refused = DeviceChoice::Cuda(4_095).open().unwrap_err();
        assert!(refused.to_string().starts_with("no CUDA device: "), "{refused}");
        assert!(DeviceChoice::Auto.open().is_ok());
        assert!(matches!(DeviceChoice::Cpu.open(), Ok(OpenDevice::Cpu)));
    }
}
