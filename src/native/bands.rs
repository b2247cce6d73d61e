//! Cutting a layer's output into bands of rows that threads write on their own.

#![allow(clippy::indexing_slicing, reason = "only lanes are indexed, by numbers below LANES")]

use std::ops::Range;

use super::{
    batch::{Kernel, Sink},
    features::Plane,
    kernels::{Kernels, LANES, Lanes, Pixels, Place, Renewed, TILE, TILE_PIXELS},
    tile::{Samples, Tile},
};
use crate::frame::Image;

/// Rows of a layer's output, and the tiles to compute there.
pub(crate) struct Band<'a> {
    pub tiles: &'a [Tile],
    pub target: Target<'a>,
    /// For each tile of the band's rows what became of its pixels, where that is followed.
    pub marks: Marks<'a>,
    /// The row of tiles that the band begins with.
    pub first: usize,
}

/// One word per tile, of each: one bit per pixel.
#[derive(Default)]
pub(crate) struct Marks<'a> {
    /// Pixels whose features were replaced.
    pub changed: &'a mut [u16],
    /// Pixels whose features differ from what the layer would compute now.
    pub passed: &'a mut [u16],
}

impl<'a> Marks<'a> {
    /// Takes those of `count` tiles off the front.
    fn take(&mut self, count: usize) -> Marks<'a> {
        Marks { changed: take(&mut self.changed, count), passed: take(&mut self.passed, count) }
    }

    /// Forgets what was passed in a tile.
    pub(crate) fn start(&mut self, tile: usize) {
        if let Some(passed) = self.passed.get_mut(tile) {
            *passed = 0;
        }
    }

    /// Adds what became of some channels of a tile.
    pub(crate) fn add(&mut self, tile: usize, renewed: Renewed) {
        if let (Some(changed), Some(passed)) =
            (self.changed.get_mut(tile), self.passed.get_mut(tile))
        {
            *changed |= renewed.stored;
            *passed |= renewed.passed;
        }
    }
}

/// Where a layer's samples go.
pub(crate) enum Target<'a> {
    Planes(PlaneRows<'a>),
    Picture(PictureRows<'a>),
}

/// Rows of planes.
pub(crate) struct PlaneRows<'a> {
    /// One for each vector of channels.
    planes: Vec<&'a mut [Lanes]>,
    width: usize,
    rows: usize,
}

/// Rows of the output picture.
pub(crate) struct PictureRows<'a> {
    channels: Vec<&'a mut [f32]>,
    /// Of the layer.
    width: usize,
    rows: usize,
    shuffle: usize,
}

/// The rows and columns of a tile that lie inside the picture.
fn inside(width: usize, rows: usize, y: usize, x: usize) -> [usize; 2] {
    [rows.saturating_sub(y).min(TILE), width.saturating_sub(x).min(TILE)]
}

impl PlaneRows<'_> {
    /// Stores a tile whose first pixel is (y, x) of the band.
    pub(crate) fn store(&mut self, block: usize, y: usize, x: usize, samples: &Samples) {
        let [rows, columns] = inside(self.width, self.rows, y, x);
        let Some(plane) = self.planes.get_mut(block) else { return };
        for (row, from) in samples.chunks_exact(TILE).enumerate().take(rows) {
            let at = (y + row) * self.width + x;
            if let (Some(to), Some(from)) = (plane.get_mut(at..at + columns), from.get(..columns)) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Stores the pixels of a tile that differ from what is there; see [`Kernels::renew`].
    pub(crate) fn renew(
        &mut self,
        block: usize,
        [y, x]: [usize; 2],
        samples: &Samples,
        limit: Option<&Lanes>,
        kernels: &Kernels,
    ) -> Renewed {
        let [rows, columns] = inside(self.width, self.rows, y, x);
        let first = y * self.width + x;
        let plane = self.planes.get_mut(block).and_then(|plane| plane.get_mut(first..));
        let Some(plane) = plane else { return Renewed::default() };
        if columns == TILE {
            return (kernels.renew)(plane, self.width, samples, limit);
        }
        // What lies beyond the picture is equal.
        let mut edge = *samples;
        for (row, to) in edge.chunks_exact_mut(TILE).enumerate().take(rows) {
            let from = plane.get(row * self.width..).unwrap_or_default();
            to.iter_mut().zip(from).take(columns).for_each(|(to, from)| *to = *from);
        }
        let renewed = (kernels.renew)(&mut edge, TILE, samples, limit);
        for (row, from) in edge.chunks_exact(TILE).enumerate().take(rows) {
            let to = plane.get_mut(row * self.width..).unwrap_or_default();
            to.iter_mut().zip(from).take(columns).for_each(|(to, from)| *to = *from);
        }
        renewed
    }
}

impl PictureRows<'_> {
    /// Stores a tile whose first pixel is (y, x) of the band, as cells of the picture.
    pub(crate) fn store(&mut self, block: usize, y: usize, x: usize, samples: &Samples) {
        let [rows, columns] = inside(self.width, self.rows, y, x);
        let factor = self.shuffle;
        let (area, stride) = (factor * factor, self.width * factor);
        let mut lane = 0;
        while lane < LANES {
            let channel = block * LANES + lane;
            let Some(plane) = self.channels.get_mut(channel / area) else { return };
            let (row, column) = (channel % area / factor, channel % factor);
            // Lanes that are in one row of a cell.
            let count = (factor - column).min(LANES - lane);
            for (index, from) in samples.chunks_exact(TILE).enumerate().take(rows) {
                let at = ((y + index) * factor + row) * stride + x * factor + column;
                let to = plane.get_mut(at..).unwrap_or_default().chunks_mut(factor);
                for (to, from) in to.zip(from).take(columns) {
                    let from = from.0[lane..].iter().take(count);
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            }
            lane += count;
        }
    }
}

impl Target<'_> {
    /// Stores a tile whose first pixel is (y, x) of the band.
    pub(crate) fn store(&mut self, block: usize, y: usize, x: usize, samples: &Samples) {
        match self {
            Target::Planes(planes) => planes.store(block, y, x, samples),
            Target::Picture(picture) => picture.store(block, y, x, samples),
        }
    }
}

/// Stores the samples of a batch of a band's `tiles`.
pub(crate) struct Store<'a, 'b> {
    pub target: &'a mut Target<'b>,
    /// The row of tiles that the band begins with.
    pub first: usize,
    pub tiles: &'a [Tile],
}

impl Store<'_, '_> {
    /// The first pixel of a tile in the band: row, column.
    fn at(&self, tile: Tile) -> [usize; 2] {
        [(tile.row as usize - self.first) * TILE, tile.column as usize * TILE]
    }
}

impl Sink for Store<'_, '_> {
    fn place(&self, tile: Tile) -> Option<usize> {
        let Target::Planes(planes) = &self.target else { return None };
        let [y, x] = self.at(tile);
        let whole = inside(planes.width, planes.rows, y, x) == [TILE; 2];
        whole.then_some(y * planes.width + x)
    }

    fn write(&mut self, blocks: Range<usize>, tiles: &[Place], kernel: &mut Kernel<'_>) {
        if let Target::Planes(PlaneRows { planes, width: stride, .. }) = &mut *self.target
            && let Some(planes) = planes.get_mut(blocks)
        {
            kernel(&mut Pixels { planes, stride: *stride, tiles });
        }
    }

    fn store(&mut self, block: usize, tile: usize, samples: &Samples) {
        let Some(&tile) = self.tiles.get(tile) else { return };
        let [y, x] = self.at(tile);
        self.target.store(block, y, x, samples);
    }
}

/// What a layer writes, before it is cut.
pub(crate) enum Whole<'a> {
    Planes(&'a mut [Plane]),
    Picture { picture: &'a mut Image, shuffle: usize },
}

/// Takes `count` elements off the front.
fn take<'a, T>(from: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let all = std::mem::take(from);
    let (now, later) = all.split_at_mut(count.min(all.len()));
    *from = later;
    now
}

/// Cuts a layer's output of `size` (rows, columns) into bands of at least `least` of the
/// `tiles`, which are sorted. `marks` has one word per tile of the picture, or is empty.
pub(crate) fn cut<'a>(
    whole: Whole<'a>,
    size: [usize; 2],
    tiles: &'a [Tile],
    least: usize,
    mut marks: Marks<'a>,
) -> Vec<Band<'a>> {
    let [height, width] = size;
    let across = width.div_ceil(TILE);
    let (mut planes, mut channels, mut factor): (Vec<&mut [Lanes]>, Vec<&mut [f32]>, usize) =
        (Vec::new(), Vec::new(), 0);
    match whole {
        Whole::Planes(all) => {
            planes = all.iter_mut().map(|plane| &mut *plane.data).collect();
        }
        Whole::Picture { picture, shuffle } => {
            factor = shuffle;
            let samples = (picture.width() * picture.height()).max(1);
            channels = picture.data_mut().chunks_exact_mut(samples).collect();
        }
    }
    let mut bands = Vec::new();
    let (mut rest, mut first) = (tiles, 0);
    while let Some(start) = rest.first() {
        let skipped = start.row as usize - first;
        // To the end of the row in which the band has enough.
        let enough = rest.get(least.saturating_sub(1)).or(rest.last());
        let mut last = enough.map_or(start.row, |tile| tile.row);
        let mut count = rest.partition_point(|tile| tile.row <= last);
        if rest.len() - count < least / 2 {
            count = rest.len();
            last = rest.last().map_or(last, |tile| tile.row);
        }
        let (tiles, later) = rest.split_at(count);
        rest = later;
        let down = last as usize + 1 - start.row as usize;
        let y = start.row as usize * TILE;
        let rows = (down * TILE).min(height.saturating_sub(y));
        let target = if factor == 0 {
            let planes = planes.iter_mut().map(|plane| {
                take(plane, skipped * TILE * width);
                take(plane, rows * width)
            });
            Target::Planes(PlaneRows { planes: planes.collect(), width, rows })
        } else {
            let channels = channels.iter_mut().map(|channel| {
                take(channel, skipped * TILE * width * factor * factor);
                take(channel, rows * width * factor * factor)
            });
            let channels = channels.collect();
            Target::Picture(PictureRows { channels, width, rows, shuffle: factor })
        };
        marks.take(skipped * across);
        let marks = marks.take(down * across);
        bands.push(Band { tiles, target, marks, first: start.row as usize });
        first = last as usize + 1;
    }
    bands
}

const _: () = assert!(TILE_PIXELS == u16::BITS as usize);
