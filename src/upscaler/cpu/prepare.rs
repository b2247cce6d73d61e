//! Stages 1 to 3: what of a frame is new, which regions that makes stale, and what the model is
//! given for them.

use std::time::Instant;

use super::{
    super::{
        Error, FrameParams, FrameReport, Geometry, Region, Reuse, StreamSettings, memory,
        schedule::{self, Schedule, Stale},
    },
    buffer_pool::BufferPool,
    job::{Job, Part, Update},
};
use crate::{
    frame::{FrameInfo, FrameRef, Rect, Unpacker},
    model::ModelInfo,
    reuse::{ChangedMap, Changes, CostModel, Mode, Reference},
};

/// Parts of the output that are made anew each by itself, where the model has no say; where
/// there are more, all of it is.
const MOST_RECTS: usize = 64;

/// Knows what the canvas was computed from, or will be once the frames in flight are finished.
pub(super) struct Prepare {
    unpacker: Unpacker,
    reference: Reference,
    schedule: Schedule,
    whole: Rect,
    pool: BufferPool,
}

impl Prepare {
    /// `grid`: the engine's ([`Infer::shape_grid`](crate::engine::Infer::shape_grid)).
    pub(super) fn new(
        input: FrameInfo,
        model: &ModelInfo,
        geometry: Geometry,
        grid: u32,
        settings: &StreamSettings,
        pool: BufferPool,
    ) -> Result<Self, Error> {
        let unpacker = Unpacker::new(input, model.channels)?;
        let spread = unpacker.reads_beyond();
        let most_pixels = memory::pixels_within(memory::allowance(settings.memory_limit), model);
        Ok(Self {
            reference: Reference::for_model(input, |component| unpacker.reads(component))?,
            unpacker,
            schedule: Schedule::new(model, geometry, spread, grid, settings, most_pixels)?,
            whole: Rect::of_size(input.width, input.height),
            pool,
        })
    }

    /// The next frame is not to build on those before.
    pub(super) fn reset(&mut self) {
        self.reference.reset();
        self.schedule.reset();
    }

    /// Regions are to be no larger than this from here on.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn cut_to(&mut self, edge: u32) -> Result<(), Error> {
        self.schedule.limit_edges(edge)
    }

    /// All that inference and finishing need of `input`. `costs` times the model on a region.
    ///
    /// # Errors
    /// [`Error::Frame`] where `input` is not of the stream's kind; what `costs` gives. All is
    /// forgotten then.
    pub(super) fn prepare(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        costs: impl FnOnce(Part) -> Result<Option<CostModel>, Error>,
    ) -> Result<Job, Error> {
        let job = self.job(input, params, costs);
        match job {
            Ok(_) => self.schedule.set_last(params),
            Err(_) => self.reset(),
        }
        job
    }

    fn job(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        costs: impl FnOnce(Part) -> Result<Option<CostModel>, Error>,
    ) -> Result<Job, Error> {
        let start = Instant::now();
        let frame_pixels = self.whole.area();
        let mut report = FrameReport { frame_pixels, ..Default::default() };
        let builds_on_last = self.schedule.builds_on_last(params);
        let (update, stale) = match schedule::mode(params.reuse) {
            None => {
                self.reset();
                (Stale::Whole, None)
            }
            Some(mode) => {
                let Changes { model_planes, bypass_planes } = self.take(input, mode)?;
                let by_regions = self.schedule.by_regions(params.reuse);
                if by_regions && !model_planes.is_empty() {
                    self.learn_costs(costs)?;
                }
                let update = self.stale(input, &model_planes, by_regions)?;
                let same = model_planes.is_empty() && bypass_planes.is_empty();
                let mut stale = bypass_planes.rects();
                let stale = match &update {
                    _ if !builds_on_last => None,
                    _ if same => Some(vec![]),
                    _ if params.blend <= 0.0 || stale.len() > MOST_RECTS => None,
                    Stale::Whole => None,
                    Stale::Nothing => Some(stale),
                    Stale::Regions(regions) => {
                        stale.extend(regions.iter().map(|region| region.compute));
                        Some(stale)
                    }
                };
                (update, stale)
            }
        };
        report.compare = start.elapsed();

        let start = Instant::now();
        let off = params.reuse == Reuse::Off;
        let (inputs, whole) = match update {
            // The model's picture is not seen, and the canvas falls behind.
            _ if params.blend <= 0.0 => {
                self.schedule.set_current(false);
                (vec![], false)
            }
            Stale::Nothing => (vec![], false),
            Stale::Regions(regions) => (self.unpack(None, &regions)?, false),
            Stale::Whole => {
                let inputs = self.unpack(off.then_some(input), self.schedule.whole())?;
                self.schedule.set_current(!off);
                (inputs, true)
            }
        };
        let source = match params.blend < 1.0 || !self.unpacker.bypass_planes().is_empty() {
            true if off => {
                self.reference.update_rect(input, self.whole)?;
                let source = self.reference.snapshot();
                self.reference.reset();
                Some(source)
            }
            true => Some(self.reference.snapshot()),
            false => None,
        };
        report.unpack = start.elapsed();
        let update = Update::Nothing;
        Ok(Job { params: *params, report, inputs, whole, stale, source, update, cut_to: None })
    }

    /// Takes `frame`, as far as it differs, for what the canvas is computed from, and says
    /// where it differed.
    fn take(&mut self, frame: &FrameRef<'_>, mode: Mode) -> Result<Changes, Error> {
        if self.schedule.set_mode(mode) {
            self.reset();
        }
        let changes = self.reference.changes(frame, mode)?;
        if !changes.model_planes.is_empty() {
            self.reference.update(frame, &changes.model_planes)?;
        }
        if !changes.bypass_planes.is_empty() {
            self.reference.update_bypass_planes(frame, &changes.bypass_planes)?;
        }
        Ok(changes)
    }

    /// What of the canvas is stale where its source `changed`. `by_regions`: whether parts may
    /// be computed alone. What is computed anyway is taken from `frame` too, as far as nothing
    /// else depends on it: so a tolerant picture stays closer at no cost.
    fn stale(
        &mut self,
        frame: &FrameRef<'_>,
        changed: &ChangedMap,
        by_regions: bool,
    ) -> Result<Stale, Error> {
        let stale = self.schedule.stale(changed, by_regions);
        match &stale {
            Stale::Nothing => {}
            Stale::Whole => self.reference.update_rect(frame, self.whole)?,
            Stale::Regions(regions) => {
                for region in regions {
                    self.reference.update_rect(frame, self.schedule.owned(region))?;
                }
            }
        }
        Ok(stale)
    }

    /// Has a small region timed, once, before regions are planned.
    fn learn_costs(
        &mut self,
        costs: impl FnOnce(Part) -> Result<Option<CostModel>, Error>,
    ) -> Result<(), Error> {
        let Some(region) = self.schedule.wants_timing() else { return Ok(()) };
        let parts = self.unpack(None, &[region])?;
        if let Some(part) = parts.into_iter().next() {
            self.schedule.set_cost(costs(part)?);
        }
        Ok(())
    }

    /// What the model is given for `regions` of `input`, or of the reference.
    fn unpack(&self, input: Option<&FrameRef<'_>>, regions: &[Region]) -> Result<Vec<Part>, Error> {
        let reference = self.reference.frame();
        let frame = input.unwrap_or(&reference);
        let unpack = |region: &Region| {
            let mut picture = self.pool.take(
                self.unpacker.channels().count(),
                region.read.width as usize,
                region.read.height as usize,
            );
            self.unpacker.unpack(frame, region.read, &mut picture)?;
            Ok(Part { region: *region, picture })
        };
        regions.iter().map(unpack).collect()
    }
}
