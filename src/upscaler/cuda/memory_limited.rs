//! Limits how much the model processes at once, and lowers the limit when GPU memory runs out. If
//! that is not enough, the element continues on the CPU (`element/models.rs`).

use super::{
    super::{
        enlarger::{Compute, Planning},
        error::Error,
        geometry::{Geometry, Tiling},
        memory::Budget,
        region_plan::RegionPlan,
        schedule::{Schedule, SourceUse},
        settings::{FrameReport, StreamSettings},
    },
    infer::{Inference, RunError},
};
use crate::{
    cuda::{self, Device, DeviceList, DevicePicture},
    engine::{EngineTraits, InferOnDevice},
    frame::FrameInfo,
    kernels::RegionArgs,
    reuse::Region,
};

/// Share of the GPU's free memory that inference may use by default.
const SHARE: f64 = 0.7;

/// The schedule for `engine` and frames like `input`, and the most pixels that the engine may get
/// at once. `spread`: see [`RegionPlan::new`].
///
/// # Errors
/// [`Error::OutOfMemory`] if a limit is set that no region keeps to, [`Error::FixedSize`].
pub(super) fn schedule(
    device: &Device,
    engine: &dyn InferOnDevice,
    traits: EngineTraits,
    input: &FrameInfo,
    spread: u32,
    settings: &StreamSettings,
) -> Result<(Schedule, u64), Error> {
    let model = engine.info();
    let bytes = match settings.memory_limit {
        Some(limit) => limit,
        None => (device.memory()?.0 as f64 * SHARE) as u64,
    };
    let budget = Budget::new(bytes, model, engine.samples().size());
    let frame = (input.width, input.height);
    let geometry =
        Geometry { uniform: engine.tile().is_some(), ..Geometry::new(frame, model, settings.halo) };
    let tile_size = tile_size(&geometry, engine.max_side(), settings.tile_size);
    let cut = |max_pixels| Tiling::new(geometry, tile_size, max_pixels, budget);
    let (tiling, max_pixels) = match cut(budget.pixels()) {
        // The need is an estimate, and the GPU reports when memory runs out.
        Err(Error::OutOfMemory(_)) if settings.memory_limit.is_none() => (cut(u64::MAX)?, u64::MAX),
        done => (done?, budget.pixels()),
    };
    let planning = match engine.tile() {
        Some(size) => Planning::Tiles { size, batch: engine.max_batch(size) },
        None => Planning::Regions { grid: engine.shape_grid() },
    };
    let plan = RegionPlan::new(model, tiling, spread, planning, traits, settings);
    Ok((Schedule::new(plan, spread, SourceUse::Everything), max_pixels))
}

/// The longest side of a tile without its halo, 0 for any: `requested`, and less if a frame or a
/// tile would have a side above `max_side`.
fn tile_size(geometry: &Geometry, max_side: u32, requested: u32) -> u32 {
    let around = geometry.halo.unwrap_or(0).saturating_mul(2).saturating_add(geometry.align);
    let inside = max_side.saturating_sub(around).max(1);
    match (geometry.frame.0.max(geometry.frame.1) > max_side, requested) {
        (false, requested) => requested,
        (true, 0) => inside,
        (true, requested) => requested.min(inside),
    }
}

/// The model, limited to what fits into memory.
pub(super) struct MemoryLimited<'a> {
    pub inference: &'a mut Inference,
    pub schedule: &'a mut Schedule,
}

impl MemoryLimited<'_> {
    /// Brings the canvas up to date. Returns the number of runs if the whole canvas was computed.
    pub(crate) fn run(
        &mut self,
        compute: &Compute,
        list: &mut DeviceList<RegionArgs>,
        source: &DevicePicture,
        canvas: &DevicePicture,
        report: &mut FrameReport,
    ) -> Result<Option<u64>, Error> {
        let before = *report;
        match compute {
            Compute::Nothing => return Ok(None),
            Compute::Regions(regions) => {
                match self.inference.run(regions, list, source, Some(canvas), report) {
                    Err(RunError::TooMuchAtOnce) => self.take_less(report)?,
                    Err(RunError::Other(error)) => return Err(error),
                    Ok(()) => return Ok(None),
                }
            }
            Compute::Changed(_) | Compute::Whole => {}
        }
        loop {
            *report = FrameReport { less_at_once: report.less_at_once, ..before };
            let tiles = self.schedule.tiling().tiles().to_vec();
            match self.inference.run(&tiles, list, source, Some(canvas), report) {
                Err(RunError::TooMuchAtOnce) => self.take_less(report)?,
                Err(RunError::Other(error)) => return Err(error),
                Ok(()) => return Ok(Some(tiles.len() as u64)),
            }
        }
    }

    /// After memory ran out: smaller regions, or fewer at once.
    fn take_less(&mut self, report: &mut FrameReport) -> Result<(), Error> {
        report.less_at_once = true;
        self.inference.synchronize()?;
        let bytes = self.inference.failed_bytes();
        let fewer = self.inference.can_take_fewer();
        let before = self.largest_tile();
        let cut = self.schedule.limit_pixels(self.inference.take_less());
        match cut {
            Ok(()) if fewer || self.largest_tile() < before => Ok(()),
            Err(_) if fewer => Ok(()),
            _ => Err(cuda::Error::OutOfMemory { bytes }.into()),
        }
    }

    fn largest_tile(&self) -> Option<u64> {
        self.schedule.tiling().tiles().iter().map(Region::pixels).max()
    }
}
