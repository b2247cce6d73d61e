//! Tests of the element `upscale`. Most use fake models, which do not need ONNX Runtime.

#[path = "../common/mod.rs"]
mod common;

mod allocation;
mod bench;
mod colour;
mod documentation;
mod errors;
mod events;
mod examples;
mod fake;
mod footage;
mod formats;
mod frames;
mod gpu;
mod latencies;
mod live;
mod metas;
mod model_loading;
mod negotiation;
mod passthrough;
mod pipelines;
mod pipelining;
mod pixels;
mod players;
mod profiles;
mod properties;
mod removal;
mod reuse;
mod startup;
mod stopping;
mod upscalebin;
