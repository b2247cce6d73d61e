//! Frames in memory as kernels see them.

use bytemuck::{Pod, Zeroable};

use super::{Address, Compare, Rect};
use crate::frame::{self, Family, FrameInfo};

/// Where a plane lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plane {
    /// A multiple of 16.
    pub data: Address,
    /// Bytes from row to row, a multiple of 16 with room for whole spans
    /// (see [`SPAN`](super::SPAN)).
    pub stride: u32,
}

/// `kernels/samples.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Codes {
    pub zero: f32,
    pub step: f32,
    pub scale: f32,
    pub max: f32,
}

/// `kernels/frame.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Component {
    pub data: Address,
    pub stride: u32,
    pub offset: u32,
    pub step: u32,
    pub shift_x: u32,
    pub shift_y: u32,
    pub unused: u32,
    pub codes: Codes,
}

/// `kernels/colour.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Matrix {
    pub luma: [f32; 3],
    pub chroma: [f32; 2],
    pub rgb: [f32; 4],
}

/// `kernels/frame.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Frame {
    pub component: [Component; 4],
    pub matrix: Matrix,
    /// 0 YUV, 1 RGB, 2 gray.
    pub family: u32,
    pub width: u32,
    pub height: u32,
    pub bytes: u32,
    pub low_bits: u32,
    pub components: u32,
    pub unused: u32,
}

impl Frame {
    /// A frame like `info` whose planes, in the format's order, lie here.
    pub fn new(info: &FrameInfo, planes: &[Plane]) -> Self {
        let layout = info.format.layout();
        let matrix = match layout.family {
            // Luma of RGB is BT.601's (see `BypassKind::Chroma`).
            Family::Rgb => frame::Matrix::Bt601,
            Family::Yuv | Family::Gray => info.colorimetry.matrix,
        };
        let frame::MatrixCoefficients { luma, chroma, rgb } =
            frame::MatrixCoefficients::new(matrix);
        let mut component = [Component::default(); 4];
        for (index, (to, from)) in component.iter_mut().zip(layout.components).enumerate() {
            let plane = planes.get(from.plane).copied().unwrap_or_default();
            let [shift_x, shift_y] = layout.subsampling_of(index).map(u32::from);
            let frame::Codes { zero, step, scale, max } = frame::Codes::of(info, index);
            *to = Component {
                data: plane.data,
                stride: plane.stride,
                offset: from.offset as u32,
                step: from.step as u32,
                shift_x,
                shift_y,
                unused: 0,
                codes: Codes { zero, step, scale, max },
            };
        }
        Self {
            component,
            matrix: Matrix { luma, chroma, rgb },
            family: match layout.family {
                Family::Yuv => 0,
                Family::Rgb => 1,
                Family::Gray => 2,
            },
            width: info.width,
            height: info.height,
            bytes: layout.bytes() as u32,
            low_bits: layout.low_bits,
            components: layout.components.len() as u32,
            unused: 0,
        }
    }
}

/// `kernels/compare.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct ComparedPlane {
    pub frame: Address,
    pub reference: Address,
    pub frame_stride: u32,
    pub reference_stride: u32,
    pub step: u32,
    pub used: u32,
    pub shift_x: u32,
    pub shift_y: u32,
}

impl Compare {
    /// The comparison of a frame like `info` with a reference, their planes in the format's
    /// order; `tolerance` in 8-bit steps. What it reads and writes beside them is still to be
    /// named: [`changed`](Self::changed), [`row_words`](Self::row_words), [`due`](Self::due)
    /// and [`rects`](Self::rects).
    pub fn new(info: &FrameInfo, frame: &[Plane], reference: &[Plane], tolerance: u8) -> Self {
        let layout = info.format.layout();
        let mut plane = [ComparedPlane::default(); 4];
        for (index, (to, (frame, reference))) in
            plane.iter_mut().zip(frame.iter().zip(reference)).enumerate()
        {
            let components = layout.components.iter().filter(|it| it.plane == index);
            let [shift_x, shift_y] = info.format.plane_subsampling(index).map(u32::from);
            *to = ComparedPlane {
                frame: frame.data,
                reference: reference.data,
                frame_stride: frame.stride,
                reference_stride: reference.stride,
                step: components.clone().map(|it| it.step as u32).max().unwrap_or(1),
                used: components.fold(0, |used, it| used | 1 << it.offset),
                shift_x,
                shift_y,
            };
        }
        Self {
            plane,
            planes: info.format.planes() as u32,
            bytes: layout.bytes() as u32,
            low_bits: layout.low_bits,
            limit: u32::from(tolerance) << (layout.bits - 8),
            due: Rect::default(),
            ..Self::default()
        }
    }
}
