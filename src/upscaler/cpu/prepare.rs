//! The stages before the model: comparing a frame, deciding what it changes, and unpacking that.

use std::time::Instant;

use super::{
    super::{
        buffer_pool::BufferPool,
        damage::Damage,
        decision::Take,
        enlarger::{Compute, Patch, Work},
        error::Error,
        schedule::{Comparison, Schedule},
        settings::{FrameParams, FrameReport, Reuse},
    },
    frame_state::{Painting, Prepared, Task},
};
use crate::{
    frame::{FrameInfo, FrameRef, Rect, Unpacker},
    model::ModelInfo,
    reuse::{Changes, CostModel, Reference, Region, Snapshot},
};

/// Knows the picture that the canvas is computed from, once all frames in flight are finished.
pub(super) struct Prepare {
    unpacker: Unpacker,
    reference: Reference,
    schedule: Schedule,
    bounds: Rect,
    pool: BufferPool,
}

impl Prepare {
    /// For frames like `input`, decided on by `schedule`.
    ///
    /// # Errors
    /// [`Error::Frame`] for an unsupported size.
    pub(crate) fn new(
        input: FrameInfo,
        model: &ModelInfo,
        schedule: Schedule,
        pool: BufferPool,
    ) -> Result<Self, Error> {
        let unpacker = Unpacker::new(input, model.channels)?;
        Ok(Self {
            reference: Reference::for_model(input, |component| unpacker.reads(component))?,
            unpacker,
            schedule,
            bounds: Rect::of_size(input.width, input.height),
            pool,
        })
    }

    /// See [`Pipeline::whole_frame_work`](super::Pipeline::whole_frame_work).
    pub(crate) fn whole_frame_work(&self) -> f64 {
        self.schedule.tiling().work() / self.bounds.area().max(1) as f64
    }

    /// Makes the next frame independent of earlier ones.
    pub(crate) fn reset(&mut self) {
        self.reference.reset();
        self.schedule.reset();
    }

    /// Limits the sides of regions to `max_edge` pixels.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if no region can be so small.
    pub(crate) fn limit_edges(&mut self, max_edge: u32) -> Result<(), Error> {
        self.schedule.limit_edges(max_edge)
    }

    /// Sets the cost of runs, so that it is not measured.
    pub(crate) fn set_cost(&mut self, cost: CostModel) {
        self.schedule.set_cost(Some(cost));
    }

    /// Everything that the model and the stages after it need of `input`. `measure` measures a
    /// run of the model on a region.
    ///
    /// # Errors
    /// [`Error::Frame`] if `input` is not of the stream's format and size; errors of `measure`.
    /// Then the next frame is independent of earlier ones.
    pub(crate) fn prepare(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        measure: impl FnOnce(Region) -> Result<Option<CostModel>, Error>,
    ) -> Result<Prepared, Error> {
        let prepared = self.try_prepare(input, params, measure);
        if prepared.is_err() {
            self.reset();
        }
        prepared
    }

    fn try_prepare(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        measure: impl FnOnce(Region) -> Result<Option<CostModel>, Error>,
    ) -> Result<Prepared, Error> {
        let start = Instant::now();
        let Comparison { mode, reset } = self.schedule.compare(params.reuse);
        if reset {
            self.reference.reset();
        }
        let changes = mode.map(|mode| self.reference.changes(input, mode)).transpose()?;
        if let Some(region) = self.schedule.to_measure(changes.as_ref()).first().copied() {
            self.schedule.set_cost(measure(region)?);
        }
        let (decision, unpack) = self.schedule.decide(params, changes.as_ref());
        self.take(input, &decision.take, changes.as_ref())?;
        let mut report = FrameReport { frame_pixels: self.bounds.area(), ..Default::default() };
        report.compare = start.elapsed();

        let start = Instant::now();
        let task = match decision.compute {
            Compute::Nothing => None,
            compute => {
                let source = match params.reuse {
                    Reuse::Off => self.unpack(input, &unpack)?,
                    _ => self.unpack(&self.reference.frame(), &unpack)?,
                };
                Some(Task { source, work: Work { compute, reuse: params.reuse } })
            }
        };
        let source = self.snapshot(input, params)?;
        report.unpack = start.elapsed();
        let painting = Painting { params: *params, report, repaint: decision.repaint, source };
        Ok(Prepared { painting, task })
    }

    /// Updates the reference from `frame`, which differs from it by `changes`.
    fn take(
        &mut self,
        frame: &FrameRef<'_>,
        take: &Take,
        changes: Option<&Changes>,
    ) -> Result<(), Error> {
        if let (Take::Changed | Take::ChangedAnd(_), Some(changes)) = (take, changes) {
            if !changes.model_planes.is_empty() {
                self.reference.update(frame, &changes.model_planes)?;
            }
            if !changes.bypass_planes.is_empty() {
                self.reference.update_bypass_planes(frame, &changes.bypass_planes)?;
            }
        }
        match take {
            Take::Discard | Take::Nothing | Take::Changed => {}
            Take::ChangedAnd(rects) => {
                for rect in rects {
                    self.reference.update_rect(frame, *rect)?;
                }
            }
            Take::All => self.reference.update_rect(frame, self.bounds)?,
        }
        Ok(())
    }

    /// The parts of the source picture of `frame` that cover `pixels`.
    fn unpack(&self, frame: &FrameRef<'_>, pixels: &Damage) -> Result<Vec<Patch>, Error> {
        let channels = self.unpacker.channels().count();
        let unpack = |rect: Rect| {
            let mut picture = self.pool.take(channels, rect.width as usize, rect.height as usize);
            self.unpacker.unpack(frame, rect, &mut picture)?;
            Ok(Patch { rect, picture, parts: Vec::new() })
        };
        pixels.rects(self.bounds).into_iter().map(unpack).collect()
    }

    /// The frame for the stages after the model, if they read it.
    fn snapshot(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
    ) -> Result<Option<Snapshot>, Error> {
        if params.blend >= 1.0 && self.unpacker.bypass_planes().is_empty() {
            return Ok(None);
        }
        if params.reuse != Reuse::Off {
            return Ok(Some(self.reference.snapshot()));
        }
        self.reference.update_rect(input, self.bounds)?;
        let source = self.reference.snapshot();
        self.reference.reset();
        Ok(Some(source))
    }
}
