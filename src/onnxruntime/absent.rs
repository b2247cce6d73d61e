//! Replaces ONNX Runtime in a build without the feature `onnxruntime`: every engine is
//! [`Error::NotBuilt`].

use std::convert::Infallible;

use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Infer},
    frame::Image,
    model::{Model, ModelInfo},
};

/// Does not exist.
pub(crate) struct OrtEngine(Infallible);

fn not_built(backend: Backend) -> Error {
    Error::NotBuilt { backend, feature: "onnxruntime" }
}

/// # Errors
/// [`Error::NotBuilt`], always.
pub fn version() -> Result<&'static str, Error> {
    Err(not_built(Backend::Cpu))
}

pub(crate) fn build_info() -> Result<&'static str, Error> {
    Err(not_built(Backend::Cpu))
}

/// `false`, so that each candidate is tried and its error is reported.
pub(crate) fn lacks(_backend: Backend) -> bool {
    false
}

impl OrtEngine {
    pub(crate) fn build(
        _model: &Model,
        candidate: Candidate,
        _options: &EngineOptions,
    ) -> Result<Self, Error> {
        Err(not_built(candidate.backend))
    }
}

impl Infer for OrtEngine {
    fn info(&self) -> &ModelInfo {
        match self.0 {}
    }

    fn run(&mut self, _input: &Image, _output: &mut Image) -> Result<(), Error> {
        match self.0 {}
    }
}

/// What came out of a run.
pub(crate) struct TrialOutput {
    pub dims: Vec<i64>,
    pub samples: Vec<f32>,
}

/// Does not exist.
pub(crate) struct Trial(Infallible);

impl Trial {
    pub(crate) fn new(_model: &Model, _options: &EngineOptions) -> Result<Self, Error> {
        Err(not_built(Backend::Cpu))
    }

    pub(crate) fn run(&mut self, _input: &Image) -> Result<TrialOutput, Error> {
        match self.0 {}
    }
}

pub(crate) mod webgpu {
    pub(crate) fn adapter() -> Option<String> {
        None
    }

    pub(crate) fn has_gpu() -> bool {
        false
    }
}

#[path = "gpu/absent.rs"]
pub(crate) mod gpu;
