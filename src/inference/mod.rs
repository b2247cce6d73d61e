//! ONNX Runtime: finding its library, the provider chain, sessions.

mod cache;
mod chain;
mod cpu;
mod device;
mod engine;
mod fitted;
mod gpu;
mod int8;
mod library;
mod load;
mod picture;
mod probe;
mod quantization;
mod race;
mod selection;
mod session;
mod tolerance;

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{cuda, frame::Image, model::ModelInfo};

pub use device::{AnyEngine, DeviceBatch, InferOnDevice, Samples};
pub use engine::Engine;
use library::Library;
pub use library::environment;
pub use load::{LoadedEngine, load, load_on_host};
pub use picture::distance;
pub use probe::regions_are_exact;
pub use tolerance::tolerant_halo;

/// What runs a model's arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Backend {
    /// The fastest that works here.
    #[default]
    Auto,
    TensorRt,
    Cuda,
    OpenVino,
    Cpu,
}

/// The arithmetic that a model is run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Precision {
    /// What is fastest without a visible difference.
    #[default]
    Auto,
    Fp32,
    Fp16,
    Bf16,
    Int8,
}

/// As the element's property has it.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        })
    }
}

/// As the element's property has it.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

/// How sessions are to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    pub backend: Backend,
    pub precision: Precision,
    pub device_id: u32,
    /// At least 1.
    pub threads: usize,
    /// Where compiled models and measurements are kept.
    pub cache_dir: PathBuf,
}

/// Why inference failed. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "ONNX Runtime was not found; looked at {searched}: set ORT_DYLIB_PATH to libonnxruntime.so"
    )]
    NoLibrary { searched: String },
    #[error("backend {backend} cannot be had ({reasons}): use backend=auto")]
    Unavailable { backend: Backend, reasons: String },
    #[error("backend {backend} cannot do precision {precision}: {why}")]
    Precision { backend: Backend, precision: Precision, why: String },
    #[error(
        "backend {backend} is not in the ONNX Runtime in use ({library}): use backend=cpu, or set ORT_DYLIB_PATH to a build that has it"
    )]
    NoProvider { backend: Backend, library: String },
    #[error("the model cannot take a picture of {channels} channels and {width}x{height}: {why}")]
    Shape { channels: usize, width: u64, height: u64, why: String },
    #[error("memory ran out while running the model")]
    OutOfMemory,
    #[error(transparent)]
    Gpu(cuda::Error),
    #[error("loading was cancelled")]
    Cancelled,
    #[error("ONNX Runtime could not {task}: {why}")]
    Runtime { task: &'static str, why: String },
}

/// Follows a load, from the thread that does it.
pub trait Monitor: Send + Sync {
    /// Percent done (0 to 100) and what is being done.
    fn progress(&self, percent: u32, what: &str);
    /// Whether to give up: asked between steps.
    fn cancelled(&self) -> bool;
}

/// Something that enlarges float pictures by a model. [`Engine`] is the real one; tests have
/// others.
pub trait Infer: Send {
    fn info(&self) -> &ModelInfo;

    /// Runs the model over one whole picture of the model's channels, its sides multiples of
    /// [`ModelInfo::align`]. `output` is given the shape of the enlarged picture.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where a smaller picture may still go; others are final.
    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error>;

    /// Regions should have sides that are multiples of this: the engine keeps memory for each
    /// shape that it has seen. 1 where any shape is as good as another.
    fn shape_grid(&self) -> u32 {
        1
    }

    /// What a whole frame takes of the time of a region of as many pixels, above 0: less than 1
    /// where the shape that stays gets a session of its own.
    fn whole_share(&self) -> f64 {
        1.0
    }

    /// Model, backend, precision and runtime: what a measurement of this engine is kept under.
    /// Empty: nothing is to be kept.
    fn identity(&self) -> &str {
        ""
    }
}

impl From<cuda::Error> for Error {
    fn from(error: cuda::Error) -> Self {
        match error {
            cuda::Error::OutOfMemory { .. } => Self::OutOfMemory,
            error => Self::Gpu(error),
        }
    }
}

/// What an error of ONNX Runtime means here.
fn runtime_error<R>(task: &'static str, error: &ort::Error<R>) -> Error {
    let why = error.message().trim();
    if is_out_of_memory(why) {
        return Error::OutOfMemory;
    }
    Error::Runtime { task, why: without_place(why).to_owned() }
}

/// What a message of ONNX Runtime says, less where in its sources and under what code.
fn without_place(message: &str) -> &str {
    // NVIDIA's libraries are quoted with the call, the host and the line behind.
    let quoted = ["CUDA failure ", "CUDNN failure ", "CUBLAS failure "]
        .iter()
        .find_map(|library| message.get(message.find(library)?..));
    if let Some(quoted) = quoted {
        return quoted.split(" ; ").next().unwrap_or(quoted);
    }
    let after_code = message.rsplit_once("[ONNXRuntimeError] : ").map_or("", |(_, rest)| rest);
    let mut parts = after_code.splitn(3, " : ");
    parts.nth(2).unwrap_or(message)
}

/// There is no error code for it: the arena, `new`, oneDNN and `strerror` each say it in words.
fn is_out_of_memory(message: &str) -> bool {
    const SAYINGS: [&str; 8] = [
        "failed to allocate memory",
        "could not allocate",
        "cannot allocate memory",
        "bad_alloc",
        "bad allocation",
        "out of memory",
        "out_of_memory",
        "alloc_failed",
    ];
    let message = message.to_lowercase();
    SAYINGS.iter().any(|saying| message.contains(saying))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_without_its_place_in_the_sources() {
        let message = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 \
             onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : \
             FAIL : Failed to load library a.so with error: b.so : gone";
        let expected = "Failed to load library a.so with error: b.so : gone";
        assert_eq!(without_place(message), expected);
        let message = "/onnxruntime_src/cuda_call.cc:154 onnxruntime::CudaCall(int) CUDA failure 35: \
             CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=a ; \
             file=cuda.cc ; line=70 ; expr=cudaGetDeviceCount(&num_devices);";
        let expected =
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version";
        assert_eq!(without_place(message), expected);
        for message in ["", "Invalid rank", "[ONNXRuntimeError] : odd"] {
            assert_eq!(without_place(message), message);
        }
    }

    #[test]
    fn running_out_of_memory_is_told_from_other_errors() {
        for message in [
            "Non-zero status code returned while running Conv node. Name:'' Status Message: \
             bfc_arena.cc:359 AllocateRawInternal Failed to allocate memory for requested buffer \
             of size 17179869184",
            "std::bad_alloc",
            "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
        ] {
            assert!(is_out_of_memory(message), "{message}");
        }
        assert!(!is_out_of_memory("Invalid rank for input: x Got: 3 Expected: 4"));
    }
}
