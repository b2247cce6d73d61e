//! A model that was opened for the CPU, and whole runs of it.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Error, InstructionSet,
    bands::{Band, Marks, Store, Whole, cut},
    batch::{BATCH, Observe, Scratch, Work},
    features::{Plane, Ranges},
    input::Input,
    kept::Kept,
    kernels::{Kernels, Lanes, Layout},
    lifetimes::Lifetimes,
    packed::Packed,
    plan::{Layer, Plan, Root},
    pool::Pool,
    sample_buffer::SampleBuffer,
    segments::Segments,
    source::Source,
    tile::{Tile, all_tiles},
};
use crate::{
    engine::Interrupt,
    frame::Image,
    model::{Model, ModelInfo},
};

/// How an engine is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads that share the work; 0 and 1 are the caller's own. Not used with a `pool`.
    pub threads: usize,
    /// Threads that the engine shares with others.
    pub pool: Option<Arc<rayon::ThreadPool>>,
    /// The arithmetic of 3×3 convolutions.
    pub precision: Precision,
    /// The kernels to use; `None`: those that `UPSCALE_NATIVE_ISA` names, else the fastest that
    /// the CPU has.
    pub instruction_set: Option<InstructionSet>,
}

/// The arithmetic of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Fp32,
    /// 3×3 convolutions multiply 16-bit fixed point; the rest, and tiles whose windows exceed the range
    /// of fixed point, is fp32.
    Int16,
}

/// A model, lowered and packed, and its memory.
pub struct Engine {
    pub(super) info: ModelInfo,
    pub(super) identity: String,
    pub(super) plan: Arc<Plan>,
    /// The weights of each layer whose root is a convolution.
    pub(super) packed: Vec<Option<Packed>>,
    pub(super) kernels: &'static Kernels,
    pub(super) pool: Pool,
    /// Memory of planes that are not in use.
    pub(super) free: Vec<SampleBuffer<Lanes>>,
    pub(super) lifetimes: Lifetimes,
    /// Which layers keep features from picture to picture.
    pub(super) segments: Segments,
    /// See [`Engine::tiles_in_fp32`].
    pub(super) beyond: AtomicUsize,
    /// The most bytes for features of a run; see [`Engine::limit_memory`].
    pub(super) memory: Option<u64>,
    /// The picture of the last run.
    pub(super) input: Input,
    /// Features from picture to picture.
    pub(super) kept: Option<Kept>,
    /// The largest values of each layer's channels on test pictures; empty until they are needed.
    pub(super) ranges: Ranges,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("kernels", &self.kernels)
            .field("layers", &self.plan.layers.len())
            .finish_non_exhaustive()
    }
}

/// Sees the transformed tiles of a layer: its index, the tiles, their layout and number.
pub(super) type ObserveLayer<'a> = dyn Fn(usize, &[Lanes], Layout, usize) + Sync + 'a;

/// The size of each layer's features for one picture: rows, columns.
pub(super) type Sizes = Vec<[usize; 2]>;

impl Engine {
    /// How many tiles of 4×4 features, since an engine of fixed point was opened, were computed in
    /// fp32: their windows held samples beyond the range that fixed point was calibrated for.
    pub fn tiles_in_fp32(&self) -> usize {
        self.beyond.load(Ordering::Relaxed)
    }

    /// Whether the engine supports every operator of a model.
    ///
    /// # Errors
    /// [`Error::Operator`] and [`Error::UnknownGraph`], as [`Engine::open`].
    pub fn supports(model: &Model) -> Result<(), Error> {
        Plan::new(model.graph.as_deref().ok_or(Error::UnknownGraph)?).map(drop)
    }

    /// The model and the arithmetic: everything that determines the samples.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What is known of the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The kernels in use, by their value of `UPSCALE_NATIVE_ISA`.
    pub fn instruction_set(&self) -> &'static str {
        self.kernels.name
    }

    /// Runs the model over one whole picture of the model's channels, its sides multiples of
    /// [`ModelInfo::align`]. `output` is given the shape of the enlarged picture; its samples
    /// are not clamped.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::OutOfMemory`], [`Error::Cancelled`].
    pub fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        let strips = self.strips(input)?;
        if strips.is_empty() {
            return self.observed_run(input, output, None);
        }
        self.run_strips(&strips, input, output)
    }

    /// A run in which `observe` sees the transformed tiles of each layer by its index.
    pub(super) fn observed_run(
        &mut self,
        input: &Image,
        output: &mut Image,
        observe: Option<&ObserveLayer<'_>>,
    ) -> Result<(), Error> {
        self.partial_run(input, output, None, observe)
    }

    /// A run that computes only these tiles of each layer; `None`: all.
    pub(super) fn partial_run(
        &mut self,
        input: &Image,
        output: &mut Image,
        tiles: Option<&[Vec<Tile>]>,
        observe: Option<&ObserveLayer<'_>>,
    ) -> Result<(), Error> {
        let sizes = self.sizes(input)?;
        self.shape(&sizes, output);
        let mut own = std::mem::take(&mut self.input);
        own.prepare(&self.plan, &sizes, [input.channels(), input.height(), input.width()])?;
        own.copy(input);
        let mut planes: Vec<Plane> = vec![Plane::default(); self.plan.planes.len()];
        let result = self.layers(&sizes, &mut planes, &own, output, (tiles, observe));
        self.input = own;
        self.free.extend(planes.into_iter().map(|plane| plane.data));
        self.free.retain(|memory| memory.capacity() > 0);
        result
    }

    fn layers(
        &mut self,
        sizes: &Sizes,
        planes: &mut Vec<Plane>,
        input: &Input,
        output: &mut Image,
        (tiles, observe): (Option<&[Vec<Tile>]>, Option<&ObserveLayer<'_>>),
    ) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        let interrupt = Interrupt::current();
        for (index, (layer, &size)) in plan.layers.iter().zip(sizes).enumerate() {
            let mut made = Vec::with_capacity(layer.outputs.len());
            for _ in &layer.outputs {
                let memory = self.take_memory(size[0].saturating_mul(size[1]));
                made.push(Plane::reuse(size, memory)?);
            }
            let tiles = match tiles {
                Some(tiles) => Cow::Borrowed(tiles.get(index).map_or(&[][..], Vec::as_slice)),
                None => Cow::Owned(all_tiles(size)),
            };
            let source = Source { planes, input };
            let own = |transformed: &[Lanes], layout: Layout, tiles: usize| {
                if let Some(observe) = observe {
                    observe(index, transformed, layout, tiles);
                }
            };
            let observe = observe.map(|_| &own as &Observe<'_>);
            let work = Work { observe, ..self.work(index, layer, source, &interrupt) };
            let whole = match index + 1 < plan.layers.len() {
                true => Whole::Planes(&mut made),
                false => Whole::Picture { picture: output, shuffle: plan.shuffle },
            };
            let bands = cut(whole, size, &tiles, self.least(tiles.len()), Marks::default());
            self.pool.each(bands, |band, scratch| store(&work, band, scratch));
            check(&interrupt)?;
            for (&plane, made) in layer.outputs.iter().zip(made) {
                if let Some(to) = planes.get_mut(plane) {
                    *to = made;
                }
            }
            for (plane, &last) in planes.iter_mut().zip(&self.lifetimes.last_readers) {
                if last == index && !plane.data.is_empty() {
                    self.free.push(std::mem::take(plane).data);
                }
            }
        }
        Ok(())
    }

    /// Memory that is not in use: the smallest that suffices, else the largest.
    fn take_memory(&mut self, count: usize) -> SampleBuffer<Lanes> {
        let each = || self.free.iter().map(SampleBuffer::capacity).enumerate();
        let enough = each().filter(|(_, capacity)| *capacity >= count);
        let best = enough.min_by_key(|(_, capacity)| *capacity);
        let best = best.or_else(|| each().max_by_key(|(_, capacity)| *capacity));
        best.map(|(index, _)| self.free.swap_remove(index)).unwrap_or_default()
    }

    pub(super) fn work<'a>(
        &'a self,
        index: usize,
        layer: &'a Layer,
        source: Source<'a>,
        interrupt: &'a Interrupt,
    ) -> Work<'a> {
        let packed = self.packed.get(index).and_then(Option::as_ref);
        let (kernels, beyond) = (self.kernels, &self.beyond);
        Work { layer, packed, kernels, source, beyond, observe: None, interrupt }
    }

    /// The least number of tiles of a band: full batches, and several bands for each thread.
    pub(super) fn least(&self, tiles: usize) -> usize {
        let threads = self.pool.threads();
        let share = if threads > 1 { tiles.div_ceil(threads * 16) } else { tiles };
        share.max(BATCH)
    }

    /// The size of each layer's features.
    pub(super) fn sizes(&self, input: &Image) -> Result<Sizes, Error> {
        let (channels, height, width) = (input.channels(), input.height(), input.width());
        let wrong = || Error::Shape { channels, width, height, expected: self.plan.channels };
        if channels != self.plan.channels {
            return Err(wrong());
        }
        let sizes = self.plan.layers.iter().map(|layer| {
            // A mirrored border needs as many samples.
            if let Root::Pad { inner, .. } = &layer.root {
                inner.at([height, width])?;
            }
            layer.size.at([height, width])
        });
        sizes.collect::<Option<Sizes>>().ok_or_else(wrong)
    }

    /// The planes for layers of these sizes, without samples.
    pub(super) fn outline(&self, sizes: &Sizes) -> Vec<Plane> {
        let plane = |&maker: &usize| {
            let [height, width] = sizes.get(maker).copied().unwrap_or_default();
            Plane { height, width, data: SampleBuffer::default() }
        };
        self.lifetimes.makers.iter().map(plane).collect()
    }

    /// Gives the output its shape.
    pub(super) fn shape(&self, sizes: &Sizes, output: &mut Image) {
        let [height, width] = sizes.last().copied().unwrap_or_default();
        let shuffle = self.plan.shuffle;
        let shape = (self.plan.outputs, width * shuffle, height * shuffle);
        if shape != (output.channels(), output.width(), output.height()) {
            output.resize(shape.0, shape.1, shape.2);
        }
    }
}

/// Fails once `interrupt` was raised: batches may be missing.
///
/// # Errors
/// [`Error::Cancelled`].
pub(super) fn check(interrupt: &Interrupt) -> Result<(), Error> {
    if interrupt.is_raised() { Err(Error::Cancelled) } else { Ok(()) }
}

/// The size of equal batches of so many tiles.
pub(super) fn batch_size(count: usize) -> usize {
    count.div_ceil(count.div_ceil(BATCH).max(1)).max(1)
}

fn store(work: &Work<'_>, mut band: Band<'_>, scratch: &mut Scratch) {
    let size = batch_size(band.tiles.len());
    for tiles in band.tiles.chunks(size) {
        let mut sink = Store { target: &mut band.target, first: band.first, tiles };
        work.run(tiles, scratch, &mut sink);
    }
}
