//! The elements that write the output: a muxer and a sink, or for pictures and Y4M a sink alone.

use std::{
    os::fd::AsRawFd as _,
    sync::{Arc, Weak},
};

use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};
use gst_video::VideoInfo;

use super::{
    Error,
    container::Container,
    elements::make,
    frame_files::{FrameWriter, Target},
    streams::Streams,
};
use crate::header::RESERVE;

/// The elements.
#[derive(Debug)]
pub struct Output {
    /// What the streams are linked to.
    pub muxer: gst::Element,
    sink: gst::Element,
    container: &'static Container,
}

impl Output {
    /// Adds the elements to `pipeline`.
    ///
    /// # Errors
    /// [`Error::MissingElement`] or [`Error::Build`].
    pub fn new(pipeline: &gst::Pipeline, container: &'static Container) -> Result<Self, Error> {
        let muxer = make(container.muxer)?;
        if muxer.has_property_with_type("writing-app", String::static_type()) {
            // Room in the head of the file for what is written there later.
            muxer.set_property("writing-app", " ".repeat(RESERVE));
        }
        pipeline.add(&muxer)?;
        let sink = if container.frames.is_some() {
            muxer.clone()
        } else {
            let sink = make("fdsink")?;
            pipeline.add(&sink)?;
            muxer.link(&sink)?;
            sink
        };
        Ok(Self { muxer, sink, container })
    }

    /// Writes to `target`, which has to stay open. `quality` is for pictures.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn write_to(
        &self,
        target: &Target,
        quality: Option<u32>,
        streams: &Arc<Streams>,
    ) -> Result<(), Error> {
        let sink = self.sink.downcast_ref::<AppSink>();
        match (self.container.frames.zip(sink), target) {
            (Some((format, sink)), target) => {
                let target = target.try_clone().map_err(Error::Target)?;
                write_frames(
                    sink,
                    FrameWriter::new(format, target, quality),
                    Arc::downgrade(streams),
                );
            }
            // Not by its name, which another process could have given to another file.
            (None, Target::File(file)) => self.sink.set_property("fd", file.as_raw_fd()),
            (None, Target::Sequence { .. }) => {}
        }
        Ok(())
    }
}

fn write_frames(sink: &AppSink, mut writer: FrameWriter, streams: Weak<Streams>) {
    sink.set_sync(false);
    sink.set_max_buffers(1);
    let callbacks = AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let streams = streams.upgrade().ok_or(gst::FlowError::Flushing)?;
        let (Some(caps), Some(buffer)) = (sample.caps(), sample.buffer()) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let info = VideoInfo::from_caps(caps).map_err(|_| gst::FlowError::NotNegotiated)?;
        let has_alpha = streams.video_lane().is_some_and(|lane| lane.decoded().has_alpha());
        writer.write(&info, buffer, has_alpha).map_err(|error| {
            gst::element_error!(sink, gst::ResourceError::Write, ("{error}"));
            gst::FlowError::Error
        })?;
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
}
