//! The stages of one stream, on models that need no ONNX Runtime.

#[path = "../common/mod.rs"]
mod common;

mod reuse;
mod stages;
