//! The types of a frame's states: prepared, inferred, and finished, which is its
//! [`FrameReport`].

use super::super::{
    damage::Damage,
    enlarger::{Compute, Cost, Patch, Work},
    settings::{FrameParams, FrameReport},
};
use crate::{
    frame::{FrameInfo, FrameRef},
    reuse::Snapshot,
};

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
        let report = &mut self.report;
        (report.regions, report.pixels, report.infer) = (cost.regions, cost.pixels, cost.time);
        report.without_features = cost.without_features;
        report.less_at_once = cost.max_edge.is_some();
        let parts = canvas.iter().flat_map(Patch::parts).copied();
        self.repaint.add(&Damage::of(parts));
        Inferred { painting: self, canvas }
    }

    /// The frame itself; without planes if the output does not depend on it.
    pub(crate) fn frame(&self, info: FrameInfo) -> FrameRef<'_> {
        let nothing = || FrameRef { info, planes: vec![] };
        self.source.as_ref().map_or_else(nothing, Snapshot::frame)
    }
}

impl Inferred {
    /// Whether the output equals that of the previous frame.
    pub(crate) fn is_same(&self) -> bool {
        self.painting.repaint.is_none()
    }
}
