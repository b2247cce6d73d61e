//! The CUDA kernels of the stages around inference: the compiled sources of `kernels/`, and the
//! structs that the kernels take. Nothing here uses a GPU; [`cuda`](crate::cuda) launches them.
//!
//! The kernels compute what [`frame`](crate::frame) and [`reuse`](crate::reuse) compute, to the
//! bit: `tests/kernels` runs both on the same frames.
//!
//! | kernel | argument | reads | writes |
//! |---|---|---|---|
//! | `unpack_*` | [`UnpackArgs`] | planes of a frame | model picture, bypass_planes |
//! | `compare_blocks` | [`CompareArgs`] | frame, reference | a bit per block of 8×8 pixels |
//! | `update_reference` | [`CompareArgs`] | frame, those bits | reference |
//! | `gather_*` | [`GatherArgs`] | model picture | batch of regions |
//! | `scatter_*` | [`ScatterArgs`] | batch of enlarged regions | canvas |
//! | `finish_*` | [`FinishArgs`] | canvas, model picture | picture of the output's size |
//! | `pack_*` | [`PackArgs`] | finished picture, bypass_planes | planes of a frame |
//!
//! `*` is `f32` or `f16`, the type in which model picture, batch and canvas are stored. What
//! `finish` writes, and bypass_planes, are always f32. All arithmetic is in f32; only storing f16
//! rounds.

#![allow(missing_docs, reason = "the headers in `kernels/` document the fields")]

mod arguments;
mod cubins;
mod filter;
mod frame;

pub use arguments::{
    Address, CompareArgs, FinishArgs, GatherArgs, GrainArgs, PackArgs, PictureArgs, RegionArgs,
    ScatterArgs, UnpackArgs,
};
pub use cubins::cubin;
pub use filter::{FilterArgs, FilterData};
pub use frame::{CodesArgs, ComparedPlane, ComponentArgs, FrameArgs, MatrixArgs, PlaneArgs};

/// All kernels, for compute capability 7.5 and later (PTX 8.0: driver 525 and later).
/// `make kernels` generates it.
pub const PTX: &str = include_str!("../../kernels/upscale.ptx");

/// Rows of frames and pictures are processed in spans of this many pixels. Rows have room for
/// whole spans and begin at multiples of 16 bytes.
pub const SPAN: u32 = 16;

/// Pixels of a row per thread of `finish_*`. Threads of the other kernels process [`SPAN`] pixels
/// or 16 bytes.
pub const FINISHED: u32 = 4;

/// Rows per thread of `finish_*`.
pub const FINISHED_ROWS: u32 = 4;

/// The type in which model picture, batch and canvas are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Samples {
    /// 32-bit floats.
    F32,
    /// IEEE 754 binary16.
    F16,
}

impl Samples {
    /// Bytes of a sample.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// The noise that grain is cut from: 256 rows of 256 numbers.
#[must_use]
pub fn noise() -> &'static [f32] {
    crate::frame::Grain::noise()
}
