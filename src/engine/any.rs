//! An engine, whichever memory its pictures are in.

use std::sync::Arc;

use super::{
    device::InferOnDevice, error::Error, infer::Infer, infer_changes::InferChanges, on_host::OnHost,
};
use crate::{cuda::Device, frame::Image, model::ModelInfo};

/// An engine, whichever memory its pictures are in.
pub enum AnyEngine {
    /// Pictures in system memory.
    Host(Box<dyn Infer>),
    /// Pictures in system memory, by an engine that keeps features.
    Incremental(Box<dyn InferChanges>),
    /// Pictures in the memory of this GPU. The engine runs on its [`Device::compute`] stream.
    Device(Box<dyn InferOnDevice>, Arc<Device>),
}

impl From<Box<dyn Infer>> for AnyEngine {
    fn from(engine: Box<dyn Infer>) -> Self {
        Self::Host(engine)
    }
}

impl From<Box<dyn InferChanges>> for AnyEngine {
    fn from(engine: Box<dyn InferChanges>) -> Self {
        Self::Incremental(engine)
    }
}

impl AnyEngine {
    /// What is known of the model.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        match self {
            Self::Host(engine) => engine.info(),
            Self::Incremental(engine) => engine.info(),
            Self::Device(engine, _) => engine.info(),
        }
    }

    /// [`Infer::run`] over pictures in system memory. With a GPU this uploads, waits and
    /// downloads, which is slow.
    ///
    /// # Errors
    /// See [`Infer::run`].
    pub fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        match self {
            Self::Host(engine) => engine.run(input, output),
            Self::Incremental(engine) => engine.run(input, output),
            Self::Device(engine, device) => OnHost::new(&mut **engine, device).run(input, output),
        }
    }
}
