//! Pixels without GStreamer: formats, colorimetry, chroma siting, planes, and the
//! float pictures that models work on.
//!
//! [`FrameRef`] → [`Unpacker`] → [`Image`] → a model, and beside it [`Resampler`] for what does
//! not go through the model → [`Packer`] → [`FrameMut`]. `format` is the table of layouts,
//! `colour` and `samples` are code values to float and back, `grid` and `table` say where
//! samples lie and what they are made of, `filter` holds the inner loops. Every sample is a
//! function of its absolute position, so work by regions changes no bit.

mod colour;
mod companion;
mod filter;
mod format;
mod grain;
mod grid;
mod image;
mod info;
mod pack;
mod planes;
mod rect;
mod resample;
mod samples;
mod table;
mod unpack;

pub(crate) use colour::{Codes, Coefficients};
pub use companion::{Companion, CompanionKind};
pub use format::{Component, Family, Layout, PixelFormat};
pub use grain::{Grain, blend_row};
pub use grid::{Axis, Grid};
pub use image::{Channels, Image};
pub use info::{ChromaSite, Colorimetry, FrameInfo, Matrix, Range};
pub use pack::Packer;
pub use planes::{Band, FrameMut, FrameRef, PlaneMut, PlaneRef};
pub use rect::Rect;
pub use resample::{Part, Resampler};
pub use table::Kernel;
pub(crate) use table::Table;
pub use unpack::Unpacker;

/// What can be wrong with a frame or its description.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A side is 0 or so large that a plane would not fit into memory.
    #[error("a frame of {width}x{height} {format} cannot be handled: use sides of 1 to 32768")]
    Size { format: PixelFormat, width: u32, height: u32 },
    /// A plane is shorter than its stride and height ask for.
    #[error("plane {plane} of a {format} frame holds {have} bytes where {need} are needed")]
    ShortPlane { format: PixelFormat, plane: usize, have: usize, need: usize },
    /// A frame is not of the kind that was announced.
    #[error(
        "a frame of {}x{} {} came where {}x{} {} was announced",
        have.width, have.height, have.format, need.width, need.height, need.format
    )]
    OtherFrame { have: Box<FrameInfo>, need: Box<FrameInfo> },
    /// A picture does not reach as far as what is to be made of it.
    #[error("the {what} covers {have:?} where {need:?} is needed")]
    Uncovered { what: &'static str, have: Rect, need: Rect },
    /// There is no companion of this number.
    #[error("companion {index} is missing")]
    NoCompanion { index: usize },
}
