//! The work of the streaming thread for one frame: it submits the input buffer and paints the output
//! buffer.

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
    errors::{Failure, Severity},
    imp::{CATEGORY, Upscale},
    lock, overload,
    stream::{Negotiated, Next, Stream, is_empty_gap},
};
use crate::upscaler::{FrameParams, FrameReport};

impl Upscale {
    /// Posts a message of this element.
    pub(super) fn post(&self, structure: gst::Structure) {
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

    fn negotiated(&self) -> Result<Negotiated, gst::FlowError> {
        lock(&self.state).negotiated.clone().ok_or(gst::FlowError::NotNegotiated)
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
                    (state.report.fresh_pixels, state.report.missed) = (0, false);
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
    pub(super) fn fail(&self, stream: &mut Stream, failure: &Failure) -> gst::FlowError {
        stream.abort();
        if failure.is_interrupt() {
            return gst::FlowError::Flushing;
        }
        failure.post(self.obj().upcast_ref(), Severity::Error);
        gst::FlowError::Error
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
