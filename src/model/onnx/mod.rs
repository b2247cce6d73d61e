//! ONNX files: reading those of users, and writing those that inference sessions load.

mod adapt;
mod external;
mod limits;
mod open;
mod read;
mod safety;
mod settings;
mod splice;
#[cfg(test)]
mod tests;
mod write;

pub use open::open;
pub(crate) use open::{inspect, resized};
pub use write::{Layout, WriteError, write};

const NO_GRAPH: &str = "it contains no graph";

/// ONNX's messages, from `src/model/proto/onnx.proto`.
#[allow(unreachable_pub, clippy::all, clippy::pedantic)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
