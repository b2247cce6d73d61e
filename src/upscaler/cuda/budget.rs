//! How much goes through the model at once, and less of it when memory runs out.

use super::{
    super::{
        Error, FrameReport, Geometry, Region, StreamSettings, memory,
        schedule::{Schedule, Stale},
    },
    infer::Inference,
};
use crate::{
    cuda::{self, Device, DeviceList, DevicePicture},
    engine::InferOnDevice,
    frame::FrameInfo,
    kernels::RegionArgs,
};

/// Share of the GPU's free memory that inference may take unless told otherwise.
const SHARE: f64 = 0.7;

/// What `engine` is to be asked for in frames like `input`, and the most pixels that it may be
/// given at once. `spread`: see [`Schedule::new`].
///
/// # Errors
/// [`Error::NoMemory`] where a limit was set and no region can be so small.
pub(super) fn schedule(
    device: &Device,
    engine: &dyn InferOnDevice,
    input: &FrameInfo,
    spread: u32,
    settings: &StreamSettings,
) -> Result<(Schedule, u64), Error> {
    let model = engine.info();
    let bytes = match settings.memory_limit {
        Some(limit) => limit,
        None => (device.memory()?.0 as f64 * SHARE) as u64,
    };
    // As many more as samples are smaller than floats.
    let pixels = memory::pixels_within(bytes, model);
    let pixels = pixels * size_of::<f32>() as u64 / engine.samples().size() as u64;
    let geometry = Geometry::new((input.width, input.height), model, settings.halo);
    let of = |pixels| {
        Schedule::new(model, geometry, spread, engine.shape_grid(), settings, pixels)
            .map(|schedule| (schedule, pixels))
    };
    match of(pixels) {
        // The need is an estimate, and the GPU itself says when it has no more.
        Err(Error::NoMemory { .. }) if settings.memory_limit.is_none() => of(u64::MAX),
        done => done,
    }
}

/// Stage 4 with what decides on how much goes through the model at once.
pub(super) struct Budgeted<'a> {
    pub inference: &'a mut Inference,
    pub schedule: &'a mut Schedule,
}

impl Budgeted<'_> {
    /// Brings the canvas up to date; how many runs that were, if it was made as a whole.
    pub fn run(
        &mut self,
        stale: Stale,
        list: &mut DeviceList<RegionArgs>,
        main: &DevicePicture,
        canvas: &DevicePicture,
        report: &mut FrameReport,
    ) -> Result<Option<u64>, Error> {
        let before = *report;
        match &stale {
            Stale::Nothing => return Ok(None),
            Stale::Whole => {}
            Stale::Regions(regions) => {
                match self.inference.run(regions, list, main, Some(canvas), report) {
                    Err(Error::Inference(error)) if error.smaller_may_succeed() => {
                        self.take_less(report)?;
                    }
                    done => return done.map(|()| None),
                }
            }
        }
        loop {
            *report = FrameReport { less_at_once: report.less_at_once, ..before };
            let whole = self.schedule.whole().to_vec();
            match self.inference.run(&whole, list, main, Some(canvas), report) {
                Err(Error::Inference(error)) if error.smaller_may_succeed() => {
                    self.take_less(report)?;
                }
                done => return done.map(|()| Some(whole.len() as u64)),
            }
        }
    }

    /// Memory ran out: smaller regions, or fewer at once.
    fn take_less(&mut self, report: &mut FrameReport) -> Result<(), Error> {
        report.less_at_once = true;
        // The list is about to be written again.
        self.inference.synchronize()?;
        let bytes = self.inference.failed_bytes();
        let fewer = self.inference.can_take_fewer();
        let largest = |regions: &[Region]| regions.iter().map(Region::pixels).max();
        let before = largest(self.schedule.whole());
        let cut = self.schedule.limit_pixels(self.inference.take_less());
        match cut {
            Ok(()) if fewer || largest(self.schedule.whole()) < before => Ok(()),
            Err(_) if fewer => Ok(()),
            _ => Err(cuda::Error::OutOfMemory { bytes }.into()),
        }
    }
}
