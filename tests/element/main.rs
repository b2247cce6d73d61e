//! The element's manners, on models that need no ONNX Runtime.

#[path = "../common/mod.rs"]
mod common;

mod allocation;
mod bench;
mod errors;
mod events;
mod fake;
mod footage;
mod formats;
mod frames;
mod gpu;
mod metas;
mod model_loading;
mod negotiation;
mod passthrough;
mod pipelines;
mod pipelining;
mod pixels;
mod properties;
mod reuse;
mod startup;
