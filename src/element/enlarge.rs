//! How one buffer becomes a large one, on the streaming thread.

use std::{sync::atomic::Ordering, time::Instant};

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
    loader::{NoModel, Ready},
    lock,
    stream::{Compared, Negotiated, Stream},
};

impl Upscale {
    /// Goes on with a model that has been loaded.
    pub(super) fn adopt(&self, stream: &mut Stream, Ready { model, engine }: Ready) {
        gst::info!(CATEGORY, imp = self, "going on with {}: {:?}", model.name, model.info);
        if let Some(remark) = &engine.remark {
            gst::element_imp_warning!(self, gst::LibraryError::Settings, ["{remark}"]);
        }
        lock(&self.stats).set_engine(model.name, engine.backend, engine.precision);
        stream.set_engine(engine.infer, engine.regions_exact);
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

    /// The large frame for `inbuf`, with all that belongs to it.
    pub(super) fn enlarge(&self, inbuf: &gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        let negotiated = lock(&self.negotiated).clone().ok_or(gst::FlowError::NotNegotiated)?;
        if inbuf.size() == 0 && inbuf.flags().contains(gst::BufferFlags::GAP) {
            return self.empty_gap(inbuf);
        }
        let mut stream = lock(&self.stream);
        if inbuf.flags().contains(gst::BufferFlags::DISCONT) {
            stream.forget();
        }
        if !stream.has_engine() {
            match self.loader.wait() {
                Ok(ready) => self.adopt(&mut stream, ready),
                Err(NoModel::Interrupted) => return Err(gst::FlowError::Flushing),
                Err(NoModel::Failed) => return Err(gst::FlowError::Error),
            }
        }
        let begun = Instant::now();
        let outbuf = self.picture(&mut stream, &negotiated, inbuf)?;
        drop(stream);
        self.report(inbuf);
        if lock(&self.latency).frame_took(begun.elapsed()) && self.live.load(Ordering::SeqCst) {
            let _ =
                self.obj().post_message(gst::message::Latency::builder().src(&*self.obj()).build());
        }
        Ok(outbuf)
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

    /// The large frame for `inbuf`: computed, or the last one's memory where nothing changed.
    fn picture(
        &self,
        stream: &mut Stream,
        negotiated: &Negotiated,
        inbuf: &gst::Buffer,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let post = |failure: Failure| {
            failure.post(self.obj().upcast_ref(), Severity::Error);
            gst::FlowError::Error
        };
        let settings = || lock(&self.settings).upscaler_settings();
        let params = |number| lock(&self.settings).frame_params(number);
        let params = match stream.compare(negotiated, settings, params, inbuf).map_err(post)? {
            Compared::Same(last) => {
                gst::trace!(CATEGORY, imp = self, "the frame before serves again");
                lock(&self.stats).add_reused(negotiated.pixels());
                return self.again(&last, inbuf);
            }
            Compared::Changed(params) => params,
        };
        let mut outbuf = self.large_buffer(inbuf)?;
        let out = outbuf.get_mut().ok_or(gst::FlowError::Error)?;
        let report = stream.process(negotiated, &params, inbuf, out).map_err(post)?;
        gst::trace!(CATEGORY, imp = self, "{report:?}");
        lock(&self.stats).add(&report);
        stream.keep(&outbuf, &params);
        Ok(outbuf)
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
