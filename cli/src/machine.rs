//! This machine, and what the user asked for of it.

use std::{env, fs, path::PathBuf, thread};

use gstupscale::{cuda::Device, engine::Monitor, onnxruntime};

/// Shows nothing and never gives up.
pub struct Patient;

impl Monitor for Patient {
    fn progress(&self, _percent: u32, _what: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// `asked`, or all that there are.
pub fn threads(asked: usize) -> usize {
    match asked {
        0 => thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

/// Where the element keeps its cache too.
pub fn cache_dir() -> PathBuf {
    dirs::cache_dir().unwrap_or_else(env::temp_dir).join("gst-upscale")
}

/// `1.24.1` of what ONNX Runtime says of its build.
fn version(build: &str) -> &str {
    let branch = build.split("git-branch=").nth(1).unwrap_or(build);
    branch.split(',').next().unwrap_or(branch).trim_start_matches("rel-")
}

/// Version, processor, runtime and GPU in one line.
pub fn describe(device_id: u32) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let runtime = match onnxruntime::environment() {
        Ok(_) => format!("ONNX Runtime {}", version(ort::info())),
        Err(error) => error.to_string(),
    };
    let gpu = match Device::open(device_id) {
        Ok(gpu) => format!("{gpu:?}, driver {}", gpu.driver_version()),
        Err(why) => format!("no GPU: {why}"),
    };
    format!(
        "gst-upscale {} on {}, {} threads; {runtime}; {gpu}",
        env!("CARGO_PKG_VERSION"),
        model.unwrap_or("an unknown processor"),
        threads(0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_version_is_found() {
        let build = "ORT Build Info: git-branch=rel-1.24.1, git-commit-id=1, build type=Release";
        assert_eq!(version(build), "1.24.1");
        assert_eq!(version("something else"), "something else");
    }
}
