//! Stages 1 to 3: what of a frame is new, which regions that makes stale, and what the model is
//! given for them.

use std::time::Instant;

use super::{
    super::{Error, FrameParams, FrameReport, Geometry, Region, Reuse, Settings, memory},
    job::{Job, Part, Update},
    spares::Spares,
};
use crate::{
    frame::{FrameInfo, FrameRef, Rect, Unpacker},
    model::ModelInfo,
    reuse::{self, ChangedMap, CostModel, Dependence, Mode, Plan, Planner, Reference, Shapes},
};

/// Side of the region whose time tells, beside a whole frame's, what a call costs.
const TIMING_SIDE: u32 = 64;

/// Knows what the canvas was computed from, or will be once the frames in flight are finished.
pub(super) struct Prepare {
    unpacker: Unpacker,
    reference: Reference,
    /// Whether the canvas is the model's answer to the reference.
    current: bool,
    /// How the last output is made; `None` where none is to be built on.
    last: Option<FrameParams>,
    geometry: Geometry,
    /// How a whole frame is cut.
    whole: Vec<Region>,
    /// Input pixels that may be given to the model at once.
    max_pixels: u64,
    /// Whether regions serve in exact mode.
    exact: bool,
    dependence: Option<Dependence>,
    grid: u32,
    cost: Option<CostModel>,
    planner: Option<Planner>,
    spares: Spares,
}

/// What has to be computed for a frame.
enum Stale {
    /// The canvas holds already what this frame gives.
    Nothing,
    /// These parts of it do not.
    Regions(Vec<Region>),
    /// None of it does.
    Whole,
}

impl Prepare {
    /// `grid`: the engine's ([`Infer::shape_grid`](crate::inference::Infer::shape_grid)).
    pub(super) fn new(
        input: FrameInfo,
        model: &ModelInfo,
        geometry: Geometry,
        grid: u32,
        settings: &Settings,
        spares: Spares,
    ) -> Result<Self, Error> {
        let unpacker = Unpacker::new(input, model.channels)?;
        let spread = unpacker.reads_beyond();
        let dependence = match (geometry.halo, geometry.fixed_size) {
            (Some(halo), None) => Some(Dependence { halo, spread, align: geometry.align }),
            _ => None,
        };
        let max_pixels = memory::pixels_within(memory::allowance(settings.memory_limit), model);
        Ok(Self {
            unpacker,
            reference: Reference::new(input)?,
            current: false,
            last: None,
            geometry,
            whole: geometry.cut(settings.tile_size, max_pixels)?,
            max_pixels,
            exact: settings.regions_exact && geometry.halo >= model.halo,
            dependence,
            grid,
            cost: None,
            planner: None,
            spares,
        })
    }

    /// The next frame is not to build on those before.
    pub(super) fn forget(&mut self) {
        self.current = false;
        self.reference.reset();
        self.last = None;
    }

    /// Regions are to be no larger than this from here on.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn cut_to(&mut self, edge: u32) -> Result<(), Error> {
        self.whole = self.geometry.cut(edge, self.max_pixels)?;
        self.planner = None;
        Ok(())
    }

    /// All that inference and finishing need of `input`. `costs` times the model on a region.
    ///
    /// # Errors
    /// [`Error::Frame`] where `input` is not of the stream's kind; what `costs` gives. All is
    /// forgotten then.
    pub(super) fn prepare(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        costs: impl FnOnce(Part) -> Result<Option<CostModel>, Error>,
    ) -> Result<Job, Error> {
        let job = self.job(input, params, costs);
        match job {
            Ok(_) => self.last = Some(*params),
            Err(_) => self.forget(),
        }
        job
    }

    fn job(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        costs: impl FnOnce(Part) -> Result<Option<CostModel>, Error>,
    ) -> Result<Job, Error> {
        let start = Instant::now();
        let (width, height) = self.geometry.frame;
        let frame_pixels = Rect::of_size(width, height).area();
        let mut report = FrameReport { frame_pixels, ..Default::default() };
        let builds_on_last = self.last.is_some_and(|last| paints_the_same(&last, params));
        let (update, stale) = match mode(params.reuse) {
            None => {
                self.forget();
                (Stale::Whole, None)
            }
            Some(mode) => {
                let changed = self.take(input, mode)?;
                let by_regions = self.exact || params.reuse != Reuse::Exact;
                if by_regions && !changed.is_empty() {
                    self.learn_costs(costs)?;
                }
                let update = self.stale(input, &changed, by_regions)?;
                let stale = match &update {
                    _ if !builds_on_last => None,
                    _ if changed.is_empty() => Some(vec![]),
                    Stale::Regions(regions) if params.blend > 0.0 => {
                        Some(regions.iter().map(|region| region.compute).collect())
                    }
                    _ => None,
                };
                (update, stale)
            }
        };
        report.compare = start.elapsed();

        let start = Instant::now();
        let off = params.reuse == Reuse::Off;
        let (inputs, whole) = match update {
            // The model's picture is not seen, and the canvas falls behind.
            _ if params.blend <= 0.0 => {
                self.current = false;
                (vec![], false)
            }
            Stale::Nothing => (vec![], false),
            Stale::Regions(regions) => (self.unpack(None, &regions)?, false),
            Stale::Whole => {
                let inputs = self.unpack(off.then_some(input), &self.whole)?;
                self.current = !off;
                (inputs, true)
            }
        };
        let source = match params.blend < 1.0 || !self.unpacker.companions().is_empty() {
            true if off => {
                self.reference.update_rect(input, Rect::of_size(width, height))?;
                let source = self.reference.snapshot();
                self.reference.reset();
                Some(source)
            }
            true => Some(self.reference.snapshot()),
            false => None,
        };
        report.unpack = start.elapsed();
        let update = Update::Nothing;
        Ok(Job { params: *params, report, inputs, whole, stale, source, update, cut_to: None })
    }

    /// Takes `frame`, as far as it differs, for what the canvas is computed from, and says
    /// where it differed.
    fn take(&mut self, frame: &FrameRef<'_>, mode: Mode) -> Result<ChangedMap, Error> {
        let changed = self.reference.compare(frame, mode)?;
        if !changed.is_empty() {
            self.reference.update(frame, &changed)?;
        }
        Ok(changed)
    }

    /// What of the canvas is stale where its source `changed`. `by_regions`: whether parts may
    /// be computed alone. What is computed anyway is taken from `frame` too, as far as nothing
    /// else depends on it: so a tolerant picture stays closer at no cost.
    fn stale(
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

    fn planner(&mut self) -> Option<&Planner> {
        if self.planner.is_none() {
            let (width, height) = self.geometry.frame;
            let Geometry { min_side, .. } = self.geometry;
            let shapes = Shapes { grid: self.grid, min_side, largest: largest(&self.whole) };
            self.planner = Some(Planner::new(width, height, self.dependence?, shapes, self.cost?));
        }
        self.planner.as_ref()
    }

    /// Has a small region timed, once, before regions are planned.
    fn learn_costs(
        &mut self,
        costs: impl FnOnce(Part) -> Result<Option<CostModel>, Error>,
    ) -> Result<(), Error> {
        if !self.current || self.dependence.is_none() || self.cost.is_some() {
            return Ok(());
        }
        let (width, height) = self.geometry.frame;
        let corner = Rect::of_size(TIMING_SIDE.min(width), TIMING_SIDE.min(height));
        let region = self.geometry.region_reading(corner, corner);
        let parts = self.unpack(None, &[region])?;
        if let Some(part) = parts.into_iter().next() {
            self.cost = costs(part)?;
        }
        Ok(())
    }

    /// What the model is given for `regions` of `input`, or of the reference.
    fn unpack(&self, input: Option<&FrameRef<'_>>, regions: &[Region]) -> Result<Vec<Part>, Error> {
        let reference = self.reference.frame();
        let frame = input.unwrap_or(&reference);
        let unpack = |region: &Region| {
            let mut picture = self.spares.take(
                self.unpacker.channels().count(),
                region.read.width as usize,
                region.read.height as usize,
            );
            self.unpacker.unpack(frame, region.read, &mut picture)?;
            Ok(Part { region: *region, picture })
        };
        regions.iter().map(unpack).collect()
    }
}

/// The comparison that a way of reuse asks for; none where nothing is compared.
fn mode(reuse: Reuse) -> Option<Mode> {
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
