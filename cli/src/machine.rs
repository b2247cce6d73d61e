//! This machine: its threads, and a description for reports.

use std::{fs, thread};

use gstupscale::{cuda::Device, onnxruntime};

/// `requested` threads; for 0, as many as are available.
pub fn threads(requested: usize) -> usize {
    match requested {
        0 => thread::available_parallelism().map_or(1, usize::from),
        requested => requested,
    }
}

/// Whether the model may run on an NVIDIA GPU with this value of the property `backend`.
pub fn may_use_nvidia(backend: &str) -> bool {
    match backend {
        "cuda" | "tensorrt" => true,
        "auto" => Device::open(0).is_ok(),
        _ => false,
    }
}

/// This program's version, the CPU, ONNX Runtime and the GPU in one line.
pub fn describe(device_id: u32) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let runtime = match onnxruntime::version() {
        Ok(version) => format!("ONNX Runtime {version}"),
        Err(error) => error.to_string(),
    };
    let gpu = match Device::open(device_id) {
        Ok(gpu) => format!("{gpu:?}, driver {}", gpu.driver_version()),
        Err(error) => format!("no GPU: {error}"),
    };
    format!(
        "gst-upscale {} on {}, {} threads; {runtime}; {gpu}",
        env!("CARGO_PKG_VERSION"),
        model.unwrap_or("an unknown CPU"),
        threads(0)
    )
}
