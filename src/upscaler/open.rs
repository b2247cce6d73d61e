//! Opening the pipeline of a stream.

use super::{
    cpu::CpuPipeline, cuda::CudaPipeline, error::Error, pipeline::Pipeline,
    settings::StreamSettings,
};
use crate::{
    engine::{AnyEngine, EngineTraits},
    frame::FrameInfo,
};

/// The pipeline of a stream from `input` to `output` frames, of the same format and colorimetry and
/// of any sizes, through an engine with these `traits`.
///
/// # Errors
/// [`Error::Frame`] for unsupported sizes, [`Error::OutOfMemory`], [`Error::FixedSize`] if the
/// model does not accept such frames, [`Error::Thread`], [`Error::NoFidelity`], and errors of the GPU.
pub fn open(
    engine: AnyEngine,
    traits: EngineTraits,
    input: FrameInfo,
    output: FrameInfo,
    settings: StreamSettings,
) -> Result<Box<dyn Pipeline>, Error> {
    Ok(match engine {
        AnyEngine::Host(engine) => {
            Box::new(CpuPipeline::new(engine, traits, input, output, settings)?)
        }
        AnyEngine::Incremental(engine) => {
            Box::new(CpuPipeline::incremental(engine, traits, input, output, settings)?)
        }
        AnyEngine::Device(engine, device) => {
            Box::new(CudaPipeline::new(engine, traits, device, input, output, settings)?)
        }
    })
}
