//! Some tiles of one layer: the root's samples, then the arithmetic on them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    features::Source,
    kernels::{
        Direct, FixedProduct, FixedSums, Kernels, LANES, Lanes, Layout, POSITIONS, Product, Shorts,
        Sums, TILE, TILE_PIXELS, Taps, Windows, Words,
    },
    packed::{Method, Packed},
    plan::{Block, Border, Convolution, Layer, Pick, Root, Step},
};
use crate::engine::Interrupt;

/// The sixteen pixels of a tile, sixteen channels each.
pub(crate) type Samples = [Lanes; TILE_PIXELS];

/// A tile by its place in the grid of tiles, which begins at the picture's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tile {
    pub row: u32,
    pub column: u32,
}

impl Tile {
    /// Its first pixel: row, column.
    pub(crate) fn origin(self) -> [i64; 2] {
        [i64::from(self.row) * TILE as i64, i64::from(self.column) * TILE as i64]
    }
}

/// Memory for one batch; kept from batch to batch.
#[derive(Default)]
pub(crate) struct Scratch {
    transformed: Vec<Lanes>,
    sums: Vec<Lanes>,
    windows: Vec<Lanes>,
    inside: Vec<(usize, usize)>,
    shorts: Vec<Shorts>,
    words: Vec<Words>,
    results: Vec<Samples>,
    /// Registers from 1 on.
    registers: Vec<Vec<Samples>>,
}

/// Tiles of a batch: a multiple of what the multiplications take at once, and so few that
/// transformed tiles, sums and weights share the second-level cache. No bit depends on it.
pub(crate) const BATCH: usize = 12;

/// One layer and what it reads.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub layer: &'a Layer,
    /// The weights, where the root is a convolution.
    pub packed: Option<&'a Packed>,
    pub kernels: &'a Kernels,
    pub source: Source<'a>,
    /// Counts windows whose samples exceed their fixed-point range.
    pub limited: &'a AtomicUsize,
    /// Sees the transformed tiles of a layer, their layout and number.
    pub observe: Option<&'a Observe<'a>>,
    /// Once it is raised, batches are skipped.
    pub interrupt: &'a Interrupt,
}

/// See [`Work::observe`].
pub(crate) type Observe<'a> = dyn Fn(&[Lanes], Layout, usize) + Sync + 'a;

/// At least this much of `vector`, whose content does not matter.
fn sized<T: Clone>(vector: &mut Vec<T>, count: usize, empty: T) -> &mut [T] {
    if vector.len() < count {
        vector.resize(count, empty);
    }
    vector.get_mut(..count).unwrap_or_default()
}

const EMPTY: Samples = [Lanes([0.0; LANES]); TILE_PIXELS];

impl Work<'_> {
    /// Computes tiles; `done` takes, vector by vector, the samples of each tile by its index.
    pub(crate) fn run(
        &self,
        tiles: &[Tile],
        scratch: &mut Scratch,
        done: &mut dyn FnMut(usize, usize, &Samples),
    ) {
        if self.interrupt.is_raised() {
            return;
        }
        let mut results = std::mem::take(&mut scratch.results);
        match (&self.layer.root, self.packed) {
            (Root::Convolution(convolution), Some(packed)) => match packed.method {
                Method::Winograd => {
                    self.winograd(convolution, packed, tiles, scratch, &mut results, done);
                }
                Method::Fixed => {
                    self.fixed(convolution, packed, tiles, scratch, &mut results, done);
                }
                Method::Direct => {
                    self.direct(convolution, packed, tiles, scratch, &mut results, done);
                }
            },
            (root, _) => {
                for block in 0..self.layer.blocks {
                    let results = sized(&mut results, tiles.len(), EMPTY);
                    for (tile, samples) in tiles.iter().zip(results.iter_mut()) {
                        self.samples(root, block, *tile, samples);
                    }
                    self.finish(block, tiles, results, &mut scratch.registers, done);
                }
            }
        }
        scratch.results = results;
    }

    fn winograd(
        &self,
        convolution: &Convolution,
        packed: &Packed,
        tiles: &[Tile],
        scratch: &mut Scratch,
        results: &mut Vec<Samples>,
        done: &mut dyn FnMut(usize, usize, &Samples),
    ) {
        let inputs = convolution.source.len();
        // An odd number of cache lines apart, so that positions do not share their sets.
        let from = Layout { position: (tiles.len() * inputs) | 1, tile: inputs };
        let transformed =
            sized(&mut scratch.transformed, POSITIONS * from.position, Lanes::default());
        self.windows(
            convolution,
            tiles,
            &mut scratch.windows,
            &mut scratch.inside,
            |index, windows| {
                let to = transformed.get_mut(index..).unwrap_or_default();
                (self.kernels.winograd_input)(windows, to, from);
            },
        );
        if let Some(observe) = self.observe {
            observe(transformed, from, tiles.len());
        }
        for group in &packed.groups {
            let to = Layout { position: (tiles.len() * group.count) | 1, tile: group.count };
            let sums = sized(&mut scratch.sums, POSITIONS * to.position, Lanes::default());
            let product = Product {
                transformed,
                from,
                weights: &group.weights,
                tiles: tiles.len(),
                inputs,
                outputs: group.count,
                to,
            };
            (self.kernels.winograd_multiply)(&product, sums);
            for (index, (bias, slope)) in group.bias.iter().zip(&group.slope).enumerate() {
                let results = sized(results, tiles.len(), EMPTY);
                let sums = sums.get(index..).unwrap_or_default();
                let job = Sums { sums, layout: to, bias, slope };
                (self.kernels.winograd_output)(&job, results);
                let block = group.first + index;
                self.finish(block, tiles, results, &mut scratch.registers, done);
            }
        }
    }

    fn fixed(
        &self,
        convolution: &Convolution,
        packed: &Packed,
        tiles: &[Tile],
        scratch: &mut Scratch,
        results: &mut Vec<Samples>,
        done: &mut dyn FnMut(usize, usize, &Samples),
    ) {
        let Some(fixed) = &packed.fixed else { return };
        let inputs = convolution.source.len();
        let from = Layout { position: (tiles.len() * inputs) | 1, tile: inputs };
        let transformed = sized(&mut scratch.shorts, POSITIONS * from.position, Shorts::default());
        let mut limited = 0;
        self.windows(
            convolution,
            tiles,
            &mut scratch.windows,
            &mut scratch.inside,
            |index, windows| {
                let scales = fixed.scales.get(index..).unwrap_or_default();
                let to = transformed.get_mut(index..).unwrap_or_default();
                limited += (self.kernels.fixed_input)(windows, scales, to, from);
            },
        );
        if limited > 0 {
            self.limited.fetch_add(limited, Ordering::Relaxed);
        }
        for (group, weights) in packed.groups.iter().zip(&fixed.groups) {
            let to = Layout { position: (tiles.len() * group.count) | 1, tile: group.count };
            let sums = sized(&mut scratch.words, POSITIONS * to.position, Words::default());
            let product = FixedProduct {
                transformed,
                from,
                weights: &weights.weights,
                tiles: tiles.len(),
                inputs,
                outputs: group.count,
                to,
            };
            (self.kernels.fixed_multiply)(&product, sums);
            let steps = weights.steps.chunks_exact(POSITIONS);
            let each = steps.zip(group.bias.iter().zip(&group.slope)).enumerate();
            for (index, (steps, (bias, slope))) in each {
                let results = sized(results, tiles.len(), EMPTY);
                let sums = sums.get(index..).unwrap_or_default();
                let job = FixedSums { sums, layout: to, steps, bias, slope };
                (self.kernels.fixed_output)(&job, results);
                let block = group.first + index;
                self.finish(block, tiles, results, &mut scratch.registers, done);
            }
        }
    }

    /// Hands the windows of each input on, with the input's index.
    fn windows(
        &self,
        convolution: &Convolution,
        tiles: &[Tile],
        edge: &mut Vec<Lanes>,
        inside: &mut Vec<(usize, usize)>,
        mut transform: impl FnMut(usize, &Windows<'_>),
    ) {
        const WINDOW: [usize; 2] = Taps { height: 3, width: 3 }.window();
        let edge = sized(edge, WINDOW[0] * WINDOW[1], Lanes::default());
        for (index, &block) in convolution.source.iter().enumerate() {
            inside.clear();
            let mut own = None;
            for (tile, place) in tiles.iter().enumerate() {
                let [y, x] = place.origin();
                let at = [y - convolution.before[0], x - convolution.before[1]];
                if let Some(plane) = self.source.inside(block, at, WINDOW) {
                    inside.push((tile, at[0] as usize * plane.width + at[1] as usize));
                    own = Some(plane);
                } else {
                    self.source.window(block, at, WINDOW, edge);
                    let windows = Windows { source: edge, stride: WINDOW[1], tiles: &[(tile, 0)] };
                    transform(index, &windows);
                }
            }
            if let Some(plane) = own {
                let windows = Windows { source: &plane.data, stride: plane.width, tiles: inside };
                transform(index, &windows);
            }
        }
    }

    fn direct(
        &self,
        convolution: &Convolution,
        packed: &Packed,
        tiles: &[Tile],
        scratch: &mut Scratch,
        results: &mut Vec<Samples>,
        done: &mut dyn FnMut(usize, usize, &Samples),
    ) {
        let window = convolution.taps.window();
        let area = window[0] * window[1];
        let sources = convolution.source.get(..packed.channels.div_ceil(LANES)).unwrap_or_default();
        let count = tiles.len() * sources.len() * area;
        let windows = sized(&mut scratch.windows, count, Lanes::default());
        let mut each = windows.chunks_exact_mut(area);
        for tile in tiles {
            let [y, x] = tile.origin();
            let at = [y - convolution.before[0], x - convolution.before[1]];
            for (&block, to) in sources.iter().zip(&mut each) {
                self.source.window(block, at, window, to);
            }
        }
        for group in &packed.groups {
            let results = sized(results, tiles.len() * group.count, EMPTY);
            let job = Direct {
                taps: convolution.taps,
                windows,
                tiles: tiles.len(),
                channels: packed.channels,
                weights: &group.weights,
                outputs: group.count,
                bias: &group.bias,
                slope: &group.slope,
            };
            (self.kernels.direct)(&job, results);
            for (index, results) in results.chunks_exact_mut(tiles.len()).enumerate() {
                let block = group.first + index;
                self.finish(block, tiles, results, &mut scratch.registers, done);
            }
        }
    }

    /// The samples of a root that is no convolution.
    fn samples(&self, root: &Root, block: usize, tile: Tile, to: &mut Samples) {
        let at = tile.origin();
        let mut pixels = |pixel: &dyn Fn(i64, i64) -> Lanes| {
            for (index, to) in to.iter_mut().enumerate() {
                *to = pixel(at[0] + (index / TILE) as i64, at[1] + (index % TILE) as i64);
            }
        };
        match root {
            Root::Convolution(_) => {}
            Root::Copy(picks) => {
                if let Some(pick) = picks.get(block) {
                    self.source.picked_window(pick, at, [TILE; 2], to);
                }
            }
            Root::Shuffle { factor, picks } => {
                let Some(picks) = picks.get(block) else { return };
                let side = *factor as i64;
                pixels(&|y, x| {
                    let place = y.rem_euclid(side) * side + x.rem_euclid(side);
                    let pick = usize::try_from(place).ok().and_then(|place| picks.get(place));
                    let from = [y.div_euclid(side), x.div_euclid(side)];
                    pick.map_or(Lanes::default(), |pick| self.source.picked(pick, from[0], from[1]))
                });
            }
            Root::Unshuffle { factor, picks } => {
                let Some(picks) = picks.get(block) else { return };
                let side = *factor as i64;
                pixels(&|y, x| {
                    let mut lanes = Lanes::default();
                    for (to, (block, lane, [row, column])) in lanes.0.iter_mut().zip(picks) {
                        let from = [y * side + *row as i64, x * side + *column as i64];
                        let pixel = self.source.pixel(*block, from[0], from[1]);
                        *to = pixel.0.get(*lane).copied().unwrap_or(0.0);
                    }
                    lanes
                });
            }
            Root::Bilinear { factor, picks } => {
                let vectors = picks.len().max(1);
                let Some(pick) = picks.get(block % vectors) else { return };
                let place = block / vectors;
                let rows = Between::new(place / factor, *factor);
                let columns = Between::new(place % factor, *factor);
                let size = pick.blocks().next().map_or([0; 2], |block| self.source.size(block));
                pixels(&|y, x| {
                    let clamp = |at: i64, side: usize| at.clamp(0, side as i64 - 1);
                    let read = |row: i64, column: i64| {
                        let (y, x) = (clamp(y + row, size[0]), clamp(x + column, size[1]));
                        self.source.picked(pick, y, x)
                    };
                    let line = |row: i64| {
                        columns.blend(&read(row, columns.first), &read(row, columns.first + 1))
                    };
                    rows.blend(&line(rows.first), &line(rows.first + 1))
                });
            }
            Root::Pad { before, border, picks, .. } => {
                let Some(pick) = picks.get(block) else { return };
                let size = pick.blocks().next().map_or([0; 2], |block| self.source.size(block));
                pixels(&|y, x| {
                    let y = bordered(y - before[0], size[0], *border);
                    let x = bordered(x - before[1], size[1], *border);
                    self.source.picked(pick, y, x)
                });
            }
        }
    }

    /// The steps on one vector of channels, and its delivery.
    fn finish(
        &self,
        block: usize,
        tiles: &[Tile],
        results: &mut [Samples],
        registers: &mut Vec<Vec<Samples>>,
        done: &mut dyn FnMut(usize, usize, &Samples),
    ) {
        if !self.layer.steps.is_empty() {
            self.steps(block, tiles, results, registers);
        }
        for (tile, samples) in results.iter().enumerate() {
            done(block, tile, samples);
        }
    }

    fn steps(
        &self,
        block: usize,
        tiles: &[Tile],
        results: &mut [Samples],
        registers: &mut Vec<Vec<Samples>>,
    ) {
        registers.resize_with(registers.len().max(self.layer.registers() - 1), Vec::new);
        for register in registers.iter_mut() {
            sized(register, tiles.len(), EMPTY);
        }
        let count = tiles.len();
        for step in &self.layer.steps {
            match step {
                Step::Load { to, picks } => {
                    let Some(pick) = picks.get(block) else { continue };
                    one(results, registers, *to, count, |to| self.load(pick, tiles, to));
                }
                Step::Move { to, from } => {
                    two(results, registers, *to, *from, count, |to, from| to.copy_from_slice(from));
                }
                Step::Add { to, from } => {
                    two(results, registers, *to, *from, count, |to, from| {
                        (self.kernels.add)(to.as_flattened_mut(), from.as_flattened());
                    });
                }
                Step::Subtract { to, from } => {
                    two(results, registers, *to, *from, count, |to, from| {
                        (self.kernels.subtract)(to.as_flattened_mut(), from.as_flattened());
                    });
                }
                Step::Multiply { to, from } => {
                    two(results, registers, *to, *from, count, |to, from| {
                        (self.kernels.multiply)(to.as_flattened_mut(), from.as_flattened());
                    });
                }
                Step::Affine { to, scale, offset } => {
                    let (Some(scale), Some(offset)) = (scale.get(block), offset.get(block)) else {
                        continue;
                    };
                    one(results, registers, *to, count, |to| {
                        (self.kernels.affine)(to.as_flattened_mut(), scale, offset);
                    });
                }
                Step::Activate { to, activations } => {
                    let Some(activation) = activations.get(block) else { continue };
                    one(results, registers, *to, count, |to| {
                        (self.kernels.activate)(to.as_flattened_mut(), activation);
                    });
                }
            }
        }
    }

    fn load(&self, pick: &Pick, tiles: &[Tile], to: &mut [Samples]) {
        for (tile, to) in tiles.iter().zip(to) {
            self.source.picked_window(pick, tile.origin(), [TILE; 2], to);
        }
    }

    /// The blocks that a tile depends on, and where; without repetitions.
    pub(crate) fn reaches(&self) -> Vec<(Block, Reach)> {
        let mut all: Vec<(Block, Reach)> = Vec::new();
        let mut note = |block: Block, reach: Reach| {
            if !all.contains(&(block, reach)) {
                all.push((block, reach));
            }
        };
        match &self.layer.root {
            Root::Convolution(convolution) => {
                let size = convolution.taps.window();
                let reach = Reach::Window { before: convolution.before, size };
                convolution.source.iter().for_each(|&block| note(block, reach));
            }
            Root::Copy(picks) => {
                picks.iter().flat_map(Pick::blocks).for_each(|block| note(block, Reach::SAME));
            }
            Root::Shuffle { factor, picks } => {
                let blocks = picks.iter().flatten().flat_map(Pick::blocks);
                blocks.for_each(|block| note(block, Reach::Shuffled(*factor)));
            }
            Root::Unshuffle { factor, picks } => {
                let blocks = picks.iter().flatten();
                blocks.for_each(|(block, ..)| note(*block, Reach::Unshuffled(*factor)));
            }
            Root::Bilinear { picks, .. } => {
                let reach = Reach::Window { before: [1; 2], size: [TILE + 2; 2] };
                picks.iter().flat_map(Pick::blocks).for_each(|block| note(block, reach));
            }
            Root::Pad { before, border, picks, .. } => {
                for block in picks.iter().flat_map(Pick::blocks) {
                    let size = self.source.size(block);
                    note(block, Reach::Padded { before: *before, border: *border, size });
                }
            }
        }
        for step in &self.layer.steps {
            if let Step::Load { picks, .. } = step {
                picks.iter().flat_map(Pick::blocks).for_each(|block| note(block, Reach::SAME));
            }
        }
        all
    }
}

/// Which pixels of a block a tile depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Window {
        before: [i64; 2],
        size: [usize; 2],
    },
    /// The block is pixel-shuffled by this into the tile.
    Shuffled(usize),
    /// The block is pixel-unshuffled by this into the tile.
    Unshuffled(usize),
    Padded {
        before: [i64; 2],
        border: Border,
        /// Of the block: rows, columns.
        size: [usize; 2],
    },
}

impl Reach {
    /// The tile's own pixels.
    const SAME: Self = Self::Window { before: [0; 2], size: [TILE; 2] };

    /// First row and column, and those after the last; may exceed the picture.
    pub(crate) fn rectangle(self, tile: Tile) -> [i64; 4] {
        let [y, x] = tile.origin();
        let side = TILE as i64;
        match self {
            Self::Window { before, size } => {
                let (y, x) = (y - before[0], x - before[1]);
                [y, x, y + size[0] as i64, x + size[1] as i64]
            }
            Self::Shuffled(factor) => {
                let factor = factor as i64;
                let behind = |at: i64| (at + side - 1).div_euclid(factor) + 1;
                [y.div_euclid(factor), x.div_euclid(factor), behind(y), behind(x)]
            }
            Self::Unshuffled(factor) => [y, x, y + side, x + side].map(|at| at * factor as i64),
            Self::Padded { before, border, size } => {
                let span = |first: i64, before: i64, length: usize| {
                    let places =
                        (first..first + side).map(|at| bordered(at - before, length, border));
                    (places.clone().min().unwrap_or(0), places.max().unwrap_or(0) + 1)
                };
                let (top, bottom) = span(y, before[0], size[0]);
                let (left, right) = span(x, before[1], size[1]);
                [top, left, bottom, right]
            }
        }
    }
}

/// Where a place outside of a picture reads from.
fn bordered(at: i64, side: usize, border: Border) -> i64 {
    let last = side as i64 - 1;
    match border {
        Border::Zero => at,
        Border::Edge => at.clamp(0, last),
        Border::Reflect if last < 1 => 0,
        Border::Reflect => {
            let at = at.rem_euclid(2 * last);
            at.min(2 * last - at)
        }
    }
}

/// Linear interpolation between two samples along one axis.
struct Between {
    /// The first of the two, from the cell.
    first: i64,
    /// The share of the second.
    share: f32,
}

impl Between {
    /// For `place` of a cell that is enlarged `factor` times.
    fn new(place: usize, factor: usize) -> Self {
        // (place + ½) / factor − ½, in halves of 1 / factor.
        let halves = 2 * place as i64 + 1 - factor as i64;
        let whole = 2 * factor as i64;
        let share = halves.rem_euclid(whole) as f32 / whole as f32;
        Self { first: halves.div_euclid(whole), share }
    }

    fn blend(&self, a: &Lanes, b: &Lanes) -> Lanes {
        let mut out = *a;
        for (out, b) in out.0.iter_mut().zip(b.0) {
            *out = *out * (1.0 - self.share) + b * self.share;
        }
        out
    }
}

fn one(
    results: &mut [Samples],
    registers: &mut [Vec<Samples>],
    register: usize,
    count: usize,
    apply: impl FnOnce(&mut [Samples]),
) {
    match register.checked_sub(1) {
        None => apply(results),
        Some(index) => {
            if let Some(register) = registers.get_mut(index).and_then(|r| r.get_mut(..count)) {
                apply(register);
            }
        }
    }
}

/// Applies to two different registers.
fn two(
    results: &mut [Samples],
    registers: &mut [Vec<Samples>],
    to: usize,
    from: usize,
    count: usize,
    apply: impl FnOnce(&mut [Samples], &[Samples]),
) {
    match (to.checked_sub(1), from.checked_sub(1)) {
        (None, Some(from)) => {
            if let Some(from) = registers.get(from).and_then(|register| register.get(..count)) {
                apply(results, from);
            }
        }
        (Some(to), None) => {
            if let Some(to) = registers.get_mut(to).and_then(|register| register.get_mut(..count)) {
                apply(to, results);
            }
        }
        (Some(to), Some(from)) => {
            if let Ok([to, from]) = registers.get_disjoint_mut([to, from])
                && let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count))
            {
                apply(to, from);
            }
        }
        (None, None) => {}
    }
}
