//! Errors of frames and of operations on them.

use super::{FrameInfo, PixelFormat, Rect};

/// An invalid frame, description or region.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A side is 0 or longer than [`FrameInfo::MAX_SIDE`].
    #[error(
        "unsupported frame size {width}x{height} ({format}); both sides must be between 1 and \
         {max} pixels",
        max = FrameInfo::MAX_SIDE
    )]
    UnsupportedSize {
        /// The frame's format.
        format: PixelFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A plane is missing, its stride is shorter than its rows, or its last row is incomplete.
    #[error("plane {plane} of a {format} frame has {have} bytes, but needs {need}")]
    ShortPlane {
        /// The frame's format.
        format: PixelFormat,
        /// Index of the plane.
        plane: usize,
        /// Its length in bytes.
        have: usize,
        /// The length that the frame's size and the plane's stride require, in bytes.
        need: usize,
    },
    /// A frame has another format or size than the stream.
    #[error(
        "got a {}x{} {} frame in a stream of {}x{} {} frames",
        have.width, have.height, have.format, need.width, need.height, need.format
    )]
    FrameMismatch {
        /// The frame's description.
        have: Box<FrameInfo>,
        /// The stream's description.
        need: Box<FrameInfo>,
    },
    /// An operand does not contain all the samples that an operation reads or writes.
    #[error("the {operand} covers {have:?}, but {need:?} is needed")]
    NotCovered {
        /// The operand that is too small.
        operand: Operand,
        /// The samples that it contains.
        have: Rect,
        /// The samples that are needed.
        need: Rect,
    },
    /// The frame has no bypass planes with this index, or the caller did not pass them.
    #[error("bypass planes {index} are missing")]
    MissingBypassPlanes {
        /// Index into [`Unpacker::bypass_planes`](super::Unpacker::bypass_planes) or
        /// [`Packer::bypass_planes`](super::Packer::bypass_planes).
        index: usize,
    },
}

/// What an operation reads or writes, for [`Error::NotCovered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// The frame to unpack.
    Frame,
    /// The rows of the frame to pack into.
    Band,
    /// The image of the model's channels.
    ModelImage,
    /// An image of bypass planes.
    BypassPlanes,
    /// The image to resample.
    Source,
    /// The resampled image.
    Output,
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Frame => "frame",
            Self::Band => "band of the frame",
            Self::ModelImage => "model image",
            Self::BypassPlanes => "image of bypass planes",
            Self::Source => "image to resample",
            Self::Output => "resampled image",
        })
    }
}
