//! Frames in the GPU's memory.

use std::sync::Arc;

use super::{Buffer, Device, Error, Rows};
use crate::{
    frame::{self, FrameInfo, FrameMut, FrameRef, Rect},
    kernels::{FrameArgs, PlaneArgs, SPAN},
};

/// Planes begin at multiples of this many bytes.
const ALIGN: usize = 256;

/// How a frame lies in one piece of memory: plane after plane, with rows that have room for
/// whole spans.
#[derive(Debug)]
pub struct FrameLayout {
    info: FrameInfo,
    planes: Vec<PlaneLayout>,
    bytes: usize,
}

#[derive(Debug)]
struct PlaneLayout {
    offset: usize,
    stride: usize,
    row_bytes: usize,
    rows: usize,
}

impl FrameLayout {
    /// # Errors
    /// Those of [`FrameInfo::check`].
    pub fn new(info: FrameInfo) -> Result<Self, frame::Error> {
        info.check()?;
        let FrameInfo { format, width, height, .. } = info;
        let mut bytes = 0;
        let mut plane = |plane| {
            let stride = format.row_bytes(plane, width.next_multiple_of(SPAN)).next_multiple_of(16);
            let rows = format.rows(plane, height);
            let offset = bytes;
            bytes += (stride * rows).next_multiple_of(ALIGN);
            PlaneLayout { offset, stride, row_bytes: format.row_bytes(plane, width), rows }
        };
        let planes = (0..format.planes()).map(&mut plane).collect();
        Ok(Self { info, planes, bytes })
    }

    /// The kind of frame.
    #[must_use]
    pub fn info(&self) -> &FrameInfo {
        &self.info
    }

    /// Bytes of a frame.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies a frame into memory of this layout.
    pub fn write(&self, frame: &FrameRef<'_>, memory: &mut [u8]) {
        for (index, plane) in self.planes.iter().enumerate() {
            let rows = memory.get_mut(plane.offset..).unwrap_or_default();
            for (y, to) in rows.chunks_mut(plane.stride).take(plane.rows).enumerate() {
                let from = frame.row(index, y);
                if let Some(to) = to.get_mut(..from.len()) {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// Copies a frame out of memory of this layout.
    pub fn read(&self, memory: &[u8], frame: &mut FrameMut<'_>) {
        for (from, to) in self.planes.iter().zip(&mut frame.planes) {
            let rows = memory.get(from.offset..).unwrap_or_default();
            let to_rows = to.data.chunks_mut(to.stride.max(1));
            for (row, to) in rows.chunks(from.stride).take(from.rows).zip(to_rows) {
                if let (Some(row), Some(to)) =
                    (row.get(..from.row_bytes), to.get_mut(..from.row_bytes))
                {
                    to.copy_from_slice(row);
                }
            }
        }
    }

    /// The bytes of the pixels `rect` in each plane, including samples shared with other pixels.
    pub fn rows(&self, rect: Rect) -> impl Iterator<Item = Rows> + '_ {
        let format = self.info.format;
        let whole = Rect::of_size(self.info.width, self.info.height);
        let rect = rect.intersection(&whole);
        self.planes.iter().enumerate().map(move |(index, plane)| {
            let [shift_x, shift_y] = format.plane_subsampling(index);
            // Only whole groups of samples.
            let left = format.row_bytes(index, rect.x >> shift_x << shift_x);
            let right = format.row_bytes(index, rect.right());
            let top = rect.y as usize >> shift_y;
            let bottom = (rect.bottom() as usize).div_ceil(1 << shift_y);
            Rows {
                offset: plane.offset + top * plane.stride + left,
                pitch: plane.stride,
                width: right.saturating_sub(left),
                height: bottom.saturating_sub(top),
            }
        })
    }
}

/// A frame in the GPU's memory.
pub struct DeviceFrame {
    layout: Arc<FrameLayout>,
    buffer: Buffer,
}

impl DeviceFrame {
    /// Memory for a frame; its content is unspecified.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, layout: &Arc<FrameLayout>) -> Result<Self, Error> {
        Ok(Self { buffer: Buffer::new(device, layout.bytes())?, layout: layout.clone() })
    }

    /// The layout of its memory.
    #[must_use]
    pub fn layout(&self) -> &Arc<FrameLayout> {
        &self.layout
    }

    /// The kind of frame.
    #[must_use]
    pub fn info(&self) -> &FrameInfo {
        &self.layout.info
    }

    /// Its memory, for copies.
    #[must_use]
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Its planes, in the format's order.
    pub(super) fn planes(&self) -> Vec<PlaneArgs> {
        let plane = |plane: &PlaneLayout| PlaneArgs {
            data: self.buffer.address() + plane.offset as u64,
            stride: plane.stride as u32,
        };
        self.layout.planes.iter().map(plane).collect()
    }

    pub(super) fn args(&self) -> FrameArgs {
        FrameArgs::new(self.info(), &self.planes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{PixelFormat, PlaneMut, PlaneRef, Range};

    fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
        FrameInfo::bt709(format, width, height, Range::Limited)
    }

    fn layout(format: PixelFormat, width: u32, height: u32) -> FrameLayout {
        FrameLayout::new(info(format, width, height)).unwrap()
    }

    #[test]
    fn rows_are_aligned_and_have_room_for_whole_spans() {
        for &format in PixelFormat::ALL {
            let layout = layout(format, 37, 11);
            for (index, plane) in layout.planes.iter().enumerate() {
                assert_eq!((plane.offset % 16, plane.stride % 16), (0, 0), "{format}");
                assert!(plane.stride >= format.row_bytes(index, 48), "{format}");
                let end = plane.offset + plane.stride * format.rows(index, 11);
                assert!(end <= layout.bytes(), "{format}");
            }
        }
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        for &format in PixelFormat::ALL {
            let info = info(format, 37, 11);
            let layout = layout(format, 37, 11);
            let strides: Vec<_> =
                (0..format.planes()).map(|plane| format.row_bytes(plane, 37) + 3).collect();
            let planes: Vec<Vec<u8>> = strides
                .iter()
                .enumerate()
                .map(|(plane, stride)| {
                    (0..stride * format.rows(plane, 11)).map(|at| (at * 7) as u8).collect()
                })
                .collect();
            let refs = planes.iter().zip(&strides);
            let refs = refs.map(|(data, &stride)| PlaneRef { data, stride }).collect();
            let frame = FrameRef::new(info, refs).unwrap();
            let mut memory = vec![0; layout.bytes()];
            layout.write(&frame, &mut memory);
            let mut copy: Vec<Vec<u8>> = planes.iter().map(|plane| vec![0; plane.len()]).collect();
            let muts = copy.iter_mut().zip(&strides);
            let muts = muts.map(|(data, &stride)| PlaneMut { data, stride }).collect();
            layout.read(&memory, &mut FrameMut::new(info, muts).unwrap());
            let refs = copy.iter().zip(&strides);
            let refs = refs.map(|(data, &stride)| PlaneRef { data, stride }).collect();
            let copy = FrameRef::new(info, refs).unwrap();
            for plane in 0..format.planes() {
                for y in 0..format.rows(plane, 11) {
                    assert_eq!(frame.row(plane, y), copy.row(plane, y), "{format}");
                }
            }
        }
    }

    #[test]
    fn a_rectangle_larger_than_the_frame_is_all_rows_of_all_planes() {
        for &format in PixelFormat::ALL {
            let layout = layout(format, 37, 11);
            for (index, rows) in layout.rows(Rect::of_size(100, 100)).enumerate() {
                assert_eq!(rows.width, format.row_bytes(index, 37), "{format}");
                assert_eq!(rows.height, format.rows(index, 11), "{format}");
                assert!(rows.end().unwrap() <= layout.bytes());
            }
        }
    }

    #[test]
    fn a_rectangle_includes_samples_that_it_shares() {
        let layout = layout(PixelFormat::Nv12, 64, 64);
        let [luma, chroma] = [0, 1].map(|plane| {
            let rows = layout.rows(Rect::new(17, 5, 2, 2)).nth(plane).unwrap();
            (rows.offset - layout.planes[plane].offset, rows.width, rows.height)
        });
        // A chroma sample that is half inside is included, its luma outside is not.
        assert_eq!(luma, (5 * 64 + 17, 2, 2));
        assert_eq!(chroma, (2 * 64 + 16, 4, 2));
    }
}
