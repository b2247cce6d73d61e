//! `upscale`: a GStreamer element that enlarges video with neural networks.
//!
//! A frame walks down through these rooms once:
//!
//! | room | holds |
//! |---|---|
//! | [`element`] | the GObject: properties, caps, buffers, events, messages; alone in knowing GStreamer |
//! | [`upscaler`] | the stages of one stream: unpack, compare, plan, infer, finish, pack |
//! | [`reuse`] | what changed and which regions to compute again: pure arithmetic |
//! | [`backend`] | chooses, builds and tests the engine that runs a model |
//! | [`onnxruntime`] | ONNX Runtime: its library, sessions on the CPU and the GPU |
//! | [`engine`] | the contract of an engine, its options and errors |
//! | [`model`] | what a model is, the readers of model files, the graph, the ONNX writer |
//! | [`cuda`] | a GPU: its memory, its streams, launching kernels |
//! | [`kernels`] | the stages around inference for the GPU, compiled, and what they are given |
//! | [`frame`] | pixel formats, colorimetry, chroma siting, planes, resampling: pure arithmetic |

pub mod backend;
pub mod cuda;
pub mod element;
pub mod engine;
pub mod frame;
pub mod kernels;
pub mod model;
pub mod onnxruntime;
pub mod reuse;
mod split_mix;
pub mod upscaler;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    element::register(plugin)
}

gst::plugin_define!(
    upscale,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);
