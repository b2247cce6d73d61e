//! What a model is, and how the files that people have become one.
//!
//! Readers turn every kind of file into the same small [`Graph`]; one writer turns that into
//! the ONNX bytes that a session loads. Downstream of here every model keeps one contract:
//!
//! - one input `N×C×H×W`, float32, `C` = 1 (Y′) or 3 (R′G′B′), nominally 0..1;
//! - one output `N×C×(H·factor)×(W·factor)`, the same channels and range.
//!
//! Whatever a file's own network wants besides (0..255, a mean, BGR, NHWC, fp16, a margin
//! that it crops) becomes nodes of the graph around it.

mod analysis;
pub mod architecture;
mod builder;
pub mod catalogue;
pub mod checkpoint;
mod companion;
mod denoise;
pub mod fault;
mod graph;
mod info;
mod join;
pub mod ncnn;
pub mod onnx;
mod open;
mod order;
pub mod tensorflow;

pub use builder::{Border, Shuffle, Window};
pub use graph::{Attribute, Element, Graph, Node, Tensor};
pub use info::ModelInfo;
pub use open::OpenOptions;

use std::{path::PathBuf, sync::Arc};

/// A model that is ready to become a session.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the user called it, for messages.
    pub name: String,
    pub info: ModelInfo,
    /// The graph in ONNX's format, at fp32.
    pub onnx: bytes::Bytes,
    /// Lower-case hexadecimal SHA-256 of `onnx` (and of external weights): the key of caches.
    pub digest: String,
    /// The folder of external weight files, for an `.onnx` that has such.
    pub external: Option<PathBuf>,
    /// The graph, where it is known in full: what another precision is written from.
    pub graph: Option<Arc<Graph>>,
}

/// Why a model could not be had. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "there is no model file {path}: check the path, or name a model of the catalogue ({known})"
    )]
    NotFound { path: PathBuf, known: String },
    #[error("the model {name} is not on this machine yet: run \"gst-upscale models fetch {name}\"")]
    NotFetched { name: String },
    #[error("{path} could not be read: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a model file that is known here: {why}")]
    Unknown { path: PathBuf, why: String },
    #[error("{path} is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error("{path} cannot upscale video: {why}")]
    Unsuitable { path: PathBuf, why: String },
}
