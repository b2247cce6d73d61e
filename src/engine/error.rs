//! Errors of loading and running an engine.

use super::options::{Backend, Precision};
use crate::cuda;

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

impl From<cuda::Error> for Error {
    fn from(error: cuda::Error) -> Self {
        match error {
            cuda::Error::OutOfMemory { .. } => Self::OutOfMemory,
            error => Self::Gpu(error),
        }
    }
}
