//! What is done for one frame on the streaming thread: submitting the input buffer, painting the
//! output buffer, and falling back to the CPU when the GPU fails.

use std::time::{Duration, Instant};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{
    prelude::*,
    subclass::{
        base_transform::{InputBuffer, PrepareOutputBufferSuccess},
        prelude::*,
    },
};

use gst_video::VideoMeta;

use super::{
    deadline::{self, Arrival},
    errors::{Failure, Severity},
    imp::{CATEGORY, Upscale},
    ladder::{self, Ladder},
    loader::{LoadedModel, NoModel, Request},
    lock, overload,
    properties::Startup,
    stream::{Negotiated, Next, Stream, is_empty_gap},
};
use crate::{
    engine::Backend,
    upscaler::{self, Deadline, FrameParams, FrameReport, Late, MemoryUse},
};

impl Upscale {
    /// Uses `loaded` for all following frames.
    pub(super) fn switch_model(&self, stream: &mut Stream, loaded: LoadedModel) {
        let LoadedModel { model, engine } = loaded;
        gst::info!(CATEGORY, imp = self, "switching to {}: {:?}", model.name, model.info);
        for fallback in &engine.fallbacks {
            gst::info!(CATEGORY, imp = self, "not in use: {fallback}");
        }
        if let Some(note) = &engine.note {
            let code = gst::LibraryError::Settings;
            gst::element_imp_warning!(self, code, ("{note}."), ["{:?}", engine.fallbacks]);
        }
        let factor = model.info.factor;
        let previous = {
            let mut state = lock(&self.state);
            state.stats.set_model(model.name, &engine);
            state.latency.restart();
            state.model.replace(model.info)
        };
        self.step_up(stream);
        stream.set_engine(engine.infer, engine.traits);
        self.load_lighter(stream);
        // The factor decides the output size if nothing else does.
        if previous.is_none_or(|previous| previous.factor != factor) {
            self.obj().reconfigure_src();
        }
    }

    /// Uses the model that the application asked for, if the lighter one is in use.
    fn step_up(&self, stream: &mut Stream) {
        let mut state = lock(&self.state);
        if state.ladder.is_down() {
            stream.swap();
            state.stats.swap_models();
        }
        state.ladder = Ladder::default();
    }

    /// Loads the lighter model, after the first model is loaded: both need all threads.
    fn load_lighter(&self, stream: &Stream) {
        let properties = lock(&self.properties).clone();
        if !properties.lighter_model.is_empty() && !stream.has_spare() {
            let request = Request::Named(properties.lighter_model.clone(), Default::default());
            let options = properties.engine_options();
            self.lighter.set_engine_loader(self.loader.engine_loader());
            self.lighter.begin(self.obj().upcast_ref(), request, options);
        }
    }

    /// Keeps the lighter model ready.
    pub(super) fn set_lighter(&self, stream: &mut Stream, loaded: LoadedModel) {
        let LoadedModel { model, engine } = loaded;
        gst::info!(CATEGORY, imp = self, "ready to change to {}", model.name);
        lock(&self.state).stats.set_spare(model.name, &engine);
        stream.set_spare(engine.infer, engine.traits);
    }

    /// Changes to the lighter model, or back, if the last outputs ask for it.
    fn step(&self, stream: &mut Stream, inbuf: &gst::Buffer) {
        if !stream.has_spare() || self.late().is_none() {
            return;
        }
        let Some(available) = self.longest() else { return };
        let Some(now) = self.running_time(inbuf) else { return };
        let message = {
            let mut state = lock(&self.state);
            let report = state.report;
            let Some(whole) = report.whole_frame else { return };
            let share = |pixels: u64| pixels as f64 / report.frame_pixels.max(1) as f64;
            let resampled = share(report.resampled_pixels);
            let changing = (resampled + share(report.fresh_pixels)).min(1.0);
            let available = available.into();
            let frame = ladder::Frame { now, resampled, changing, whole, available };
            let Some(step) = state.ladder.add(frame) else { return };
            let from = state.stats.model_name().unwrap_or_default().to_owned();
            stream.swap();
            state.stats.swap_models();
            state.report = FrameReport::default();
            let to = state.stats.model_name().unwrap_or_default();
            overload::step_message(step, &from, to, whole, available)
        };
        self.post(message);
    }

    /// Posts a message of this element.
    fn post(&self, structure: gst::Structure) {
        gst::log!(CATEGORY, imp = self, "{structure:?}");
        let message = gst::message::Element::builder(structure).src(&*self.obj()).build();
        // It fails if the element has no bus.
        let _ = self.obj().post_message(message);
    }

    /// Sets the controlled properties to their values at the time of `buffer`.
    pub(super) fn sync_controlled(&self, buffer: &gst::Buffer) {
        let segment = self.obj().segment();
        let Some(segment) = segment.downcast_ref::<gst::ClockTime>() else { return };
        if let Some(time) = buffer.pts().and_then(|pts| segment.to_stream_time(pts)) {
            // It fails if the value cannot be computed; the property then keeps its value.
            let _ = self.obj().sync_values(time);
        }
    }

    /// Submits the frame in `inbuf`.
    pub(super) fn submit(&self, inbuf: &gst::Buffer) -> Result<(), gst::FlowError> {
        self.interruptible(|| self.try_submit(inbuf))
    }

    fn try_submit(&self, inbuf: &gst::Buffer) -> Result<(), gst::FlowError> {
        let negotiated = self.negotiated()?;
        let mut stream = lock(&self.stream);
        if is_empty_gap(inbuf) {
            stream.submit_gap(inbuf);
            return Ok(());
        }
        if inbuf.flags().contains(gst::BufferFlags::DISCONT) {
            stream.reset_reuse();
        }
        // The model may be missing still if new caps have just ended passthrough.
        self.ensure_model(&mut stream)?;
        let settings = || lock(&self.properties).upscaler_settings();
        let params = |number| lock(&self.properties).frame_params(number);
        let deadline = self.deadline(&negotiated, inbuf);
        let split = lock(&self.properties).split;
        stream.set_split(split);
        let submitted = stream.submit(&negotiated, settings, params, deadline, inbuf);
        if let Some(warning) = stream.take_warning() {
            warning.post(self.obj().upcast_ref(), Severity::Warning);
        }
        match submitted {
            Err(failure) if self.can_leave_gpu(&failure) => {
                self.leave_gpu(&mut stream, &negotiated, &failure)
            }
            Err(failure @ Failure::ShortFrame { .. }) if stream.skip_last() => {
                failure.post(self.obj().upcast_ref(), Severity::Warning);
                Ok(())
            }
            submitted => submitted.map_err(|failure| self.fail(&mut stream, &failure)),
        }
    }

    /// When the output of a frame that arrives now is due, if it has a deadline.
    fn deadline(&self, negotiated: &Negotiated, inbuf: &gst::Buffer) -> Option<Deadline> {
        let late = self.late()?;
        let (live, upstream) = {
            let state = lock(&self.state);
            (state.live, state.upstream_latency)
        };
        let mut arrival = self.arrival(negotiated);
        let element = self.obj();
        let plays = element.current_state() == gst::State::Playing;
        let now = element.current_running_time().filter(|_| plays);
        let time = self.running_time(inbuf);
        // A live frame arrives when its source is done with it. Any other must leave on time.
        let due = time.map(|time| match live {
            true => time + upstream,
            false => time.saturating_sub(arrival.longest()),
        });
        arrival.late = deadline::lateness(now, due);
        let at = Instant::now() + arrival.allowance();
        let tolerance = lock(&self.properties).reuse_tolerance;
        Some(Deadline { at, late, tolerance: u8::try_from(tolerance).unwrap_or(u8::MAX) })
    }

    /// The time that frames have, apart from how late each is.
    fn arrival(&self, negotiated: &Negotiated) -> Arrival {
        let max_latency = lock(&self.properties).max_latency();
        Arrival { duration: negotiated.frame_duration(), max_latency, ..Arrival::default() }
    }

    /// What late frames show, if frames have a deadline: in live pipelines, and after a sink
    /// reported late frames.
    pub(super) fn late(&self) -> Option<Late> {
        let follows_clock = {
            let state = lock(&self.state);
            state.live || state.throttled
        };
        lock(&self.properties).late().filter(|_| follows_clock)
    }

    fn negotiated(&self) -> Result<Negotiated, gst::FlowError> {
        lock(&self.state).negotiated.clone().ok_or(gst::FlowError::NotNegotiated)
    }

    /// Whether the CPU may continue after this failure of the GPU.
    fn can_leave_gpu(&self, failure: &Failure) -> bool {
        lock(&self.properties).engine_options().backend == Backend::Auto
            && matches!(
                failure,
                Failure::Upscaler(upscaler::Error::OutOfMemory(out))
                    if out.purpose == MemoryUse::Gpu
            )
    }

    /// Switches to the CPU, which also processes the frames in flight.
    fn leave_gpu(
        &self,
        stream: &mut Stream,
        negotiated: &Negotiated,
        reason: &Failure,
    ) -> Result<(), gst::FlowError> {
        gst::element_imp_warning!(
            self,
            gst::ResourceError::NoSpaceLeft,
            ("{reason}; continuing on the CPU, which is slower.")
        );
        let left = lock(&self.state).stats.fallback(reason.to_string());
        stream.drop_engine();
        let properties = lock(&self.properties).clone();
        let request = Request::OnCpu(properties.model.clone(), properties.open_options());
        self.load(request, &properties);
        let mut loaded = self.loader.wait().map_err(|no_model| match no_model {
            NoModel::Interrupted => gst::FlowError::Flushing,
            NoModel::Failed => self.fail(stream, reason),
        })?;
        loaded.engine.fallbacks.extend(left);
        self.switch_model(stream, loaded);
        let settings = || lock(&self.properties).upscaler_settings();
        stream.submit_again(negotiated, settings).map_err(|failure| self.fail(stream, &failure))
    }

    /// Waits until the stream has a model or a placeholder for it.
    ///
    /// # Errors
    /// Returns what to answer upstream if there is no model. The reason is already on the bus.
    pub(super) fn ensure_model(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        if stream.has_model() {
            return Ok(());
        }
        let waited = self.interruptible(|| self.wait_for_model(stream));
        waited.map_err(|no_model| match no_model {
            NoModel::Interrupted => gst::FlowError::Flushing,
            NoModel::Failed => gst::FlowError::Error,
        })
    }

    fn wait_for_model(&self, stream: &mut Stream) -> Result<(), NoModel> {
        let startup = lock(&self.properties).startup;
        let (model, live) = {
            let state = lock(&self.state);
            (state.model.clone(), state.live)
        };
        let startup = match startup {
            Startup::Auto if live => Startup::Resample,
            startup => startup,
        };
        match (startup, model) {
            (Startup::Resample, Some(model)) => {
                self.loader.check()?;
                stream.set_placeholder(model);
            }
            _ => {
                let loaded = self.loader.wait()?;
                self.switch_model(stream, loaded);
            }
        }
        Ok(())
    }

    /// Waits for the oldest frame in flight and returns its output buffer; `None` if no frame is
    /// in flight.
    pub(super) fn next_output(&self) -> Result<Option<gst::Buffer>, gst::FlowError> {
        let mut stream = lock(&self.stream);
        let next = self.interruptible(|| stream.next());
        let next = next.map_err(|failure| self.fail(&mut stream, &failure))?;
        let (inbuf, outbuf) = match next {
            None => return Ok(None),
            Some(Next::Gap(inbuf)) => return self.empty_gap(&inbuf).map(Some),
            Some(Next::Same(inbuf, last)) => {
                gst::trace!(CATEGORY, imp = self, "reusing the previous output");
                {
                    let mut state = lock(&self.state);
                    let pixels = state.negotiated.as_ref().map_or(0, Negotiated::pixels);
                    state.stats.add_reused(pixels);
                    state.report.fresh_pixels = 0;
                }
                let outbuf = self.reused_buffer(&last, &inbuf)?;
                (inbuf, outbuf)
            }
            Some(Next::Changed(inbuf, params)) => {
                let outbuf = self.paint(&mut stream, &inbuf, &params);
                // The next frames cannot reuse a frame that was not painted.
                let outbuf = outbuf.inspect_err(|_| stream.abort())?;
                (inbuf, outbuf)
            }
        };
        self.step(&mut stream, &inbuf);
        drop(stream);
        lock(&self.state).stats.frames_out += 1;
        self.post_stats(&inbuf);
        Ok(Some(outbuf))
    }

    /// Whether more frames are in flight than [`depth`](Self::depth) allows.
    pub(super) fn is_due(&self) -> bool {
        let in_flight = lock(&self.stream).in_flight();
        in_flight > self.depth()
    }

    /// The largest number of frames in flight between two output frames.
    pub(super) fn depth(&self) -> usize {
        if self.late().is_some() {
            return 0;
        }
        let live = lock(&self.state).live;
        lock(&self.properties).depth(live)
    }

    /// Pushes all frames in flight.
    ///
    /// # Errors
    /// Returns why a frame could not be processed or pushed. The frames after it are dropped.
    pub(super) fn drain(&self) -> Result<(), gst::FlowError> {
        self.push_in_flight().inspect_err(|_| lock(&self.stream).abort())
    }

    fn push_in_flight(&self) -> Result<(), gst::FlowError> {
        while let Some(outbuf) = self.next_output()? {
            self.obj().src_pad().push(outbuf)?;
        }
        Ok(())
    }

    /// [Drains](Self::drain) before an event. The sender of an event gets no flow error: the next
    /// frame returns it.
    pub(super) fn drain_before_event(&self) {
        match self.drain() {
            Ok(()) | Err(gst::FlowError::Flushing) => {}
            Err(error) => lock(&self.stream).set_error(error),
        }
    }

    /// Paints the next frame into a new buffer.
    fn paint(
        &self,
        stream: &mut Stream,
        inbuf: &gst::Buffer,
        params: &FrameParams,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let negotiated = self.negotiated()?;
        let mut outbuf = self.output_buffer(inbuf)?;
        let writable = outbuf.get_mut().ok_or(gst::FlowError::Error)?;
        let report = self.interruptible(|| stream.paint(&negotiated, writable));
        let report = report.map_err(|failure| self.fail(stream, &failure))?;
        gst::trace!(CATEGORY, imp = self, "{report:?}");
        if report.less_at_once {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::NoSpaceLeft,
                ("Not enough memory to run the model on a whole frame; frames are split into \
                  smaller regions, which is slower. Set memory-limit or tile-size, or use a \
                  smaller model.")
            );
        }
        {
            let mut state = lock(&self.state);
            state.stats.add(&report);
            state.report = report;
        }
        self.post_overload(inbuf, &negotiated, &report);
        stream.keep(&outbuf, params);
        Ok(outbuf)
    }

    /// Posts the failure that ends the stream. An interrupt is none.
    fn fail(&self, stream: &mut Stream, failure: &Failure) -> gst::FlowError {
        stream.abort();
        if failure.is_interrupt() {
            return gst::FlowError::Flushing;
        }
        failure.post(self.obj().upcast_ref(), Severity::Error);
        gst::FlowError::Error
    }

    /// The longest time that a frame spends here, if frames have a deadline.
    pub(super) fn longest(&self) -> Option<gst::ClockTime> {
        self.late()?;
        let negotiated = lock(&self.state).negotiated.clone()?;
        Some(self.arrival(&negotiated).longest())
    }

    /// Adds the processing time of a frame to the latency.
    pub(super) fn record_frame_time(&self, time: Duration) {
        let (changed, live) = {
            let mut state = lock(&self.state);
            (state.latency.add_frame(time), state.live)
        };
        if changed && live && self.late().is_none() {
            self.post_latency();
        }
    }

    /// Posts, once a second at most, that the model is too slow.
    fn post_overload(&self, inbuf: &gst::Buffer, negotiated: &Negotiated, report: &FrameReport) {
        let Some(needed) = report.whole_frame.filter(|_| report.resampled_pixels > 0) else {
            return;
        };
        let Some(now) = self.running_time(inbuf) else { return };
        let available = self.arrival(negotiated).longest();
        let structure = {
            let mut state = lock(&self.state);
            if !state.overload.is_due(now, gst::ClockTime::SECOND) {
                return;
            }
            let share = report.resampled_pixels as f64 / report.frame_pixels.max(1) as f64;
            let model = state.stats.model_name().unwrap_or_default();
            overload::message(model, needed, available.into(), share)
        };
        self.post(structure);
    }

    /// The running time of a buffer.
    fn running_time(&self, buffer: &gst::Buffer) -> Option<gst::ClockTime> {
        let segment = self.obj().segment();
        let segment = segment.downcast_ref::<gst::ClockTime>()?;
        buffer.pts().and_then(|pts| segment.to_running_time(pts))
    }

    /// Posts the statistics if a message is due at the time of `inbuf`.
    fn post_stats(&self, inbuf: &gst::Buffer) {
        let interval = u64::from(lock(&self.properties).stats_interval);
        let Some(now) = self.running_time(inbuf) else { return };
        let structure = {
            let mut state = lock(&self.state);
            if !state.stats.is_due(now, gst::ClockTime::from_mseconds(interval)) {
                return;
            }
            state.stats.structure()
        };
        self.post(structure);
    }

    /// A buffer with the memory of `last`, and the timestamps, flags and metas of `inbuf`.
    fn reused_buffer(
        &self,
        last: &gst::Buffer,
        inbuf: &gst::Buffer,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let mut outbuf = gst::Buffer::new();
        let writable = outbuf.get_mut().ok_or(gst::FlowError::Error)?;
        last.copy_into(writable, gst::BufferCopyFlags::MEMORY, ..)
            .map_err(|_| gst::FlowError::Error)?;
        copy_video_meta(last, writable);
        self.copy_metadata_to(inbuf, writable)?;
        Ok(outbuf)
    }

    /// A buffer for an enlarged frame, with the timestamps, flags and metas of `inbuf`.
    fn output_buffer(&self, inbuf: &gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        match self.parent_prepare_output_buffer(InputBuffer::Readable(inbuf)) {
            Ok(PrepareOutputBufferSuccess::Buffer(outbuf)) => Ok(outbuf),
            Err(error) if error != gst::FlowError::Error => Err(error),
            _ => {
                Failure::NoMemory.post(self.obj().upcast_ref(), Severity::Error);
                Err(gst::FlowError::Error)
            }
        }
    }

    /// A gap without a frame, with the timestamps, flags and metas of `inbuf`.
    fn empty_gap(&self, inbuf: &gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        let mut gap = gst::Buffer::new();
        self.copy_metadata_to(inbuf, gap.get_mut().ok_or(gst::FlowError::Error)?)?;
        Ok(gap)
    }

    fn copy_metadata_to(
        &self,
        inbuf: &gst::BufferRef,
        outbuf: &mut gst::BufferRef,
    ) -> Result<(), gst::FlowError> {
        self.parent_copy_metadata(inbuf, outbuf).map_err(|error| {
            error.log();
            gst::FlowError::Error
        })
    }
}

/// Copies the `VideoMeta` of a buffer to another buffer with the same memory.
fn copy_video_meta(from: &gst::BufferRef, to: &mut gst::BufferRef) {
    if let Some(meta) = from.meta::<VideoMeta>() {
        // It fails if `to` does not hold the planes; the caps then describe them.
        let _ = VideoMeta::add_full(
            to,
            meta.video_frame_flags(),
            meta.format(),
            meta.width(),
            meta.height(),
            meta.offset(),
            meta.stride(),
        );
    }
}

impl Upscale {
    /// The longest time that frames wait for the next one.
    const LONGEST: Duration = Duration::from_secs(1);
    /// The time they wait if the caps give no frame rate.
    const DEFAULT: Duration = Duration::from_millis(100);

    /// Outputs the frames in flight one frame's duration from now, unless a frame or an event
    /// arrives before.
    pub(super) fn output_when_idle(&self) {
        if lock(&self.stream).in_flight() == 0 {
            return;
        }
        let duration = lock(&self.state).negotiated.as_ref().and_then(Negotiated::frame_duration);
        let wait = duration.map_or(Self::DEFAULT, Duration::from).min(Self::LONGEST);
        let element = self.obj().downgrade();
        self.idle.set(Instant::now() + wait, move || {
            element.upgrade()?.imp().output_if_idle();
            Some(())
        });
    }

    fn output_if_idle(&self) {
        // A frame or a serialized event that arrives now waits, like behind another frame.
        let sink = self.obj().sink_pad().clone();
        let _streaming = sink.stream_lock();
        if self.idle.take_due() {
            gst::trace!(CATEGORY, imp = self, "no frame arrived in time");
            self.drain_before_event();
        }
    }
}
