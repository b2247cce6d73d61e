//! The enlarged picture that lives from frame to frame, what it was computed from, and what of
//! it a new frame makes stale (stages 2 and 3).

use super::super::{Error, Geometry, Region, Reuse};
use crate::{
    frame::{FrameInfo, FrameRef, Image},
    reuse::{ChangedMap, CostModel, Dependence, Mode, Plan, Planner, Reference, Shapes},
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
    /// Timed runs, as pixels and seconds, until there are enough for a planner.
    runs: Vec<(u64, f64)>,
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
            runs: Vec::new(),
            planner: None,
        })
    }

    /// Nothing of the canvas holds from here on.
    pub(super) fn forget(&mut self) {
        self.current = false;
        self.reference.reset();
    }

    /// Whether `picture` is the model's answer to the reference.
    pub(super) fn is_current(&self) -> bool {
        self.current
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

    /// Takes `frame`, as far as it differs, for what the canvas is computed from, and says what
    /// of the canvas that makes stale. `by_regions`: whether parts may be computed alone.
    pub(super) fn take(
        &mut self,
        frame: &FrameRef<'_>,
        mode: Mode,
        by_regions: bool,
    ) -> Result<(ChangedMap, Stale), Error> {
        let changed = self.reference.compare(frame, mode)?;
        if !changed.is_empty() {
            self.reference.update(frame, &changed)?;
        }
        if !self.current {
            return Ok((changed, Stale::Whole));
        }
        if changed.is_empty() {
            return Ok((changed, Stale::Nothing));
        }
        let stale =
            match self.planner().filter(|_| by_regions).map(|planner| planner.plan(&changed)) {
                Some(Plan::Regions(regions)) => {
                    let region = |region: &crate::reuse::Region| {
                        self.geometry.region_reading(region.compute, region.read)
                    };
                    Stale::Regions(regions.iter().map(region).collect())
                }
                Some(Plan::Nothing) => Stale::Nothing,
                Some(Plan::Whole) | None => Stale::Whole,
            };
        Ok((changed, stale))
    }

    /// Marks the picture as the model's answer to the reference, or not.
    pub(super) fn set_current(&mut self, current: bool) {
        self.current = current;
    }

    /// Whether the planner still lacks runs to know the costs from.
    pub(super) fn wants_timing(&self) -> bool {
        self.dependence.is_some() && self.runs.len() < 2
    }

    /// A run of the model over `pixels` took `seconds`.
    pub(super) fn timed(&mut self, pixels: u64, seconds: f64) {
        self.runs.push((pixels, seconds));
        self.planner = None;
    }

    fn planner(&mut self) -> Option<&Planner> {
        if self.planner.is_none() {
            let cost = CostModel::fit(&self.runs)?;
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
