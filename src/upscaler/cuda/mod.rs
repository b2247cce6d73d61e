//! The stages on a GPU, over frames in system memory.
//!
//! Three streams work side by side: the upload stream copies frame N + 1 in and compares it with
//! the reference, the compute stream takes frame N from planes to planes, the download stream
//! copies frame N − 1 out. The host waits for the bits of the comparison, which tell it what to
//! launch, and for the end of a frame; events order all else. A [`Slot`](slot::Slot) is what a
//! frame in flight has for itself; pictures and canvas are the compute stream's alone.

mod budget;
mod damage;
mod finish;
mod infer;
mod reference;
mod slot;
mod source;

use std::{collections::VecDeque, sync::Arc, time::Instant};

use self::{
    budget::{Budgeted, schedule},
    damage::Damage,
    finish::{Finisher, Made},
    infer::Inference,
    reference::Reference,
    slot::Slots,
    source::Source,
};
use super::{
    Error, FrameParams, FrameReport, Next, Pipeline, Reuse, StreamSettings,
    conversion::Conversion,
    schedule::{self, Schedule, Stale},
};
use crate::{
    cuda::{Device, DeviceFrame, DevicePicture, FrameLayout},
    engine::{AnyEngine, InferOnDevice},
    frame::{self, FrameInfo, FrameMut, FrameRef},
    reuse::{ChangedMap, CostModel},
};

/// A frame in flight.
struct Flight {
    slot: usize,
    next: Next,
    report: FrameReport,
    /// Runs of the model, where they were for a whole frame.
    whole_runs: Option<u64>,
}

/// [`Pipeline`] on a GPU.
pub struct CudaPipeline {
    schedule: Schedule,
    input: Arc<FrameLayout>,
    reference: Reference,
    source: Source,
    canvas: DevicePicture,
    finisher: Finisher,
    slots: Slots,
    flights: VecDeque<Flight>,
    /// The frame that is to be finished.
    next: Option<Flight>,
    /// The slot of the frame that came last.
    latest: Option<usize>,
    /// How long a run over a whole frame took: pixels and seconds.
    whole_time: Option<(u64, f64)>,
    inference: Inference,
    device: Arc<Device>,
}

impl CudaPipeline {
    /// For a stream that goes from `input` to `output` frames (same format and colour, any
    /// sizes), by an engine that was made for `device`.
    ///
    /// # Errors
    /// [`Error::Frame`] for sizes that cannot be handled, [`Error::NoMemory`] and
    /// [`Error::Impossible`] where the model cannot take such frames, [`Error::Device`] where
    /// the GPU has too little memory or was lost.
    pub fn new(
        engine: Box<dyn InferOnDevice>,
        device: Arc<Device>,
        input: FrameInfo,
        output: FrameInfo,
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        let model = engine.info().clone();
        let layout = Arc::new(FrameLayout::new(input)?);
        let output_layout = Arc::new(FrameLayout::new(output)?);
        let (samples, channels) = (engine.samples(), model.channels);
        let conversion = Conversion::new(input, output, channels, model.factor)?;
        let spread = conversion.unpacker.reads_beyond();
        let large = (input.width * model.factor, input.height * model.factor);
        let canvas = DevicePicture::new(&device, channels.count(), large, samples)?;
        let source = Source::new(&device, &layout, &conversion.unpacker, channels, samples)?;
        let finisher = Finisher::new(&device, output_layout, conversion)?;
        let reference = Reference::new(&device, &layout)?;
        let mut slots = Slots::default();
        let first = slots.take(&device, &layout, &finisher.layout)?;
        slots.release(first);

        let (schedule, most_pixels) =
            schedule(&device, engine.as_ref(), &input, spread, &settings)?;
        Ok(Self {
            schedule,
            input: layout,
            reference,
            source,
            canvas,
            finisher,
            slots,
            flights: VecDeque::new(),
            next: None,
            latest: None,
            whole_time: None,
            inference: Inference::new(engine, &device, most_pixels),
            device,
        })
    }

    /// Nothing of the frames before is built on; those in flight are lost.
    fn abort_after_error(&mut self) {
        self.device.synchronize();
        self.abort();
    }

    fn submit_frame(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error> {
        check(input, self.input.info())?;
        let start = Instant::now();
        let index = self.slots.take(&self.device, &self.input, &self.finisher.layout)?;
        let frame = self.upload(index, input)?;
        let mut report = FrameReport {
            frame_pixels: u64::from(input.info.width) * u64::from(input.info.height),
            ..Default::default()
        };
        let builds_on_last = self.schedule.builds_on_last(params);
        let (stale, damage) = match schedule::mode(params.reuse) {
            None => {
                self.reset();
                (Stale::Whole, Damage::All)
            }
            Some(mode) => {
                let changed = self.reference.compare(&frame, mode)?;
                if changed.is_empty()
                    && let Some(latest) = self.latest.filter(|_| builds_on_last)
                {
                    report.compare = start.elapsed();
                    return self.same(index, latest, report);
                }
                let stale = self.stale(index, &changed, &frame, params)?;
                let damage = match &stale {
                    Stale::Regions(regions) if builds_on_last && params.blend > 0.0 => {
                        let conversion = &self.finisher.conversion;
                        let parts =
                            regions.iter().map(|region| conversion.dependents(region.compute));
                        let mut damage = Damage::NONE;
                        damage.add(&Damage::Parts(parts.collect()));
                        damage
                    }
                    _ => Damage::All,
                };
                (stale, damage)
            }
        };
        report.compare = start.elapsed();
        let whole_runs = self.compute(index, &frame, stale, &damage, params, &mut report)?;
        self.schedule.set_last(params);
        if let Some(before) = self.latest.replace(index) {
            self.slots.release(before);
        }
        self.slots.hold(index);
        self.flights.push_back(Flight { slot: index, next: Next::Changed, report, whole_runs });
        Ok(())
    }

    /// Queues the copy of `input` to the GPU, and returns where it will be.
    fn upload(&mut self, index: usize, input: &FrameRef<'_>) -> Result<Arc<DeviceFrame>, Error> {
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        self.input.write(input, slot.host_in.bytes_mut()?);
        let bytes = self.input.bytes();
        self.device.upload().upload(&slot.host_in, slot.frame_in.buffer(), bytes)?;
        Ok(slot.frame_in.clone())
    }

    /// The frame is that of `latest` again.
    fn same(&mut self, index: usize, latest: usize, report: FrameReport) -> Result<(), Error> {
        // The comparison has been waited for, and with it the copy.
        self.slots.release(index);
        self.slots.hold(latest);
        self.flights.push_back(Flight { slot: latest, next: Next::Same, report, whole_runs: None });
        Ok(())
    }

    /// Takes what `changed` into the reference; what of the canvas is stale then.
    fn stale(
        &mut self,
        index: usize,
        changed: &ChangedMap,
        frame: &DeviceFrame,
        params: &FrameParams,
    ) -> Result<Stale, Error> {
        let by_regions = self.schedule.by_regions(params.reuse);
        if !changed.is_empty() {
            self.source.current = false;
            self.reference.take_changed(frame)?;
            if by_regions {
                self.learn_costs(index)?;
            }
        }
        let stale = self.schedule.stale(changed, by_regions);
        // In exact mode the reference is the frame already.
        if let Reuse::Tolerant { .. } = params.reuse {
            match &stale {
                Stale::Nothing => {}
                Stale::Whole => {
                    self.source.current = false;
                    self.reference.take_all(frame)?;
                }
                Stale::Regions(regions) => {
                    let owned: Vec<_> = regions.iter().map(|it| self.schedule.owned(it)).collect();
                    let (width, height) = changed.size();
                    let owned = ChangedMap::of_rects(&owned, width, height);
                    self.reference.take(frame, &owned)?;
                }
            }
        }
        Ok(stale)
    }

    /// Has a small region timed, once, before regions are planned.
    fn learn_costs(&mut self, index: usize) -> Result<(), Error> {
        let (Some(region), Some(whole)) = (self.schedule.wants_timing(), self.whole_time) else {
            return Ok(());
        };
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        let [begin, end, ..] = &slot.times;
        let main = &self.source.main;
        match self.inference.time(&region, &mut slot.regions, main, [begin, end]) {
            Ok(small) => self.schedule.set_cost(CostModel::fit(&[whole, small])),
            // Then frames are computed whole.
            Err(Error::Inference(error)) if error.smaller_may_succeed() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Has everything done from the uploaded frame to the downloaded one; how many runs of the
    /// model were for a whole frame.
    fn compute(
        &mut self,
        index: usize,
        frame: &DeviceFrame,
        stale: Stale,
        damage: &Damage,
        params: &FrameParams,
        report: &mut FrameReport,
    ) -> Result<Option<u64>, Error> {
        let off = params.reuse == Reuse::Off;
        self.slots.damage(damage);
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        let [begun, unpacked, inferred, finished] = &slot.times;
        let (upload, compute) = (self.device.upload(), self.device.compute());
        upload.record(&slot.uploaded)?;
        compute.wait(&slot.uploaded)?;
        compute.record(begun)?;
        if off || !self.source.current {
            self.source.unpack(if off { frame } else { self.reference.frame() })?;
            self.source.current = !off;
        }
        self.reference.was_read(compute)?;
        compute.record(unpacked)?;

        let mut whole_runs = None;
        if params.blend > 0.0 {
            let (main, canvas) = (&self.source.main, &self.canvas);
            let mut stage =
                Budgeted { inference: &mut self.inference, schedule: &mut self.schedule };
            whole_runs = stage.run(stale, &mut slot.regions, main, canvas, report)?;
        }
        // Without its share the model's picture is not seen, and the canvas falls behind.
        self.schedule.set_current(params.blend > 0.0 && !off);
        compute.record(inferred)?;

        let whole = self.finisher.conversion.whole();
        let lagging = std::mem::replace(&mut slot.damage, Damage::NONE).rects(whole);
        let stale = damage.rects(whole);
        let (canvas, source) = (&self.canvas, &self.source);
        let rects = Made { stale: &stale, lagging: &lagging };
        self.finisher.run(canvas, source, params, rects, &mut slot.rects, &slot.frame_out)?;
        compute.record(finished)?;

        let download = self.device.download();
        download.wait(finished)?;
        let rows = lagging.iter().flat_map(|rect| self.finisher.layout.rows(*rect));
        download.download_rows(slot.frame_out.buffer(), &mut slot.host_out, rows)?;
        download.record(&slot.downloaded)?;
        Ok(whole_runs)
    }

    fn wait_for(&mut self, mut flight: Flight) -> Result<Flight, Error> {
        let slot = self.slots.get(flight.slot).ok_or(Error::NoFrame)?;
        slot.downloaded.synchronize()?;
        if flight.next == Next::Same {
            return Ok(flight);
        }
        let [begun, unpacked, inferred, finished] = &slot.times;
        flight.report.unpack = unpacked.since(begun);
        flight.report.infer = inferred.since(unpacked);
        flight.report.finish = finished.since(inferred);
        if let Some(runs) = flight.whole_runs {
            let seconds = flight.report.infer.as_secs_f64() / runs.max(1) as f64;
            self.whole_time = Some((flight.report.pixels / runs.max(1), seconds));
        }
        Ok(flight)
    }
}

impl Pipeline for CudaPipeline {
    fn submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error> {
        self.submit_frame(input, params).inspect_err(|_| self.abort_after_error())
    }

    fn next(&mut self) -> Result<Option<Next>, Error> {
        // The caller does not have what it did not finish, and cannot build on it.
        if let Some(unfinished) = self.next.take() {
            self.slots.release(unfinished.slot);
            if unfinished.next == Next::Changed {
                self.abort();
            }
        }
        let Some(flight) = self.flights.pop_front() else { return Ok(None) };
        let flight = self.wait_for(flight).inspect_err(|_| self.abort_after_error())?;
        let next = flight.next;
        self.next = Some(flight);
        Ok(Some(next))
    }

    /// `previous` is of no use here: the host's side of a slot holds the whole output.
    fn finish(
        &mut self,
        _previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error> {
        let mut flight = self.next.take().ok_or(Error::NoFrame)?;
        let start = Instant::now();
        let layout = &self.finisher.layout;
        let fits = output.check().and_then(|()| output.info.check_same_kind(layout.info()));
        let written = fits.map_err(Error::from).and_then(|()| {
            let slot = self.slots.get(flight.slot).ok_or(Error::NoFrame)?;
            layout.read(slot.host_out.bytes()?, output);
            Ok(())
        });
        self.slots.release(flight.slot);
        written.inspect_err(|_| self.abort())?;
        flight.report.finish += start.elapsed();
        Ok(flight.report)
    }

    fn reset(&mut self) {
        self.schedule.reset();
        self.reference.reset();
    }

    /// What the GPU is at is left to end by itself.
    fn abort(&mut self) {
        self.reset();
        self.flights.clear();
        (self.next, self.latest) = (None, None);
        self.slots.release_all();
    }

    fn into_engine(self: Box<Self>) -> Option<AnyEngine> {
        let Self { inference, device, .. } = *self;
        device.synchronize();
        Some(AnyEngine::Device(inference.engine, device))
    }
}

/// Checks that a frame is of the stream's kind.
fn check(frame: &FrameRef<'_>, need: &FrameInfo) -> Result<(), frame::Error> {
    frame.check()?;
    frame.info.check_same_kind(need)
}
