//! How busy a device is: lanes say it of themselves, and NVIDIA's management library of a GPU.
//!
//! The library is opened at run time. Where it is not there, or a device has no such counter, what the lanes say counts.

use std::sync::Arc;

use kinora_actors::lanes::Lanes;
use prometheus::{GaugeVec, Opts};

use crate::http::ports::Utilization;

/// What is known of a device; parts of 1, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DeviceUse {
    /// Time in which lanes worked.
    pub(super) lanes: f64,
    /// Time in which a GPU ran kernels.
    pub(super) gpu: Option<f64>,
    /// Time in which its video decoder worked.
    pub(super) decoder: Option<f64>,
    /// Its memory: used, and all.
    pub(super) memory: Option<(f64, f64)>,
}

impl DeviceUse {
    /// The busiest part: of a GPU as it says itself, else of the lanes.
    pub(super) fn busiest(&self) -> f64 {
        self.gpu.unwrap_or(self.lanes).max(self.decoder.unwrap_or(0.0))
    }

    /// The same for the API, with three decimals.
    pub(super) fn shown(&self) -> Utilization {
        let part = |part: f64| (part * 1e3).round() / 1e3;
        Utilization {
            lanes: part(self.lanes),
            gpu: self.gpu.map(part),
            decoder: self.decoder.map(part),
            memory_used: self.memory.map(|(used, _)| used as u64),
            memory_total: self.memory.map(|(_, total)| total as u64),
        }
    }
}

/// Reads a device again and again.
pub(super) struct DeviceMeter {
    lanes: Arc<Lanes>,
    /// Time and busy time at the last look.
    last: Option<(u64, u64)>,
    #[cfg(feature = "cuda")]
    gpu: Option<gpu::Gpu>,
}

impl DeviceMeter {
    /// A meter of `cpu` or `cuda:N`.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(unused_variables, reason = "without CUDA every device is the CPU")
    )]
    pub(super) fn new(device: &str, lanes: Arc<Lanes>) -> Self {
        Self {
            lanes,
            last: None,
            #[cfg(feature = "cuda")]
            gpu: gpu::Gpu::open(device),
        }
    }

    /// What was used since the last look.
    pub(super) fn read(&mut self, now_us: u64) -> DeviceUse {
        let busy_us = self.lanes.busy_us().iter().sum();
        let since: Option<(u64, u64)> = self.last.replace((now_us, busy_us));
        let lanes = since.map_or(0.0, |(then, busy)| {
            let all = now_us.saturating_sub(then).saturating_mul(self.lanes.count() as u64);
            // A worker that was replaced takes its time with it; a request counts when it is done.
            (busy_us.saturating_sub(busy) as f64 / all.max(1) as f64).min(1.0)
        });
        #[cfg(feature = "cuda")]
        if let Some(gpu) = &self.gpu {
            return DeviceUse { lanes, ..gpu.read() };
        }
        DeviceUse { lanes, ..DeviceUse::default() }
    }
}

/// The metrics of devices.
pub(super) struct DeviceGauges {
    utilization: GaugeVec,
    memory: GaugeVec,
}

impl DeviceGauges {
    /// Metrics that `registry` shows.
    ///
    /// # Errors
    /// When a name is taken or is none; that is a fault of ours.
    pub(super) fn new(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str, label| GaugeVec::new(Opts::new(name, help), &["device", label]);
        let utilization = gauges(
            "kinora_device_utilization_ratio",
            "How much of the last second a part of a device worked: lanes, gpu, decoder",
            "part",
        )?;
        let memory = gauges("kinora_device_memory_bytes", "Memory of a GPU: used, total", "kind")?;
        registry.register(Box::new(utilization.clone()))?;
        registry.register(Box::new(memory.clone()))?;
        Ok(Self { utilization, memory })
    }

    /// Shows what was read.
    pub(super) fn show(&self, device: &str, usage: &DeviceUse) {
        let parts = [("lanes", Some(usage.lanes)), ("gpu", usage.gpu), ("decoder", usage.decoder)];
        for (part, value) in parts {
            if let Some(value) = value {
                self.utilization.with_label_values(&[device, part]).set(value);
            }
        }
        if let Some((used, total)) = usage.memory {
            self.memory.with_label_values(&[device, "used"]).set(used);
            self.memory.with_label_values(&[device, "total"]).set(total);
        }
    }
}

#[cfg(feature = "cuda")]
mod gpu {
    //! NVIDIA's management library.

    use kinora_kernels::device::Gpu as Cuda;
    use nvml_wrapper::Nvml;

    use super::DeviceUse;

    /// One GPU. It is looked up by its identity: the library counts GPUs by their slots, CUDA the fastest first, and without
    /// those that `CUDA_VISIBLE_DEVICES` hides.
    pub(super) struct Gpu {
        library: Nvml,
        uuid: String,
    }

    impl Gpu {
        /// The GPU of `cuda:N`; nothing for other devices, or without the library.
        pub(super) fn open(device: &str) -> Option<Self> {
            let uuid = Cuda::uuid(device.strip_prefix("cuda:")?.parse().ok()?)?;
            Some(Self { library: Nvml::init().ok()?, uuid })
        }

        pub(super) fn read(&self) -> DeviceUse {
            let Ok(device) = self.library.device_by_uuid(self.uuid.as_str()) else {
                return DeviceUse::default();
            };
            let part = |percent: u32| f64::from(percent) / 100.0;
            DeviceUse {
                lanes: 0.0,
                gpu: device.utilization_rates().ok().map(|rates| part(rates.gpu)),
                decoder: device.decoder_utilization().ok().map(|decoder| part(decoder.utilization)),
                memory: device.memory_info().ok().map(|memory| (memory.used as f64, memory.total as f64)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_part_is_the_gpus_own_word_or_its_decoder() {
        let lanes = DeviceUse { lanes: 0.9, ..DeviceUse::default() };
        assert_eq!(lanes.busiest(), 0.9);
        assert_eq!(DeviceUse { gpu: Some(0.4), ..lanes }.busiest(), 0.4);
        assert_eq!(DeviceUse { gpu: Some(0.4), decoder: Some(0.6), ..lanes }.busiest(), 0.6);
    }

    #[test]
    fn the_api_is_told_what_is_known_and_nothing_else() {
        let usage = DeviceUse { lanes: 0.123_456, ..DeviceUse::default() };
        assert_eq!(serde_json::to_value(usage.shown()).unwrap(), serde_json::json!({"lanes": 0.123}));
        let usage = DeviceUse { gpu: Some(0.5), memory: Some((1e9, 8e10)), ..usage };
        let shown = serde_json::json!(
            {"lanes": 0.123, "gpu": 0.5, "memoryUsed": 1_000_000_000_u64, "memoryTotal": 80_000_000_000_u64}
        );
        assert_eq!(serde_json::to_value(usage.shown()).unwrap(), shown);
    }

    #[test]
    fn gauges_show_what_a_device_tells_and_nothing_else() {
        let registry = prometheus::Registry::new();
        let gauges = DeviceGauges::new(&registry).unwrap();
        let shown = || registry.gather().iter().map(|family| family.get_metric().len()).sum::<usize>();
        gauges.show("cpu", &DeviceUse { lanes: 0.5, ..DeviceUse::default() });
        assert_eq!(shown(), 1);
        let gpu = DeviceUse { lanes: 0.5, gpu: Some(0.4), decoder: Some(0.1), memory: Some((1e9, 8e10)) };
        gauges.show("cuda:0", &gpu);
        assert_eq!(shown(), 6);
        assert_eq!(gauges.memory.with_label_values(&["cuda:0", "total"]).get(), 8e10);
    }
}
