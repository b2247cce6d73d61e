//! Some tiles of one layer: the root's samples, then the arithmetic on them.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    kernels::{
        Direct, FixedSums, Kernels, LANES, Lanes, Layout, POSITIONS, Pixels, Place, Product,
        Shorts, Sums, TILE, TILE_PIXELS, Taps, Windows, Words,
    },
    packed::{Method, Packed},
    plan::{Block, Convolution, Layer, Root},
    rearrange::rearrange,
    source::Source,
    steps::{Registers, apply},
    tile::{EMPTY, Samples, Tile},
};
use crate::engine::Interrupt;

/// Takes the samples of a batch.
pub(crate) trait Sink {
    /// Where kernels may write a tile in [`Sink::write`]: the index of its first pixel. `None` for
    /// tiles that must be handed to [`Sink::store`].
    fn place(&self, _tile: Tile) -> Option<usize> {
        None
    }

    /// Lets a kernel write vectors `blocks` of tiles that have a [`Sink::place`].
    fn write(&mut self, _blocks: Range<usize>, _tiles: &[Place], _kernel: &mut Kernel<'_>) {}

    /// Takes the samples of one tile, by its index in the batch, and one vector of channels.
    fn store(&mut self, block: usize, tile: usize, samples: &Samples);
}

/// Takes the samples of some tiles of a batch, by their indices in it.
struct Part<'a> {
    sink: &'a mut dyn Sink,
    indices: &'a [usize],
}

impl Sink for Part<'_> {
    fn place(&self, tile: Tile) -> Option<usize> {
        self.sink.place(tile)
    }

    fn write(&mut self, blocks: Range<usize>, tiles: &[Place], kernel: &mut Kernel<'_>) {
        self.sink.write(blocks, tiles, kernel);
    }

    fn store(&mut self, block: usize, tile: usize, samples: &Samples) {
        if let Some(&tile) = self.indices.get(tile) {
            self.sink.store(block, tile, samples);
        }
    }
}

/// Writes the samples of some tiles.
pub(crate) type Kernel<'a> = dyn FnMut(&mut Pixels<'_, '_>) + 'a;

impl<F: FnMut(usize, usize, &Samples)> Sink for F {
    fn store(&mut self, block: usize, tile: usize, samples: &Samples) {
        self(block, tile, samples);
    }
}

/// Memory for one batch; kept from batch to batch.
#[derive(Default)]
pub(crate) struct Scratch {
    transformed: Vec<Lanes>,
    sums: Vec<[Lanes; POSITIONS]>,
    windows: Vec<Lanes>,
    inside: Vec<Place>,
    shorts: Vec<Shorts>,
    words: Vec<[Words; POSITIONS]>,
    narrow: Vec<f32>,
    /// Where windows start.
    starts: Vec<usize>,
    out: Out,
}

/// Where the samples of a batch go.
#[derive(Default)]
struct Out {
    /// Tiles that kernels write straight to the sink.
    placed: Vec<Place>,
    /// Tiles that kernels write to `results`, one behind the other.
    others: Vec<Place>,
    results: Vec<Samples>,
    registers: Registers,
}

/// Tiles of a batch: a multiple of what the multiplications take at once, and so few that
/// transformed tiles, sums and weights share the second-level cache. It changes no bit.
pub(crate) const BATCH: usize = 12;

/// The kernels name tiles by bits.
const _: () = assert!(BATCH <= 64);

/// One layer and what it reads.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub layer: &'a Layer,
    /// The weights if the root is a convolution.
    pub packed: Option<&'a Packed>,
    pub kernels: &'a Kernels,
    pub source: Source<'a>,
    /// Counts tiles whose windows exceed their fixed-point range.
    pub beyond: &'a AtomicUsize,
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

const EMPTY_SUMS: [Lanes; POSITIONS] = [Lanes([0.0; LANES]); POSITIONS];
const EMPTY_WORDS: [Words; POSITIONS] = [Words([0; LANES]); POSITIONS];

impl Out {
    /// Decides for each tile where kernels write it.
    fn sort(&mut self, tiles: &[Tile], place: impl Fn(Tile) -> Option<usize>) {
        self.placed.clear();
        self.others.clear();
        for (tile, own) in tiles.iter().enumerate() {
            match place(*own) {
                Some(first) => self.placed.push(Place { tile, first }),
                None => {
                    let first = self.others.len() * TILE_PIXELS;
                    self.others.push(Place { tile, first });
                }
            }
        }
    }
}

impl Work<'_> {
    /// Computes tiles and hands their samples to `sink`, vector by vector.
    pub(crate) fn run(&self, tiles: &[Tile], scratch: &mut Scratch, sink: &mut dyn Sink) {
        if self.interrupt.is_raised() {
            return;
        }
        self.run_with(self.packed.map(|packed| packed.method), tiles, scratch, sink);
    }

    /// As [`Work::run`], if the root is a convolution, by this method.
    fn run_with(
        &self,
        method: Option<Method>,
        tiles: &[Tile],
        scratch: &mut Scratch,
        sink: &mut dyn Sink,
    ) {
        // Steps need the samples of whole tiles in memory of their own.
        let direct = self.layer.steps.is_empty() && matches!(self.layer.root, Root::Convolution(_));
        scratch.out.sort(tiles, |tile| if direct { sink.place(tile) } else { None });
        match (&self.layer.root, self.packed.zip(method)) {
            (Root::Convolution(convolution), Some((packed, method))) => match method {
                Method::Winograd => self.winograd(convolution, packed, tiles, scratch, sink),
                Method::Fixed => self.fixed(convolution, packed, tiles, scratch, sink),
                Method::Direct => self.direct(convolution, packed, tiles, scratch, sink),
            },
            (root, _) => {
                for block in 0..self.layer.blocks {
                    let results = sized(&mut scratch.out.results, tiles.len(), EMPTY);
                    for (tile, samples) in tiles.iter().zip(results) {
                        rearrange(root, &self.source, block, *tile, samples);
                    }
                    self.deliver(block..block + 1, tiles, &mut scratch.out, sink);
                }
            }
        }
    }

    /// Lets a kernel write vectors of all tiles of a batch, applies the layer's steps and hands
    /// the samples on.
    fn emit(
        &self,
        blocks: Range<usize>,
        tiles: &[Tile],
        out: &mut Out,
        sink: &mut dyn Sink,
        mut kernel: impl FnMut(&mut Pixels<'_, '_>),
    ) {
        if !out.placed.is_empty() {
            sink.write(blocks.clone(), &out.placed, &mut kernel);
        }
        let count = out.others.len();
        if count == 0 {
            return;
        }
        let results = sized(&mut out.results, count * blocks.len(), EMPTY);
        let mut planes: Vec<&mut [Lanes]> =
            results.chunks_exact_mut(count).map(<[Samples]>::as_flattened_mut).collect();
        kernel(&mut Pixels { planes: &mut planes, stride: TILE, tiles: &out.others });
        self.deliver(blocks, tiles, out, sink);
    }

    /// Applies the layer's steps to the results and hands them on.
    fn deliver(&self, blocks: Range<usize>, tiles: &[Tile], out: &mut Out, sink: &mut dyn Sink) {
        let Out { others, results, registers, .. } = out;
        for (block, results) in blocks.zip(results.chunks_exact_mut(others.len().max(1))) {
            if !self.layer.steps.is_empty() {
                let own = (self.layer, block);
                apply(own, self.kernels, &self.source, tiles, results, registers);
            }
            for (place, samples) in others.iter().zip(results.iter()) {
                sink.store(block, place.tile, samples);
            }
        }
    }

    fn winograd(
        &self,
        convolution: &Convolution,
        packed: &Packed,
        tiles: &[Tile],
        scratch: &mut Scratch,
        sink: &mut dyn Sink,
    ) {
        let inputs = convolution.source.len();
        // An odd number of cache lines apart, so that positions do not share their sets.
        let from = Layout { position: (tiles.len() * inputs) | 1, tile: inputs };
        let transformed =
            sized(&mut scratch.transformed, POSITIONS * from.position, Lanes::default());
        let memory = (&mut scratch.windows, &mut scratch.inside);
        self.windows(convolution, tiles, memory, |index, windows| {
            let to = transformed.get_mut(index..).unwrap_or_default();
            (self.kernels.winograd_input)(windows, to, from);
        });
        if let Some(observe) = self.observe {
            observe(transformed, from, tiles.len());
        }
        for (group, weights) in packed.groups.iter().zip(packed.floats(convolution)) {
            let vectors = group.count;
            let sums = sized(&mut scratch.sums, tiles.len() * vectors, EMPTY_SUMS);
            let product = Product {
                transformed,
                from,
                weights,
                tiles: tiles.len(),
                inputs,
                outputs: vectors,
            };
            (self.kernels.winograd_multiply)(&product, sums);
            for (vector, (bias, slope)) in group.bias.iter().zip(&group.slope).enumerate() {
                let job = Sums { sums, vector, vectors, bias, slope };
                let block = group.first + vector;
                self.emit(block..block + 1, tiles, &mut scratch.out, sink, |pixels| {
                    (self.kernels.winograd_output)(&job, pixels);
                });
            }
        }
    }

    fn fixed(
        &self,
        convolution: &Convolution,
        packed: &Packed,
        tiles: &[Tile],
        scratch: &mut Scratch,
        sink: &mut dyn Sink,
    ) {
        let Some(fixed) = &packed.fixed else { return };
        let inputs = convolution.source.len();
        let from = Layout { position: (tiles.len() * inputs) | 1, tile: inputs };
        let transformed = sized(&mut scratch.shorts, POSITIONS * from.position, Shorts::default());
        let mut beyond = 0;
        let memory = (&mut scratch.windows, &mut scratch.inside);
        self.windows(convolution, tiles, memory, |index, windows| {
            let Some(scales) = fixed.scales.get(index) else { return };
            let to = transformed.get_mut(index..).unwrap_or_default();
            beyond |= (self.kernels.fixed_input)(windows, scales, to, from);
        });
        if beyond != 0 {
            return self.fixed_and_float(beyond, tiles, scratch, sink);
        }
        for (group, weights) in packed.groups.iter().zip(&fixed.groups) {
            let vectors = group.count;
            let sums = sized(&mut scratch.words, tiles.len() * vectors, EMPTY_WORDS);
            let product = Product {
                transformed,
                from,
                weights: &weights.weights,
                tiles: tiles.len(),
                inputs,
                outputs: vectors,
            };
            (self.kernels.fixed_multiply)(&product, sums);
            let each = weights.steps.iter().zip(group.bias.iter().zip(&group.slope)).enumerate();
            for (vector, (steps, (bias, slope))) in each {
                let job = FixedSums { sums: Sums { sums, vector, vectors, bias, slope }, steps };
                let block = group.first + vector;
                self.emit(block..block + 1, tiles, &mut scratch.out, sink, |pixels| {
                    (self.kernels.fixed_output)(&job, pixels);
                });
            }
        }
    }

    /// Computes tiles in fixed point, but those in fp32 whose bit in `beyond` is set: their windows exceed
    /// the range of fixed point.
    fn fixed_and_float(
        &self,
        beyond: u64,
        tiles: &[Tile],
        scratch: &mut Scratch,
        sink: &mut dyn Sink,
    ) {
        self.beyond.fetch_add(beyond.count_ones() as usize, Ordering::Relaxed);
        for (method, bit) in [(Method::Winograd, 1), (Method::Fixed, 0)] {
            let (indices, own): (Vec<usize>, Vec<Tile>) =
                tiles.iter().enumerate().filter(|(index, _)| beyond >> index & 1 == bit).unzip();
            if !own.is_empty() {
                let mut sink = Part { sink: &mut *sink, indices: &indices };
                self.run_with(Some(method), &own, scratch, &mut sink);
            }
        }
    }

    /// Hands on the 6×6 windows of each input with the input's index: those inside of a plane
    /// together, others one by one through `edge`.
    fn windows(
        &self,
        convolution: &Convolution,
        tiles: &[Tile],
        (edge, inside): (&mut Vec<Lanes>, &mut Vec<Place>),
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
                    let first = at[0] as usize * plane.width + at[1] as usize;
                    inside.push(Place { tile, first });
                    own = Some(plane);
                } else {
                    self.source.window(block, at, WINDOW, edge);
                    let tiles = &[Place { tile, first: 0 }];
                    transform(index, &Windows { source: edge, stride: WINDOW[1], tiles });
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
        sink: &mut dyn Sink,
    ) {
        let window = convolution.taps.window();
        let Scratch { windows, narrow, starts, out, .. } = scratch;
        let origins = tiles.iter().map(|tile| {
            let [y, x] = tile.origin();
            [y - convolution.before[0], x - convolution.before[1]]
        });
        starts.clear();
        // The input picture is read where it is, planes through windows of few channels.
        let own = match convolution.source[..] {
            [Block::Input { factor, first: 0 }] => self.source.input.cells(factor),
            _ => None,
        };
        let (source, [row, pixel, block]) = if let Some(cells) = own {
            starts.extend(origins.filter_map(|at| cells.at(at, window)));
            (&cells.data, [cells.stride(), cells.samples, 0])
        } else {
            let lanes = packed.channels.min(LANES);
            let area = (window[0] * window[1] * lanes).max(1);
            let blocks = packed.channels.div_ceil(LANES);
            let blocks = convolution.source.get(..blocks).unwrap_or_default();
            let all = sized(narrow, tiles.len() * blocks.len() * area, 0.0);
            let mut each = all.chunks_exact_mut(area);
            for at in origins {
                starts.push(starts.len() * blocks.len() * area);
                for (&block, to) in blocks.iter().zip(&mut each) {
                    self.source.narrow_window(block, lanes, at, window, windows, to);
                }
            }
            (&*narrow, [window[1] * lanes, lanes, area])
        };
        if starts.len() < tiles.len() {
            return;
        }
        for (group, weights) in packed.groups.iter().zip(packed.floats(convolution)) {
            let job = Direct {
                taps: convolution.taps,
                source,
                windows: starts,
                row,
                pixel,
                block,
                channels: packed.channels,
                weights,
                bias: &group.bias,
                slope: &group.slope,
            };
            let blocks = group.first..group.first + group.count;
            self.emit(blocks, tiles, out, sink, |pixels| {
                (self.kernels.direct)(&job, pixels);
            });
        }
    }
}
