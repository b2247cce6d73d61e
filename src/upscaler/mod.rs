//! Enlarging the frames of one stream: compare, plan, unpack, infer, finish, pack.
//!
//! A [`Pipeline`], which [`open()`] makes, does so for frames in system memory: [`CpuPipeline`] with
//! an engine on the CPU, [`CudaPipeline`] with an engine on a GPU. Both keep the same state between
//! frames:
//!
//! - the *reference*, the frame that everything was computed from;
//! - the *source picture*, the reference in float samples as the model reads it;
//! - the *canvas*, the model's output for the source picture, at the model's factor.
//!
//! For each frame, `Schedule` makes one `Decision`: what the reference takes from the frame, what
//! of the canvas is computed, and what of the output is painted. The pipelines carry it out.

mod buffer_pool;
mod conversion;
mod cpu;
mod cuda;
mod damage;
mod decision;
mod enlarger;
mod error;
mod featurewise;
mod fidelity;
mod free_memory;
mod geometry;
mod memory;
mod open;
mod pace;
mod pipeline;
mod reflection;
mod region_plan;
mod regionwise;
mod run_time;
mod schedule;
mod settings;
mod worth;

pub use self::{
    error::{Error, MemoryUse, OutOfMemory},
    open::open,
    pipeline::{Next, Pipeline},
    settings::{Deadline, FrameParams, FrameReport, Late, Reuse, ReuseMode, StreamSettings},
};
pub use crate::engine::EngineTraits;
pub(crate) use free_memory::give_back as give_back_memory;

// For the tests, the benchmarks and the command; not a stable interface.
#[doc(hidden)]
pub use self::{
    buffer_pool::BufferPool,
    cpu::CpuPipeline,
    cuda::CudaPipeline,
    enlarger::{Compute, Cost, Enlarger, Patch, Planning, Work},
};
