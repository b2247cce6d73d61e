//! Frames with a deadline: decides which parts the model computes, and which picture the output shows.
//!
//! [`Compose`](super::compose::Compose) makes the output of such a frame when it is due. A task that the
//! model has not finished by then continues in the background; its result is shown when it is ready.
//!
//! Each block of a frame is compared with the base, the frame that the model's picture was computed
//! from:
//!
//! | largest difference | shown | computed again |
//! |---|---|---|
//! | up to the tolerance | the model's picture | no |
//! | up to [`FADING`] (noise, slow changes) | the model's picture and the difference | in turn |
//! | up to [`HIDDEN`] | the same, and over a few frames less of it | in turn, or in time if it moves |
//! | more | a Lanczos enlargement | in turn, or in time if it moves |

use std::time::{Duration, Instant};

use super::{
    super::{
        damage::Damage,
        enlarger::{Cost, Patch},
        error::Error,
        pace::Pace,
        settings::{Deadline, FrameParams, FrameReport, Late},
    },
    fade::{Difference, Fade},
    frame_state::{Inferred, Painting},
    worker::Answer,
};
use crate::{
    frame::{self, FrameInfo, FrameRef, Rect},
    reuse::{
        ChangedMap, Changes, Distances, Mode, Outdated, Reference, Selection, Snapshot, Stillness,
    },
};

/// The largest difference of a sample, in 8-bit steps, up to which the detail of the model's picture
/// fits the frame. Camera noise stays below it.
const FADING: u8 = 16;
/// Beyond this difference it does not fit at all.
const HIDDEN: u8 = 32;

/// Blocks around moving ones that are computed with them.
const AROUND: u32 = 2;
/// After this many frames without work for the model, it computes some outdated blocks, to measure its
/// current speed.
const PROBE: u32 = 30;
/// Frames in a row that arrive too late while the model computes a whole frame, before that is given
/// up. A machine that is this busy has no time for the model.
const PATIENCE: u32 = 15;
/// Frames after that until the model is tried again: at first and, doubled with each time, at most.
const PAUSE: (u32, u32) = (30, 300);

/// The state of a stream whose frames have deadlines.
pub(super) struct Timed {
    size: (u32, u32),
    /// The input that the output shows where it is resampled.
    shown: Reference,
    /// The input that the model's picture was computed from. `None`: there is no such picture.
    base: Option<Reference>,
    /// Whether something of the last output was resampled or is older than its frame.
    is_late: bool,
    stillness: Stillness,
    selection: Selection,
    /// Whether the model can compute parts of a frame.
    computes_parts: bool,
    pub fade: Fade,
    pace: Pace,
    /// What the model is computing.
    task: Option<Running>,
    /// The frame between [`begin`](Self::begin) and [`end`](Self::end).
    frame: Option<Frame>,
    /// The parts of the canvas that are new since the last output, and their cost.
    fresh: (Vec<Rect>, Vec<Cost>),
    /// Input pixels that differ between this base and the next one in the planes that bypass the model.
    bypass: Damage,
    /// Input pixels whose model output is new since the last output.
    repaint: Damage,
    /// The time for making the model's output of that.
    fresh_time: Duration,
    /// Frames since the model last had work.
    idle: u32,
    /// Frames in a row that arrived too late.
    late: u32,
    /// Frames until the model may have work, and how many it is the next time.
    pause: (u32, u32),
    /// Whether the last frame had a deadline.
    is_active: bool,
}

/// What the model computes for this frame or an earlier one.
struct Running {
    answer: Answer<(Vec<Patch>, Cost)>,
    /// The input that the canvas is computed from when the task has ended, and its pixels whose output
    /// then differs.
    base: (Reference, Damage),
    /// An estimate of the pixels that the model runs on.
    pixels: u64,
    /// Whether it is a whole frame.
    whole: bool,
    /// Whether it can be ready before the frame is due that it was begun for, and whether it was not.
    in_time: bool,
    missed: bool,
}

struct Frame {
    deadline: Deadline,
    painting: Painting,
}

/// The comparison of a frame with the previous one.
pub(super) struct Look {
    /// Blocks whose resampled picture is painted again.
    moved: ChangedMap,
    /// Blocks that do not rest.
    moving: ChangedMap,
}

impl Timed {
    /// For frames from `input` to `output`, of which the model reads the components for which
    /// `reads` returns true. `halo`: the distance up to which the model reads; `None`: it cannot
    /// compute parts of a frame.
    ///
    /// # Errors
    /// [`frame::Error::UnsupportedSize`].
    pub(crate) fn new(
        input: FrameInfo,
        output: FrameInfo,
        halo: Option<u32>,
        reads: impl Fn(usize) -> bool,
    ) -> Result<Self, frame::Error> {
        let size = (input.width, input.height);
        Ok(Self {
            size,
            shown: Reference::for_model(input, reads)?,
            base: None,
            is_late: false,
            stillness: Stillness::default(),
            selection: Selection::new(halo.unwrap_or(size.0.max(size.1))),
            computes_parts: halo.is_some(),
            fade: Fade::new(size, (output.width, output.height)),
            pace: Pace::default(),
            task: None,
            frame: None,
            fresh: Default::default(),
            bypass: Damage::NONE,
            repaint: Damage::NONE,
            fresh_time: Duration::ZERO,
            idle: 0,
            late: 0,
            pause: (0, PAUSE.0),
            is_active: false,
        })
    }

    /// Whether the last frame had a deadline.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Whether the model is still computing something.
    pub(crate) fn is_running(&self) -> bool {
        self.task.is_some()
    }

    /// Makes the next frame independent of earlier ones. A task that is running is ended early.
    pub(crate) fn reset(&mut self) {
        self.shown.reset();
        self.stillness.reset();
        self.selection.reset();
        self.fade.reset();
        (self.task, self.frame, self.fresh, self.base) = Default::default();
        (self.bypass, self.repaint) = (Damage::NONE, Damage::NONE);
        (self.is_late, self.is_active, self.idle) = (false, false, 0);
    }

    /// Whether a whole frame that delays the frames is given up: the task is ended.
    pub(crate) fn gives_up(&mut self, deadline: Deadline) -> bool {
        let is_late = left(deadline).is_zero() && self.task.as_ref().is_some_and(|task| task.whole);
        self.late = if is_late { self.late + 1 } else { 0 };
        if self.late < PATIENCE {
            return false;
        }
        self.task = None;
        self.late = 0;
        self.pause = (self.pause.1, (2 * self.pause.1).min(PAUSE.1));
        true
    }

    /// Whether the model gets no work.
    pub(crate) fn pauses(&self) -> bool {
        self.pause.0 > 0
    }

    /// Looks at a frame: what moved since the last one.
    ///
    /// # Errors
    /// [`frame::Error`] if `input` is not of the stream's format and size.
    pub(crate) fn look(
        &mut self,
        input: &FrameRef<'_>,
        tolerance: u8,
    ) -> Result<Look, frame::Error> {
        self.is_active = true;
        let mode = match self.is_late {
            true => Mode::Tolerant { tolerance, refresh: 0 },
            false => Mode::Exact,
        };
        let Changes { model_planes, bypass_planes } = self.shown.changes(input, mode)?;
        let moved = model_planes.union(&bypass_planes);
        self.shown.update(input, &moved)?;
        let moving = self.stillness.advance(&self.shown, FADING)?;
        Ok(Look { moved, moving })
    }

    /// How much the frame differs from the base.
    fn distances(&mut self) -> Result<Distances, frame::Error> {
        let distances = match &mut self.base {
            Some(base) => base.distances(&self.shown.frame())?,
            None => None,
        };
        Ok(distances.unwrap_or_else(|| Distances::largest(self.size.0, self.size.1)))
    }

    /// The next base has these blocks of the frame in the planes that bypass the model, whether or not
    /// the model runs.
    pub(crate) fn takes_bypass(&mut self, blocks: &ChangedMap) {
        self.bypass.add(&Damage::of(blocks.rects()));
    }

    /// The blocks whose planes that bypass the model differ from the base.
    fn differing_bypass(&mut self) -> Result<Option<ChangedMap>, frame::Error> {
        let Some(base) = &mut self.base else { return Ok(None) };
        Ok(Some(base.changes(&self.shown.frame(), Mode::Exact)?.bypass_planes))
    }

    /// Whether there is time to compute everything of `changed`, or nothing is known yet.
    pub(crate) fn fits(&self, changed: &ChangedMap, deadline: Deadline) -> bool {
        self.pace.budget(left(deadline)).is_none_or(|budget| self.pixels(changed) <= budget.in_time)
    }

    /// The blocks to compute if there is no time for all that changed.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(crate) fn choose(
        &mut self,
        look: &Look,
        deadline: Deadline,
    ) -> Result<ChangedMap, frame::Error> {
        let distances = self.distances()?;
        let outdated = distances.above(deadline.tolerance);
        let Some(budget) = self.pace.budget(left(deadline)) else { return Ok(outdated) };
        let visible = distances.above(deadline.tolerance.max(FADING));
        // Computing what lies between moving blocks costs little more.
        let moving = visible.clone().intersection(&look.moving);
        let moving = moving.grown(AROUND).intersection(&outdated);
        let hidden = visible.without(&moving);
        let aged = outdated.clone().without(&moving);
        let choice = Outdated { moving: &moving, hidden: &hidden, aged: &aged };
        let mut chosen = self.selection.choose(choice, budget);
        if chosen.is_empty() && self.idle >= PROBE {
            chosen = self.selection.in_turn(&outdated, budget.in_time.max(1));
        }
        Ok(if chosen.is_empty() || self.computes_parts { chosen } else { outdated })
    }

    fn pixels(&self, blocks: &ChangedMap) -> u64 {
        match self.computes_parts {
            true => self.selection.pixels(blocks),
            false if blocks.is_empty() => 0,
            false => Rect::of_size(self.size.0, self.size.1).area(),
        }
    }

    /// The model computes `blocks` now, with all others if `whole`, from `base`, whose output then differs
    /// in the pixels of the damage.
    pub(crate) fn run(
        &mut self,
        (blocks, whole): (&ChangedMap, bool),
        mut base: (Reference, Damage),
        deadline: Deadline,
        answer: Answer<(Vec<Patch>, Cost)>,
    ) {
        let pixels = self.pixels(blocks);
        let in_time = self.fits(blocks, deadline);
        base.1.add(&std::mem::replace(&mut self.bypass, Damage::NONE));
        self.task = Some(Running { answer, base, pixels, whole, in_time, missed: false });
        self.idle = 0;
    }

    /// Begins a frame.
    pub(crate) fn begin(
        &mut self,
        look: Look,
        (params, deadline): (FrameParams, Deadline),
        report: FrameReport,
    ) {
        let repaint = Damage::of(look.moved.rects());
        let source = Some(self.shown.snapshot());
        let painting = Painting { params, report, repaint, source, is_timed: true };
        if self.task.is_none() {
            self.idle += 1;
            if self.is_late && !self.pauses() {
                self.pace.untried();
            }
        }
        self.pause.0 = self.pause.0.saturating_sub(1);
        self.frame = Some(Frame { deadline, painting });
    }

    /// Waits for the task that is running, for as long as the frame that it was begun for has time.
    /// Does not wait for a task in the background. Returns the new parts of the canvas, their cost, and the
    /// input pixels whose output they change.
    ///
    /// # Errors
    /// Errors of the model.
    pub(crate) fn receive(&mut self) -> Result<Option<(Vec<Patch>, Cost, Damage)>, Error> {
        let Some(Running { answer, pixels, in_time, missed, .. }) = &mut self.task else {
            return Ok(None);
        };
        let frame = self.frame.as_ref().filter(|_| *in_time);
        let time = frame.map(|frame| self.pace.wait(left(frame.deadline)));
        let until = Instant::now() + time.unwrap_or_default();
        let Some((patches, cost)) = answer.wait_until(until)? else {
            if *in_time && self.frame.is_some() {
                (*in_time, *missed) = (false, true);
                self.pace.was_in_time(false);
            }
            return Ok(None);
        };
        if *in_time {
            self.pace.was_in_time(true);
        }
        self.pause.1 = PAUSE.0;
        self.pace.ran((*pixels).max(cost.pixels), cost.time);
        let Some((base, repaint)) = self.task.take().map(|task| task.base) else { return Ok(None) };
        self.base = Some(base);
        Ok(Some((patches, cost, repaint)))
    }

    /// The model ran on a frame that is not shown.
    pub(crate) fn ran(&mut self, cost: Cost) {
        self.pace.tried(cost.pixels, cost.time);
    }

    /// The input that the model's picture was computed from.
    pub(crate) fn base(&self) -> Option<Snapshot> {
        self.base.as_ref().map(Reference::snapshot)
    }

    /// Adds `parts` of the canvas that are new, and the input pixels `repaint` whose part of the model's
    /// output was made of them in `time`.
    pub(crate) fn add(&mut self, parts: &[Rect], repaint: Damage, cost: Cost, time: Duration) {
        self.fresh.0.extend(parts);
        self.repaint.add(&repaint);
        self.fresh.1.push(cost);
        self.fresh_time += time;
    }

    /// Ends the frame: its output shows as much of the canvas as fits it. `None` if no frame was
    /// begun.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(crate) fn end(&mut self) -> Result<Option<Inferred>, frame::Error> {
        let Some(Frame { deadline, mut painting }) = self.frame.take() else { return Ok(None) };
        let above =
            |distances: &Distances, steps: u8| distances.above(steps.max(deadline.tolerance));
        let mut distances = self.distances()?;
        let is_current = above(&distances, 0).is_empty();
        if deadline.late == Late::Resample && !is_current {
            distances = Distances::largest(self.size.0, self.size.1);
        }
        let mut differing = above(&distances, 0);
        if let Some(bypass) = self.differing_bypass()? {
            differing = differing.union(&bypass);
        }
        let faded = self.fade.advance(Difference {
            differing,
            fading: above(&distances, FADING),
            hidden: above(&distances, HIDDEN),
        });
        let (patches, costs) = std::mem::take(&mut self.fresh);
        painting.repaint.add(&Damage::of(faded.rects()));
        painting.repaint.add(&std::mem::replace(&mut self.repaint, Damage::NONE));
        costs.iter().for_each(|cost| painting.add_cost(cost));
        let report = &mut painting.report;
        report.resampled_pixels = self.fade.resampled(self.size);
        report.fresh_pixels = patches.iter().map(Rect::area).sum();
        report.missed = self.task.as_ref().is_some_and(|task| task.missed);
        report.whole_frame = self.pace.time(report.frame_pixels);
        if painting.repaint.is_none() {
            self.pace.skipped();
        }
        self.is_late = painting.report.resampled_pixels > 0 || !is_current;
        Ok(Some(Inferred { painting, canvas: Vec::new() }))
    }

    /// An output was made in this time.
    pub(crate) fn finished(&mut self, time: Duration) {
        self.pace.finished(time + std::mem::take(&mut self.fresh_time));
    }
}

fn left(deadline: Deadline) -> Duration {
    deadline.at.saturating_duration_since(Instant::now())
}
