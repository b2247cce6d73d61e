//! Enlarges pictures and video with super-resolution neural networks, as a library and as the
//! GStreamer element `upscale` (see [`element`]).
//!
//! A frame passes through the modules from top to bottom:
//!
//! | module | contents |
//! |---|---|
//! | [`element`] | the GStreamer element: properties, caps, buffers, events, messages |
//! | [`upscaler`] | the stages of one stream: unpack, compare, plan, infer, finish, pack |
//! | [`reuse`] | what changed between frames, and which regions to compute again |
//! | [`backend`] | chooses, builds and tests the engine that runs a model |
//! | [`onnxruntime`] | ONNX Runtime: its library, sessions on the CPU and the GPU |
//! | [`native`] | the project's own engine for convolution networks on the processor |
//! | [`engine`] | the contract of an engine, its options and errors |
//! | [`model`] | model files: their readers, the graph, its analysis, the ONNX writer |
//! | [`cuda`] | a GPU: its memory, its streams, launching kernels |
//! | [`kernels`] | the CUDA kernels for the stages around inference, and their arguments |
//! | [`frame`] | pixel formats, colorimetry, chroma siting, planes, resampling |
//!
//! Only [`element`] uses GStreamer. The library is licensed under MIT or Apache-2.0, at your
//! option; GStreamer shows `MIT/X11`, because it accepts a single licence from a fixed list.

#![warn(missing_docs, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unwrap_used
    )
)]

pub mod backend;
pub mod cuda;
pub mod element;
pub mod engine;
pub mod frame;
pub mod kernels;
pub mod model;
pub mod native;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
#[cfg(not(feature = "onnxruntime"))]
#[path = "onnxruntime/absent.rs"]
mod onnxruntime;
mod plugin;
#[doc(hidden)]
pub mod reuse;
mod split_mix;
pub mod upscaler;

/// Registers the element `upscale` in this process, for applications that link the library
/// instead of loading the plugin.
///
/// # Errors
/// Returns the error of GStreamer, for instance if it is not initialized.
pub use plugin::plugin_register_static;
