//! The stages on the processor, over frames in system memory.

mod canvas;
mod finish;
mod infer;

use std::time::Instant;

use self::{
    canvas::{Canvas, Stale},
    finish::Finish,
    infer::Inference,
};
use super::{
    Error, FrameParams, FrameReport, Geometry, Region, Reuse, Settings, memory, region::MIN_EDGE,
};
use crate::{
    frame::{FrameInfo, FrameMut, FrameRef, Image, Rect, Unpacker},
    inference::{self, Infer},
    model::ModelInfo,
};

/// Side of the region whose time tells, beside a whole frame's, what a call costs.
const TIMING_SIDE: u32 = 64;

/// One stream's way from small frames to large ones.
pub struct Upscaler {
    settings: Settings,
    model: ModelInfo,
    geometry: Geometry,
    /// How a whole frame is cut.
    regions: Vec<Region>,
    inference: Inference,
    canvas: Canvas,
    finish: Finish,
    pool: rayon::ThreadPool,
    /// What [`compare`](Self::compare) found for the frame that comes next.
    pending: Option<(Stale, FrameReport)>,
    /// How the last output was made; `None` where none is to be built on.
    last: Option<FrameParams>,
}

impl Upscaler {
    /// For a stream that goes from `input` to `output` frames (same format and colour, any sizes).
    ///
    /// # Errors
    /// [`Error::Frame`] for sizes that cannot be handled, [`Error::NoMemory`],
    /// [`Error::TooLarge`] and [`Error::Impossible`] where the model cannot take such frames.
    pub fn new(
        engine: Box<dyn Infer>,
        input: FrameInfo,
        output: FrameInfo,
        settings: Settings,
    ) -> Result<Self, Error> {
        let model = engine.info().clone();
        input.check()?;
        output.check()?;
        let picture = picture(&model, &input)?;
        let geometry = Geometry::new((input.width, input.height), &model, settings.halo);
        let regions = cut(&geometry, settings.tile_size, &settings, &model)?;
        let inference = Inference::new(engine, Unpacker::new(input, model.channels)?);
        let (spread, grid) = (inference.spread(), inference.shape_grid());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.max(1))
            .thread_name(|index| format!("upscale-{index}"))
            .build()
            .map_err(|error| Error::Impossible(format!("threads could not be started: {error}")))?;
        Ok(Self {
            canvas: Canvas::new(picture, input, geometry, spread, grid, largest(&regions))?,
            finish: Finish::new(input, output, model.channels, model.factor)?,
            inference,
            settings,
            model,
            geometry,
            regions,
            pool,
            pending: None,
            last: None,
        })
    }

    /// Compares `input` with what the last output was made from. `true`: that output is what
    /// this frame gives too, and there is no need to [`process`](Self::process) it.
    ///
    /// # Errors
    /// [`Error::Frame`] where `input` is not of the stream's kind.
    pub fn compare(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<bool, Error> {
        let start = Instant::now();
        let mut report =
            FrameReport { frame_pixels: self.whole_input().area(), ..Default::default() };
        let Some(mode) = canvas::mode(params.reuse) else {
            self.canvas.forget();
            self.pending = Some((Stale::Whole, report));
            return Ok(false);
        };
        let exact = self.settings.regions_exact && self.geometry.halo >= self.model.halo;
        let by_regions = exact || params.reuse != Reuse::Exact;
        let changed = self.canvas.take(input, mode)?;
        if by_regions && !changed.is_empty() && self.canvas.wants_timing() {
            self.time_small_region().inspect_err(|_| self.canvas.forget())?;
        }
        let stale = self.canvas.stale(input, &changed, by_regions)?;
        let same =
            changed.is_empty() && self.last.is_some_and(|last| paints_the_same(&last, params));
        report.compare = start.elapsed();
        self.pending = (!same).then_some((stale, report));
        Ok(same)
    }

    /// Enlarges `input` into `output`. `previous`: the output of the frame before, for what has
    /// not changed since; without it everything is painted.
    ///
    /// # Errors
    /// See [`Error`]; `output` then holds no picture.
    pub fn process(
        &mut self,
        input: &FrameRef<'_>,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
        params: &FrameParams,
    ) -> Result<FrameReport, Error> {
        if self.pending.is_none() && self.compare(input, params)? {
            self.pending = Some((Stale::Nothing, FrameReport::default()));
        }
        let (stale, mut report) =
            self.pending.take().unwrap_or((Stale::Whole, FrameReport::default()));
        let last = self.last.take();
        let stale = self
            .compute(input, stale, params, &mut report)
            .inspect_err(|_| self.canvas.forget())?;

        let start = Instant::now();
        let previous = previous.filter(|_| last.is_some_and(|last| paints_the_same(&last, params)));
        let rects = match (stale, previous) {
            (Stale::Regions(regions), Some(_)) => {
                regions.iter().map(|region| self.finish.dependents(region.compute)).collect()
            }
            (Stale::Nothing, Some(_)) => Vec::new(),
            _ => vec![self.finish.whole()],
        };
        let reference = self.canvas.source();
        let source = if params.reuse == Reuse::Off { input } else { &reference };
        let (picture, finish) = (&self.canvas.picture, &self.finish);
        self.pool.install(|| finish.run(picture, source, previous, output, &rects, params))?;
        report.finish = start.elapsed();
        self.last = Some(*params);
        Ok(report)
    }

    /// Brings the canvas up to date; gives what of it is new.
    fn compute(
        &mut self,
        input: &FrameRef<'_>,
        stale: Stale,
        params: &FrameParams,
        report: &mut FrameReport,
    ) -> Result<Stale, Error> {
        if params.blend <= 0.0 {
            // The model's picture is not seen, and the canvas falls behind.
            self.canvas.set_current(false);
            return Ok(Stale::Whole);
        }
        let from_input = (params.reuse == Reuse::Off).then_some(input);
        if let Stale::Regions(regions) = &stale {
            match self.infer(from_input, regions, report) {
                Err(Error::Inference(inference::Error::OutOfMemory)) => self.halve_regions()?,
                done => return done.map(|()| stale),
            }
        } else if stale == Stale::Nothing {
            return Ok(stale);
        }
        loop {
            let regions = std::mem::take(&mut self.regions);
            let outcome = self.infer(from_input, &regions, report);
            self.regions = regions;
            match outcome {
                Err(Error::Inference(inference::Error::OutOfMemory)) => self.halve_regions()?,
                done => break done?,
            }
        }
        self.canvas.set_current(params.reuse != Reuse::Off);
        let runs = self.regions.len().max(1) as u64;
        self.canvas.time_whole(report.pixels / runs, report.infer.as_secs_f64() / runs as f64);
        Ok(Stale::Whole)
    }

    /// `regions` of `input`, or of the canvas's own source, into the canvas.
    fn infer(
        &mut self,
        input: Option<&FrameRef<'_>>,
        regions: &[Region],
        report: &mut FrameReport,
    ) -> Result<(), Error> {
        let (source, picture) = self.canvas.parts();
        let source = input.unwrap_or(&source);
        regions.iter().try_for_each(|region| self.inference.run(source, region, picture, report))
    }

    /// Tells the canvas what a run over a small region costs.
    fn time_small_region(&mut self) -> Result<(), Error> {
        let Rect { width, height, .. } = self.whole_input();
        let corner = Rect::of_size(TIMING_SIDE.min(width), TIMING_SIDE.min(height));
        let small = self.geometry.region_reading(corner, corner);
        let source = self.canvas.source();
        // The first run of a shape sets it up.
        self.inference.time(&source, &small)?;
        let seconds = self.inference.time(&source, &small)?;
        self.canvas.time_small(small.pixels(), seconds);
        Ok(())
    }

    fn halve_regions(&mut self) -> Result<(), Error> {
        let (width, height) = largest(&self.regions);
        let half = width.max(height) / 2;
        if half < MIN_EDGE || self.geometry.halo.is_none() || self.geometry.fixed_size.is_some() {
            return Err(Error::NoMemory { side: half.max(MIN_EDGE) });
        }
        self.regions = cut(&self.geometry, half, &self.settings, &self.model)?;
        self.canvas.set_largest(largest(&self.regions));
        Ok(())
    }

    fn whole_input(&self) -> Rect {
        Rect::of_size(self.geometry.frame.0, self.geometry.frame.1)
    }

    /// Forgets everything about earlier frames (after a flush, seek or discontinuity).
    pub fn reset(&mut self) {
        self.canvas.forget();
        (self.pending, self.last) = (None, None);
    }

    /// The engine back, for the next stream of the same model.
    pub fn into_engine(self) -> Box<dyn Infer> {
        self.inference.into_engine()
    }
}

/// Whether the same canvas gives the same output by both: grain is new in every frame.
fn paints_the_same(a: &FrameParams, b: &FrameParams) -> bool {
    a.blend == b.blend && a.grain <= 0.0 && b.grain <= 0.0
}

/// The widest and the highest region's sides.
fn largest(regions: &[Region]) -> (u32, u32) {
    let sides = regions.iter().map(|region| (region.compute.width, region.compute.height));
    sides.fold((1, 1), |most, side| (most.0.max(side.0), most.1.max(side.1)))
}

/// Room for the enlarged picture.
fn picture(model: &ModelInfo, input: &FrameInfo) -> Result<Image, Error> {
    let [width, height] =
        [input.width, input.height].map(|side| u64::from(side) * u64::from(model.factor));
    let bytes = (width * height).saturating_mul((model.channels.count() * size_of::<f32>()) as u64);
    if bytes > memory::free() {
        return Err(Error::TooLarge { width, height, megabytes: bytes >> 20 });
    }
    Ok(Image::new(model.channels.count(), width as usize, height as usize))
}

fn cut(
    geometry: &Geometry,
    max_edge: u32,
    settings: &Settings,
    model: &ModelInfo,
) -> Result<Vec<Region>, Error> {
    let bytes = memory::allowance(settings.memory_limit);
    geometry.cut(max_edge, memory::pixels_within(bytes, model))
}
