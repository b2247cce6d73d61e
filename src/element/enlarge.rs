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

use super::{
    errors::{Failure, Severity},
    imp::{CATEGORY, Upscale},
    loader::{NoModel, Ready},
    lock,
    stream::Stream,
};

impl Upscale {
    /// Goes on with a model that has been loaded.
    pub(super) fn adopt(&self, stream: &mut Stream, Ready { model, engine }: Ready) {
        gst::info!(CATEGORY, imp = self, "going on with {}: {:?}", model.name, model.info);
        lock(&self.stats).set_engine(model.name, engine.backend, engine.precision);
        stream.set_engine(engine.infer);
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
        let mut outbuf = self.large_buffer(inbuf)?;
        let settings = || lock(&self.settings).upscaler_settings();
        let mix = {
            let settings = lock(&self.settings);
            (settings.blend, settings.grain)
        };
        let Some(out) = outbuf.get_mut() else {
            return Err(gst::FlowError::Error);
        };
        let begun = Instant::now();
        let report = stream.process(&negotiated, settings, mix, inbuf, out);
        let took = begun.elapsed();
        drop(stream);
        let report = report.map_err(|failure| {
            failure.post(self.obj().upcast_ref(), Severity::Error);
            gst::FlowError::Error
        })?;
        gst::trace!(CATEGORY, imp = self, "{report:?}");
        lock(&self.stats).add(&report);
        if lock(&self.latency).frame_took(took) && self.live.load(Ordering::SeqCst) {
            let _ =
                self.obj().post_message(gst::message::Latency::builder().src(&*self.obj()).build());
        }
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
