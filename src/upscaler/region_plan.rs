//! Sets up the region planner for one engine and stream (halo, tiling, cost), and asks it.

use super::{
    damage::Damage,
    decision::Plan,
    enlarger::{Compute, Planning},
    error::Error,
    geometry::{Geometry, Tiling},
    settings::{Reuse, StreamSettings},
};
use crate::{
    engine::EngineTraits,
    frame::Rect,
    model::ModelInfo,
    reuse::{self, ChangedMap, CostModel, Dependence, Mode, Planner, Region, Shapes},
};

/// Side in pixels of the region whose time, with that of a whole frame, gives the cost of a run.
const TIMING_SIDE: u32 = 64;

/// Plans the regions, or the pixels, that are computed again for a frame.
pub(super) struct RegionPlan {
    tiling: Tiling,
    planning: Planning,
    /// Pixels around a changed pixel that differ in the source picture.
    spread: u32,
    /// How regions depend on pixels. `None`: only whole frames can be computed.
    dependence: Option<Dependence>,
    /// Regions equal the whole frame, so that exact reuse may compute them.
    exact_regions: bool,
    /// Halo of regions in tolerant mode, at most the exact one.
    tolerant_halo: Option<u32>,
    /// Whether the mode of the current frame allows computing parts.
    allows_parts: bool,
    /// Whether the last frame was planned with a tolerance.
    tolerant: bool,
    cost: Option<CostModel>,
    planner: Option<Planner>,
}

impl RegionPlan {
    /// For frames cut by `tiling`, in whose source picture a changed pixel affects the pixels up to
    /// `spread` away.
    pub(crate) fn new(
        model: &ModelInfo,
        tiling: Tiling,
        spread: u32,
        planning: Planning,
        traits: EngineTraits,
        settings: &StreamSettings,
    ) -> Self {
        let geometry = tiling.geometry();
        let dependence = match (geometry.halo, geometry.fixed_size) {
            (Some(halo), None) => Some(Dependence { halo, spread, align: geometry.align }),
            _ => None,
        };
        let tolerant_halo = traits.tolerant_halo.filter(|_| settings.halo.is_none());
        Self {
            exact_regions: traits.exact_regions && geometry.halo >= model.halo,
            tolerant_halo: tolerant_halo.min(geometry.halo),
            dependence,
            spread,
            planning,
            allows_parts: false,
            tolerant: false,
            tiling,
            cost: None,
            planner: None,
        }
    }

    /// The tiles of a whole frame.
    pub(crate) fn tiling(&self) -> &Tiling {
        &self.tiling
    }

    /// Plans for the given reuse from now on. Returns whether the canvas is less exact than that:
    /// regions get a longer halo than before, or the engine kept features within a tolerance.
    pub(crate) fn set_reuse(&mut self, reuse: Reuse) -> bool {
        self.allows_parts = self.exact_regions || reuse != Reuse::Exact;
        let Some(mode) = mode(reuse) else { return false };
        let was_tolerant = std::mem::replace(&mut self.tolerant, mode != Mode::Exact);
        if self.planning == Planning::Changes {
            return was_tolerant && mode == Mode::Exact;
        }
        let tolerant = self.tolerant_halo.filter(|_| mode != Mode::Exact);
        let halo = tolerant.or(self.tiling.geometry().halo);
        let (Some(dependence), Some(halo)) = (&mut self.dependence, halo) else { return false };
        let before = std::mem::replace(&mut dependence.halo, halo);
        if before != halo {
            self.planner = None;
        }
        before < halo
    }

    /// Limits the sides of regions to `max_edge` pixels.
    ///
    /// # Errors
    /// As [`Tiling::limit_edges`].
    pub(crate) fn limit_edges(&mut self, max_edge: u32) -> Result<(), Error> {
        self.planner = None;
        self.tiling.limit_edges(max_edge)
    }

    /// Limits the pixels that the model gets at once to `max_pixels`.
    ///
    /// # Errors
    /// As [`Tiling::limit_pixels`].
    pub(crate) fn limit_pixels(&mut self, max_pixels: u64) -> Result<(), Error> {
        self.planner = None;
        self.tiling.limit_pixels(max_pixels)
    }

    /// The region to measure before the first regions can be planned.
    pub(crate) fn to_measure(&self) -> Option<Region> {
        let by_regions = self.allows_parts && matches!(self.planning, Planning::Regions { .. });
        if !by_regions || self.dependence.is_none() || self.cost.is_some() {
            return None;
        }
        let Geometry { frame: (width, height), .. } = *self.tiling.geometry();
        let corner = Rect::of_size(TIMING_SIDE.min(width), TIMING_SIDE.min(height));
        Some(self.tiling.geometry().region_reading(corner, corner))
    }

    /// Sets the cost of runs of the model. `None`: unknown, so that only whole frames are computed.
    pub(crate) fn set_cost(&mut self, cost: Option<CostModel>) {
        self.cost = cost;
        self.planner = None;
    }

    fn planner(&mut self) -> Option<&Planner> {
        if self.planner.is_none()
            && let Planning::Regions { grid } = self.planning
        {
            let Geometry { frame: (width, height), min_side, .. } = *self.tiling.geometry();
            let shapes = Shapes { grid, min_side, largest: self.tiling.largest() };
            self.planner = Some(Planner::new(width, height, self.dependence?, shapes, self.cost?));
        }
        self.planner.as_ref().filter(|_| self.allows_parts)
    }
}

impl Plan for RegionPlan {
    fn plan(&mut self, changed: &ChangedMap) -> Compute {
        let ((width, height), spread) = (changed.size(), self.spread);
        if self.planning == Planning::Changes {
            let rects = changed.rects().into_iter();
            return Compute::Changed(
                rects.map(|rect| rect.grown_within(spread, width, height)).collect(),
            );
        }
        let Some(planner) = self.planner() else { return Compute::Whole };
        match planner.plan(changed) {
            reuse::Plan::Nothing => Compute::Nothing,
            reuse::Plan::Regions(regions) => Compute::Regions(regions),
            reuse::Plan::Whole => Compute::Whole,
        }
    }

    fn refreshes(&self) -> bool {
        self.planning == Planning::Changes && self.tolerant
    }

    fn owned(&self, region: &Region) -> Rect {
        self.planner.as_ref().map(|planner| planner.owned(region)).unwrap_or_default()
    }

    fn affected(&self, compute: &Compute) -> Damage {
        match compute {
            // What the engine changes is known when it has run.
            Compute::Nothing | Compute::Changed(_) => Damage::NONE,
            Compute::Regions(regions) => Damage::of(regions.iter().map(|it| it.compute)),
            Compute::Whole => Damage::All,
        }
    }
}

/// The comparison for a kind of reuse; none if nothing is compared.
pub(super) fn mode(reuse: Reuse) -> Option<Mode> {
    match reuse {
        Reuse::Off => None,
        Reuse::Exact => Some(Mode::Exact),
        Reuse::Tolerant { tolerance, refresh } => Some(Mode::Tolerant { tolerance, refresh }),
    }
}
