//! Borrowed planes of a frame in memory.

use super::FrameInfo;

/// One plane to read: rows of `stride` bytes.
#[derive(Clone, Copy, Debug)]
pub struct PlaneRef<'a> {
    pub data: &'a [u8],
    pub stride: usize,
}

/// One plane to write.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
}

/// A frame to read: as many planes as its format has, in the format's order.
#[derive(Clone, Debug)]
pub struct FrameRef<'a> {
    pub info: FrameInfo,
    pub planes: Vec<PlaneRef<'a>>,
}

/// A frame to write.
#[derive(Debug)]
pub struct FrameMut<'a> {
    pub info: FrameInfo,
    pub planes: Vec<PlaneMut<'a>>,
}
