//! ONNX Runtime: finding its library, the provider chain, sessions.

use std::path::PathBuf;

use crate::{
    frame::Image,
    model::{Model, ModelInfo},
};

/// What runs a model's arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// What is fastest without a visible difference.
    #[default]
    Auto,
    Fp32,
    Fp16,
    Bf16,
    Int8,
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
    #[error("backend {backend:?} is not built in yet: use backend=auto or backend=cpu")]
    NotBuiltIn { backend: Backend },
    #[error("backend {backend:?} cannot do precision {precision:?}: {why}")]
    Precision { backend: Backend, precision: Precision, why: String },
    #[error("memory ran out while running the model")]
    OutOfMemory,
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
}

/// A model's session, warmed up.
pub struct Engine {
    info: ModelInfo,
}

impl Engine {
    /// Builds the session for `model` on the first backend that works, and proves it by a run.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self, Error> {
        let _ = (model, monitor);
        Err(Error::NotBuiltIn { backend: options.backend })
    }

    /// The backend in use (never `Auto`).
    pub fn backend(&self) -> Backend {
        Backend::Cpu
    }

    /// The precision in use (never `Auto`).
    pub fn precision(&self) -> Precision {
        Precision::Fp32
    }
}

impl Infer for Engine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, _input: &Image, _output: &mut Image) -> Result<(), Error> {
        Err(Error::OutOfMemory)
    }
}
