//! The structs that kernels take by value, laid out as in the headers in `kernels/`, which
//! document the fields.

use bytemuck::{Pod, Zeroable};

use super::{ComparedPlane, FilterArgs, FrameArgs};
use crate::frame::{self, Rect};

/// An address in the GPU's memory; 0 for none.
pub type Address = u64;

/// `kernels/picture.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct PictureArgs {
    /// Address of the first sample, a multiple of 16.
    pub data: Address,
    /// Samples from channel to channel.
    pub channel_stride: u64,
    /// Samples from row to row.
    pub stride: u32,
    pub unused: u32,
}

/// `kernels/unpack.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct UnpackArgs {
    pub frame: FrameArgs,
    pub model: PictureArgs,
    pub chroma: PictureArgs,
    pub alpha: PictureArgs,
    /// Those of [`Unpacker::upsampler`](crate::frame::Unpacker::upsampler).
    pub horizontal: FilterArgs,
    pub vertical: FilterArgs,
    /// Address of [`Rect`]s.
    pub rects: Address,
    pub channels: u32,
    pub unused: u32,
}

/// `kernels/pack.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct PackArgs {
    pub frame: FrameArgs,
    pub model: PictureArgs,
    pub chroma: PictureArgs,
    pub alpha: PictureArgs,
    /// Those of [`Packer::downsampler`](crate::frame::Packer::downsampler).
    pub horizontal: FilterArgs,
    pub vertical: FilterArgs,
    /// Address of [`Rect`]s.
    pub rects: Address,
    pub channels: u32,
    pub unused: u32,
}

/// `kernels/compare.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct CompareArgs {
    pub plane: [ComparedPlane; 4],
    /// Address of the words, 0 before a comparison.
    pub changed: Address,
    /// 32-bit words of a row of a [`ChangedMap`](crate::reuse::ChangedMap).
    pub row_words: u32,
    pub planes: u32,
    pub bytes: u32,
    pub low_bits: u32,
    pub limit: u32,
    /// In blocks.
    pub due: Rect,
    pub unused: u32,
    /// Address of one [`Rect`]: the frame.
    pub rects: Address,
}

/// `kernels/region.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct RegionArgs {
    pub compute: Rect,
    pub read: Rect,
}

/// `kernels/region.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct GatherArgs {
    pub source: PictureArgs,
    pub batch: Address,
    /// Address of [`RegionArgs`].
    pub regions: Address,
    pub channels: u32,
    pub width: u32,
    pub height: u32,
    pub unused: u32,
}

/// `kernels/region.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct ScatterArgs {
    pub canvas: PictureArgs,
    pub batch: Address,
    /// Address of [`RegionArgs`].
    pub regions: Address,
    pub channels: u32,
    pub width: u32,
    pub height: u32,
    pub factor: u32,
}

/// `kernels/grain.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct GrainArgs {
    /// Address of [`noise`](super::noise).
    pub noise: Address,
    pub seed: u64,
    pub strength: f32,
    pub inverse_white: f32,
    pub factors: [f32; 4],
}

impl GrainArgs {
    /// `grain`, cut from a copy of [`noise`](super::noise) at this address.
    #[must_use]
    pub fn new(grain: &frame::Grain, noise: Address) -> Self {
        let (strength, seed, frame::Curve { inverse_white, factors }) = grain.parts();
        Self { noise, seed, strength, inverse_white, factors }
    }
}

/// `kernels/finish.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct FinishArgs {
    pub canvas: PictureArgs,
    pub input: PictureArgs,
    pub out: PictureArgs,
    pub canvas_horizontal: FilterArgs,
    pub canvas_vertical: FilterArgs,
    pub input_horizontal: FilterArgs,
    pub input_vertical: FilterArgs,
    pub grain: GrainArgs,
    /// Address of [`Rect`]s.
    pub rects: Address,
    pub share: f32,
    pub channels: u32,
}
