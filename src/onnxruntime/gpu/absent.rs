//! Replaces the engines on a GPU in a build without the feature `cuda`: every engine is
//! [`Error::NotBuilt`].

use std::sync::Arc;

use crate::{
    cuda::Device,
    engine::{Candidate, EngineOptions, Error, InferOnDevice, Progress},
    model::Model,
};

pub(crate) fn build(
    _model: &Model,
    candidate: Candidate,
    _device: &Arc<Device>,
    _options: &EngineOptions,
    _progress: &Progress<'_>,
) -> Result<Box<dyn InferOnDevice>, Error> {
    Err(Error::NotBuilt { backend: candidate.backend, feature: "cuda" })
}
