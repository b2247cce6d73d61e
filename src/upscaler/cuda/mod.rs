//! The pipeline on a GPU, for frames in system memory.
//!
//! Three streams run in parallel: the upload stream copies frame N + 1 to the GPU and compares it
//! with the reference, the compute stream takes frame N from planes to planes, and the download
//! stream copies frame N − 1 back. The host waits for the comparison, which decides what to launch,
//! and for the end of a frame; events order everything else. A [`FrameSlot`](slot::FrameSlot) holds
//! what a frame in flight needs for itself; source picture and canvas belong to the compute stream.

mod finish;
mod infer;
mod memory_limited;
mod proof;
mod reference;
mod slot;
mod source;

use std::{collections::VecDeque, sync::Arc, time::Instant};

use self::{
    finish::{Finisher, Repaint},
    infer::{Inference, RunError},
    memory_limited::{MemoryLimited, schedule},
    reference::Reference,
    slot::FrameSlots,
    source::Source,
};
use super::{
    conversion::Conversion,
    damage::Damage,
    decision::{Decision, Take},
    enlarger::Compute,
    error::Error,
    pipeline::{Next, Pipeline},
    schedule::{Comparison, Schedule},
    settings::{FrameParams, FrameReport, StreamSettings},
};
use crate::{
    cuda::{Device, DeviceFrame, DevicePicture, FrameLayout},
    engine::{AnyEngine, EngineTraits, InferOnDevice},
    frame::{FrameInfo, FrameMut, FrameRef, Rect},
    reuse::{CostModel, Region},
};

/// Most rectangles of an output that are copied to the host one by one.
const MAX_COPIES: usize = 32;

/// A frame in flight.
enum InFlight {
    /// The output equals that of the frame before, which is in this slot.
    Same { slot: usize, report: FrameReport },
    /// The output is made in this slot.
    Changed {
        slot: usize,
        report: FrameReport,
        /// Runs of the model, if it computed the whole canvas.
        whole_runs: Option<u64>,
    },
}

/// A frame whose output is in its slot.
struct Finished {
    slot: usize,
    next: Next,
    report: FrameReport,
}

/// [`Pipeline`] on a GPU.
pub struct CudaPipeline {
    schedule: Schedule,
    input: Arc<FrameLayout>,
    reference: Reference,
    source: Source,
    canvas: DevicePicture,
    finisher: Finisher,
    slots: FrameSlots,
    in_flight: VecDeque<InFlight>,
    /// The frame to copy out.
    next: Option<Finished>,
    /// The slot of the frame that was submitted last.
    latest: Option<usize>,
    /// The test of regions ran out of memory, which the next report has to say.
    less_at_once: bool,
    /// The time of a run over a whole frame: pixels and seconds.
    whole_time: Option<(u64, f64)>,
    inference: Inference,
    device: Arc<Device>,
}

impl CudaPipeline {
    /// A stream from `input` to `output` frames, of the same format and colorimetry and of any
    /// sizes, through an engine with these `traits` that was loaded for `device`. Regions that
    /// `traits` calls exact are compared with a whole frame of this size first.
    ///
    /// # Errors
    /// [`Error::Frame`] for unsupported sizes, [`Error::OutOfMemory`], [`Error::FixedSize`] if the
    /// model does not accept such frames, [`Error::NoFidelity`], [`Error::Device`] if the GPU fails.
    pub fn new(
        engine: Box<dyn InferOnDevice>,
        traits: EngineTraits,
        device: Arc<Device>,
        input: FrameInfo,
        output: FrameInfo,
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        if settings.fidelity > 0.0 {
            return Err(Error::NoFidelity);
        }
        let model = engine.info().clone();
        let layout = Arc::new(FrameLayout::new(input)?);
        let output_layout = Arc::new(FrameLayout::new(output)?);
        let (samples, channels) = (engine.samples(), model.channels);
        let conversion = Conversion::new(input, output, channels, model.factor, 0.0)?;
        let spread = conversion.unpacker.reads_beyond();
        let large = (input.width * model.factor, input.height * model.factor);
        let canvas = DevicePicture::new(&device, channels.count(), large, samples)?;
        let source = Source::new(&device, &layout, &conversion.unpacker, channels, samples)?;
        let reference = Reference::new(&device, &layout, &conversion.unpacker)?;
        let finisher = Finisher::new(&device, output_layout, conversion)?;
        let mut slots = FrameSlots::default();
        let first = slots.take(&device, &layout, &finisher.layout)?;
        slots.release(first);

        let (schedule, max_pixels) =
            schedule(&device, engine.as_ref(), traits, &input, spread, &settings)?;
        let mut pipeline = Self {
            schedule,
            input: layout,
            reference,
            source,
            canvas,
            finisher,
            slots,
            in_flight: VecDeque::new(),
            next: None,
            latest: None,
            less_at_once: false,
            whole_time: None,
            inference: Inference::new(engine, &device, max_pixels),
            device,
        };
        pipeline.prove_regions()?;
        Ok(pipeline)
    }

    /// Plans regions with this cost of runs instead of measuring it. Plans that depend on measured
    /// times differ from machine to machine.
    #[doc(hidden)]
    #[must_use]
    pub fn with_cost(mut self, cost: CostModel) -> Self {
        self.schedule.set_cost(Some(cost));
        self
    }

    /// Aborts everything, after the GPU is idle.
    fn abort_after_error(&mut self) {
        self.device.synchronize();
        self.abort();
    }

    fn try_submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error> {
        input.check()?;
        input.info.check_same_kind(self.input.info())?;
        let start = Instant::now();
        let index = self.slots.take(&self.device, &self.input, &self.finisher.layout)?;
        let frame = self.upload(index, input)?;
        let Rect { width, height, .. } = Rect::of_size(input.info.width, input.info.height);
        let frame_pixels = u64::from(width) * u64::from(height);
        let less_at_once = std::mem::take(&mut self.less_at_once);
        let mut report = FrameReport { frame_pixels, less_at_once, ..Default::default() };

        let Comparison { mode, reset } = self.schedule.compare(params.reuse);
        if reset {
            self.reference.reset();
        }
        let changes = match mode {
            Some(mode) => Some(self.reference.changes(&frame, mode)?),
            None => None,
        };
        let regions = self.schedule.to_measure(changes.as_ref());
        if !regions.is_empty() {
            self.measure(index, &regions)?;
        }
        let (decision, unpack) = self.schedule.decide(params, changes.as_ref());
        self.reference.take(&frame, &decision.take, changes.as_ref())?;
        report.compare = start.elapsed();
        if decision.compute == Compute::Nothing
            && decision.repaint.is_none()
            && let Some(latest) = self.latest
        {
            // The comparison has been waited for, and with it the upload.
            self.slots.release(index);
            self.slots.hold(latest);
            self.in_flight.push_back(InFlight::Same { slot: latest, report });
            return Ok(());
        }
        let whole_runs = self.launch(index, &frame, &decision, &unpack, params, &mut report)?;
        if let Some(before) = self.latest.replace(index) {
            self.slots.release(before);
        }
        self.slots.hold(index);
        self.in_flight.push_back(InFlight::Changed { slot: index, report, whole_runs });
        Ok(())
    }

    /// Queues the upload of `input`. Returns the frame on the GPU.
    fn upload(&mut self, index: usize, input: &FrameRef<'_>) -> Result<Arc<DeviceFrame>, Error> {
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        self.input.write(input, slot.host_in.bytes_mut()?);
        let bytes = self.input.bytes();
        self.device.upload().upload(&slot.host_in, slot.frame_in.buffer(), bytes)?;
        Ok(slot.frame_in.clone())
    }

    /// Measures a batch of `regions`. The cost of runs stays unknown until a whole frame was
    /// measured, or if there is not enough memory.
    fn measure(&mut self, index: usize, regions: &[Region]) -> Result<(), Error> {
        let Some(whole) = self.whole_time else { return Ok(()) };
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        let [begin, end, ..] = &slot.times;
        let main = &self.source.main;
        match self.inference.time(regions, &mut slot.regions, main, [begin, end]) {
            Ok(small) => self.schedule.set_cost(CostModel::fit(&[whole, small])),
            Err(RunError::TooMuchAtOnce) => {}
            Err(RunError::Other(error)) => return Err(error),
        }
        Ok(())
    }

    /// Queues everything from the uploaded frame to the downloaded output. Returns the number of
    /// runs of the model if it computes the whole canvas.
    fn launch(
        &mut self,
        index: usize,
        frame: &DeviceFrame,
        decision: &Decision,
        unpack: &Damage,
        params: &FrameParams,
        report: &mut FrameReport,
    ) -> Result<Option<u64>, Error> {
        let conversion = &self.finisher.conversion;
        let damage = decision.repaint.map(|rect| conversion.dependents(rect));
        self.slots.damage(&damage);
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        let [begun, unpacked, inferred, finished] = &slot.times;
        let (upload, compute) = (self.device.upload(), self.device.compute());
        upload.record(&slot.uploaded)?;
        compute.wait(&slot.uploaded)?;
        compute.record(begun)?;
        let frame = match decision.take {
            Take::Discard => frame,
            _ => self.reference.frame(),
        };
        self.source.unpack(frame, unpack, &mut slot.unpack)?;
        self.reference.was_read(compute)?;
        compute.record(unpacked)?;

        let (inference, schedule) = (&mut self.inference, &mut self.schedule);
        let whole_runs = MemoryLimited { inference, schedule }.run(
            &decision.compute,
            &mut slot.regions,
            &self.source.main,
            &self.canvas,
            report,
        )?;
        compute.record(inferred)?;

        let whole = conversion.whole();
        let mut outdated = std::mem::replace(&mut slot.damage, Damage::NONE).rects(whole);
        if outdated.len() > MAX_COPIES {
            outdated = vec![whole];
        }
        let changed = damage.rects(whole);
        let (canvas, source) = (&self.canvas, &self.source);
        let rects = Repaint { changed: &changed, outdated: &outdated };
        self.finisher.run(canvas, source, params, rects, &mut slot.rects, &slot.frame_out)?;
        compute.record(finished)?;

        let download = self.device.download();
        download.wait(finished)?;
        let rows = outdated.iter().flat_map(|rect| self.finisher.layout.rows(*rect));
        download.download_rows(slot.frame_out.buffer(), &mut slot.host_out, rows)?;
        download.record(&slot.downloaded)?;
        Ok(whole_runs)
    }

    fn wait_for(&mut self, frame: InFlight) -> Result<Finished, Error> {
        let (InFlight::Same { slot: index, .. } | InFlight::Changed { slot: index, .. }) = frame;
        let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
        slot.downloaded.synchronize()?;
        match frame {
            InFlight::Same { slot, report } => Ok(Finished { slot, next: Next::Same, report }),
            InFlight::Changed { slot: index, mut report, whole_runs } => {
                let [begun, unpacked, inferred, finished] = &slot.times;
                report.unpack = unpacked.since(begun);
                report.infer = inferred.since(unpacked);
                report.finish = finished.since(inferred);
                if let Some(runs) = whole_runs {
                    let seconds = report.infer.as_secs_f64() / runs.max(1) as f64;
                    self.whole_time = Some((report.pixels / runs.max(1), seconds));
                }
                Ok(Finished { slot: index, next: Next::Changed, report })
            }
        }
    }
}

impl Pipeline for CudaPipeline {
    fn submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error> {
        self.try_submit(input, params).inspect_err(|_| self.abort_after_error())
    }

    fn next(&mut self) -> Result<Option<Next>, Error> {
        // The caller lacks the output of a frame that was not finished.
        if let Some(unfinished) = self.next.take() {
            self.slots.release(unfinished.slot);
            if unfinished.next == Next::Changed {
                self.abort();
            }
        }
        let Some(frame) = self.in_flight.pop_front() else { return Ok(None) };
        let frame = self.wait_for(frame).inspect_err(|_| self.abort_after_error())?;
        let next = frame.next;
        self.next = Some(frame);
        Ok(Some(next))
    }

    /// Ignores `previous`: the host side of a slot holds the whole output.
    fn finish(
        &mut self,
        _previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error> {
        let Finished { slot: index, mut report, .. } = self.next.take().ok_or(Error::NoFrame)?;
        let start = Instant::now();
        let layout = &self.finisher.layout;
        let fits = output.check().and_then(|()| output.info.check_same_kind(layout.info()));
        let written = fits.map_err(Error::from).and_then(|()| {
            let slot = self.slots.get(index).ok_or(Error::NoFrame)?;
            layout.read(slot.host_out.bytes()?, output);
            Ok(())
        });
        self.slots.release(index);
        written.inspect_err(|_| self.abort())?;
        report.finish += start.elapsed();
        Ok(report)
    }

    fn whole_frame_work(&self) -> f64 {
        let Rect { width, height, .. } = self.schedule.tiling().geometry().bounds();
        self.schedule.tiling().work() / (f64::from(width) * f64::from(height)).max(1.0)
    }

    fn reset(&mut self) {
        self.schedule.reset();
        self.reference.reset();
    }

    /// The GPU completes what it has started; nobody waits for that.
    fn abort(&mut self) {
        self.reset();
        self.in_flight.clear();
        (self.next, self.latest) = (None, None);
        self.slots.release_all();
    }

    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn into_engine(self: Box<Self>) -> Option<AnyEngine> {
        let Self { inference, device, .. } = *self;
        device.synchronize();
        Some(AnyEngine::Device(inference.engine, device))
    }
}
