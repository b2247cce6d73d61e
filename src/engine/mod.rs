//! The contract between the engines that run a model and the pipelines that feed them.
//!
//! An engine implements [`Infer`] (pictures in system memory), perhaps [`InferChanges`] (it keeps
//! features from picture to picture), or [`InferOnDevice`] (pictures in the memory of a GPU).
//! [`backend`](crate::backend) chooses, builds and tests engines.

mod any;
pub(crate) mod background;
mod device;
mod error;
mod infer;
mod infer_changes;
mod interrupt;
pub(crate) mod low_priority;
pub(crate) mod measured;
mod on_host;
mod options;
pub(crate) mod private;
mod progress;
pub(crate) mod test_picture;
mod traits;

pub use any::AnyEngine;
pub use device::{DeviceBatch, InferOnDevice, Samples};
pub use error::{Error, Fallback, PrecisionError, ShapeError};
pub use infer::Infer;
pub use infer_changes::{InferChanges, Tolerance, Update};
pub use interrupt::{Interrupt, OnRaise, Timer};
pub(crate) use on_host::OnHost;
pub(crate) use options::Candidate;
pub use options::{Backend, EngineOptions, Precision, UnknownName};
pub(crate) use progress::{Interruptible, Progress};
pub use progress::{Monitor, Silent};
pub use traits::EngineTraits;

// For the tests, the benchmarks and the command; not a stable interface.
#[doc(hidden)]
pub use background::within;
#[doc(hidden)]
pub use test_picture::distance;
