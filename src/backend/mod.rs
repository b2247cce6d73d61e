//! Chooses the backend that runs a model, builds its engine, and tests what it computes.
//!
//! [`open()`] opens a model file and finds out by runs what analysis does not tell (`trial`).
//! [`load()`] tries TensorRT, CUDA and then the CPU (`chain`). On the CPU the native engine runs the
//! models that it supports; for others the fastest of several candidates is measured (`timing`). The
//! engines of ONNX Runtime must come close enough to fp32 on the CPU (`proof`); then it is measured
//! whether regions equal the whole picture (`exactness`), and how much of the receptive field has a
//! visible effect (`tolerance`).

mod candidates;
mod chain;
mod cpu;
mod cpu_engine;
mod exactness;
#[doc(hidden)]
pub mod internals;
mod load;
mod proof;
mod timing;
mod timings;
mod tolerance;
mod trial;

pub use load::{Loaded, load};
pub use trial::open;

// For the tests, the benchmarks and the command; not a stable interface.
#[doc(hidden)]
pub use self::{
    cpu_engine::CpuEngine,
    exactness::regions_are_exact,
    load::{fastest_on_cpu, load_on_cpu},
    tolerance::tolerant_halo,
};
