//! Keeps what earlier frames left, and asks `decision` about each frame.

use super::{
    damage::Damage,
    decision::{self, Before, Decision},
    enlarger::Compute,
    error::Error,
    geometry::Tiling,
    region_plan::{RegionPlan, mode},
    settings::{FrameParams, Reuse},
};
use crate::reuse::{Changes, CostModel, Mode, Region};

/// Who reads the source picture, the unpacked frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceUse {
    /// The model.
    Model,
    /// The model and the stages after it, which read the planes that bypass the model too.
    Everything,
}

/// How a frame is compared with the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// `None`: the frame is not compared.
    pub mode: Option<Mode>,
    /// The reference has to be reset first.
    pub reset: bool,
}

/// Decides on the frames of a stream, one after the other.
pub(super) struct Schedule {
    plan: RegionPlan,
    source_use: SourceUse,
    spread: u32,
    /// The canvas is the model's output for the reference.
    canvas_current: bool,
    /// How the last output was made. `None`: the next output is not based on it.
    last: Option<FrameParams>,
    /// Pixels of the source picture that differ from the reference.
    source_damage: Damage,
}

impl Schedule {
    /// `spread`: see [`RegionPlan::new`].
    pub(crate) fn new(plan: RegionPlan, spread: u32, source_use: SourceUse) -> Self {
        let (canvas_current, last, source_damage) = (false, None, Damage::All);
        Self { plan, source_use, spread, canvas_current, last, source_damage }
    }

    /// Makes the next frame independent of earlier ones.
    pub(crate) fn reset(&mut self) {
        self.canvas_current = false;
        self.last = None;
        self.source_damage = Damage::All;
    }

    /// The next output is not based on the last one.
    pub(crate) fn forget_output(&mut self) {
        self.last = None;
    }

    /// Whether the canvas is the model's output for the reference, once the model has done what was
    /// decided.
    pub(crate) fn has_canvas(&self) -> bool {
        self.canvas_current
    }

    /// How the next frame is compared.
    pub(crate) fn compare(&mut self, reuse: Reuse) -> Comparison {
        let longer_halo = self.plan.set_reuse(reuse);
        let reset = longer_halo || reuse == Reuse::Off;
        if reset {
            self.reset();
        }
        Comparison { mode: mode(reuse), reset }
    }

    /// The regions to measure as one batch, once, before the decision on a frame with these
    /// changes; none otherwise.
    pub(crate) fn to_measure(&self, changes: Option<&Changes>) -> Vec<Region> {
        let changed = changes.is_some_and(|changes| !changes.model_planes.is_empty());
        if changed && self.canvas_current { self.plan.to_measure() } else { Vec::new() }
    }

    /// See [`RegionPlan::to_prove`].
    pub(crate) fn to_prove(&self) -> Vec<Region> {
        if self.plan.is_exact() { self.plan.to_prove() } else { Vec::new() }
    }

    /// See [`RegionPlan::set_exact`].
    pub(crate) fn set_exact(&mut self, exact: bool) {
        self.plan.set_exact(exact);
    }

    /// Sets the cost of runs, as measured.
    pub(crate) fn set_cost(&mut self, cost: Option<CostModel>) {
        self.plan.set_cost(cost);
    }

    /// Decides on the next frame, which differs from the reference by `changes`. Also returns the
    /// pixels of the source picture to unpack again from the reference. If the decision is not
    /// carried out, [`reset`](Self::reset) must follow.
    pub(crate) fn decide(
        &mut self,
        params: &FrameParams,
        changes: Option<&Changes>,
    ) -> (Decision, Damage) {
        let same_look = self.last.is_some_and(|last| same_look(&last, params));
        let before = Before { canvas_current: self.canvas_current, same_look };
        let decision = decision::decide(params, changes, before, &mut self.plan);
        let bypass = self.source_use == SourceUse::Everything;
        self.source_damage.add(&decision::taken(&decision.take, changes, (self.spread, bypass)));
        let unpack = if bypass || decision.compute != Compute::Nothing {
            std::mem::replace(&mut self.source_damage, Damage::NONE)
        } else {
            Damage::NONE
        };
        let tracked = changes.is_some();
        if !tracked {
            self.source_damage = Damage::All;
        }
        self.canvas_current = tracked && params.blend > 0.0;
        self.last = Some(*params);
        (decision, unpack)
    }

    /// The tiles of a whole frame.
    pub(crate) fn tiling(&self) -> &Tiling {
        self.plan.tiling()
    }

    /// See [`RegionPlan::limit_edges`].
    ///
    /// # Errors
    /// As [`RegionPlan::limit_edges`].
    pub(crate) fn limit_edges(&mut self, max_edge: u32) -> Result<(), Error> {
        self.plan.limit_edges(max_edge)
    }

    /// See [`RegionPlan::limit_pixels`].
    ///
    /// # Errors
    /// As [`RegionPlan::limit_pixels`].
    pub(crate) fn limit_pixels(&mut self, max_pixels: u64) -> Result<(), Error> {
        self.plan.limit_pixels(max_pixels)
    }
}

/// Whether one canvas gives the same output with both parameters. Grain differs in every frame.
fn same_look(a: &FrameParams, b: &FrameParams) -> bool {
    a.blend == b.blend && a.grain <= 0.0 && b.grain <= 0.0
}
