//! Enlarges pictures and video with super-resolution neural networks, as a library and as the
//! GStreamer element `upscale` (see [`element`]).
//!
//! An application that does not use GStreamer opens a [`Model`](model::Model), loads an engine
//! that runs it on this machine ([`backend::load`]), opens a [`Pipeline`](upscaler::Pipeline) for
//! frames of one format and size ([`upscaler::open`]), and passes frames through it. The built-in
//! engine needs no other library; other backends load ONNX Runtime.
//!
//! ```
//! use gstupscale::{
//!     backend,
//!     engine::{Backend, EngineOptions, Precision, Silent},
//!     frame::{FrameInfo, OwnedFrame, PixelFormat, Range},
//!     model::Model,
//!     upscaler::{self, FrameParams, Reuse, StreamSettings},
//! };
//!
//! let model = Model::open("builtin")?;
//! let options = EngineOptions {
//!     backend: Backend::Native,
//!     precision: Precision::Fp32,
//!     device_id: 0,
//!     threads: 2,
//!     cache_dir: std::env::temp_dir().join("enlarge"),
//! };
//! let loaded = backend::load(&model, &options, &Silent)?;
//!
//! // A grey picture of 64×48 pixels, R′G′B′ with 8 bits per channel.
//! let from = FrameInfo::bt709(PixelFormat::Rgb, 64, 48, Range::Full);
//! let mut small = OwnedFrame::new(from, 0)?;
//! small.write().planes[0].data.fill(128);
//! let factor = model.info.factor;
//! let to = FrameInfo { width: 64 * factor, height: 48 * factor, ..from };
//! let mut large = OwnedFrame::new(to, 0)?;
//!
//! let settings = StreamSettings { threads: 2, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 };
//! let mut pipeline = upscaler::open(loaded.infer, loaded.traits, from, to, settings)?;
//! let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Off };
//! pipeline.process(&small.read(), None, &mut large.write(), &params)?;
//! let samples = large.read().planes[0].data;
//! assert!(samples.iter().all(|sample| (120..=136).contains(sample)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/enlarge_picture.rs` does the same for picture files, on the fastest backend. An
//! application that uses GStreamer can link the element: [`plugin_register_static`].
//!
//! # Modules
//!
//! A frame passes through the modules from top to bottom:
//!
//! | module | contents |
//! |---|---|
//! | [`element`] | the GStreamer element: properties, caps, buffers, events, messages |
//! | [`upscaler`] | the stages of one stream: unpack, compare, plan, infer, finish, pack |
//! | `reuse` | what changed between frames, and which regions to compute again |
//! | [`backend`] | chooses, builds and tests the engine that runs a model |
//! | `onnxruntime` | ONNX Runtime: its library, sessions on the CPU and the GPU |
//! | `native` | the project's own engine for convolutional networks on the CPU |
//! | [`engine`] | the contract of an engine, its options and errors |
//! | [`model`] | model files: their readers, the graph, its analysis, the ONNX writer |
//! | `cuda` | a GPU: its memory, its streams, launching kernels |
//! | `kernels` | the CUDA kernels for the stages around inference, and their arguments |
//! | [`frame`] | pixel formats, colorimetry, chroma siting, planes, resampling |
//!
//! Modules without a link are internal: their interfaces may change in any version. Only
//! [`element`] uses GStreamer. The library is licensed under MIT or Apache-2.0, at your
//! option; GStreamer shows `MIT/X11`, because it accepts a single licence from a fixed list.

#![warn(missing_docs, unreachable_pub, clippy::must_use_candidate)]
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
#[doc(hidden)]
pub mod cuda;
pub mod element;
pub mod engine;
pub mod frame;
#[doc(hidden)]
pub mod kernels;
pub mod model;
#[doc(hidden)]
pub mod native;
#[cfg(feature = "onnxruntime")]
#[doc(hidden)]
pub mod onnxruntime;
#[cfg(not(feature = "onnxruntime"))]
#[doc(hidden)]
#[path = "onnxruntime/absent.rs"]
pub mod onnxruntime;
mod plugin;
#[doc(hidden)]
pub mod reuse;
pub mod upscaler;

/// Registers the element `upscale` in this process, for applications that link the library
/// instead of loading the plugin.
///
/// # Errors
/// Returns the error of GStreamer, for instance if it is not initialized.
pub use plugin::plugin_register_static;
