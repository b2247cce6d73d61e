//! The pipeline on the CPU: the queue of frames in flight, prepared and finished here while the worker
//! runs the model.
//!
//! Frames with a deadline are different: see [`timed`] and [`compose`]. Any other frame passes these
//! states:
//!
//! 1. [`Prepared`]: [`Prepare`] has compared it, decided what it changes and
//!    unpacked that, on the caller's thread.
//! 2. [`Inferred`]: the [`Worker`] has run the model on its own thread.
//! 3. Finished: the [`Surface`] of the canvas has been updated, and [`Finish`] has written the
//!    output, on the caller's thread with the help of a thread pool.

mod compose;
mod fade;
mod finish;
mod frame_state;
mod prepare;
mod split;
mod surface;
mod timed;
mod worker;

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use self::{
    compose::{Compose, Layers},
    finish::{Finish, Sources},
    frame_state::{Inferred, Painting, Prepared},
    prepare::Prepare,
    split::Split,
    surface::Surface,
    timed::Timed,
    worker::{Answer, Worker},
};
use super::{
    buffer_pool::BufferPool,
    conversion::Conversion,
    damage::Damage,
    enlarger::{Cost, Enlarger, Patch, Planning},
    error::Error,
    featurewise::Featurewise,
    geometry::{Geometry, Tiling},
    memory::{self, Budget},
    pipeline::{Next, Pipeline},
    region_plan::RegionPlan,
    regionwise::Regionwise,
    schedule::{Schedule, SourceUse},
    settings::{Deadline, FrameParams, FrameReport, Reuse, StreamSettings},
};
use crate::{
    engine::{AnyEngine, EngineTraits, Infer, InferChanges, Interrupt},
    frame::{FrameInfo, FrameMut, FrameRef, Rect},
    model::ModelInfo,
    reuse::{CostModel, Snapshot},
};

/// A frame between [`Pipeline::submit`] and [`Pipeline::next`].
enum InFlight {
    /// The model computes a part of the canvas, or all of it (`whole`).
    AtModel { painting: Painting, whole: bool, answer: Answer<(Vec<Patch>, Cost)> },
    /// The model has nothing to do.
    Inferred(Inferred),
}

/// [`Pipeline`] on the CPU.
pub struct CpuPipeline {
    prepare: Prepare,
    /// Dropped before the worker, which then ends early.
    in_flight: VecDeque<InFlight>,
    worker: Worker,
    /// The frame to finish.
    next: Option<Inferred>,
    canvas: Surface,
    finish: Finish,
    split: Split,
    timed: Timed,
    /// A run of the model that is only measured.
    trial: Option<Answer<(Vec<Patch>, Cost)>>,
    compose: Compose,
    threads: rayon::ThreadPool,
    input: FrameInfo,
}

impl CpuPipeline {
    /// A stream from `input` to `output` frames, of the same format and colorimetry and of any
    /// sizes, through an engine with these `traits`.
    ///
    /// # Errors
    /// [`Error::Frame`] for unsupported sizes, [`Error::OutOfMemory`], [`Error::FixedSize`] if the
    /// model does not accept such frames, [`Error::Thread`].
    pub fn new(
        engine: Box<dyn Infer>,
        traits: EngineTraits,
        input: FrameInfo,
        output: FrameInfo,
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        let pixels = Budget::on_cpu(settings.memory_limit, engine.info(), &input).pixels();
        Self::regionwise(engine, traits, input, output, (&settings, pixels))
    }

    /// As [`new`](Self::new), with an engine that keeps features from frame to frame. It runs on
    /// whole frames, which it divides by itself if memory is short: `settings.tile_size` and
    /// `settings.halo` have no effect.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn incremental(
        mut engine: Box<dyn InferChanges>,
        traits: EngineTraits,
        input: FrameInfo,
        output: FrameInfo,
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        let model = engine.info();
        let size = (input.width, input.height);
        let budget = Budget::on_cpu(settings.memory_limit, model, &input);
        let side = |side: u32| side >= model.min_side && side.is_multiple_of(model.align.max(1));
        let whole = side(input.width)
            && side(input.height)
            && model.fixed_size.is_none_or(|fixed| fixed == size);
        let settings = StreamSettings { tile_size: 0, halo: None, ..settings };
        if !whole {
            let padded = Geometry::new(size, model, None).whole().padded;
            engine.limit_memory(budget.bytes());
            memory::check_run(engine.run_bytes(padded.0, padded.1))?;
            return Self::regionwise(engine, traits, input, output, (&settings, u64::MAX));
        }
        let enlarger = Featurewise::new(engine, size, budget.bytes());
        memory::check_run(enlarger.run_bytes(size))?;
        Self::with_enlarger(Box::new(enlarger), traits, input, output, settings)
    }

    fn regionwise<E: Infer + ?Sized + 'static>(
        engine: Box<E>,
        traits: EngineTraits,
        input: FrameInfo,
        output: FrameInfo,
        (settings, pixels): (&StreamSettings, u64),
    ) -> Result<Self, Error>
    where
        AnyEngine: From<Box<E>>,
    {
        let model = engine.info().clone();
        check(&model, &input, &output)?;
        let geometry = Geometry::new((input.width, input.height), &model, settings.halo);
        let budget = Budget::on_cpu(settings.memory_limit, &model, &input);
        let tiling = Tiling::new(geometry, settings.tile_size, pixels, budget)?;
        let enlarger = Box::new(Regionwise::new(engine, tiling.clone()));
        Self::build(enlarger, tiling, traits, input, output, settings)
    }

    /// As [`new`](Self::new), with an engine that keeps the canvas up to date by itself
    /// ([`Planning::Changes`]).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_enlarger(
        enlarger: Box<dyn Enlarger>,
        traits: EngineTraits,
        input: FrameInfo,
        output: FrameInfo,
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        let model = enlarger.info();
        check(model, &input, &output)?;
        let geometry = Geometry::new((input.width, input.height), model, settings.halo);
        let budget = Budget::on_cpu(settings.memory_limit, model, &input);
        let tiling = match enlarger.planning() {
            Planning::Changes => Tiling::new(geometry, 0, u64::MAX, budget)?,
            Planning::Regions { .. } | Planning::Tiles { .. } => {
                Tiling::new(geometry, settings.tile_size, budget.pixels(), budget)?
            }
        };
        Self::build(enlarger, tiling, traits, input, output, &settings)
    }

    fn build(
        enlarger: Box<dyn Enlarger>,
        tiling: Tiling,
        traits: EngineTraits,
        input: FrameInfo,
        output: FrameInfo,
        settings: &StreamSettings,
    ) -> Result<Self, Error> {
        let model = enlarger.info().clone();
        let conversion =
            Conversion::new(input, output, model.channels, model.factor, settings.fidelity)?;
        let spread = conversion.unpacker.reads_beyond();
        let planning = enlarger.planning();
        let plan = RegionPlan::new(&model, tiling, spread, planning, traits, settings);
        let geometry = plan.tiling().geometry();
        let computes_parts = planning == Planning::Changes
            || traits.exact_regions && geometry.fixed_size.is_none() && settings.tile_size == 0;
        let halo = geometry.halo.filter(|_| computes_parts);
        let timed =
            Timed::new(input, output, halo, |component| conversion.unpacker.reads(component))?;
        let schedule = Schedule::new(plan, spread, SourceUse::Model);
        let (pool, bounds) = (BufferPool::default(), Rect::of_size(input.width, input.height));
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.max(1))
            .thread_name(|index| format!("upscale-{index}"))
            .build()
            .map_err(|error| Error::Thread(io::Error::other(error)))?;
        let source = Surface::new(bounds, 1, pool.clone());
        Ok(Self {
            prepare: Prepare::new(input, &model, schedule, pool.clone(), settings.fidelity > 0.0)?,
            worker: Worker::start(enlarger, source, pool.clone())?,
            in_flight: VecDeque::new(),
            next: None,
            canvas: Surface::new(bounds, model.factor, pool),
            finish: Finish::new(conversion),
            split: Split::default(),
            timed,
            trial: None,
            compose: Compose::new(input, output)?,
            threads,
            input,
        })
    }

    /// Plans regions with this cost of runs instead of measuring it. Plans that depend on measured
    /// times differ from machine to machine.
    #[doc(hidden)]
    #[must_use]
    pub fn with_cost(mut self, cost: CostModel) -> Self {
        self.prepare.set_cost(cost);
        self
    }

    /// Releases the memory of the canvas if the next frame replaces all of it.
    fn release_canvas(&mut self) {
        if self.next.is_none()
            && let Some(InFlight::AtModel { whole: true, .. }) = self.in_flight.front()
        {
            self.canvas.release();
        }
    }

    fn receive(&mut self) -> Result<Option<Next>, Error> {
        self.release_canvas();
        self.receive_timed()?;
        let frame = match self.in_flight.pop_front() {
            None => match self.timed.end()? {
                None => return Ok(None),
                Some(frame) => frame,
            },
            Some(InFlight::Inferred(frame)) => frame,
            Some(InFlight::AtModel { painting, answer, .. }) => {
                let (canvas, cost) = answer.wait()?;
                if let Some(max_edge) = cost.max_edge {
                    self.prepare.limit_edges(max_edge)?;
                }
                painting.inferred(canvas, &cost)
            }
        };
        let next = if frame.is_same() { Next::Same } else { Next::Changed };
        self.next = Some(frame);
        Ok(Some(next))
    }

    fn prepare_by(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let reuse = match params.reuse {
            Reuse::Off => Reuse::Exact,
            reuse => reuse,
        };
        let params = FrameParams { reuse, ..*params };
        if !self.timed.is_active() {
            // Its output starts from what the canvas shows, without a fade.
            self.prepare.forget_output();
        }
        self.receive_timed()?;
        let look = self.timed.look(input, deadline.tolerance)?;
        let mut report =
            FrameReport { frame_pixels: self.canvas.bounds().area(), ..Default::default() };
        if self.timed.gives_up(deadline) {
            // The reference is ahead of the canvas.
            self.prepare.reset();
        }
        if !self.timed.is_running()
            && !self.timed.pauses()
            && let Some(mut changes) = self.prepare.compare(input, reuse)?
        {
            self.timed.takes_bypass(&changes.bypass_planes);
            let changed = &changes.model_planes;
            if self.prepare.has_canvas() && !self.timed.fits(changed, deadline) {
                changes.model_planes = self.timed.choose(&look, deadline)?;
            }
            report.compare = start.elapsed();
            let start = Instant::now();
            let worker = &self.worker;
            let task = self
                .prepare
                .prepare_blocks(input, &params, &changes, |region| worker.measure(region))?;
            if let Some((task, repaint)) = task {
                let blocks = (&changes.model_planes, task.is_whole());
                let answer = self.worker.run(task)?;
                let base = (self.prepare.reference().clone(), repaint);
                self.timed.run(blocks, base, deadline, answer);
            }
            report.unpack = start.elapsed();
        }
        self.timed.begin(look, (params, deadline), report);
        Ok(())
    }

    /// Adds what the model has finished of frames with deadlines to the canvas and the model's
    /// output.
    fn receive_timed(&mut self) -> Result<(), Error> {
        let Some((patches, cost, repaint)) = self.timed.receive()? else { return Ok(()) };
        let start = Instant::now();
        if let Some(max_edge) = cost.max_edge {
            self.prepare.limit_edges(max_edge)?;
        }
        let parts: Vec<Rect> = patches.iter().flat_map(Patch::parts).copied().collect();
        self.canvas.update(patches);
        let finish = &self.finish;
        let mut repaint = repaint;
        repaint.add(&Damage::of(parts.iter().copied()));
        let rects = repaint.map(|rect| finish.dependents(rect));
        let base = self.timed.base();
        let frame = Snapshot::frame_or_nothing(base.as_ref(), self.input);
        let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Exact };
        let canvas = self.canvas.picture();
        let sources = Sources { canvas, frame: &frame, params: &params, split: Split::default() };
        let (rects, interrupt) = (rects.rects(finish.whole()), Interrupt::current());
        let mut model = self.compose.model()?;
        self.threads.install(|| finish.run(sources, None, &mut model, &rects, &interrupt))?;
        self.timed.add(&parts, repaint, cost, start.elapsed());
        interrupt.check()?;
        Ok(())
    }

    /// Before a frame without a deadline: the canvas must have all that the model has begun.
    fn leave_timed(&mut self) {
        if self.timed.is_active() {
            if self.timed.is_running() {
                self.prepare.reset();
            }
            self.prepare.forget_output();
            self.timed.reset();
        }
    }

    fn paint(
        &mut self,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error> {
        let start = Instant::now();
        let Inferred { painting, canvas } = self.next.take().ok_or(Error::NoFrame)?;
        self.canvas.update(canvas);
        let (finish, compose) = (&self.finish, &self.compose);
        let rects = match previous {
            Some(_) => {
                let dependents = |rect| match painting.is_timed {
                    true => finish.dependents(rect).union(&compose.dependents(rect)),
                    false => finish.dependents(rect),
                };
                painting.repaint.map(dependents).rects(finish.whole())
            }
            None => vec![finish.whole()],
        };
        let frame = Snapshot::frame_or_nothing(painting.source.as_ref(), self.input);
        let (params, split, interrupt) = (&painting.params, self.split, Interrupt::current());
        if painting.is_timed {
            let base = self.timed.base();
            let base = base.as_ref().map(Snapshot::frame);
            let (frame, base, fade) = (&frame, base.as_ref(), &self.timed.fade);
            let layers = Layers { frame, base, fade, params, split };
            self.threads.install(|| compose.run(layers, previous, output, &rects, &interrupt))?;
        } else {
            let sources = Sources { canvas: self.canvas.picture(), frame: &frame, params, split };
            self.threads.install(|| finish.run(sources, previous, output, &rects, &interrupt))?;
        }
        interrupt.check()?;
        self.release_canvas();
        let time = start.elapsed();
        if painting.is_timed {
            self.timed.finished(time);
        }
        Ok(FrameReport { finish: time, ..painting.report })
    }
}

impl Pipeline for CpuPipeline {
    fn submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error> {
        self.leave_timed();
        let worker = &self.worker;
        let Prepared { painting, task } =
            self.prepare.prepare(input, params, |region| worker.measure(region))?;
        self.in_flight.push_back(match task {
            None => InFlight::Inferred(painting.inferred(vec![], &Cost::default())),
            Some(task) => {
                let whole = task.is_whole();
                let answer = self.worker.run(task)?;
                InFlight::AtModel { painting, whole, answer }
            }
        });
        self.release_canvas();
        Ok(())
    }

    fn submit_by(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if params.blend <= 0.0 || !self.in_flight.is_empty() {
            return self.submit(input, params);
        }
        self.prepare_by(input, params, deadline).inspect_err(|_| self.abort())
    }

    fn next(&mut self) -> Result<Option<Next>, Error> {
        // The canvas lacks the changes of a frame that was not finished.
        if self.next.take().is_some_and(|frame| !frame.is_same()) {
            self.abort();
        }
        self.receive().inspect_err(|_| self.abort())
    }

    fn finish(
        &mut self,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error> {
        self.paint(previous, output).inspect_err(|_| self.abort())
    }

    fn set_split(&mut self, share: f64) {
        self.split = Split::new(share, self.finish.whole().width);
        self.prepare.set_split(share > 0.0);
        self.prepare.forget_output();
    }

    fn whole_frame_work(&self) -> f64 {
        self.prepare.whole_frame_work()
    }

    fn begin_trial(&mut self, input: &FrameRef<'_>) -> Result<(), Error> {
        self.abort();
        let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Exact };
        let worker = &self.worker;
        let Prepared { task, .. } =
            self.prepare.prepare(input, &params, |region| worker.measure(region))?;
        self.trial = task.map(|task| self.worker.run(task)).transpose()?;
        Ok(())
    }

    fn take_trial(&mut self) -> Result<Option<Duration>, Error> {
        let Some(answer) = &self.trial else { return Ok(None) };
        let Some((_, cost)) = answer.wait_until(Instant::now())? else { return Ok(None) };
        // The canvas does not have its picture.
        self.abort();
        self.timed.ran(cost);
        Ok(Some(cost.time))
    }

    fn reset(&mut self) {
        self.prepare.reset();
        self.timed.reset();
    }

    fn abort(&mut self) {
        self.prepare.reset();
        self.timed.reset();
        self.in_flight.clear();
        (self.next, self.trial) = (None, None);
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.worker.settle()
    }

    fn into_engine(self: Box<Self>) -> Option<AnyEngine> {
        Some(self.worker.into_enlarger()?.into_engine())
    }
}

/// Checks the sizes of frames and the memory for the enlarged picture.
fn check(model: &ModelInfo, input: &FrameInfo, output: &FrameInfo) -> Result<(), Error> {
    input.check()?;
    output.check()?;
    memory::check_canvas(model, input)
}
