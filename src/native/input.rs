//! The network's input picture as layers read it: all channels of a pixel together.

#![allow(clippy::indexing_slicing, reason = "an axis is 0 or 1")]

use std::ops::Range;

use super::{
    Error,
    kernels::TILE,
    plan::{Block, Plan, Root},
};
use crate::frame::{Image, Rect};

/// A picture after a pixel unshuffle by `factor`, pixel after pixel, with zeros around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    /// Pixels of the picture along each side of a cell.
    factor: usize,
    /// Samples of one cell.
    pub samples: usize,
    /// Rows, columns of the picture in cells.
    size: [usize; 2],
    /// Rows and columns of zeros on each side.
    margin: [usize; 2],
    pub data: Vec<f32>,
}

/// The input picture, once for each factor by which layers read it unshuffled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    /// Channels, rows, columns.
    shape: [usize; 3],
    cells: Vec<Cells>,
}

impl Cells {
    /// Samples from one row of cells to the next.
    pub(crate) fn stride(&self) -> usize {
        (self.size[1] + 2 * self.margin[1]) * self.samples
    }

    /// The index of the first sample of cell (y, x), if a window of `window` cells from there on
    /// lies within the picture and its zeros.
    pub(crate) fn at(&self, [y, x]: [i64; 2], window: [usize; 2]) -> Option<usize> {
        let within = |at: i64, axis: usize| {
            let at = usize::try_from(at.checked_add(self.margin[axis] as i64)?).ok()?;
            (at + window[axis] <= self.size[axis] + 2 * self.margin[axis]).then_some(at)
        };
        Some(within(y, 0)? * self.stride() + within(x, 1)? * self.samples)
    }

    /// Copies the pixels `columns` of row `y` of one channel.
    fn copy_row(&mut self, channel: usize, y: usize, columns: Range<usize>, row: &[f32]) {
        let factor = self.factor;
        let [mut x, end] = [columns.start, columns.end];
        let own = channel * factor * factor + y % factor * factor;
        let Some(first) = self.at([(y / factor) as i64, 0], [1; 2]) else { return };
        let Some(from) = row.get(..end) else { return };
        while x < end {
            let (cell, column) = (x / factor, x % factor);
            // To the end of the cell; all cells in a row if this one is whole.
            let count = if column == 0 && end - x >= factor {
                (end - x) / factor * factor
            } else {
                (factor - column).min(end - x)
            };
            let to = self.data.get_mut(first + cell * self.samples + own + column..);
            let to = to.unwrap_or_default().chunks_mut(self.samples);
            let from = from.get(x..x + count).unwrap_or_default().chunks(factor);
            for (to, from) in to.zip(from) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            x += count;
        }
    }
}

impl Input {
    /// For pictures of this shape (channels, rows, columns), with so many zeros around them that
    /// the windows of a plan's layers, of these sizes, are inside. It has no samples yet.
    pub(crate) fn sized(plan: &Plan, sizes: &[[usize; 2]], shape: [usize; 3]) -> Self {
        let [channels, height, width] = shape;
        let mut all: Vec<Cells> = Vec::new();
        for (layer, own) in plan.layers.iter().zip(sizes) {
            for block in layer.reads() {
                let Block::Input { factor, .. } = block else { continue };
                let factor = factor.max(1);
                let size = [height.div_ceil(factor), width.div_ceil(factor)];
                let margin = match &layer.root {
                    Root::Convolution(convolution) => [0, 1].map(|axis| {
                        // Above the first tile; below the last one, which may exceed the layer.
                        let before = convolution.before[axis];
                        let window = convolution.taps.window()[axis] as i64;
                        let tiles = own[axis].div_ceil(TILE) * TILE - TILE;
                        let after = tiles as i64 - before + window - size[axis] as i64;
                        usize::try_from(before.max(after)).unwrap_or(0)
                    }),
                    _ => [0; 2],
                };
                match all.iter_mut().find(|cells| cells.factor == factor) {
                    Some(cells) => {
                        cells.margin = [0, 1].map(|axis| cells.margin[axis].max(margin[axis]));
                    }
                    None => all.push(Cells {
                        factor,
                        samples: channels * factor * factor,
                        size,
                        margin,
                        data: Vec::new(),
                    }),
                }
            }
        }
        Self { shape, cells: all }
    }

    /// Memory for the samples of pictures as for [`Input::sized`]; that of `self` if it fits.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn prepare(
        &mut self,
        plan: &Plan,
        sizes: &[[usize; 2]],
        shape: [usize; 3],
    ) -> Result<(), Error> {
        let mut new = Self::sized(plan, sizes, shape);
        let same = |a: &Cells, b: &Cells| {
            (a.factor, a.samples, a.size, a.margin) == (b.factor, b.samples, b.size, b.margin)
        };
        let kept = self.shape == shape
            && self.cells.len() == new.cells.len()
            && self.cells.iter().zip(&new.cells).all(|(a, b)| same(a, b));
        if kept {
            return Ok(());
        }
        for cells in &mut new.cells {
            let rows = cells.size[0] + 2 * cells.margin[0];
            let count = cells.stride().checked_mul(rows).ok_or(Error::OutOfMemory)?;
            cells.data.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
            cells.data.resize(count, 0.0);
        }
        *self = new;
        Ok(())
    }

    /// The cells of a factor, if a layer reads them.
    pub(crate) fn cells(&self, factor: usize) -> Option<&Cells> {
        self.cells.iter().find(|cells| cells.factor == factor.max(1))
    }

    /// Takes a picture over.
    pub(crate) fn copy(&mut self, image: &Image) {
        let (width, height) = (image.width() as u32, image.height() as u32);
        self.copy_part(image, Rect { x: 0, y: 0, width, height });
    }

    /// Takes the pixels of a rectangle over.
    pub(crate) fn copy_part(&mut self, image: &Image, part: Rect) {
        let [channels, height, width] = self.shape;
        let [x, y] = [part.x as usize, part.y as usize];
        let columns = x.min(width)..x.saturating_add(part.width as usize).min(width);
        let rows = y..y.saturating_add(part.height as usize).min(height);
        for cells in &mut self.cells {
            for channel in 0..channels {
                for y in rows.clone() {
                    cells.copy_row(channel, y, columns.clone(), image.row(channel, y));
                }
            }
        }
    }

    /// The size in cells: rows, columns.
    pub(crate) fn size(&self, factor: usize) -> [usize; 2] {
        self.cells(factor).map_or([0; 2], |cells| cells.size)
    }
}
