//! The types of a frame's states: prepared, inferred, and finished, which is its
//! [`FrameReport`].

use super::super::{
    damage::Damage,
    enlarger::{Compute, Cost, Patch, Work},
    settings::{FrameParams, FrameReport},
};
use crate::{frame::Rect, reuse::Snapshot};

/// A frame that has been compared and unpacked.
pub(super) struct Prepared {
    /// What its output is made from.
    pub painting: Painting,
    /// What the model has to do. `None`: nothing.
    pub task: Option<Task>,
}

/// The model's part of a frame.
pub(super) struct Task {
    /// What differs in the source picture, and then belongs to it.
    pub source: Vec<Patch>,
    /// What to compute then; not [`Compute::Nothing`].
    pub work: Work,
}

/// A frame whose part of the canvas has been computed.
pub(super) struct Inferred {
    /// What its output is made from.
    pub painting: Painting,
    /// What differs on the canvas.
    pub canvas: Vec<Patch>,
}

/// What the output of a frame is made from, besides the canvas.
pub(super) struct Painting {
    pub params: FrameParams,
    pub report: FrameReport,
    /// Input pixels whose output differs from that of the previous frame.
    pub repaint: Damage,
    /// The frame itself, if the output depends on it.
    pub source: Option<Snapshot>,
    /// Whether the frame has a deadline, so that its output shows as much of the canvas as
    /// [`Fade`](super::fade::Fade) says.
    pub is_timed: bool,
}

impl Task {
    /// Whether the whole canvas is replaced.
    pub(crate) fn is_whole(&self) -> bool {
        self.work.compute == Compute::Whole
    }
}

impl Painting {
    /// The frame once the model has computed `canvas` at this cost.
    pub(crate) fn inferred(mut self, canvas: Vec<Patch>, cost: &Cost) -> Inferred {
        self.add_cost(cost);
        self.report.fresh_pixels = canvas.iter().flat_map(Patch::parts).map(Rect::area).sum();
        let parts = canvas.iter().flat_map(Patch::parts).copied();
        self.repaint.add(&Damage::of(parts));
        Inferred { painting: self, canvas }
    }

    /// Adds what the model did to the report.
    pub(crate) fn add_cost(&mut self, cost: &Cost) {
        let report = &mut self.report;
        report.regions += cost.regions;
        report.pixels += cost.pixels;
        report.infer += cost.time;
        report.without_features |= cost.without_features;
        report.less_at_once |= cost.max_edge.is_some();
    }
}

impl Inferred {
    /// Whether the output equals that of the previous frame.
    pub(crate) fn is_same(&self) -> bool {
        self.painting.repaint.is_none()
    }
}
