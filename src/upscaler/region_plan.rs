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
    frame::{Rect, SplitMix64},
    model::ModelInfo,
    reuse::{self, ChangedMap, CostModel, Dependence, Mode, Planner, Region, Shapes},
};

/// Side in pixels of the region whose time, with that of a whole frame, gives the cost of a run.
const TIMING_SIDE: u32 = 64;
/// Places at which regions are compared with the whole frame.
const PROVED_PLACES: u32 = 8;

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

    /// The regions to measure as one batch before the first regions can be planned; none if their
    /// cost is known, or no regions are computed.
    pub(crate) fn to_measure(&self) -> Vec<Region> {
        if !self.allows_parts || self.dependence.is_none() || self.cost.is_some() {
            return Vec::new();
        }
        let geometry = self.tiling.geometry();
        match self.planning {
            Planning::Changes => Vec::new(),
            Planning::Regions { .. } => {
                let Geometry { frame: (width, height), .. } = *geometry;
                let corner = Rect::of_size(TIMING_SIDE.min(width), TIMING_SIDE.min(height));
                vec![geometry.region_reading(corner, corner)]
            }
            Planning::Tiles { size, batch } => {
                let tiles = geometry.tiles(size).unwrap_or_default();
                tiles.into_iter().cycle().take(batch as usize).collect()
            }
        }
    }

    /// Regions as they are planned for changes at several places, with which to prove that regions
    /// equal the whole frame. None if regions never pay.
    pub(crate) fn to_prove(&self) -> Vec<Region> {
        let cost = CostModel { per_call: 0.0, per_pixel: 1.0, whole: 1.0 };
        let Some(planner) = self.planner_with(cost) else { return Vec::new() };
        let Geometry { frame: (width, height), .. } = *self.tiling.geometry();
        let mut random = SplitMix64(1);
        let mut regions = Vec::new();
        for place in 0..PROVED_PLACES {
            let at = |random: &mut SplitMix64, length: u32| match place {
                0 => 0,
                1 => length - 1,
                _ => random.below(length),
            };
            let (x, y) = (at(&mut random, width), at(&mut random, height));
            let side = 1 + 8 * (place % 3);
            let changed = Rect::new(x, y, side.min(width - x), side.min(height - y));
            let changed = ChangedMap::of_rects(&[changed], width, height);
            if let reuse::Plan::Regions(planned) = planner.plan(&changed) {
                regions.extend(planned);
            }
        }
        regions
    }

    /// Sets whether regions equal the whole frame.
    pub(crate) fn set_exact(&mut self, exact: bool) {
        self.exact_regions = exact;
    }

    /// Whether exact reuse computes regions.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact_regions
    }

    /// Sets the cost of runs of the model. `None`: unknown, so that only whole frames are computed.
    pub(crate) fn set_cost(&mut self, cost: Option<CostModel>) {
        self.cost = cost;
        self.planner = None;
    }

    fn planner(&mut self) -> Option<&Planner> {
        if self.planner.is_none() {
            self.planner = self.planner_with(self.cost?);
        }
        self.planner.as_ref().filter(|_| self.allows_parts)
    }

    fn planner_with(&self, cost: CostModel) -> Option<Planner> {
        let (geometry, dependence) = (self.tiling.geometry(), self.dependence?);
        let Geometry { frame: (width, height), min_side, .. } = *geometry;
        let largest = self.tiling.largest();
        let planner = |grid| {
            Planner::new(width, height, dependence, Shapes { grid, min_side, largest }, cost)
        };
        match self.planning {
            Planning::Changes => None,
            Planning::Regions { grid } => Some(planner(grid)),
            Planning::Tiles { size, batch } => {
                Some(planner(1).with_tiles(geometry.tiles(size)?, batch, dependence))
            }
        }
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
