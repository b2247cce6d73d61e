//! Running only what changed, layer by layer.
//!
//! Every layer keeps its features. A tile runs again where its window holds a pixel that
//! changed; its new features are compared with the old ones, and a pixel whose features are
//! equal does not count as changed for the layers after it.

use super::{
    Error,
    bands::{Band, Target, Whole, cut},
    batch::{Scratch, Tile, Work},
    engine::{Engine, batch_size, check},
    features::{Plane, Source},
    kept::Kept,
    kernels::{Lanes, TILE},
    plan::{Layer, Root},
};
use crate::{
    engine::{Interrupt, Tolerance, Update},
    frame::{Image, Rect},
};

/// Above this share of tiles in each of the first layers, comparing does not pay.
const NEARLY_ALL: f64 = 0.9;

/// How many convolutions decide that.
const FIRST_LAYERS: usize = 2;

/// How a band's samples are compared with those that are there.
enum Compare<'a> {
    Not,
    Bits,
    /// The largest differences that do not count, for each vector of channels.
    Limits(&'a [Lanes]),
}

impl Engine {
    /// Runs the model over `input`, which differs from that of the last update only inside of
    /// `changed`, and writes what that changes of `output`, which is the picture of the last
    /// update. Pixels outside of `changed` are not read: they keep the values that they had.
    ///
    /// The first update, and one of another size or output, is a whole run.
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
        let had = self.shape(&sizes, output);
        let shape = |image: &Image| (image.channels(), image.width(), image.height());
        let kept = self
            .kept
            .take()
            .filter(|kept| had && kept.sizes == sizes && shape(&kept.input) == shape(input));
        let (mut kept, whole) = match kept {
            Some(kept) => (kept, false),
            None => (Kept::new(&self.plan, &sizes, input)?, true),
        };
        kept.input_mask.fill(whole);
        if whole {
            kept.input.clone_from(input);
        }
        for rectangle in changed.iter().filter(|_| !whole) {
            let [x, y, width, height] =
                [rectangle.x, rectangle.y, rectangle.width, rectangle.height].map(i64::from);
            kept.input_mask.mark([y, x, y + height, x + width]);
            kept.input.copy_from(input, *rectangle, rectangle.x as usize, rectangle.y as usize);
        }
        let update = self.update_layers(&mut kept, whole, tolerance, output)?;
        if whole {
            kept.measure(&self.plan);
        }
        self.kept = Some(kept);
        Ok(update)
    }

    /// Forgets the features: the next update is a whole run.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    fn update_layers(
        &self,
        kept: &mut Kept,
        mut whole: bool,
        tolerance: Tolerance,
        output: &mut Image,
    ) -> Result<Update, Error> {
        let interrupt = Interrupt::current();
        let (mut done, mut all) = (0.0, 0.0);
        let mut nearly_all = 0;
        let mut changed = Vec::new();
        let mut planes = std::mem::take(&mut kept.planes);
        let input = std::mem::take(&mut kept.input);
        for (index, (layer, &size)) in self.plan.layers.iter().zip(&kept.sizes.clone()).enumerate()
        {
            let mut made: Vec<Plane> = Vec::with_capacity(layer.outputs.len());
            for &plane in &layer.outputs {
                made.push(planes.get_mut(plane).map(std::mem::take).unwrap_or_default());
            }
            let mut mask = kept.masks.get_mut(index).map(std::mem::take).unwrap_or_default();
            let work =
                self.work(index, layer, Source { planes: &planes, input: &input }, &interrupt);
            let tiles = if whole { mask.tiles().collect() } else { kept.dirty(&work, &mask) };
            let share = tiles.len() as f64 / mask.count().max(1) as f64;
            (done, all) = (done + share * cost(layer, size), all + cost(layer, size));
            if matches!(layer.root, Root::Convolution(_)) && nearly_all < FIRST_LAYERS {
                nearly_all += 1;
                if share < NEARLY_ALL {
                    nearly_all = usize::MAX;
                }
            }
            let limits: Vec<Lanes>;
            let compare = match tolerance {
                _ if whole => Compare::Not,
                Tolerance::Exact => Compare::Bits,
                Tolerance::Share(share) => {
                    let ranges = kept.ranges.get(index).map_or(&[][..], Vec::as_slice);
                    limits = ranges.iter().map(|range| Lanes(range.0.map(|v| v * share))).collect();
                    Compare::Limits(&limits)
                }
            };
            mask.fill(whole);
            let least = self.least(tiles.len());
            let last = index + 1 == self.plan.layers.len();
            let target = match last {
                false => Whole::Planes(&mut made),
                true => Whole::Picture { picture: output, shuffle: self.plan.shuffle },
            };
            let bands = cut(target, size, &tiles, least, mask.words_mut());
            let across = size[1].div_ceil(TILE);
            self.pool.each(bands, |band, scratch| {
                refresh(&work, band, across, &compare, scratch);
            });
            check(&interrupt)?;
            if last {
                changed = rectangles(&tiles, size, self.plan.shuffle);
            }
            if let Some(to) = kept.masks.get_mut(index) {
                *to = mask;
            }
            for (&plane, made) in layer.outputs.iter().zip(made) {
                if let Some(to) = planes.get_mut(plane) {
                    *to = made;
                }
            }
            whole |= nearly_all == FIRST_LAYERS;
        }
        (kept.planes, kept.input) = (planes, input);
        Ok(Update { changed, work: if all > 0.0 { done / all } else { 0.0 } })
    }
}

fn refresh(
    work: &Work<'_>,
    mut band: Band<'_>,
    across: usize,
    compare: &Compare<'_>,
    scratch: &mut Scratch,
) {
    let size = batch_size(band.tiles.len());
    for tiles in band.tiles.chunks(size) {
        work.run(tiles, scratch, &mut |block, tile, samples| {
            let Some(tile) = tiles.get(tile) else { return };
            let (row, column) = (tile.row as usize - band.first, tile.column as usize);
            let (y, x) = (row * TILE, column * TILE);
            let changed = match (&mut band.target, compare) {
                (Target::Planes(planes), Compare::Bits) => {
                    planes.update(block, y, x, samples, |a, b| {
                        a.0.map(f32::to_bits) != b.0.map(f32::to_bits)
                    })
                }
                (Target::Planes(planes), Compare::Limits(limits)) => {
                    let limits = limits.get(block).copied().unwrap_or_default();
                    planes.update(block, y, x, samples, |a, b| {
                        let pairs = a.0.iter().zip(&b.0).zip(&limits.0);
                        // A NaN is a change.
                        let same = |(a, b, limit): (f32, f32, f32)| (a - b).abs() <= limit;
                        let same =
                            pairs.fold(true, |all, ((a, b), limit)| all & same((*a, *b, *limit)));
                        !same
                    })
                }
                (target, _) => {
                    target.store(block, y, x, samples);
                    u16::MAX
                }
            };
            if let Some(word) = band.changed.get_mut(row * across + column) {
                *word |= changed;
            }
        });
    }
}

/// Multiplications of a layer, about.
fn cost(layer: &Layer, [height, width]: [usize; 2]) -> f64 {
    let pixels = (height * width) as f64;
    match &layer.root {
        Root::Convolution(convolution) => pixels * convolution.weights.len() as f64,
        _ => pixels * layer.blocks as f64,
    }
}

/// Tiles, sorted, as rectangles of the output picture.
fn rectangles(tiles: &[Tile], [height, width]: [usize; 2], shuffle: usize) -> Vec<Rect> {
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
