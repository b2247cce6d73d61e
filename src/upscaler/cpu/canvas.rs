//! The enlarged picture that lives from frame to frame, what it was computed from, and what of
//! it a new frame makes stale (stages 2 and 3).

use super::super::{Error, Geometry, Region, Reuse};
use crate::{
    frame::{FrameInfo, FrameRef, Image, Rect},
    reuse::{self, ChangedMap, CostModel, Dependence, Mode, Plan, Planner, Reference, Shapes},
};

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

/// The canvas at the model's own factor, and its reference.
pub(super) struct Canvas {
    pub(super) picture: Image,
    reference: Reference,
    /// Whether `picture` is the model's answer to the reference.
    current: bool,
    geometry: Geometry,
    dependence: Option<Dependence>,
    shapes: Shapes,
    /// How long a run over a whole frame took, and one over a small region, as pixels and
    /// seconds: what costs are known from.
    whole: Option<(u64, f64)>,
    small: Option<(u64, f64)>,
    planner: Option<Planner>,
}

impl Canvas {
    /// `spread`: pixels around a changed one that differ in what the model is given; `grid`: the
    /// engine's ([`Infer::shape_grid`](crate::inference::Infer::shape_grid)).
    pub(super) fn new(
        picture: Image,
        input: FrameInfo,
        geometry: Geometry,
        spread: u32,
        grid: u32,
        largest: (u32, u32),
    ) -> Result<Self, Error> {
        let dependence = match (geometry.halo, geometry.fixed_size) {
            (Some(halo), None) => Some(Dependence { halo, spread, align: geometry.align }),
            _ => None,
        };
        Ok(Self {
            picture,
            reference: Reference::new(input)?,
            current: false,
            geometry,
            dependence,
            shapes: Shapes { grid, min_side: geometry.min_side, largest },
            whole: None,
            small: None,
            planner: None,
        })
    }

    /// Nothing of the canvas holds from here on.
    pub(super) fn forget(&mut self) {
        self.current = false;
        self.reference.reset();
    }

    /// Regions were cut smaller.
    pub(super) fn set_largest(&mut self, largest: (u32, u32)) {
        self.shapes.largest = largest;
        self.planner = None;
    }

    /// What the canvas was computed from, or is about to be.
    pub(super) fn source(&self) -> FrameRef<'_> {
        self.reference.frame()
    }

    /// The picture to be written, beside what it is computed from.
    pub(super) fn parts(&mut self) -> (FrameRef<'_>, &mut Image) {
        (self.reference.frame(), &mut self.picture)
    }

    /// Takes `frame`, as far as it differs, for what the canvas is computed from, and says
    /// where it differed.
    pub(super) fn take(&mut self, frame: &FrameRef<'_>, mode: Mode) -> Result<ChangedMap, Error> {
        let changed = self.reference.compare(frame, mode)?;
        if !changed.is_empty() {
            self.reference.update(frame, &changed)?;
        }
        Ok(changed)
    }

    /// What of the canvas is stale where its source `changed`. `by_regions`: whether parts may
    /// be computed alone. What is computed anyway is taken from `frame` too, as far as nothing
    /// else depends on it: so a tolerant picture stays closer at no cost.
    pub(super) fn stale(
        &mut self,
        frame: &FrameRef<'_>,
        changed: &ChangedMap,
        by_regions: bool,
    ) -> Result<Stale, Error> {
        let stale = self.plan(changed, by_regions);
        match &stale {
            Stale::Nothing => {}
            Stale::Whole => {
                let (width, height) = self.geometry.frame;
                self.reference.update_rect(frame, Rect::of_size(width, height))?;
            }
            Stale::Regions(regions) => {
                for region in regions {
                    let Region { compute, read, .. } = *region;
                    if let Some(planner) = &self.planner {
                        let owned = planner.owned(&reuse::Region { compute, read });
                        self.reference.update_rect(frame, owned)?;
                    }
                }
            }
        }
        Ok(stale)
    }

    fn plan(&mut self, changed: &ChangedMap, by_regions: bool) -> Stale {
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
            Plan::Regions(regions) => {
                let geometry = self.geometry;
                let region =
                    |region: &reuse::Region| geometry.region_reading(region.compute, region.read);
                Stale::Regions(regions.iter().map(region).collect())
            }
        }
    }

    /// Marks the picture as the model's answer to the reference, or not.
    pub(super) fn set_current(&mut self, current: bool) {
        self.current = current;
    }

    /// A run of the model over a whole frame's `pixels` took `seconds`.
    pub(super) fn time_whole(&mut self, pixels: u64, seconds: f64) {
        // The first runs of a session are slow: costs are taken anew until regions are planned.
        if self.planner.is_none() {
            self.whole = Some((pixels, seconds));
        }
    }

    /// Whether a small region is still to be timed before regions can be planned.
    pub(super) fn wants_timing(&self) -> bool {
        self.current && self.dependence.is_some() && self.small.is_none()
    }

    /// A run of the model over a small region's `pixels` took `seconds`.
    pub(super) fn time_small(&mut self, pixels: u64, seconds: f64) {
        self.small = Some((pixels, seconds));
    }

    fn planner(&mut self) -> Option<&Planner> {
        if self.planner.is_none() {
            let cost = CostModel::fit(&[self.whole?, self.small?])?;
            let (width, height) = self.geometry.frame;
            let planner = Planner::new(width, height, self.dependence?, self.shapes, cost);
            self.planner = Some(planner);
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
