//! Borrowed planes of a frame in memory.

use super::{Error, FrameInfo, Rect};

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

/// Some rows of a frame to write, apart from the others: what one thread packs.
#[derive(Debug)]
pub struct Band<'a> {
    /// Of the whole frame.
    pub info: FrameInfo,
    first_row: u32,
    rows: u32,
    planes: Vec<PlaneMut<'a>>,
}

/// Checks that every plane (its bytes and stride given) holds all its rows; the last one may
/// end before its stride does.
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
    /// # Errors
    /// [`Error::Size`] for a size that cannot be handled, [`Error::ShortPlane`] for a plane that
    /// is missing or does not hold all its rows.
    pub fn new(info: FrameInfo, planes: Vec<PlaneRef<'a>>) -> Result<Self, Error> {
        let frame = Self { info, planes };
        frame.check()?;
        Ok(frame)
    }

    /// What [`new`](Self::new) checks.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(&self) -> Result<(), Error> {
        check(&self.info, |plane| {
            self.planes.get(plane).map(|plane| (plane.data.len(), plane.stride))
        })
    }

    /// The bytes that row `y` of this plane fills (the plane's own rows); empty where there are
    /// none.
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
    /// # Errors
    /// As [`FrameRef::new`].
    pub fn new(info: FrameInfo, planes: Vec<PlaneMut<'a>>) -> Result<Self, Error> {
        let frame = Self { info, planes };
        frame.check()?;
        Ok(frame)
    }

    /// What [`new`](Self::new) checks.
    ///
    /// # Errors
    /// As [`FrameRef::new`].
    pub fn check(&self) -> Result<(), Error> {
        check(&self.info, |plane| {
            self.planes.get(plane).map(|plane| (plane.data.len(), plane.stride))
        })
    }

    /// All rows as one band.
    pub fn whole(&mut self) -> Band<'_> {
        let planes = self.planes.iter_mut();
        let planes = planes.map(|plane| PlaneMut { data: plane.data, stride: plane.stride });
        Band { info: self.info, first_row: 0, rows: self.info.height, planes: planes.collect() }
    }

    /// Bands of `height` luma rows from the top down, the last with what is left. `height` is
    /// rounded up to a multiple of the luma rows that share chroma.
    pub fn split_rows(&mut self, height: u32) -> Vec<Band<'_>> {
        let FrameInfo { format, height: all, .. } = self.info;
        let height = height.max(1).next_multiple_of(self.info.chroma_step()[1]);
        let mut rest = self.whole();
        let mut bands = Vec::new();
        while rest.rows > height {
            let mut planes = Vec::with_capacity(rest.planes.len());
            for (index, plane) in rest.planes.iter_mut().enumerate() {
                let rows = format.rows(index, height.min(all));
                let at = (rows * plane.stride).min(plane.data.len());
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
    pub fn first_row(&self) -> u32 {
        self.first_row
    }

    /// Luma rows.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The band's place in the frame.
    pub fn rect(&self) -> Rect {
        Rect::new(0, self.first_row, self.info.width, self.rows)
    }

    /// Copies the band's rows from a frame of the same description.
    pub fn copy_from(&mut self, frame: &FrameRef<'_>) {
        for plane in 0..self.planes.len() {
            let shift = self.info.format.plane_subsampling(plane)[1];
            let end = (self.first_row + self.rows).div_ceil(1 << shift);
            for y in (self.first_row >> shift)..end {
                let from = frame.row(plane, y as usize);
                let to = self.row_mut(plane, y as usize);
                if from.len() == to.len() {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// The bytes of row `y` of this plane, `y` counted in the whole frame's plane; empty where
    /// the band has none.
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
