//! Engines over pictures in the memory of a GPU.

use super::error::Error;
pub use crate::kernels::Samples;
use crate::model::ModelInfo;

/// Pictures of one size in device memory, one after the other without gaps: N×C×H×W in the
/// engine's [`Samples`]; the enlarged ones are N×C×(H·factor)×(W·factor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceBatch {
    /// Device address of the pictures to enlarge, a multiple of 256 (TensorRT's `setTensorAddress`
    /// requires it).
    pub input: u64,
    /// Device address that the enlarged pictures are written to, a multiple of 256.
    pub output: u64,
    /// Number of pictures, from 1 to [`InferOnDevice::max_batch`] of their size.
    pub count: u32,
    /// Width of each picture to enlarge in pixels, a multiple of [`ModelInfo::align`].
    pub width: u32,
    /// Height of each picture to enlarge in pixels, a multiple of [`ModelInfo::align`].
    pub height: u32,
}

/// Enlarges pictures in device memory with a model: the GPU's counterpart of
/// [`Infer`](super::Infer).
pub trait InferOnDevice: Send {
    /// What is known of the model.
    fn info(&self) -> &ModelInfo;

    /// How the pictures of a [`DeviceBatch`] are stored, input and output alike.
    fn samples(&self) -> Samples;

    /// The largest number of pictures of this width and height in a batch, at least 1.
    fn max_batch(&self, size: (u32, u32)) -> u32;

    /// See [`Infer::shape_grid`](super::Infer::shape_grid).
    fn shape_grid(&self) -> u32;

    /// The only size of regions, for an engine that plans its work again, at the cost of a whole
    /// frame, whenever a size changes. `None`: regions of any size.
    fn tile(&self) -> Option<(u32, u32)> {
        None
    }

    /// The longest side of a picture in pixels.
    fn max_side(&self) -> u32 {
        u32::MAX
    }

    /// See [`Infer::identity`](super::Infer::identity).
    fn identity(&self) -> &str;

    /// Enqueues the run on the stream that the engine was loaded for, and returns without waiting.
    /// The memory of `batch` must stay valid until the stream has completed the run.
    ///
    /// # Errors
    /// [`Error::Shape`] for pictures of a size that the model does not accept,
    /// [`Error::OutOfMemory`] when fewer or smaller pictures may still succeed; other errors are
    /// final.
    fn run(&mut self, batch: &DeviceBatch) -> Result<(), Error>;
}
