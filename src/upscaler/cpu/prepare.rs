//! The stages before the model: comparing a frame, deciding what it changes, and unpacking that.

use std::time::Instant;

use super::{
    super::{
        buffer_pool::BufferPool,
        damage::Damage,
        decision::{self, Decision, Take},
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
    /// Whether a part of the output shows the frame without the model.
    is_split: bool,
    /// Whether the model's picture is held to the frame.
    is_faithful: bool,
}

impl Prepare {
    /// For frames like `input`, decided on by `schedule`. `is_faithful` says whether the model's picture
    /// is held to the frame.
    ///
    /// # Errors
    /// [`Error::Frame`] for an unsupported size.
    pub(crate) fn new(
        input: FrameInfo,
        model: &ModelInfo,
        schedule: Schedule,
        pool: BufferPool,
        is_faithful: bool,
    ) -> Result<Self, Error> {
        let unpacker = Unpacker::new(input, model.channels)?;
        Ok(Self {
            reference: Reference::for_model(input, |component| unpacker.reads(component))?,
            unpacker,
            schedule,
            bounds: Rect::of_size(input.width, input.height),
            pool,
            is_split: false,
            is_faithful,
        })
    }

    /// Sets whether a part of the output shows the frame without the model.
    pub(crate) fn set_split(&mut self, is_split: bool) {
        self.is_split = is_split;
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
        let changes = self.compare(input, params.reuse)?;
        let (decision, unpack) = self.decide(input, params, changes.as_ref(), measure)?;
        let mut report = FrameReport { frame_pixels: self.bounds.area(), ..Default::default() };
        report.compare = start.elapsed();

        let start = Instant::now();
        let task = self.task(input, params, decision.compute, &unpack)?;
        let source = self.snapshot(input, params)?;
        report.unpack = start.elapsed();
        let mut repaint = decision.repaint;
        if self.is_split && !repaint.is_none() {
            repaint = Damage::All;
        }
        let painting = Painting { params: *params, report, repaint, source, is_timed: false };
        Ok(Prepared { painting, task })
    }

    /// Where `input` differs from the reference. `None` if nothing is reused.
    ///
    /// # Errors
    /// [`Error::Frame`] if `input` is not of the stream's format and size.
    pub(crate) fn compare(
        &mut self,
        input: &FrameRef<'_>,
        reuse: Reuse,
    ) -> Result<Option<Changes>, Error> {
        let Comparison { mode, reset } = self.schedule.compare(reuse);
        if reset {
            self.reference.reset();
        }
        Ok(mode.map(|mode| self.reference.changes(input, mode)).transpose()?)
    }

    /// The picture that the canvas is computed from, once the model has done what it was given.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What the model does to bring the canvas up to date in the blocks of `changes`, and the input
    /// pixels whose output it changes. The rest of the reference stays as it is. `measure`: see
    /// [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub(crate) fn prepare_blocks(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        changes: &Changes,
        measure: impl FnOnce(Region) -> Result<Option<CostModel>, Error>,
    ) -> Result<Option<(Task, Damage)>, Error> {
        let (decision, unpack) = self.decide(input, params, Some(changes), measure)?;
        let task = self.task(input, params, decision.compute, &unpack)?;
        Ok(task.map(|task| (task, decision.repaint)))
    }

    /// See [`Schedule::has_canvas`].
    pub(crate) fn has_canvas(&self) -> bool {
        self.schedule.has_canvas()
    }

    /// See [`Schedule::forget_output`].
    pub(crate) fn forget_output(&mut self) {
        self.schedule.forget_output();
    }

    /// Decides what a frame with these `changes` changes, and updates the reference. Also returns
    /// the pixels to unpack for the model.
    fn decide(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        changes: Option<&Changes>,
        measure: impl FnOnce(Region) -> Result<Option<CostModel>, Error>,
    ) -> Result<(Decision, Damage), Error> {
        if let Some(region) = self.schedule.to_measure(changes).first().copied() {
            self.schedule.set_cost(measure(region)?);
        }
        let (mut decision, unpack) = self.schedule.decide(params, changes);
        if params.blend > 0.0 && (self.is_faithful || params.blend < 1.0) {
            // Features that are kept within a tolerance do not show every change.
            let spread = (self.unpacker.reads_beyond(), false);
            decision.repaint.add(&decision::taken(&decision.take, changes, spread));
        }
        self.take(input, &decision.take, changes)?;
        Ok((decision, unpack))
    }

    /// The model's part of a frame, of which the pixels `unpack` are unpacked.
    fn task(
        &self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        compute: Compute,
        unpack: &Damage,
    ) -> Result<Option<Task>, Error> {
        if compute == Compute::Nothing {
            return Ok(None);
        }
        let source = match params.reuse {
            Reuse::Off => self.unpack(input, unpack)?,
            _ => self.unpack(&self.reference.frame(), unpack)?,
        };
        Ok(Some(Task { source, work: Work { compute, reuse: params.reuse } }))
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
        let shows_model = params.blend >= 1.0 && !self.is_split && !self.is_faithful;
        if shows_model && self.unpacker.bypass_planes().is_empty() {
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
