//! Frames in memory that belongs to the caller.

use super::{Error, FrameInfo, Rect};

/// A plane to read.
#[derive(Clone, Copy, Debug)]
pub struct PlaneRef<'a> {
    /// The rows from the top down. Padding after the last row may be missing.
    pub data: &'a [u8],
    /// Bytes from the start of a row to the start of the next.
    pub stride: usize,
}

/// A plane to write.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// The rows from the top down. Padding after the last row may be missing.
    pub data: &'a mut [u8],
    /// Bytes from the start of a row to the start of the next.
    pub stride: usize,
}

/// A frame to read.
///
/// # Example
///
/// A frame of 4×2 pixels, mid-grey, in two planes:
///
/// ```
/// use gstupscale::frame::{FrameInfo, FrameRef, PixelFormat, PlaneRef, Range};
///
/// let info = FrameInfo::bt709(PixelFormat::Nv12, 4, 2, Range::Limited);
/// // Two rows of four luma samples, and one row of two pairs of Cb and Cr.
/// let luma = [126; 2 * 4];
/// let chroma = [128; 4];
/// let planes =
///     vec![PlaneRef { data: &luma, stride: 4 }, PlaneRef { data: &chroma, stride: 4 }];
/// let frame = FrameRef::new(info, planes)?;
/// assert_eq!(frame.row(0, 1), [126; 4]);
/// assert_eq!(frame.row(1, 0), [128; 4]);
/// # Ok::<(), gstupscale::frame::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrameRef<'a> {
    /// Format, size and colour.
    pub info: FrameInfo,
    /// The planes in the format's order.
    pub planes: Vec<PlaneRef<'a>>,
}

/// A frame to write; see [`FrameRef`] for an example.
#[derive(Debug)]
pub struct FrameMut<'a> {
    /// Format, size and colour.
    pub info: FrameInfo,
    /// The planes in the format's order.
    pub planes: Vec<PlaneMut<'a>>,
}

/// A horizontal band of a frame to write, so that several threads can write one frame.
#[derive(Debug)]
pub struct Band<'a> {
    /// The description of the whole frame.
    pub info: FrameInfo,
    first_row: u32,
    rows: u32,
    planes: Vec<PlaneMut<'a>>,
}

/// Checks that every plane, given its length in bytes and its stride, contains all its rows. The
/// last row need not have padding.
fn check(
    info: &FrameInfo,
    plane_at: impl Fn(usize) -> Option<(usize, usize)>,
) -> Result<(), Error> {
    info.check()?;
    let format = info.format;
    for plane in 0..format.planes() {
        let (have, stride) = plane_at(plane).unwrap_or_default();
        let row_bytes = format.row_bytes(plane, info.width);
        let rows = format.rows(plane, info.height);
        let above = stride.max(row_bytes).saturating_mul(rows.saturating_sub(1));
        let need = above.saturating_add(row_bytes);
        if have < need || stride < row_bytes && rows > 1 {
            return Err(Error::ShortPlane { format, plane, have, need });
        }
    }
    Ok(())
}

impl<'a> FrameRef<'a> {
    /// A frame of `planes`, in the format's order.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`], or [`Error::ShortPlane`] if a plane is missing or does not
    /// contain all its rows.
    pub fn new(info: FrameInfo, planes: Vec<PlaneRef<'a>>) -> Result<Self, Error> {
        let frame = Self { info, planes };
        frame.check()?;
        Ok(frame)
    }

    /// Checks what [`new`](Self::new) checks, for a frame built from its fields.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(&self) -> Result<(), Error> {
        check(&self.info, |plane| {
            self.planes.get(plane).map(|plane| (plane.data.len(), plane.stride))
        })
    }

    /// Row `y` of `plane`, counted in the plane's own rows, without padding; empty if it does not
    /// exist.
    #[must_use]
    pub fn row(&self, plane: usize, y: usize) -> &'a [u8] {
        let bytes = self.info.format.row_bytes(plane, self.info.width);
        let row = self.planes.get(plane).and_then(|plane| {
            let start = y.checked_mul(plane.stride)?;
            plane.data.get(start..start.checked_add(bytes)?)
        });
        row.unwrap_or(&[])
    }
}

impl<'a> FrameMut<'a> {
    /// A frame of `planes`, in the format's order.
    ///
    /// # Errors
    /// As [`FrameRef::new`].
    pub fn new(info: FrameInfo, planes: Vec<PlaneMut<'a>>) -> Result<Self, Error> {
        let frame = Self { info, planes };
        frame.check()?;
        Ok(frame)
    }

    /// Checks what [`new`](Self::new) checks, for a frame built from its fields.
    ///
    /// # Errors
    /// As [`FrameRef::new`].
    pub fn check(&self) -> Result<(), Error> {
        check(&self.info, |plane| {
            self.planes.get(plane).map(|plane| (plane.data.len(), plane.stride))
        })
    }

    /// The whole frame as one band.
    pub fn whole(&mut self) -> Band<'_> {
        let planes = self.planes.iter_mut();
        let planes = planes.map(|plane| PlaneMut { data: plane.data, stride: plane.stride });
        Band { info: self.info, first_row: 0, rows: self.info.height, planes: planes.collect() }
    }

    /// Splits the frame into bands of `height` luma rows, from the top down; the last band may be
    /// smaller. `height` is rounded up so that no chroma sample belongs to two bands.
    pub fn split_rows(&mut self, height: u32) -> Vec<Band<'_>> {
        let FrameInfo { format, height: all, .. } = self.info;
        let [_, step] = self.info.chroma_step();
        let height = height.clamp(1, all.max(1)).next_multiple_of(step);
        let mut rest = self.whole();
        let mut bands = Vec::new();
        while rest.rows > height {
            let mut planes = Vec::with_capacity(rest.planes.len());
            for (index, plane) in rest.planes.iter_mut().enumerate() {
                let rows = format.rows(index, height.min(all));
                let at = rows.saturating_mul(plane.stride).min(plane.data.len());
                let (data, below) = std::mem::take(&mut plane.data).split_at_mut(at);
                plane.data = below;
                planes.push(PlaneMut { data, stride: plane.stride });
            }
            bands.push(Band { info: rest.info, first_row: rest.first_row, rows: height, planes });
            rest.first_row += height;
            rest.rows -= height;
        }
        bands.push(rest);
        bands
    }
}

impl Band<'_> {
    /// The first luma row, counted in the whole frame.
    #[must_use]
    pub fn first_row(&self) -> u32 {
        self.first_row
    }

    /// Number of luma rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The band's pixels in the whole frame.
    #[must_use]
    pub fn rect(&self) -> Rect {
        Rect::new(0, self.first_row, self.info.width, self.rows)
    }

    /// Copies the band's rows from a frame of the same format and size; rows of any other length
    /// are left as they are.
    pub fn copy_from(&mut self, frame: &FrameRef<'_>) {
        self.copy_rect_from(frame, self.rect());
    }

    /// Copies the pixels `rect` of the band from a frame of the same format and size, with the
    /// chroma samples that they share with other pixels. Pixels outside of the band or the frame
    /// are left out.
    pub fn copy_rect_from(&mut self, frame: &FrameRef<'_>, rect: Rect) {
        let format = self.info.format;
        let rect = rect.intersection(&self.rect());
        let [step, _] = self.info.chroma_step();
        let (left, right) = (rect.x / step * step, rect.right().next_multiple_of(step));
        for plane in 0..self.planes.len() {
            let shift = format.plane_subsampling(plane)[1];
            let start = format.row_bytes(plane, left);
            let end = format.row_bytes(plane, right.min(self.info.width));
            for y in (rect.y >> shift)..rect.bottom().div_ceil(1 << shift) {
                let from = frame.row(plane, y as usize).get(start..end);
                let to = self.row_mut(plane, y as usize).get_mut(start..end);
                if let (Some(from), Some(to)) = (from, to) {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// Row `y` of `plane`, counted in the rows of the whole frame's plane; empty if the band does
    /// not contain it.
    pub(super) fn row_mut(&mut self, plane: usize, y: usize) -> &mut [u8] {
        let bytes = self.info.format.row_bytes(plane, self.info.width);
        let first = self.first_row as usize >> self.info.format.plane_subsampling(plane)[1];
        let row = self.planes.get_mut(plane).and_then(|plane| {
            let start = y.checked_sub(first)?.checked_mul(plane.stride)?;
            plane.data.get_mut(start..start.checked_add(bytes)?)
        });
        row.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{PixelFormat, Range};

    #[test]
    fn bands_of_any_height_contain_every_row_once() {
        let info = FrameInfo::bt709(PixelFormat::Nv12, 4, 7, Range::Limited);
        for (height, expected) in
            [(0, vec![2, 2, 2, 1]), (3, vec![4, 3]), (7, vec![7]), (u32::MAX, vec![7])]
        {
            let (mut luma, mut chroma) = ([0; 4 * 7], [0; 4 * 4]);
            let planes = vec![
                PlaneMut { data: &mut luma, stride: 4 },
                PlaneMut { data: &mut chroma, stride: 4 },
            ];
            let mut frame = FrameMut::new(info, planes).unwrap();
            let rows: Vec<_> = frame.split_rows(height).iter().map(Band::rows).collect();
            assert_eq!(rows, expected, "{height}");
        }
    }
}
