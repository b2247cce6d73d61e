//! Separable resampling of float images, whole or by regions.

use super::{
    BypassPlanes, Error, Filter, Grid, Image, Operand, Rect,
    filter::{Scratch, filter_row, sum_rows},
    filter_table::FilterTable,
};

/// An image that is a part of a larger one, and its position there.
#[derive(Clone, Copy, Debug)]
pub struct PlacedImage<'a> {
    /// The samples of the part.
    pub image: &'a Image,
    /// The column of its first sample in the whole image.
    pub x: u32,
    /// The row of its first sample in the whole image.
    pub y: u32,
}

impl<'a> PlacedImage<'a> {
    /// `image`, whose top left sample lies at (`x`, `y`) of the whole image.
    #[must_use]
    pub const fn new(image: &'a Image, x: u32, y: u32) -> Self {
        Self { image, x, y }
    }

    /// A whole image.
    #[must_use]
    pub const fn whole(image: &'a Image) -> Self {
        Self::new(image, 0, 0)
    }

    /// Its samples, as a rectangle of the whole image.
    #[must_use]
    pub fn rect(&self) -> Rect {
        Rect::new(self.x, self.y, self.image.width() as u32, self.image.height() as u32)
    }

    /// # Errors
    /// [`Error::NotCovered`] unless it has at least `channels` channels and covers `need`.
    pub(super) fn check(&self, operand: Operand, channels: usize, need: Rect) -> Result<(), Error> {
        let have = self.rect();
        if need.is_empty() || have.contains(&need) && self.image.channels() >= channels {
            return Ok(());
        }
        Err(Error::NotCovered { operand, have, need })
    }

    /// Samples `x..x + width` of row `y`, in the coordinates of the whole image; empty where they
    /// are not covered.
    pub(crate) fn row(&self, channel: usize, x: u32, y: u32, width: u32) -> &'a [f32] {
        let row = self.image.row(channel, y.wrapping_sub(self.y) as usize);
        let x = x.wrapping_sub(self.x) as usize;
        row.get(x..x + width as usize).unwrap_or_default()
    }
}

/// Resamples images of one size to another. A region of the output has the same bits as that
/// region of the whole output, since every output sample depends on its absolute position only.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampler {
    horizontal: FilterTable,
    vertical: FilterTable,
}

impl Resampler {
    /// Resamples from one size (width, height) to another with [`Filter::Lanczos3`].
    #[must_use]
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let [from, to] = [from, to].map(|(width, height)| Grid::of_size(width, height));
        Self::of_grids(&from, &to, Filter::Lanczos3)
    }

    /// Resamples bypass planes to those of frames of another size with [`Filter::Lanczos3`].
    #[must_use]
    pub fn between(from: &BypassPlanes, to: &BypassPlanes) -> Self {
        Self::of_grids(&from.grid, &to.grid, Filter::Lanczos3)
    }

    /// Resamples from `from` to `to`, two grids on the same picture.
    #[must_use]
    pub fn of_grids(from: &Grid, to: &Grid, filter: Filter) -> Self {
        Self {
            horizontal: FilterTable::new(from.x, to.x, filter),
            vertical: FilterTable::new(from.y, to.y, filter),
        }
    }

    /// Whether the output equals the input.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.horizontal.is_identity() && self.vertical.is_identity()
    }

    /// The weights of the horizontal and of the vertical pass.
    pub(crate) fn tables(&self) -> [&FilterTable; 2] {
        [&self.horizontal, &self.vertical]
    }

    /// All output samples.
    #[must_use]
    pub fn output(&self) -> Rect {
        Rect::of_size(self.horizontal.output_len(), self.vertical.output_len())
    }

    /// The input samples that the outputs in `rect` read.
    #[must_use]
    pub fn needed(&self, rect: Rect) -> Rect {
        let rect = rect.intersection(&self.output());
        let (x, right) = self.horizontal.needed(rect.x, rect.right());
        let (y, bottom) = self.vertical.needed(rect.y, rect.bottom());
        Rect::new(x, y, right - x, bottom - y)
    }

    /// The output samples that read any input in `rect`.
    #[must_use]
    pub fn dependents(&self, rect: Rect) -> Rect {
        let (x, right) = self.horizontal.dependents(rect.x, rect.right());
        let (y, bottom) = self.vertical.dependents(rect.y, rect.bottom());
        Rect::new(x, y, right - x, bottom - y)
    }

    /// Writes the outputs in `rect` to `out`, which is resized to them and to the channels of
    /// `source`.
    ///
    /// # Errors
    /// [`Error::NotCovered`] if `source` does not cover [`needed`](Self::needed) or if `rect` lies
    /// partly outside of the output.
    pub fn resample(
        &self,
        source: PlacedImage<'_>,
        rect: Rect,
        out: &mut Image,
    ) -> Result<(), Error> {
        if !self.output().contains(&rect) {
            return Err(Error::NotCovered {
                operand: Operand::Output,
                have: self.output(),
                need: rect,
            });
        }
        let channels = source.image.channels();
        source.check(Operand::Source, channels, self.needed(rect))?;
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

    /// Writes outputs of row `y` from `x` on, as many as fit into `out`. `source` covers what they
    /// need. `scratch` is reused from call to call.
    pub(super) fn row(
        &self,
        source: PlacedImage<'_>,
        channel: usize,
        x: u32,
        y: u32,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (from, to) = self.horizontal.needed(x, x + out.len() as u32);
        let (top, weights) = self.vertical.window(y as usize);
        let input = |tap: usize| source.row(channel, from, (top + tap) as u32, to - from);
        let Scratch { row, phases } = scratch;
        // The vertical pass first: it works on whole rows, and when enlarging there are fewer
        // input columns than output columns.
        let row = match weights {
            [_] => input(0),
            _ => {
                row.resize((to - from) as usize, 0.0);
                sum_rows(weights, input, row);
                row
            }
        };
        if self.horizontal.is_identity() {
            for (out, value) in out.iter_mut().zip(row) {
                *out = *value;
            }
            return;
        }
        filter_row(&self.horizontal, row, from as usize, x as usize, out, phases);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_pixel_fills_an_image_of_any_size() {
        let mut source = Image::new(1, 1, 1);
        source.data_mut().fill(0.25);
        for size in [(1, 1), (9, 36), (64, 1)] {
            let resampler = Resampler::new((1, 1), size);
            let mut out = Image::default();
            resampler.resample(PlacedImage::whole(&source), resampler.output(), &mut out).unwrap();
            assert!(out.data().iter().all(|value| *value == 0.25), "{size:?}");
        }
    }
}
