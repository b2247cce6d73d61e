//! Pipelines on the CPU, with models that need no ONNX Runtime.

#[path = "../common/mod.rs"]
mod common;

mod enlarger;
mod reuse;
mod stages;
