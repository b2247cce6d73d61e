//! What of the canvas a frame makes stale, and how it is cut: the same wherever frames lie.

use super::{Error, FrameParams, Geometry, Reuse, StreamSettings};
use crate::{
    frame::Rect,
    model::ModelInfo,
    reuse::{ChangedMap, CostModel, Dependence, Mode, Plan, Planner, Region, Shapes},
};

/// Side of the region whose time tells, beside a whole frame's, what a call costs.
const TIMING_SIDE: u32 = 64;

/// What has to be computed for a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// The canvas holds already what this frame gives.
    Nothing,
    /// These parts of it do not.
    Regions(Vec<Region>),
    /// None of it does.
    Whole,
}

/// Knows what the canvas is worth, and what computing parts of it costs.
pub(super) struct Schedule {
    geometry: Geometry,
    /// How a whole frame is cut.
    whole: Vec<Region>,
    /// Of a region's own edge, 0 for no limit, and of pixels that it reads.
    most_edge: u32,
    most_pixels: u64,
    grid: u32,
    /// Whether regions serve in exact mode.
    exact: bool,
    dependence: Option<Dependence>,
    /// The halo of regions in tolerant mode, no longer than the exact one.
    tolerant_halo: Option<u32>,
    /// Whether the canvas is the model's answer to the reference.
    current: bool,
    /// How the last output is made; `None` where none is to be built on.
    last: Option<FrameParams>,
    cost: Option<CostModel>,
    planner: Option<Planner>,
}

impl Schedule {
    /// `spread`: pixels around a changed one that differ in what the model is given; `grid`: the
    /// engine's for shapes; `most_pixels`: what may be given to the model at once.
    ///
    /// # Errors
    /// As [`Geometry::cut`].
    pub fn new(
        model: &ModelInfo,
        geometry: Geometry,
        spread: u32,
        grid: u32,
        settings: &StreamSettings,
        most_pixels: u64,
    ) -> Result<Self, Error> {
        let dependence = match (geometry.halo, geometry.fixed_size) {
            (Some(halo), None) => Some(Dependence { halo, spread, align: geometry.align }),
            _ => None,
        };
        let tolerant_halo = settings.tolerant_halo.filter(|_| settings.halo.is_none());
        Ok(Self {
            geometry,
            whole: geometry.cut(settings.tile_size, most_pixels)?,
            most_edge: settings.tile_size,
            most_pixels,
            grid,
            exact: settings.regions_exact && geometry.halo >= model.halo,
            dependence,
            tolerant_halo: tolerant_halo.min(geometry.halo),
            current: false,
            last: None,
            cost: None,
            planner: None,
        })
    }

    /// The next frame is not to build on those before.
    pub fn reset(&mut self) {
        self.current = false;
        self.last = None;
    }

    /// Regions' own edges are to be no longer than this from here on.
    ///
    /// # Errors
    /// [`Error::NoMemory`] where none can be so small.
    pub fn limit_edges(&mut self, edge: u32) -> Result<(), Error> {
        self.cut(edge, self.most_pixels)
    }

    /// No more pixels may be given to the model at once from here on.
    ///
    /// # Errors
    /// As [`limit_edges`](Self::limit_edges); nothing changes then.
    pub fn limit_pixels(&mut self, most_pixels: u64) -> Result<(), Error> {
        self.cut(self.most_edge, most_pixels)
    }

    fn cut(&mut self, most_edge: u32, most_pixels: u64) -> Result<(), Error> {
        self.whole = self.geometry.cut(most_edge, most_pixels)?;
        (self.most_edge, self.most_pixels) = (most_edge, most_pixels);
        self.planner = None;
        Ok(())
    }

    /// How a whole frame is cut.
    pub fn whole(&self) -> &[Region] {
        &self.whole
    }

    /// Regions have the halo that goes with `mode` from here on. Whether that is longer than
    /// before, so that the canvas is not exact.
    pub fn set_mode(&mut self, mode: Mode) -> bool {
        let tolerant = self.tolerant_halo.filter(|_| mode != Mode::Exact);
        let halo = tolerant.or(self.geometry.halo);
        let (Some(dependence), Some(halo)) = (&mut self.dependence, halo) else { return false };
        let before = std::mem::replace(&mut dependence.halo, halo);
        if before != halo {
            self.planner = None;
        }
        before < halo
    }

    /// Whether parts may be computed alone.
    pub fn by_regions(&self, reuse: Reuse) -> bool {
        self.exact || reuse != Reuse::Exact
    }

    /// The region that is to be timed before regions can be planned.
    pub fn wants_timing(&self) -> Option<Region> {
        if !self.current || self.dependence.is_none() || self.cost.is_some() {
            return None;
        }
        let (width, height) = self.geometry.frame;
        let corner = Rect::of_size(TIMING_SIDE.min(width), TIMING_SIDE.min(height));
        Some(self.geometry.region_reading(corner, corner))
    }

    /// What runs of the model cost, from here on.
    pub fn set_cost(&mut self, cost: Option<CostModel>) {
        self.cost = cost;
        self.planner = None;
    }

    /// What of the canvas is stale where its source `changed`.
    pub fn stale(&mut self, changed: &ChangedMap, by_regions: bool) -> Stale {
        if !self.current {
            return Stale::Whole;
        }
        if changed.is_empty() {
            return Stale::Nothing;
        }
        let Some(planner) = self.planner().filter(|_| by_regions) else {
            return Stale::Whole;
        };
        match planner.plan(changed) {
            Plan::Nothing => Stale::Nothing,
            Plan::Whole => Stale::Whole,
            Plan::Regions(regions) => Stale::Regions(regions),
        }
    }

    /// The input that nothing but `region` depends on, which may be taken anew when that is
    /// computed anyway: so a tolerant picture stays closer at no cost.
    pub fn owned(&self, region: &Region) -> Rect {
        self.planner.as_ref().map(|planner| planner.owned(region)).unwrap_or_default()
    }

    /// Whether the canvas is the model's answer to the reference from here on.
    pub fn set_current(&mut self, current: bool) {
        self.current = current;
    }

    /// Whether what did not change looks as it did in the last output.
    pub fn builds_on_last(&self, params: &FrameParams) -> bool {
        self.last.is_some_and(|last| paints_the_same(&last, params))
    }

    /// An output is made in this conversion.
    pub fn set_last(&mut self, params: &FrameParams) {
        self.last = Some(*params);
    }

    fn planner(&mut self) -> Option<&Planner> {
        if self.planner.is_none() {
            let (width, height) = self.geometry.frame;
            let Geometry { min_side, .. } = self.geometry;
            let shapes = Shapes { grid: self.grid, min_side, largest: largest(&self.whole) };
            self.planner = Some(Planner::new(width, height, self.dependence?, shapes, self.cost?));
        }
        self.planner.as_ref()
    }
}

/// The comparison that a way of reuse asks for; none where nothing is compared.
pub(super) fn mode(reuse: Reuse) -> Option<Mode> {
    match reuse {
        Reuse::Off => None,
        Reuse::Exact => Some(Mode::Exact),
        Reuse::Tolerant { tolerance, refresh } => Some(Mode::Tolerant { tolerance, refresh }),
    }
}

/// Whether the same canvas gives the same output by both: grain is new in every frame.
fn paints_the_same(a: &FrameParams, b: &FrameParams) -> bool {
    a.blend == b.blend && a.grain <= 0.0 && b.grain <= 0.0
}

/// The widest and the highest region's sides.
fn largest(regions: &[Region]) -> (u32, u32) {
    let sides = regions.iter().map(|region| (region.compute.width, region.compute.height));
    sides.fold((1, 1), |most, side| (most.0.max(side.0), most.1.max(side.1)))
}
