//! Engines over pictures in system memory.

use super::error::Error;
use crate::{frame::Image, model::ModelInfo};

/// Enlarges float pictures in system memory with a model.
pub trait Infer: Send {
    /// What is known of the model.
    fn info(&self) -> &ModelInfo;

    /// Runs the model over one whole picture, planar, with the model's channels and samples of
    /// 0..1. Both sides are multiples of [`ModelInfo::align`]. `output` is resized to the enlarged
    /// picture.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when a smaller picture may still succeed; other errors are final.
    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error>;

    /// The sides of regions should be multiples of this number of pixels, because the engine keeps
    /// memory for every shape it has run. 1 when the shape does not matter.
    fn shape_grid(&self) -> u32 {
        1
    }

    /// Time for a whole frame relative to that for a region with as many pixels, above 0. It is
    /// below 1 when the engine builds a session for the frame's shape.
    fn whole_share(&self) -> f64 {
        1.0
    }

    /// Model, backend, precision and runtime version: the key of measurements of this engine.
    /// Measurements are not stored when it is empty.
    fn identity(&self) -> &str {
        ""
    }
}
