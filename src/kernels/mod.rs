//! The stages around inference for the GPU: what `kernels/` holds, compiled, and its arguments.
//!
//! The arithmetic is that of [`frame`](crate::frame) and [`reuse`](crate::reuse), to the bit:
//! `tests/kernels.rs` runs both on the same frames. Nothing here talks to a GPU.
//!
//! | kernel | argument | from | to |
//! |---|---|---|---|
//! | `unpack_*` | [`Unpack`] | planes of a frame | main picture, bypass planes |
//! | `compare_blocks` | [`Compare`] | frame, reference | a bit per block of 8×8 pixels |
//! | `update_reference` | [`Compare`] | frame, those bits | reference |
//! | `gather_*` | [`Gather`] | main picture | batch of regions |
//! | `scatter_*` | [`Scatter`] | batch of enlarged regions | canvas |
//! | `finish_*` | [`Finish`] | canvas, main picture | picture of the asked size |
//! | `pack_*` | [`Pack`] | finished picture, bypass planes | planes of a frame |
//!
//! `*` is `f32` or `f16`, the type in which main picture, batch and canvas are stored (what
//! `finish` writes, and bypass planes, are always f32). Arithmetic is in f32 throughout, and
//! only storing in f16 rounds.

mod arguments;
mod frame;
mod tables;

pub use arguments::{
    Address, Compare, Finish, Gather, Grain, Pack, Picture, Rect, Region, Scatter, Unpack,
};
pub use frame::{Codes, ComparedPlane, Component, Frame, Matrix, Plane};
pub use tables::{Coefficients, Table};

/// All kernels, for compute capability 7.5 and later (PTX 8.0: driver 525 and later).
/// `make kernels` writes it.
pub const PTX: &str = include_str!("../../kernels/upscale.ptx");

/// Pixels of the spans in which rows of frames and pictures are worked on. Rows have room for
/// whole ones and begin at multiples of 16 bytes.
pub const SPAN: u32 = 16;

/// Pixels that one thread of `finish_*` makes; all others take [`SPAN`] or 16 bytes.
pub const FINISHED: u32 = 8;

/// The type in which main picture, batch and canvas are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Samples {
    F32,
    /// IEEE 754 binary16.
    F16,
}

impl Samples {
    /// Bytes of one.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// The noise that [`Finish`] cuts grain from: 256 rows of 256 numbers.
pub fn noise() -> &'static [f32] {
    crate::frame::Grain::noise()
}
