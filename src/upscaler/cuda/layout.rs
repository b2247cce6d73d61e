//! How frames lie in one piece of memory, as kernels want them.

use crate::{
    cuda::Rows,
    frame::{FrameInfo, FrameMut, FrameRef, Rect},
    kernels::{Address, Plane, SPAN},
};

/// Bytes that planes begin at multiples of.
const ALIGN: usize = 256;

/// Plane after plane, rows with room for whole spans.
pub(super) struct Layout {
    pub info: FrameInfo,
    planes: Vec<PlaneLayout>,
    bytes: usize,
}

struct PlaneLayout {
    offset: usize,
    stride: usize,
    row_bytes: usize,
    rows: usize,
}

impl Layout {
    pub fn new(info: FrameInfo) -> Self {
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
        Self { info, planes, bytes }
    }

    /// Of a frame.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A frame's planes where the memory begins at `base`.
    pub fn planes(&self, base: Address) -> Vec<Plane> {
        let plane = |plane: &PlaneLayout| Plane {
            data: base + plane.offset as u64,
            stride: plane.stride as u32,
        };
        self.planes.iter().map(plane).collect()
    }

    /// Copies a frame into memory laid out so.
    pub fn put(&self, frame: &FrameRef<'_>, memory: &mut [u8]) {
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

    /// Copies a frame out of memory laid out so.
    pub fn get(&self, memory: &[u8], frame: &mut FrameMut<'_>) {
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

    /// What pixels `rect` take up in each plane, samples shared with others included.
    pub fn rows(&self, rect: Rect) -> impl Iterator<Item = Rows> + '_ {
        let format = self.info.format;
        let whole = Rect::of_size(self.info.width, self.info.height);
        let rect = rect.intersection(&whole);
        self.planes.iter().enumerate().map(move |(index, plane)| {
            let [shift_x, shift_y] = format.plane_subsampling(index);
            // Bytes of whole groups of samples alone.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ChromaSite, Colorimetry, Matrix, PixelFormat, PlaneMut, PlaneRef, Range};

    fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
        let colorimetry = Colorimetry { matrix: Matrix::Bt709, range: Range::Limited };
        FrameInfo { format, width, height, colorimetry, chroma_site: ChromaSite::LEFT }
    }

    #[test]
    fn rows_have_room_for_whole_spans_at_aligned_places() {
        for &format in PixelFormat::ALL {
            let layout = Layout::new(info(format, 37, 11));
            for (index, plane) in layout.planes(4096).iter().enumerate() {
                assert_eq!((plane.data % 16, plane.stride % 16), (0, 0), "{format}");
                assert!(plane.stride as usize >= format.row_bytes(index, 48), "{format}");
                let end =
                    plane.data as usize - 4096 + plane.stride as usize * format.rows(index, 11);
                assert!(end <= layout.bytes(), "{format}");
            }
        }
    }

    #[test]
    fn frames_come_back_as_they_went_in() {
        for &format in PixelFormat::ALL {
            let info = info(format, 37, 11);
            let layout = Layout::new(info);
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
            layout.put(&frame, &mut memory);
            let mut back: Vec<Vec<u8>> = planes.iter().map(|plane| vec![0; plane.len()]).collect();
            let muts = back.iter_mut().zip(&strides);
            let muts = muts.map(|(data, &stride)| PlaneMut { data, stride }).collect();
            let mut other = FrameMut::new(info, muts).unwrap();
            layout.get(&memory, &mut other);
            let refs = back.iter().zip(&strides);
            let refs = refs.map(|(data, &stride)| PlaneRef { data, stride }).collect();
            let back = FrameRef::new(info, refs).unwrap();
            for plane in 0..format.planes() {
                for y in 0..format.rows(plane, 11) {
                    assert_eq!(frame.row(plane, y), back.row(plane, y), "{format}");
                }
            }
        }
    }

    #[test]
    fn the_whole_rectangle_is_all_rows_of_all_planes() {
        for &format in PixelFormat::ALL {
            let layout = Layout::new(info(format, 37, 11));
            for (index, rows) in layout.rows(Rect::of_size(100, 100)).enumerate() {
                assert_eq!(rows.width, format.row_bytes(index, 37), "{format}");
                assert_eq!(rows.height, format.rows(index, 11), "{format}");
                assert!(rows.end() <= layout.bytes());
            }
        }
    }

    #[test]
    fn samples_that_a_rectangle_shares_belong_to_it() {
        let layout = Layout::new(info(PixelFormat::Nv12, 64, 64));
        let [luma, chroma] = [0, 1].map(|plane| {
            let rows = layout.rows(Rect::new(17, 5, 2, 2)).nth(plane).unwrap();
            let base = layout.planes(0)[plane].data as usize;
            (rows.offset - base, rows.width, rows.height)
        });
        // The luma of a sample of chroma that is half inside lies beside it.
        assert_eq!(luma, (5 * 64 + 17, 2, 2));
        assert_eq!(chroma, (2 * 64 + 16, 4, 2));
    }
}
