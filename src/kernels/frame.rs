//! Frames in memory, as the kernels read and write them.

use bytemuck::{Pod, Zeroable};

use super::{Address, CompareArgs};
use crate::frame::{self, Family, FrameInfo, Rect};

/// Where a plane lies in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaneArgs {
    /// Address of the first byte, a multiple of 16.
    pub data: Address,
    /// Bytes from row to row, a multiple of 16 with room for whole spans
    /// (see [`SPAN`](super::SPAN)).
    pub stride: u32,
}

/// `kernels/samples.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct CodesArgs {
    pub zero: f32,
    pub step: f32,
    pub scale: f32,
    pub max: f32,
}

/// `kernels/frame.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct ComponentArgs {
    pub data: Address,
    pub stride: u32,
    pub offset: u32,
    pub step: u32,
    pub shift_x: u32,
    pub shift_y: u32,
    pub unused: u32,
    pub codes: CodesArgs,
}

/// `kernels/colour.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct MatrixArgs {
    pub luma: [f32; 3],
    pub chroma: [f32; 2],
    pub rgb: [f32; 4],
}

/// `kernels/frame.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct FrameArgs {
    pub component: [ComponentArgs; 4],
    pub matrix: MatrixArgs,
    /// 0 YUV, 1 RGB, 2 gray.
    pub family: u32,
    pub width: u32,
    pub height: u32,
    pub bytes: u32,
    pub low_bits: u32,
    pub components: u32,
    pub unused: u32,
}

impl FrameArgs {
    /// A frame of the kind `info`, with its planes in the format's order.
    pub fn new(info: &FrameInfo, planes: &[PlaneArgs]) -> Self {
        let layout = info.format.layout();
        let matrix = match layout.family {
            // The luma of RGB formats is BT.601's (see `BypassKind::Chroma`).
            Family::Rgb => frame::Matrix::Bt601,
            Family::Yuv | Family::Gray => info.colorimetry.matrix,
        };
        let frame::MatrixCoefficients { luma, chroma, rgb } =
            frame::MatrixCoefficients::new(matrix);
        let mut component = [ComponentArgs::default(); 4];
        for (index, (to, from)) in component.iter_mut().zip(layout.components).enumerate() {
            let plane = planes.get(from.plane).copied().unwrap_or_default();
            let [shift_x, shift_y] = layout.subsampling_of(index).map(u32::from);
            let frame::Codes { zero, step, scale, max } = frame::Codes::of(info, index);
            *to = ComponentArgs {
                data: plane.data,
                stride: plane.stride,
                offset: from.offset as u32,
                step: from.step as u32,
                shift_x,
                shift_y,
                unused: 0,
                codes: CodesArgs { zero, step, scale, max },
            };
        }
        Self {
            component,
            matrix: MatrixArgs { luma, chroma, rgb },
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

impl CompareArgs {
    /// The comparison of a frame of the kind `info` with a reference, both given by their planes
    /// in the format's order. `tolerance` counts steps of 8-bit codes. The caller still has to
    /// set [`changed`](Self::changed), [`row_words`](Self::row_words), [`due`](Self::due) and
    /// [`rects`](Self::rects).
    pub fn new(
        info: &FrameInfo,
        frame: &[PlaneArgs],
        reference: &[PlaneArgs],
        tolerance: u8,
    ) -> Self {
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

    /// The comparison of these samples alone: for each plane, a bit per sample of a group. Planes
    /// without any are left out.
    #[must_use]
    pub fn only(mut self, samples: &[u32]) -> Self {
        let planes = self.plane.into_iter().take(self.planes as usize).zip(samples);
        let mut count = 0;
        for (to, (plane, &samples)) in
            self.plane.iter_mut().zip(planes.filter(|(_, samples)| **samples != 0))
        {
            *to = ComparedPlane { used: plane.used & samples, ..plane };
            count += 1;
        }
        Self { planes: count, ..self }
    }
}
