//! Planes of features, and reading windows of them.

#![allow(clippy::indexing_slicing, reason = "only lanes are indexed, by numbers below LANES")]

use super::{
    Error,
    kernels::{LANES, Lanes},
    plan::{Block, Pick},
};
use crate::frame::Image;

/// Sixteen channels, row after row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plane {
    pub height: usize,
    pub width: usize,
    pub data: Vec<Lanes>,
}

impl Plane {
    /// A plane of this size in the memory of `data`, whose content does not matter.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn reuse([height, width]: [usize; 2], mut data: Vec<Lanes>) -> Result<Self, Error> {
        let count = height.checked_mul(width).ok_or(Error::OutOfMemory)?;
        let more = count.saturating_sub(data.len());
        data.try_reserve_exact(more).map_err(|_| Error::OutOfMemory)?;
        data.resize(count, Lanes::default());
        Ok(Self { height, width, data })
    }

    fn get(&self, y: i64, x: i64) -> Option<&Lanes> {
        let y = usize::try_from(y).ok().filter(|&y| y < self.height)?;
        let x = usize::try_from(x).ok().filter(|&x| x < self.width)?;
        self.data.get(y * self.width + x)
    }
}

/// What a layer may read.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub planes: &'a [Plane],
    pub input: &'a Image,
}

impl Source<'_> {
    /// The size of a block: rows, columns.
    pub(crate) fn size(&self, block: Block) -> [usize; 2] {
        match block {
            Block::Plane(plane) => {
                self.planes.get(plane).map_or([0; 2], |plane| [plane.height, plane.width])
            }
            Block::Input { factor, .. } => {
                [self.input.height().div_ceil(factor), self.input.width().div_ceil(factor)]
            }
        }
    }

    /// The plane of a block, where it is one and the window of `size` from (y, x) on lies inside.
    pub(crate) fn inside(
        &self,
        block: Block,
        [y, x]: [i64; 2],
        size: [usize; 2],
    ) -> Option<&Plane> {
        let Block::Plane(plane) = block else { return None };
        let plane = self.planes.get(plane)?;
        let fits = |at: i64, count: usize, side: usize| at >= 0 && at as usize + count <= side;
        (fits(y, size[0], plane.height) && fits(x, size[1], plane.width)).then_some(plane)
    }

    /// One pixel of a block; zeros outside.
    pub(crate) fn pixel(&self, block: Block, y: i64, x: i64) -> Lanes {
        match block {
            Block::Plane(plane) => self
                .planes
                .get(plane)
                .and_then(|plane| plane.get(y, x))
                .copied()
                .unwrap_or_default(),
            Block::Input { factor, first } => {
                let mut lanes = Lanes::default();
                let area = factor * factor;
                let count = (self.input.channels() * area).saturating_sub(first).min(LANES);
                for (lane, to) in lanes.0.iter_mut().enumerate().take(count) {
                    let (channel, place) = ((first + lane) / area, (first + lane) % area);
                    let at = |at: i64, place: usize| {
                        usize::try_from(at).ok().map(|at| at * factor + place)
                    };
                    let (Some(y), Some(x)) = (at(y, place / factor), at(x, place % factor)) else {
                        continue;
                    };
                    if y < self.input.height() {
                        *to = self.input.row(channel, y).get(x).copied().unwrap_or(0.0);
                    }
                }
                lanes
            }
        }
    }

    /// A window of a block, row after row; zeros outside of the picture.
    pub(crate) fn window(
        &self,
        block: Block,
        [y, x]: [i64; 2],
        size: [usize; 2],
        to: &mut [Lanes],
    ) {
        let [height, width] = size;
        if let Some(plane) = self.inside(block, [y, x], size) {
            let first = y as usize * plane.width + x as usize;
            let rows = plane.data.get(first..).unwrap_or_default().chunks(plane.width.max(1));
            for (to, row) in to.chunks_exact_mut(width).zip(rows).take(height) {
                if let Some(row) = row.get(..width) {
                    to.copy_from_slice(row);
                }
            }
            // The last row may be cut off where it ends with the plane.
            return;
        }
        if let Block::Input { factor, first } = block {
            return self.input_window(factor, first, [y, x], size, to);
        }
        for (row, to) in to.chunks_exact_mut(width).enumerate().take(height) {
            for (column, to) in to.iter_mut().enumerate() {
                *to = self.pixel(block, y + row as i64, x + column as i64);
            }
        }
    }

    /// A window of the network's input.
    fn input_window(
        &self,
        factor: usize,
        first: usize,
        [y, x]: [i64; 2],
        [height, width]: [usize; 2],
        to: &mut [Lanes],
    ) {
        to.fill(Lanes::default());
        let area = factor * factor;
        let lanes = (self.input.channels() * area).saturating_sub(first).min(LANES);
        // Columns that lie left of the picture.
        let skip = usize::try_from(-x).unwrap_or(0);
        let from = usize::try_from(x).unwrap_or(0) * factor;
        for (row, to) in to.chunks_exact_mut(width).enumerate().take(height) {
            let Ok(y) = usize::try_from(y + row as i64) else { continue };
            for lane in 0..lanes {
                let (channel, place) = ((first + lane) / area, (first + lane) % area);
                let line = y * factor + place / factor;
                if line >= self.input.height() {
                    continue;
                }
                let line = self.input.row(channel, line).get(from + place % factor..);
                let samples = line.unwrap_or_default().iter().step_by(factor);
                for (to, sample) in to.iter_mut().skip(skip).zip(samples) {
                    to.0[lane] = *sample;
                }
            }
        }
    }

    /// One pixel of a pick.
    pub(crate) fn picked(&self, pick: &Pick, y: i64, x: i64) -> Lanes {
        match pick {
            Pick::Whole(block) => self.pixel(*block, y, x),
            Pick::Lanes(places) => {
                let mut lanes = Lanes::default();
                let mut last: Option<(Block, Lanes)> = None;
                for (to, (block, lane)) in lanes.0.iter_mut().zip(places) {
                    let pixel = match last {
                        Some((same, pixel)) if same == *block => pixel,
                        _ => self.pixel(*block, y, x),
                    };
                    last = Some((*block, pixel));
                    *to = pixel.0.get(*lane).copied().unwrap_or(0.0);
                }
                lanes
            }
        }
    }

    /// A window of a pick.
    pub(crate) fn picked_window(
        &self,
        pick: &Pick,
        at: [i64; 2],
        size: [usize; 2],
        to: &mut [Lanes],
    ) {
        match pick {
            Pick::Whole(block) => self.window(*block, at, size, to),
            Pick::Lanes(places) => {
                let Some((block, _)) = places.first() else { return to.fill(Lanes::default()) };
                if places.iter().all(|(other, _)| other == block) {
                    self.window(*block, at, size, to);
                    for pixel in to {
                        let from = *pixel;
                        *pixel = Lanes::default();
                        for (to, (_, lane)) in pixel.0.iter_mut().zip(places) {
                            *to = from.0.get(*lane).copied().unwrap_or(0.0);
                        }
                    }
                    return;
                }
                for (index, to) in to.iter_mut().enumerate() {
                    let (row, column) = (index / size[1], index % size[1]);
                    *to = self.picked(pick, at[0] + row as i64, at[1] + column as i64);
                }
            }
        }
    }
}
