//! Separable resampling of float pictures, whole or by regions.

use super::{
    Companion, Error, Grid, Image, Kernel, Rect,
    filter::{Scratch, filter_row, sum_rows},
    table::Table,
};

/// A part of a picture, and where its top left sample lies in the whole.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub image: &'a Image,
    pub x: u32,
    pub y: u32,
}

impl<'a> Part<'a> {
    pub const fn new(image: &'a Image, x: u32, y: u32) -> Self {
        Self { image, x, y }
    }

    /// A picture as a whole.
    pub const fn whole(image: &'a Image) -> Self {
        Self::new(image, 0, 0)
    }

    /// Its place in the whole.
    pub fn rect(&self) -> Rect {
        Rect::new(self.x, self.y, self.image.width() as u32, self.image.height() as u32)
    }

    /// # Errors
    /// [`Error::Uncovered`] unless it has this many channels and covers `need`.
    pub(super) fn check(
        &self,
        what: &'static str,
        channels: usize,
        need: Rect,
    ) -> Result<(), Error> {
        let have = self.rect();
        if need.is_empty() || have.contains(&need) && self.image.channels() >= channels {
            return Ok(());
        }
        Err(Error::Uncovered { what, have, need })
    }

    /// Samples `x..x + width` of row `y`, in the whole's coordinates.
    pub(super) fn row(&self, channel: usize, x: u32, y: u32, width: u32) -> &'a [f32] {
        let row = self.image.row(channel, y.wrapping_sub(self.y) as usize);
        let x = x.wrapping_sub(self.x) as usize;
        row.get(x..x + width as usize).unwrap_or_default()
    }
}

/// Resamples pictures of one size to another, by absolute positions: a region of the output
/// holds the same samples, to the bit, as that place of the whole output.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampler {
    horizontal: Table,
    vertical: Table,
}

impl Resampler {
    /// By Lanczos from pictures of one width and height to another.
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let [from, to] = [from, to].map(|(width, height)| Grid::of_size(width, height));
        Self::of_grids(&from, &to, Kernel::Lanczos3)
    }

    /// By Lanczos from a companion to its counterpart in frames of another size.
    pub fn between(from: &Companion, to: &Companion) -> Self {
        Self::of_grids(&from.grid, &to.grid, Kernel::Lanczos3)
    }

    /// From samples on `from` to samples on `to`, which cover the same picture.
    pub fn of_grids(from: &Grid, to: &Grid, kernel: Kernel) -> Self {
        Self {
            horizontal: Table::new(from.x, to.x, kernel),
            vertical: Table::new(from.y, to.y, kernel),
        }
    }

    /// Whether output equals input.
    pub fn is_identity(&self) -> bool {
        self.horizontal.is_identity() && self.vertical.is_identity()
    }

    /// The coefficients across and down.
    pub(crate) fn tables(&self) -> [&Table; 2] {
        [&self.horizontal, &self.vertical]
    }

    /// All outputs.
    pub fn output(&self) -> Rect {
        Rect::of_size(self.horizontal.output_len(), self.vertical.output_len())
    }

    /// The part of the input that outputs in `rect` read.
    pub fn needed(&self, rect: Rect) -> Rect {
        let rect = rect.intersection(&self.output());
        let (x, right) = self.horizontal.needed(rect.x, rect.right());
        let (y, bottom) = self.vertical.needed(rect.y, rect.bottom());
        Rect::new(x, y, right - x, bottom - y)
    }

    /// The outputs that read any input in `rect`.
    pub fn dependents(&self, rect: Rect) -> Rect {
        let (x, right) = self.horizontal.dependents(rect.x, rect.right());
        let (y, bottom) = self.vertical.dependents(rect.y, rect.bottom());
        Rect::new(x, y, right - x, bottom - y)
    }

    /// Writes outputs `rect` into `out`, which gets their size and the source's channels.
    ///
    /// # Errors
    /// [`Error::Uncovered`] where `source` does not cover [`needed`](Self::needed) or `rect`
    /// lies outside of the output.
    pub fn resample(&self, source: Part<'_>, rect: Rect, out: &mut Image) -> Result<(), Error> {
        if !self.output().contains(&rect) {
            return Err(Error::Uncovered { what: "output", have: self.output(), need: rect });
        }
        let channels = source.image.channels();
        source.check("picture to resample", channels, self.needed(rect))?;
        out.resize(channels, rect.width as usize, rect.height as usize);
        let mut scratch = Scratch::default();
        for channel in 0..channels {
            for y in 0..rect.height {
                let row = out.row_mut(channel, y as usize);
                self.row(source, channel, rect.x, rect.y + y, row, &mut scratch);
            }
        }
        Ok(())
    }

    /// Writes outputs from (`x`, `y`) on, as many as `out` takes, from a source that covers
    /// what they need. `scratch` is kept by the caller for its allocation.
    pub(super) fn row(
        &self,
        source: Part<'_>,
        channel: usize,
        x: u32,
        y: u32,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (from, to) = self.horizontal.needed(x, x + out.len() as u32);
        let (top, weights) = self.vertical.window(y as usize);
        let row = |tap: usize| source.row(channel, from, (top + tap) as u32, to - from);
        let Scratch { column, sorted } = scratch;
        // Vertically first: whole rows, and fewer of them than outputs when enlarging.
        let column = match weights {
            [_] => row(0),
            _ => {
                column.resize((to - from) as usize, 0.0);
                sum_rows(weights, row, column);
                column
            }
        };
        if self.horizontal.is_identity() {
            for (out, value) in out.iter_mut().zip(column) {
                *out = *value;
            }
            return;
        }
        filter_row(&self.horizontal, column, from as usize, x as usize, out, sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_pixel_fills_any_size() {
        let mut source = Image::new(1, 1, 1);
        source.data_mut().fill(0.25);
        for size in [(1, 1), (9, 36), (64, 1)] {
            let resampler = Resampler::new((1, 1), size);
            let mut out = Image::default();
            resampler.resample(Part::whole(&source), resampler.output(), &mut out).unwrap();
            assert!(out.data().iter().all(|value| *value == 0.25), "{size:?}");
        }
    }
}
