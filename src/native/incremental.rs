//! Running only what changed, layer by layer.
//!
//! Layers keep their features, all of them or, where memory is short, those at the ends of segments. A
//! tile runs again where its window holds a pixel that
//! changed; its new features are compared with the old ones, and a pixel whose features are
//! equal does not count as changed for the layers after it.

use std::ops::Range;

use super::{
    Error,
    bands::{Band, Marks, Target, Whole, cut},
    batch::{Scratch, Work},
    calibration,
    engine::{Engine, batch_size, check},
    kept::Kept,
    kernels::{Lanes, Renewed, TILE},
    mask::Mask,
    plan::{Layer, Root},
    segments::Segments,
    source::Source,
    tile::{Samples, Tile, all_tiles},
};
use crate::{
    engine::{Interrupt, Tolerance, Update},
    frame::{Image, Rect},
};

/// Above this share of tiles in each of the first layers, comparing does not pay.
const NEARLY_ALL: f64 = 0.9;

/// How many convolutions decide that.
const FIRST_LAYERS: usize = 2;

/// Which new features replace the old ones.
#[derive(Clone, Copy)]
enum Replace {
    All,
    /// Those that differ in any bit.
    Different,
    /// Those that differ by more than this share of their channel's range.
    Beyond(f32),
}

impl Engine {
    /// Runs the model over `input`, which differs from that of the last update at most inside of
    /// `changed`, and writes what that may change of the picture to `output`; the rest of it is
    /// undefined. Pixels outside of `changed` are not read: they keep the values that they had.
    ///
    /// The first update, and one of another size, is a whole run.
    ///
    /// # Errors
    /// As [`Engine::run`]; the next update is then a whole run.
    pub fn update(
        &mut self,
        input: &Image,
        changed: &[Rect],
        tolerance: Tolerance,
        output: &mut Image,
    ) -> Result<Update, Error> {
        let sizes = self.sizes(input)?;
        self.shape(&sizes, output);
        let shape = |image: &Image| (image.channels(), image.width(), image.height());
        let kept = self
            .kept
            .take()
            .filter(|kept| kept.sizes == sizes && shape(&kept.input) == shape(input));
        let whole = !kept.as_ref().is_some_and(|kept| kept.valid);
        let mut kept = match kept {
            Some(kept) => kept,
            None => Kept::new(&self.plan, &self.segments, &sizes, input)?,
        };
        if whole {
            kept.input.clone_from(input);
            kept.cells.copy(input);
            kept.changes.input.fill(true);
        } else {
            kept.take_input(input, changed);
        }
        let tolerated = self.tolerated(tolerance)?;
        let update = self.update_layers(&mut kept, whole, tolerated, output)?;
        kept.updates = kept.updates.wrapping_add(1);
        kept.valid = true;
        self.kept = Some(kept);
        Ok(update)
    }

    /// Makes the next update a whole run. The memory of the features is used again.
    pub fn forget(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.valid = false;
        }
    }

    /// The share of its range that a difference may have, and the updates within which every
    /// feature that differs is computed again; `None`: nothing is tolerated.
    fn tolerated(&mut self, tolerance: Tolerance) -> Result<Option<(f32, u32)>, Error> {
        let Tolerance::Within { share, refresh: refresh @ 2.. } = tolerance else {
            return Ok(None);
        };
        if share <= 0.0 {
            return Ok(None);
        }
        if self.ranges.is_empty() {
            self.ranges = self.measure_ranges()?;
        }
        Ok(Some((share, refresh)))
    }

    /// The ranges of all features on test pictures, which depend on the model alone.
    fn measure_ranges(&self) -> Result<Vec<Vec<Lanes>>, Error> {
        let mut all: Vec<Vec<Lanes>> = Vec::new();
        for picture in calibration::pictures(self) {
            let sizes = self.sizes(&picture)?;
            let mut output = Image::default();
            self.shape(&sizes, &mut output);
            let segments = Segments::of(&self.plan, &self.lifetimes, 1);
            let mut kept = Kept::new(&self.plan, &segments, &sizes, &picture)?;
            kept.cells.copy(&picture);
            self.update_layers(&mut kept, true, None, &mut output)?;
            let own = kept.ranges(&self.plan);
            if all.is_empty() {
                all = own;
                continue;
            }
            for (all, own) in all.iter_mut().flatten().zip(own.iter().flatten()) {
                all.0.iter_mut().zip(own.0).for_each(|(all, own)| *all = all.max(own));
            }
        }
        Ok(all)
    }

    fn update_layers(
        &self,
        kept: &mut Kept,
        mut whole: bool,
        tolerated: Option<(f32, u32)>,
        output: &mut Image,
    ) -> Result<Update, Error> {
        let (mut done, mut all) = (0.0, 0.0);
        let mut nearly_all = 0;
        let mut changed = Vec::new();
        for layers in kept.segments.clone().ranges() {
            let tiles = self.tiles(kept, layers.clone(), whole, tolerated);
            for (index, tiles) in layers.zip(&tiles) {
                let (Some(layer), Some(&size)) =
                    (self.plan.layers.get(index), kept.sizes.get(index))
                else {
                    continue;
                };
                let [down, across] = size.map(|side| side.div_ceil(TILE));
                let share = tiles.len() as f64 / (down * across).max(1) as f64;
                (done, all) = (done + share * cost(layer, size), all + cost(layer, size));
                if matches!(layer.root, Root::Convolution(_)) && nearly_all < FIRST_LAYERS {
                    nearly_all += 1;
                    if share < NEARLY_ALL {
                        nearly_all = usize::MAX;
                    }
                }
                self.update_layer(kept, (index, layer, size), tiles, (whole, tolerated), output)?;
                if index + 1 == self.plan.layers.len() {
                    changed = rectangles(tiles, size, self.plan.shuffle);
                }
            }
            // Not within a segment, which has computed what its own layers need.
            whole |= nearly_all == FIRST_LAYERS;
        }
        Ok(Update { changed, work: if all > 0.0 { done / all } else { 0.0 } })
    }

    /// The tiles of each layer of a segment to compute.
    fn tiles(
        &self,
        kept: &mut Kept,
        layers: Range<usize>,
        whole: bool,
        tolerated: Option<(f32, u32)>,
    ) -> Vec<Vec<Tile>> {
        if whole {
            return kept
                .sizes
                .get(layers)
                .unwrap_or_default()
                .iter()
                .copied()
                .map(all_tiles)
                .collect();
        }
        let planes = self.outline(&kept.sizes);
        let source = Source { planes: &planes, input: &kept.cells };
        let (passed, segments, updates) = (&kept.passed, &kept.segments, kept.updates);
        self.mark_affected(layers.clone(), &mut kept.changes, source, |index, affected| {
            if let Some(passed) = passed.get(index).filter(|_| segments.keeps(index)) {
                affected.mark_where(passed, due(tolerated, updates, passed.down()));
            }
        });
        let mut required = &kept.changes;
        if layers.len() > 1 {
            for index in layers.clone() {
                let mut own = kept.required.take(index);
                match kept.changes.layers.get(index).filter(|_| segments.keeps(index)) {
                    Some(affected) => own.clone_from(affected),
                    None => own.fill(false),
                }
                kept.required.put(index, own);
            }
            let complete = |layer| segments.keeps(layer);
            self.mark_required(layers.clone(), &mut kept.required, source, complete);
            required = &kept.required;
        }
        required.layers.get(layers).unwrap_or_default().iter().map(Mask::tiles).collect()
    }

    /// Computes some tiles of a layer.
    fn update_layer(
        &self,
        kept: &mut Kept,
        (index, layer, size): (usize, &Layer, [usize; 2]),
        tiles: &[Tile],
        (whole, tolerated): (bool, Option<(f32, u32)>),
        output: &mut Image,
    ) -> Result<(), Error> {
        let interrupt = Interrupt::current();
        let mut made = kept.take_planes(index, layer, size)?;
        let mut mask = kept.changes.take(index);
        let mut passed = kept.passed.get_mut(index).map(std::mem::take).unwrap_or_default();
        mask.fill(whole);
        if whole {
            passed.fill(false);
        }
        let replace = match tolerated {
            _ if whole || !kept.segments.keeps(index) => Replace::All,
            None => Replace::Different,
            Some((share, _)) => Replace::Beyond(share),
        };
        let source = Source { planes: &kept.planes, input: &kept.cells };
        let refresh = Refresh {
            work: self.work(index, layer, source, &interrupt),
            replace,
            ranges: self.ranges.get(index).map_or(&[][..], Vec::as_slice),
            due: due(tolerated, kept.updates, passed.down()),
            across: size[1].div_ceil(TILE),
        };
        let target = match index + 1 == self.plan.layers.len() {
            false => Whole::Planes(&mut made),
            true => Whole::Picture { picture: output, shuffle: self.plan.shuffle },
        };
        let marks = Marks { changed: mask.words_mut(), passed: passed.words_mut() };
        let bands = cut(target, size, tiles, self.least(tiles.len()), marks);
        self.pool.each(bands, |band, scratch| refresh.band(band, scratch));
        check(&interrupt)?;
        kept.changes.put(index, mask);
        if let Some(to) = kept.passed.get_mut(index) {
            *to = passed;
        }
        kept.put_planes(index, layer, made, &self.lifetimes);
        Ok(())
    }
}

/// The rows of tiles, of `down`, in which an update tolerates nothing: all of them within as many
/// updates as `tolerated` says.
fn due(tolerated: Option<(f32, u32)>, update: u32, down: usize) -> Range<usize> {
    let Some((_, refresh)) = tolerated else { return 0..down };
    let turn = u64::from(update % refresh.max(1));
    let row = |turn: u64| (turn * down as u64 / u64::from(refresh.max(1))) as usize;
    row(turn)..row(turn + 1)
}

/// One layer's part of an update.
struct Refresh<'a> {
    work: Work<'a>,
    replace: Replace,
    /// Of the layer's vectors of channels.
    ranges: &'a [Lanes],
    /// The rows of tiles in which nothing is tolerated.
    due: Range<usize>,
    /// Tiles in a row.
    across: usize,
}

impl Refresh<'_> {
    fn band(&self, mut band: Band<'_>, scratch: &mut Scratch) {
        let size = batch_size(band.tiles.len());
        for tiles in band.tiles.chunks(size) {
            for tile in tiles {
                band.marks
                    .start((tile.row as usize - band.first) * self.across + tile.column as usize);
            }
            self.work.run(tiles, scratch, &mut |block: usize, tile: usize, samples: &Samples| {
                let Some(tile) = tiles.get(tile) else { return };
                let (row, column) = (tile.row as usize - band.first, tile.column as usize);
                let (y, x) = (row * TILE, column * TILE);
                let limit = match self.replace {
                    Replace::Beyond(share) if !self.due.contains(&(tile.row as usize)) => self
                        .ranges
                        .get(block)
                        .map(|range| Lanes(range.0.map(|range| range * share))),
                    _ => None,
                };
                let renewed = match (&mut band.target, self.replace) {
                    (Target::Planes(planes), Replace::Different | Replace::Beyond(_)) => {
                        planes.renew(block, [y, x], samples, limit.as_ref(), self.work.kernels)
                    }
                    (target, _) => {
                        target.store(block, y, x, samples);
                        Renewed { stored: u16::MAX, passed: 0 }
                    }
                };
                band.marks.add(row * self.across + column, renewed);
            });
        }
    }
}

/// Multiplications of a layer, about.
pub(super) fn cost(layer: &Layer, [height, width]: [usize; 2]) -> f64 {
    let pixels = (height * width) as f64;
    match &layer.root {
        Root::Convolution(convolution) => pixels * convolution.weights.len() as f64,
        _ => pixels * layer.blocks as f64,
    }
}

/// Tiles, sorted, as rectangles of the output picture.
pub(super) fn rectangles(tiles: &[Tile], [height, width]: [usize; 2], shuffle: usize) -> Vec<Rect> {
    let mut all: Vec<Rect> = Vec::new();
    let side = (TILE * shuffle) as u32;
    for tile in tiles {
        let (x, y) = (tile.column * side, tile.row * side);
        match all.last_mut() {
            Some(last) if last.y == y && last.x + last.width == x => last.width += side,
            _ => all.push(Rect { x, y, width: side, height: side }),
        }
    }
    let [height, width] = [height, width].map(|length| (length * shuffle) as u32);
    for rectangle in &mut all {
        rectangle.width = rectangle.width.min(width - rectangle.x);
        rectangle.height = rectangle.height.min(height - rectangle.y);
    }
    all
}
