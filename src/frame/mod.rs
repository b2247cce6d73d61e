//! Frames in memory and the float images that models work on: pixel formats, colorimetry,
//! chroma siting, planes, resampling, grain. Pure arithmetic, without GStreamer types.
//!
//! A frame passes through this module once on its way to the model and once on its way back:
//!
//! ```text
//! FrameRef ─▶ Unpacker ─▶ Image ─▶ model ─────▶ Image ─▶ Packer ─▶ FrameMut
//!                └──────▶ bypass planes ─▶ Resampler ──────┘
//! ```
//!
//! | file | contents |
//! |---|---|
//! | `info`, `format`, `planes` | what a frame looks like, how its samples lie in memory, its bytes |
//! | `owned` | a frame that owns its memory |
//! | `image` | planar float images |
//! | `unpack`, `pack` | frames to images and back |
//! | `bypass` | the planes that the model does not process |
//! | `colour`, `samples` | code values to float and back; Y′CbCr to R′G′B′ and back |
//! | `grid`, `rect` | where samples lie; rectangles of them |
//! | `resample`, `filter_table`, `filter` | resampling: its interface, its weights, its inner loops |
//! | `grain` | film grain and blending |
//!
//! Every output sample depends on its absolute position only, so that processing a frame by
//! regions gives the same bits as processing it whole.

mod bypass;
mod colour;
mod error;
mod filter;
mod filter_table;
mod format;
mod grain;
mod grid;
mod image;
mod info;
mod owned;
mod pack;
mod planes;
mod rect;
mod resample;
mod samples;
mod split_mix;
mod unpack;

pub(crate) use colour::{Codes, MatrixCoefficients};
pub use error::{Error, Operand};
pub(crate) use filter_table::FilterTable;
pub use format::{Component, Family, FormatLayout, PixelFormat};
pub(crate) use grain::Curve;
pub use image::{Channels, Image};
pub use info::{ChromaSite, Colorimetry, FrameInfo, Matrix, Range, Transfer};
pub use owned::OwnedFrame;
pub use planes::{FrameMut, FrameRef, PlaneMut, PlaneRef};
pub use rect::Rect;
pub(crate) use split_mix::SplitMix64;

// For the tests, the benchmarks and the command; not a stable interface.
#[doc(hidden)]
pub use self::{
    bypass::{BypassKind, BypassPlanes},
    filter_table::Filter,
    grain::{Grain, blend_row},
    grid::{Axis, Grid},
    pack::Packer,
    planes::Band,
    resample::{PlacedImage, Resampler},
    unpack::Unpacker,
};
