//! Running a picture in strips of rows, where memory does not suffice for the whole, or where strips
//! save much memory and cost little time.
//!
//! A strip is cut from the input with the rows that its result depends on, and begins where the
//! grid of tiles of every layer does: what is computed has the same bits as in the whole picture.

use std::ops::Range;

use super::{
    Error,
    engine::{Engine, Sizes},
    input::Input,
    kernels::TILE,
    plan::Block,
    source::Source,
    tile::{Tile, all_tiles},
};
use crate::{
    engine::Interrupt,
    frame::{Image, Rect},
};

/// The most rows that a strip may be computed from, for each row that it makes: less memory than that
/// would take too long.
const MOST_OVERLAP: usize = 4;

/// A run that takes no more memory than this is not divided for less, in bytes.
const ENOUGH: u64 = 1 << 29;

/// A run that fits into the limit is divided only while the rows that a strip reads exceed those that it
/// makes by at most one in this number.
const CHEAP_OVERLAP: usize = 8;

/// A part of a picture that is computed on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strip {
    /// The rows of the input that it is computed from.
    pub input: Range<usize>,
    /// For each layer, the rows of tiles that are computed, from the strip's first row on.
    pub tiles: Vec<Range<usize>>,
    /// The rows of the last layer that it makes, from the strip's first row on.
    pub made: Range<usize>,
    /// The place of the first of them in the whole picture.
    pub first: usize,
}

impl Strip {
    /// Copies the strip's rows of `input` to `part`.
    pub(super) fn cut(&self, input: &Image, part: &mut Image) {
        part.resize(input.channels(), input.width(), self.input.len());
        let (width, height) = (input.width() as u32, self.input.len() as u32);
        part.copy_from(input, Rect::new(0, self.input.start as u32, width, height), 0, 0);
    }

    /// What lies in the strip's input of these rectangles of the picture.
    pub(super) fn rectangles(&self, all: &[Rect]) -> Vec<Rect> {
        let [start, end] = [self.input.start as u32, self.input.end as u32];
        let within = all.iter().map(|rect| {
            let top = rect.y.clamp(start, end);
            let bottom = (rect.y + rect.height).clamp(start, end);
            Rect { y: top - start, height: bottom - top, ..*rect }
        });
        within.filter(|rect| rect.area() > 0).collect()
    }
}

impl Engine {
    /// The strips that a picture is computed in; none: it is computed as a whole.
    pub(super) fn strips(&self, input: &Image) -> Result<Vec<Strip>, Error> {
        let (width, height) = (input.width() as u32, input.height() as u32);
        let limit = self.memory.unwrap_or(u64::MAX);
        let mut bytes = self.run_bytes(width, height);
        if bytes <= limit.min(ENOUGH) {
            return Ok(Vec::new());
        }
        let sizes = self.sizes(input)?;
        let Some(grid) = self.strip_grid() else { return Ok(Vec::new()) };
        let down = sizes.last().map_or(0, |[rows, _]| rows.div_ceil(TILE));
        let cut = |count: usize| -> Vec<Strip> {
            (0..count)
                .map(|part| part * down / count..(part + 1) * down / count)
                .map(|rows| self.strip(input, &sizes, rows, grid))
                .collect()
        };
        let (mut count, mut strips) = (1_usize, Vec::new());
        while bytes > limit.min(ENOUGH) {
            // About a quarter more each time.
            count += count.div_ceil(4);
            let next = cut(count);
            let most = next.iter().map(|strip| strip.input.len()).max().unwrap_or_default();
            let made = input.height() / count;
            // Lower strips would mostly compute what their neighbours do.
            let is_cheap = match bytes > limit {
                true => strips.is_empty() || most <= made * MOST_OVERLAP,
                false => most <= made + made / CHEAP_OVERLAP,
            };
            if count > down || !is_cheap {
                break;
            }
            bytes = next.iter().map(|strip| self.strip_bytes(strip, width)).max().unwrap_or(0);
            strips = next;
        }
        Ok(strips)
    }

    /// Memory for the features, the input and the output of a strip.
    pub(super) fn strip_bytes(&self, strip: &Strip, width: u32) -> u64 {
        let rows = strip.input.len() as u64;
        let factor = u64::from(self.info.factor);
        let samples = (self.plan.channels as u64 + self.plan.outputs as u64 * factor * factor)
            * rows
            * u64::from(width);
        self.run_bytes(width, strip.input.len() as u32) + samples * size_of::<f32>() as u64
    }

    /// Input rows of which a multiple is a row of tiles in every layer.
    fn strip_grid(&self) -> Option<usize> {
        let mut grid = (self.info.align.max(1) as usize).next_multiple_of(TILE);
        while grid <= 1 << 12 {
            let fits = |rows: Option<usize>| rows.is_some_and(|rows| rows.is_multiple_of(TILE));
            if self.plan.layers.iter().all(|layer| fits(layer.size.shift(grid))) {
                return Some(grid);
            }
            grid += grid;
        }
        None
    }

    /// The strip that makes some rows of tiles of the last layer.
    fn strip(&self, input: &Image, sizes: &Sizes, rows: Range<usize>, grid: usize) -> Strip {
        let layers = &self.plan.layers;
        let interrupt = Interrupt::default();
        let shape = [input.channels(), input.height(), input.width()];
        let cells = Input::sized(&self.plan, sizes, shape);
        let planes = self.outline(sizes);
        // Rows of pixels that are needed of each layer, and of the input.
        let mut needed = vec![0..0; layers.len()];
        let mut of_input = 0..0;
        let whole_height = input.height();
        let last = layers.len().saturating_sub(1);
        let end = sizes.get(last).map_or(0, |[height, _]| (rows.end * TILE).min(*height));
        if let Some(needed) = needed.get_mut(last) {
            *needed = rows.start * TILE..end;
        }
        let (mut top, mut bottom) = (false, false);
        for (index, (layer, &[height, _])) in layers.iter().zip(sizes).enumerate().rev() {
            let own = needed.get(index).cloned().unwrap_or_default();
            if own.is_empty() {
                continue;
            }
            top |= own.start == 0;
            bottom |= own.end == height;
            let work =
                self.work(index, layer, Source { planes: &planes, input: &cells }, &interrupt);
            for (block, reach) in work.reaches() {
                for row in own.start / TILE..own.end.div_ceil(TILE) {
                    let [first, _, end, _] = reach.rectangle(Tile { row: row as u32, column: 0 });
                    match block {
                        Block::Plane(plane) => {
                            let Some(maker) = self.lifetimes.makers.get(plane).copied() else {
                                continue;
                            };
                            let height = sizes.get(maker).map_or(0, |[height, _]| *height);
                            if let Some(needed) = needed.get_mut(maker) {
                                include(needed, [first, end], height);
                            }
                        }
                        Block::Input { factor, .. } => {
                            let ends = [first, end].map(|at| at * factor as i64);
                            include(&mut of_input, ends, whole_height);
                        }
                    }
                }
            }
        }
        // Borders are made where the picture ends.
        let start = if top { 0 } else { of_input.start / grid * grid };
        let end = of_input.end.next_multiple_of(grid).min(whole_height);
        let end = if bottom { whole_height } else { end };
        let tiles = layers.iter().zip(&needed).map(|(layer, needed)| {
            let skipped = layer.size.shift(start).unwrap_or(0) / TILE;
            let own = needed.start / TILE..needed.end.div_ceil(TILE);
            own.start.saturating_sub(skipped)..own.end.saturating_sub(skipped)
        });
        let tiles = tiles.collect();
        let made = needed.last().cloned().unwrap_or_default();
        let skipped = layers.last().and_then(|layer| layer.size.shift(start)).unwrap_or(0);
        let first = made.start;
        let made = made.start.saturating_sub(skipped)..made.end.saturating_sub(skipped);
        Strip { input: start..end, tiles, made, first }
    }

    /// Runs the model strip by strip.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub(super) fn run_strips(
        &mut self,
        strips: &[Strip],
        input: &Image,
        output: &mut Image,
    ) -> Result<(), Error> {
        let sizes = self.sizes(input)?;
        self.shape(&sizes, output);
        let (mut part, mut made) = <(Image, Image)>::default();
        for strip in strips {
            strip.cut(input, &mut part);
            let mut tiles: Vec<Vec<Tile>> = self.sizes(&part)?.into_iter().map(all_tiles).collect();
            for (tiles, rows) in tiles.iter_mut().zip(&strip.tiles) {
                tiles.retain(|tile| rows.contains(&(tile.row as usize)));
            }
            self.partial_run(&part, &mut made, Some(&tiles), None)?;
            let factor = self.plan.shuffle;
            let rows = Rect::new(
                0,
                (strip.made.start * factor) as u32,
                output.width() as u32,
                (strip.made.len() * factor) as u32,
            );
            output.copy_from(&made, rows, 0, strip.first * factor);
        }
        Ok(())
    }
}

/// Extends a range of rows of `height` by those from `first` to before `end`.
fn include(rows: &mut Range<usize>, [first, end]: [i64; 2], height: usize) {
    let clip = |at: i64| usize::try_from(at).unwrap_or(0).min(height);
    let (first, end) = (clip(first), clip(end));
    if first >= end {
        return;
    }
    *rows =
        if rows.start >= rows.end { first..end } else { rows.start.min(first)..rows.end.max(end) };
}
