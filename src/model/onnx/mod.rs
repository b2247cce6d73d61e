//! ONNX files: what people bring, and what sessions load.

mod adapt;
mod external;
mod limits;
mod open;
mod read;
mod settings;
mod splice;
#[cfg(test)]
mod tests;
mod write;

pub use open::open;
pub(crate) use open::resized;
pub use write::{Layout, write};

/// ONNX's messages, from `src/model/proto/onnx.proto`.
#[allow(clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
