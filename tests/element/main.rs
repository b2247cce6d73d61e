//! The element's manners, on models that need no ONNX Runtime.

mod allocation;
mod bench;
mod errors;
mod events;
mod fake;
mod frames;
mod metas;
mod model_loading;
mod negotiation;
mod passthrough;
mod properties;
