//! Pixels without GStreamer: formats, colorimetry, chroma siting, planes, and the
//! float pictures that models work on.

mod format;
mod image;
mod info;
mod planes;
mod rect;

pub use format::PixelFormat;
pub use image::{Channels, Image};
pub use info::{ChromaSite, Colorimetry, FrameInfo, Matrix, Range};
pub use planes::{FrameMut, FrameRef, PlaneMut, PlaneRef};
pub use rect::Rect;

/// What can be wrong with a frame or its description.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A side is 0 or so large that a plane would not fit into memory.
    #[error("a frame of {width}x{height} {format} cannot be handled: use sides of 1 to 32768")]
    Size { format: PixelFormat, width: u32, height: u32 },
    /// A plane is shorter than its stride and height ask for.
    #[error("plane {plane} of a {format} frame holds {have} bytes where {need} are needed")]
    ShortPlane { format: PixelFormat, plane: usize, have: usize, need: usize },
}
