//! What runs a model on a GPU, over memory that is there already.

use std::sync::Arc;

use super::{Error, Infer, gpu::OnHost};
pub use crate::kernels::Samples;
use crate::{cuda::Device, frame::Image, model::ModelInfo};

/// An engine, wherever its pictures are.
pub enum AnyEngine {
    /// Pictures in system memory.
    Host(Box<dyn Infer>),
    /// Pictures in the memory of a GPU; it runs on [`Device::compute`] of this one.
    Device(Box<dyn InferOnDevice>, Arc<Device>),
}

impl AnyEngine {
    pub fn info(&self) -> &ModelInfo {
        match self {
            Self::Host(engine) => engine.info(),
            Self::Device(engine, _) => engine.info(),
        }
    }

    /// [`Infer::run`], wherever the engine has its pictures: on a GPU with a copy each way, which
    /// is slow.
    ///
    /// # Errors
    /// As there.
    pub fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        match self {
            Self::Host(engine) => engine.run(input, output),
            Self::Device(engine, device) => OnHost::new(&mut **engine, device).run(input, output),
        }
    }
}

/// Pictures of one size in device memory, one after the other without gaps: N×C×H×W in the
/// engine's [`Samples`], the enlarged ones N×C×(H·factor)×(W·factor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceBatch {
    /// Device address of the pictures to enlarge.
    pub input: u64,
    /// Device address that the enlarged pictures are written to.
    pub output: u64,
    /// Pictures, 1 to [`InferOnDevice::max_batch`].
    pub count: u32,
    /// Of each picture, in pixels: a multiple of [`ModelInfo::align`].
    pub width: u32,
    /// Likewise.
    pub height: u32,
}

/// Something that enlarges pictures in device memory by a model: [`Infer`]'s
/// counterpart for the GPU.
pub trait InferOnDevice: Send {
    fn info(&self) -> &ModelInfo;

    /// How the pictures of a [`DeviceBatch`] are stored, both ways.
    fn samples(&self) -> Samples;

    /// The most pictures of a batch, at least 1.
    fn max_batch(&self) -> u32;

    /// See [`Infer::shape_grid`].
    fn shape_grid(&self) -> u32;

    /// See [`Infer::identity`].
    fn identity(&self) -> &str;

    /// Enqueues the run on the stream that the engine was loaded for, and does not wait. The
    /// memory of `batch` must stay as it is until the stream has come past the run.
    ///
    /// # Errors
    /// [`Error::Shape`] for pictures that the model does not take, [`Error::OutOfMemory`] where
    /// a smaller batch or smaller pictures may still go; others are final.
    fn run(&mut self, batch: &DeviceBatch) -> Result<(), Error>;
}
