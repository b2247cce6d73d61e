//! The structs that kernels take by value, as the headers in `kernels/` lay them out. What
//! the fields mean is said there.

use bytemuck::{Pod, Zeroable};

use super::{ComparedPlane, Frame, Table};
use crate::{frame, reuse};

/// Of memory that the kernels can reach; 0 for none.
pub type Address = u64;

/// `kernels/span.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl From<frame::Rect> for Rect {
    fn from(rect: frame::Rect) -> Self {
        let frame::Rect { x, y, width, height } = rect;
        Self { x, y, width, height }
    }
}

/// `kernels/picture.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Picture {
    /// Of the first sample of the first channel, a multiple of 16.
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
pub struct Unpack {
    pub frame: Frame,
    pub main: Picture,
    pub chroma: Picture,
    pub alpha: Picture,
    /// Of [`Unpacker::upsampler`](crate::frame::Unpacker::upsampler).
    pub across: Table,
    pub down: Table,
    /// Of [`Rect`]s.
    pub rects: Address,
    pub channels: u32,
    pub unused: u32,
}

/// `kernels/pack.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Pack {
    pub frame: Frame,
    pub main: Picture,
    pub chroma: Picture,
    pub alpha: Picture,
    /// Of [`Packer::downsampler`](crate::frame::Packer::downsampler).
    pub across: Table,
    pub down: Table,
    /// Of [`Rect`]s.
    pub rects: Address,
    pub channels: u32,
    pub unused: u32,
}

/// `kernels/compare.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Compare {
    pub plane: [ComparedPlane; 4],
    /// Of words that are 0 before a comparison.
    pub changed: Address,
    /// Twice the 64-bit words of a row of a [`ChangedMap`](crate::reuse::ChangedMap).
    pub row_words: u32,
    pub planes: u32,
    pub bytes: u32,
    pub low_bits: u32,
    pub limit: u32,
    /// In blocks.
    pub due: Rect,
    pub unused: u32,
    /// Of one [`Rect`], the frame.
    pub rects: Address,
}

/// `kernels/region.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Region {
    pub compute: Rect,
    pub read: Rect,
}

impl From<reuse::Region> for Region {
    fn from(region: reuse::Region) -> Self {
        Self { compute: region.compute.into(), read: region.read.into() }
    }
}

/// `kernels/region.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Gather {
    pub source: Picture,
    pub batch: Address,
    /// Of [`Region`]s.
    pub regions: Address,
    pub channels: u32,
    pub width: u32,
    pub height: u32,
    pub unused: u32,
}

/// `kernels/region.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Scatter {
    pub canvas: Picture,
    pub batch: Address,
    /// Of [`Region`]s.
    pub regions: Address,
    pub channels: u32,
    pub width: u32,
    pub height: u32,
    pub factor: u32,
}

/// `kernels/grain.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Grain {
    /// Of [`noise`](super::noise).
    pub noise: Address,
    pub seed: u64,
    pub strength: f32,
    pub unused: u32,
}

impl Grain {
    /// `grain`, from a copy of [`noise`](super::noise) at this address.
    pub fn new(grain: &frame::Grain, noise: Address) -> Self {
        let (strength, seed) = grain.sigma_and_seed();
        Self { noise, seed, strength, unused: 0 }
    }
}

/// `kernels/finish.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Finish {
    pub canvas: Picture,
    pub input: Picture,
    pub out: Picture,
    pub canvas_across: Table,
    pub canvas_down: Table,
    pub input_across: Table,
    pub input_down: Table,
    pub grain: Grain,
    /// Of [`Rect`]s.
    pub rects: Address,
    pub share: f32,
    pub channels: u32,
}
