//! Sessions on an NVIDIA GPU, through TensorRT or CUDA.
//!
//! Pictures stay in the GPU's memory. A session runs on the same stream as the stages before and
//! after inference, so that the host never waits.

mod build;
mod build_time;
mod engine;
mod options;
mod profile;
mod session;
mod tensorrt_cache;

pub(crate) use build::build;
