//! Runs the element `upscale` without a pipeline: buffers in, buffers out.

use std::sync::mpsc;

use gst::{glib, prelude::*};
use gst_video::prelude::*;
use gstupscale::{
    engine::EngineOptions,
    frame::{FrameInfo, OwnedFrame, PlaneRef},
};

/// Why the element could not be set up, or a frame was not processed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the element upscale could not be run: {0}")]
    Build(#[from] glib::BoolError),
    #[error("the element upscale could not be started: {0}")]
    Start(gst::StateChangeError),
    #[error("the element upscale refused {0}")]
    Caps(gst::Caps),
    #[error("the element upscale refused a frame: {0}")]
    Flow(gst::FlowError),
    /// The element's own message.
    #[error("{0}")]
    Element(glib::Error),
}

/// A running element.
pub struct Harness {
    element: gst::Element,
    source: gst::Pad,
    sink: gst::Pad,
    received: mpsc::Receiver<gst::Buffer>,
    bus: gst::Bus,
}

impl Harness {
    /// Starts the element with these properties, whose values are as in `gst-launch-1.0`.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Element`] if the model cannot be opened.
    pub fn new(properties: &[(&str, String)], caps: &gst::Caps) -> Result<Self, Error> {
        let element = gst::ElementFactory::make("upscale").build()?;
        for (name, value) in properties {
            let spec = element
                .find_property(name)
                .ok_or_else(|| glib::bool_error!("it has no property {name}"))?;
            let value = match spec.value_type() {
                glib::Type::STRING => value.to_value(),
                _ => glib::Value::deserialize_with_pspec(value, &spec)?,
            };
            element.set_property_from_value(name, &value);
        }
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let (sender, received) = mpsc::channel();
        let source = gst::Pad::new(gst::PadDirection::Src);
        let sink = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                let _ = sender.send(buffer);
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        let pad = |name: &str| {
            let missing = || glib::bool_error!("it has no pad {name}");
            element.static_pad(name).ok_or_else(missing)
        };
        let not_linked = |_| glib::bool_error!("its pads cannot be linked");
        source.link(&pad("sink")?).map_err(not_linked)?;
        pad("src")?.link(&sink).map_err(not_linked)?;
        let harness = Self { element, source, sink, received, bus };
        harness.start(caps)?;
        Ok(harness)
    }

    fn start(&self, caps: &gst::Caps) -> Result<(), Error> {
        self.sink.set_active(true)?;
        self.source.set_active(true)?;
        if let Err(error) = self.element.set_state(gst::State::Playing) {
            return Err(self.failure(Error::Start(error)));
        }
        self.source.push_event(gst::event::StreamStart::new("harness"));
        if !self.source.push_event(gst::event::Caps::new(caps)) {
            return Err(self.failure(Error::Caps(caps.clone())));
        }
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.source.push_event(gst::event::Segment::new(&segment));
        Ok(())
    }

    /// Sends the next frame to the element.
    ///
    /// # Errors
    /// [`Error::Element`] or [`Error::Flow`].
    pub fn push(&self, buffer: gst::Buffer) -> Result<(), Error> {
        self.source.push(buffer).map(drop).map_err(|error| self.failure(Error::Flow(error)))
    }

    /// The frames received since the last call.
    pub fn take(&self) -> impl Iterator<Item = gst::Buffer> + '_ {
        self.received.try_iter()
    }

    /// Waits until the element has output every frame, without ending the stream.
    pub fn drain(&self) {
        // The element outputs all frames before a serialized event.
        let marker = gst::Structure::new_empty("drain");
        self.source.push_event(gst::event::CustomDownstream::new(marker));
    }

    /// Ends the stream, so that the element outputs every frame.
    pub fn finish(&self) {
        self.source.push_event(gst::event::Eos::new());
    }

    /// The caps of the frames that were received; `None` before the first one.
    pub fn caps(&self) -> Option<gst::Caps> {
        self.sink.current_caps()
    }

    /// The element's property `stats`.
    pub fn stats(&self) -> gst::Structure {
        self.element.property("stats")
    }

    /// The error on the bus, which has the reason, or else `error`.
    fn failure(&self, error: Error) -> Error {
        let message = self.bus.pop_filtered(&[gst::MessageType::Error]);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => Error::Element(error.error()),
            _ => error,
        }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = self.element.set_state(gst::State::Null);
        let _ = self.source.set_active(false);
        let _ = self.sink.set_active(false);
        self.element.set_bus(None);
    }
}

/// The element's properties that select `model` and these engine options.
pub fn properties(model: &str, options: &EngineOptions) -> Vec<(&'static str, String)> {
    let EngineOptions { backend, precision, device_id, threads, cache_dir } = options;
    vec![
        ("model", model.to_owned()),
        ("backend", backend.to_string()),
        ("precision", precision.to_string()),
        ("device-id", device_id.to_string()),
        ("threads", threads.to_string()),
        ("cache-dir", cache_dir.display().to_string()),
    ]
}

/// GStreamer's description of progressive video with such frames, 25 per second.
///
/// # Errors
/// GStreamer does not support such frames.
pub fn video(frame: &FrameInfo) -> Result<gst_video::VideoInfo, Error> {
    let format = gst_video::VideoFormat::from_string(frame.format.name());
    let info = gst_video::VideoInfo::builder(format, frame.width, frame.height).fps((25, 1));
    Ok(info.build()?)
}

/// A buffer with the samples of `frame` and the timestamp of frame `number`.
///
/// # Errors
/// The memory cannot be allocated or mapped.
pub fn buffer(
    info: &gst_video::VideoInfo,
    frame: &OwnedFrame,
    number: u32,
) -> Result<gst::Buffer, Error> {
    let interval = gst::ClockTime::from_mseconds(40);
    let mut buffer = gst::Buffer::with_size(info.size())?;
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(interval * u64::from(number));
        buffer.set_duration(interval);
    }
    let not_mapped = |_| glib::bool_error!("the buffer cannot be mapped for writing");
    let mut mapped =
        gst_video::VideoFrame::from_buffer_writable(buffer, info).map_err(not_mapped)?;
    for (plane, PlaneRef { data, stride: row }) in (0u32..).zip(frame.read().planes) {
        let stride = mapped.plane_stride().get(plane as usize).copied().unwrap_or(0);
        let to = mapped.plane_data_mut(plane)?;
        for (to, from) in to.chunks_mut(stride.max(1) as usize).zip(data.chunks(row)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    Ok(mapped.into_buffer())
}
