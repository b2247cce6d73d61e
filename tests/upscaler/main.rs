//! Pipelines on the CPU, with models that need no ONNX Runtime.

#[path = "../common/mod.rs"]
mod common;

mod deadlines;
mod enlarger;
mod fidelity;
mod reuse;
mod stages;
