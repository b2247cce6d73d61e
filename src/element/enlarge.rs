//! How a buffer goes in, and how it comes out as a large one, on the streaming thread.

use std::{sync::atomic::Ordering, time::Duration};

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
    loader::{NoModel, Ready, Request},
    lock,
    settings::Startup,
    stream::{Negotiated, Next, Stream},
};
use crate::{
    cuda,
    engine::Backend,
    upscaler::{self, FrameParams},
};

impl Upscale {
    /// Goes on with a model that has been loaded.
    pub(super) fn adopt(&self, stream: &mut Stream, Ready { model, engine }: Ready) {
        gst::info!(CATEGORY, imp = self, "going on with {}: {:?}", model.name, model.info);
        for fallback in &engine.fallbacks {
            gst::info!(CATEGORY, imp = self, "not in use: {fallback}");
        }
        if let Some(note) = &engine.note {
            let code = gst::LibraryError::Settings;
            gst::element_imp_warning!(self, code, ("{note}."), ["{:?}", engine.fallbacks]);
        }
        lock(&self.stats).set_engine(model.name, &engine);
        stream.set_engine(engine.infer, engine.regions_exact, engine.tolerant_halo);
        // Its first frame takes longer than those after it.
        lock(&self.latency).restart();
        let before = lock(&self.model).replace(model.info.clone());
        // Its factor decides on the size where nothing else does.
        if before.is_none_or(|before| before.factor != model.info.factor) {
            self.obj().reconfigure_src();
        }
    }

    /// Gives controlled properties the value that they have at `buffer`.
    pub(super) fn sync_controlled(&self, buffer: &gst::Buffer) {
        let segment = self.obj().segment();
        let Some(segment) = segment.downcast_ref::<gst::ClockTime>() else { return };
        if let Some(time) = buffer.pts().and_then(|pts| segment.to_stream_time(pts)) {
            // It fails for properties that are not controlled any more.
            let _ = self.obj().sync_values(time);
        }
    }

    /// Takes in the frame of `inbuf`.
    pub(super) fn submit(&self, inbuf: &gst::Buffer) -> Result<(), gst::FlowError> {
        let negotiated = lock(&self.negotiated).clone().ok_or(gst::FlowError::NotNegotiated)?;
        let mut stream = lock(&self.stream);
        if is_empty_gap(inbuf) {
            stream.submit_gap(inbuf);
            return Ok(());
        }
        if inbuf.flags().contains(gst::BufferFlags::DISCONT) {
            stream.forget();
        }
        // Where a change of caps has just ended a passthrough.
        self.ensure_model(&mut stream)?;
        let settings = || lock(&self.settings).upscaler_settings();
        let params = |number| lock(&self.settings).frame_params(number);
        match stream.submit(&negotiated, settings, params, inbuf) {
            Err(failure) if self.may_leave_gpu(&failure) => {
                self.leave_gpu(&mut stream, &negotiated, &failure)
            }
            Err(failure @ Failure::Short { .. }) if stream.skip_last() => {
                failure.post(self.obj().upcast_ref(), Severity::Warning);
                Ok(())
            }
            submitted => submitted.map_err(|failure| self.fail(&mut stream, &failure)),
        }
    }

    /// Whether the processor may do what the GPU has no memory for.
    fn may_leave_gpu(&self, failure: &Failure) -> bool {
        lock(&self.settings).engine_options().backend == Backend::Auto
            && matches!(
                failure,
                Failure::Upscaler(upscaler::Error::Device(cuda::Error::OutOfMemory { .. }))
            )
    }

    /// Goes on with the processor, all that is in flight too.
    fn leave_gpu(
        &self,
        stream: &mut Stream,
        negotiated: &Negotiated,
        why: &Failure,
    ) -> Result<(), gst::FlowError> {
        gst::element_imp_warning!(
            self,
            gst::ResourceError::NoSpaceLeft,
            ("{why}: going on with the processor, which is slower.")
        );
        stream.drop_engine();
        let settings = lock(&self.settings).clone();
        self.load(Request::OnHost(settings.model.clone(), settings.open_options()), &settings);
        let mut ready = self.loader.wait().map_err(|no_model| match no_model {
            NoModel::Interrupted => gst::FlowError::Flushing,
            NoModel::Failed => self.fail(stream, why),
        })?;
        ready.engine.fallbacks.push(why.to_string());
        self.adopt(stream, ready);
        let settings = || lock(&self.settings).upscaler_settings();
        stream.submit_again(negotiated, settings).map_err(|failure| self.fail(stream, &failure))
    }

    /// Waits for the model, unless it is there or has a stand-in.
    ///
    /// # Errors
    /// What the sender of the frame is told where there is none; the bus knows why.
    pub(super) fn ensure_model(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        if stream.has_model() {
            return Ok(());
        }
        self.begin(stream).map_err(|why| match why {
            NoModel::Interrupted => gst::FlowError::Flushing,
            NoModel::Failed => gst::FlowError::Error,
        })
    }

    /// Gets the model that the stream goes on with, or something in its stead.
    fn begin(&self, stream: &mut Stream) -> Result<(), NoModel> {
        let startup = lock(&self.settings).startup;
        let model = lock(&self.model).clone();
        match (startup, model) {
            (Startup::Resample, Some(model)) => {
                self.loader.expect()?;
                stream.stand_in(model);
            }
            _ => {
                let ready = self.loader.wait()?;
                self.adopt(stream, ready);
            }
        }
        Ok(())
    }

    /// The oldest frame in flight, enlarged, with all that belongs to it; waits for it.
    pub(super) fn emit(&self) -> Result<Option<gst::Buffer>, gst::FlowError> {
        let mut stream = lock(&self.stream);
        let next = stream.next().map_err(|failure| self.fail(&mut stream, &failure))?;
        let (inbuf, outbuf) = match next {
            None => return Ok(None),
            Some(Next::Gap(inbuf)) => return self.empty_gap(&inbuf).map(Some),
            Some(Next::Same(inbuf, last)) => {
                gst::trace!(CATEGORY, imp = self, "the frame before serves again");
                let pixels = lock(&self.negotiated).as_ref().map_or(0, Negotiated::pixels);
                lock(&self.stats).add_reused(pixels);
                let outbuf = self.again(&last, &inbuf)?;
                (inbuf, outbuf)
            }
            Some(Next::Changed(inbuf, params)) => {
                let outbuf = self.paint(&mut stream, &inbuf, &params);
                // What was not painted cannot be built on.
                let outbuf = outbuf.inspect_err(|_| stream.discard())?;
                (inbuf, outbuf)
            }
        };
        drop(stream);
        lock(&self.stats).frames_out += 1;
        self.report(&inbuf);
        Ok(Some(outbuf))
    }

    /// Whether there are more frames in flight than may stay there.
    pub(super) fn is_due(&self) -> bool {
        lock(&self.stream).in_flight() > self.depth()
    }

    /// Frames that may be in flight when one comes out.
    pub(super) fn depth(&self) -> usize {
        lock(&self.settings).depth(self.live.load(Ordering::SeqCst))
    }

    /// Pushes all that is in flight: what comes next is of another kind, or is no frame.
    ///
    /// # Errors
    /// What keeps frames from being made or pushed; those left are dropped.
    pub(super) fn drain(&self) -> Result<(), gst::FlowError> {
        let pushed = loop {
            match self.emit() {
                Ok(Some(outbuf)) => match self.obj().src_pad().push(outbuf) {
                    Ok(_) => {}
                    Err(error) => break Err(error),
                },
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        pushed.inspect_err(|_| lock(&self.stream).discard())
    }

    /// [Drains](Self::drain) before an event, whose sender cannot be told what went wrong: the
    /// sender of the next frame will be.
    pub(super) fn drain_before_event(&self) {
        match self.drain() {
            Ok(()) | Err(gst::FlowError::Flushing) => {}
            Err(error) => lock(&self.stream).failed = Some(error),
        }
    }

    /// A new buffer with the large frame.
    fn paint(
        &self,
        stream: &mut Stream,
        inbuf: &gst::Buffer,
        params: &FrameParams,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let negotiated = lock(&self.negotiated).clone().ok_or(gst::FlowError::NotNegotiated)?;
        let mut outbuf = self.large_buffer(inbuf)?;
        let out = outbuf.get_mut().ok_or(gst::FlowError::Error)?;
        let report =
            stream.paint(&negotiated, out).map_err(|failure| self.fail(stream, &failure))?;
        gst::trace!(CATEGORY, imp = self, "{report:?}");
        if report.less_at_once {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::NoSpaceLeft,
                ("memory ran short while running the model: frames are cut into smaller regions, \
                  which is slower; set memory-limit or tile-size, or use a smaller model.")
            );
        }
        lock(&self.stats).add(&report);
        stream.keep(&outbuf, params);
        Ok(outbuf)
    }

    /// Says on the bus what ends the stream.
    fn fail(&self, stream: &mut Stream, failure: &Failure) -> gst::FlowError {
        stream.discard();
        failure.post(self.obj().upcast_ref(), Severity::Error);
        gst::FlowError::Error
    }

    /// Takes note of how long a frame took.
    pub(super) fn note_time(&self, time: Duration) {
        if lock(&self.latency).frame_took(time) && self.live.load(Ordering::SeqCst) {
            self.post_latency();
        }
    }

    /// Posts the statistics where that is due.
    fn report(&self, inbuf: &gst::Buffer) {
        let interval = u64::from(lock(&self.settings).stats_interval);
        let segment = self.obj().segment();
        let Some(segment) = segment.downcast_ref::<gst::ClockTime>() else { return };
        let Some(now) = inbuf.pts().and_then(|pts| segment.to_running_time(pts)) else { return };
        let structure = {
            let mut stats = lock(&self.stats);
            if !stats.is_due(now, gst::ClockTime::from_mseconds(interval)) {
                return;
            }
            stats.structure()
        };
        gst::log!(CATEGORY, imp = self, "{structure:?}");
        let message = gst::message::Element::builder(structure).src(&*self.obj()).build();
        let _ = self.obj().post_message(message);
    }

    /// The memory of `last` under the timestamps, flags and metas of `inbuf`.
    fn again(
        &self,
        last: &gst::Buffer,
        inbuf: &gst::Buffer,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let mut outbuf = gst::Buffer::new();
        let out = outbuf.get_mut().ok_or(gst::FlowError::Error)?;
        last.copy_into(out, gst::BufferCopyFlags::MEMORY, ..).map_err(|_| gst::FlowError::Error)?;
        copy_video_meta(last, out);
        self.parent_copy_metadata(inbuf, out).map_err(|error| {
            error.log();
            gst::FlowError::Error
        })?;
        Ok(outbuf)
    }

    /// A buffer for the large frame, with timestamps, flags and metas already on it.
    fn large_buffer(&self, inbuf: &gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        match self.parent_prepare_output_buffer(InputBuffer::Readable(inbuf)) {
            Ok(PrepareOutputBufferSuccess::Buffer(outbuf)) => Ok(outbuf),
            Err(error) if error != gst::FlowError::Error => Err(error),
            _ => {
                Failure::NoMemory.post(self.obj().upcast_ref(), Severity::Error);
                Err(gst::FlowError::Error)
            }
        }
    }

    /// A gap without a frame stays one.
    fn empty_gap(&self, inbuf: &gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        let mut gap = gst::Buffer::new();
        let out = gap.get_mut().ok_or(gst::FlowError::Error)?;
        self.parent_copy_metadata(inbuf, out).map_err(|error| {
            error.log();
            gst::FlowError::Error
        })?;
        Ok(gap)
    }
}

/// Whether there is no frame in `buffer`, nor meant to be.
pub(super) fn is_empty_gap(buffer: &gst::BufferRef) -> bool {
    buffer.size() == 0 && buffer.flags().contains(gst::BufferFlags::GAP)
}

/// Gives `to` the planes and strides that `from` says it has, for the same memory.
fn copy_video_meta(from: &gst::BufferRef, to: &mut gst::BufferRef) {
    if let Some(meta) = from.meta::<VideoMeta>() {
        // It says what holds already where it fails.
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
