//! ONNX Runtime: its library, and sessions on the CPU and on GPUs.

mod engine;
mod fixed_shape;
#[cfg(feature = "cuda")]
pub(crate) mod gpu;
#[cfg(not(feature = "cuda"))]
#[path = "gpu/absent.rs"]
pub(crate) mod gpu;
mod library;
mod messages;
mod openvino;
mod session;
mod trial;
pub(crate) mod webgpu;

pub(crate) use engine::OrtEngine;
pub(crate) use library::{build_info, lacks};
pub use library::{environment, version};
pub(crate) use trial::{Trial, TrialOutput};
