//! Errors of loading and running an engine.

use std::{fmt, io, path::PathBuf};

use super::options::{Backend, Precision};
use crate::{cuda, model};

/// Why an engine could not be loaded or run. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// ONNX Runtime's shared library was not found, or none that was found has the right version.
    #[error(
        "ONNX Runtime was not found (searched: {searched}); set ORT_DYLIB_PATH to libonnxruntime.so"
    )]
    NoLibrary {
        /// The places that were searched, and why the libraries there do not fit.
        searched: String,
    },
    /// The requested backend does not work on this machine.
    #[error("backend {backend} is not available{}; use backend=auto", in_parentheses(.tried))]
    Unavailable {
        /// The requested backend.
        backend: Backend,
        /// What was tried for it.
        tried: Vec<Fallback>,
    },
    /// An engine on the CPU was requested with a backend of the GPU.
    #[error("backend {0} does not run on the CPU; use backend=auto")]
    NotOnCpu(Backend),
    /// The backend does not support the requested precision for this model on this machine.
    #[error("backend {backend} does not support precision {precision}: {reason}")]
    Precision {
        /// The requested backend.
        backend: Backend,
        /// The requested precision.
        precision: Precision,
        /// Why.
        reason: PrecisionError,
    },
    /// This program was built without the backend.
    #[error(
        "this build does not include backend {backend}; use another backend, or build with the \
         feature {feature}"
    )]
    NotBuilt {
        /// The requested backend.
        backend: Backend,
        /// The Cargo feature that includes it.
        feature: &'static str,
    },
    /// The library in use was built without the backend.
    #[error(
        "backend {backend} is not in the ONNX Runtime in use ({}); use backend=cpu, or set \
         ORT_DYLIB_PATH to a build that contains it", library.display()
    )]
    NoProvider {
        /// The requested backend.
        backend: Backend,
        /// The library in use.
        library: PathBuf,
    },
    /// The backend does not support this model.
    #[error("backend {backend} cannot run this model: {reason}; use backend=auto")]
    Unsupported {
        /// The requested backend.
        backend: Backend,
        /// Why.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no GPU with a Vulkan driver that WebGPU supports.
    #[error(
        "no GPU with a Vulkan driver was found; install the GPU's Vulkan driver (Debian: \
         mesa-vulkan-drivers), check it with vulkaninfo, or use backend=auto"
    )]
    NoAdapter,
    /// The GPU stopped responding, and everything on it is lost.
    #[error(
        "the GPU stopped responding (to {task}: {message}): restart the program; if it happens \
         again, look at the kernel log (dmesg)"
    )]
    DeviceLost {
        /// What was done, as a verb phrase.
        task: &'static str,
        /// ONNX Runtime's message.
        message: String,
    },
    /// A shared library that the backend needs is not installed.
    #[error("a shared library is not installed: {message}")]
    NotInstalled {
        /// ONNX Runtime's message, which names the library.
        message: String,
    },
    /// The model does not accept pictures of this size.
    #[error(
        "the model does not accept a picture of {width}x{height} with {channels} channels: {reason}"
    )]
    Shape {
        /// Channels of the picture.
        channels: usize,
        /// Width of the picture in pixels.
        width: u64,
        /// Height of the picture in pixels.
        height: u64,
        /// Why.
        reason: ShapeError,
    },
    /// There is not enough memory for this run. Smaller pictures may still succeed.
    #[error("out of memory while running the model")]
    OutOfMemory,
    /// The picture is larger than any that the engine was compiled for. Smaller pictures succeed.
    #[error("a picture of {width}x{height} is larger than the engine was compiled for")]
    LargerThanProfile {
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
    },
    /// The GPU or its driver failed.
    #[error(transparent)]
    Gpu(cuda::Error),
    /// A load was cancelled by its [`Monitor`](super::Monitor), or work was ended by an
    /// [`Interrupt`](super::Interrupt).
    #[error("the model was stopped before it was done")]
    Cancelled,
    /// Compiled models cannot be stored.
    #[error("cannot write to {}: {source}; check cache-dir", path.display())]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Any other failure of an engine.
    #[error("failed to {task}: {message}")]
    Failed {
        /// What failed, as the end of "failed to …".
        task: &'static str,
        /// The message of ONNX Runtime or of the engine.
        message: String,
    },
}

impl Error {
    /// Whether the same engine may succeed with fewer or smaller pictures.
    #[must_use]
    pub fn smaller_may_succeed(&self) -> bool {
        matches!(self, Self::OutOfMemory | Self::LargerThanProfile { .. })
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

/// Why a precision is not available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrecisionError {
    /// The CPU would emulate bf16.
    #[error("this CPU has no bf16 arithmetic; use precision=auto")]
    NoBf16,
    /// Another backend supports it.
    #[error("use backend={0}")]
    OtherBackend(Backend),
    /// Only a GPU supports it, and none can be used.
    #[error("it needs a GPU{}; use precision=auto", in_parentheses(.tried))]
    NeedsGpu {
        /// What was tried on the GPU.
        tried: Vec<Fallback>,
    },
    /// No backend of the GPU supports it.
    #[error("a GPU supports fp16 and fp32; use precision=auto")]
    NotOnGpu,
    /// TensorRT would compute with TF32, whose significand has 11 bits.
    #[error("TensorRT would use TF32; use backend=cuda")]
    Tf32,
    /// The model was not read into a graph, so it cannot be rewritten.
    #[error("the graph of this model is not known; use precision=auto")]
    NoGraph,
    /// The model cannot be written in this precision.
    #[error(transparent)]
    Model(model::Error),
    /// The output differs too much from fp32 on the CPU.
    #[error(
        "its output differs from fp32 (PSNR {psnr_db:.1} dB, largest error {:.1}/255)",
        largest * 255.0
    )]
    Inexact {
        /// Peak signal-to-noise ratio in decibels.
        psnr_db: f64,
        /// Largest difference of two samples of 0..1.
        largest: f32,
    },
}

/// Why a model does not accept a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The model has this number of channels.
    #[error("it needs {0} channels")]
    Channels(usize),
    /// The model accepts pictures of one size only: width and height in pixels.
    #[error("it needs {0}x{1}")]
    FixedSize(u32, u32),
    /// Both sides must be at least this number of pixels.
    #[error("both sides must be at least {0}")]
    TooSmall(u32),
    /// Both sides must be multiples of this number of pixels.
    #[error("both sides must be multiples of {0}")]
    Unaligned(u32),
}

/// A backend that was tried and is not in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The backend.
    pub backend: Backend,
    /// Why it is not in use: the text of the [`Error`].
    pub reason: String,
}

impl Fallback {
    /// Several fallbacks in one line.
    #[must_use]
    pub fn list(fallbacks: &[Self]) -> String {
        let texts: Vec<String> = fallbacks.iter().map(Self::to_string).collect();
        texts.join("; ")
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.backend, self.reason)
    }
}

fn in_parentheses(fallbacks: &[Fallback]) -> String {
    if fallbacks.is_empty() { String::new() } else { format!(" ({})", Fallback::list(fallbacks)) }
}
