//! Model files, and the graphs that they contain.
//!
//! Readers turn every file format into the same small [`Graph`]; one writer turns that into the
//! ONNX bytes that an inference session loads. Every [`Model`] follows one contract:
//!
//! - one input `N×C×H×W`, float32, `C` = 1 (Y′) or 3 (R′G′B′), nominally 0..=1;
//! - one output `N×C×(H·factor)×(W·factor)`, with the same channels and range.
//!
//! If the network in a file expects something else (values of 0..=255, a mean, BGR, NHWC, fp16, a
//! margin that it crops), nodes are added around it.

mod analysis;
mod architecture;
mod bounded_file;
mod builder;
pub mod catalogue;
mod checkpoint;
mod convert;
mod denoise;
mod description;
mod digest;
mod fault;
mod graph;
mod info;
#[doc(hidden)]
pub mod internals;
mod join;
mod locate;
mod mpv_shader;
mod ncnn;
pub(crate) mod onnx;
mod open;
mod opened;
mod order;
mod sidecar;
mod tensorflow;

pub(crate) use digest::sha256_hex;

pub use description::Description;
pub use graph::{Attribute, Element, Graph, Node, Tensor};
pub use info::ModelInfo;
pub use open::OpenOptions;
pub use opened::{Opened, Untried};

// For the tests, the benchmarks and the command; not a stable interface.
#[doc(hidden)]
pub use self::{
    builder::{Border, Shuffle, Window},
    onnx::{Layout, WriteError},
};

use std::{io, path::PathBuf, sync::Arc};

/// A model that an inference session can load. See [`Model::open`].
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that the user chose, for messages.
    pub name: String,
    /// Properties computed from the graph.
    pub info: ModelInfo,
    /// The graph in ONNX format, in float32.
    pub onnx: bytes::Bytes,
    /// The key of cache entries: the lower-case hexadecimal SHA-256 of `onnx` and of external
    /// weights.
    pub digest: String,
    /// The folder of external weight files, if the `.onnx` file has any.
    pub external: Option<PathBuf>,
    /// The graph from which other precisions are written; `None` if it has parts that [`Graph`]
    /// cannot represent.
    pub graph: Option<Arc<Graph>>,
    /// What the file says about itself.
    pub description: Box<Description>,
    /// What the user should know, such as an assumption that a test run confirmed.
    pub note: Option<String>,
}

/// Why a model cannot be opened. The messages say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a file nor a catalogue entry has this name.
    #[error("there is no model file {path}; check the path, or use a catalogue name: {known}")]
    NotFound {
        /// The name, as a path.
        path: PathBuf,
        /// The names of all catalogue entries.
        known: String,
    },
    /// The catalogue entry is not downloaded.
    #[error("the model {name} is not downloaded; run \"gst-upscale models fetch {name}\"")]
    NotFetched {
        /// The name of the entry.
        name: String,
    },
    /// The operating system reports an error.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has no supported format.
    #[error("{path} is not a supported model file: {why}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it is, or which formats are supported.
        why: String,
    },
    /// The file violates its own format.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file is valid, but its network is not supported, or is not an upscaler.
    #[error("{path} cannot upscale video: {why}")]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// What is not supported, and what to do.
        why: String,
    },
}
