//! The element `upscale` in this process: buffers in, buffers out, nothing else around it.

use std::sync::mpsc;

use gst::prelude::*;
use gst_video::prelude::*;
use gstupscale::{engine::EngineOptions, frame::FrameInfo};

use crate::pictures::Frame;

/// Why a frame did not come through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Build(#[from] gst::glib::BoolError),
    /// The element's own words.
    #[error("{0}")]
    Element(String),
}

/// An element that is playing.
pub struct Harness {
    element: gst::Element,
    source: gst::Pad,
    sink: gst::Pad,
    received: mpsc::Receiver<gst::Buffer>,
    bus: gst::Bus,
}

impl Harness {
    /// `properties` by name, values as in `gst-launch-1.0`.
    ///
    /// # Errors
    /// See [`Error`]: also a model that cannot be opened.
    pub fn new(properties: &[(&str, String)], caps: &gst::Caps) -> Result<Self, Error> {
        let element = gst::ElementFactory::make("upscale").build()?;
        for (name, value) in properties {
            let spec = element
                .find_property(name)
                .ok_or_else(|| gst::glib::bool_error!("there is no property {name}"))?;
            let value = match spec.value_type() {
                gst::glib::Type::STRING => value.to_value(),
                _ => gst::glib::Value::deserialize_with_pspec(value, &spec)?,
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
            let missing = || gst::glib::bool_error!("the element has no pad {name}");
            element.static_pad(name).ok_or_else(missing)
        };
        let failed = |_| gst::glib::bool_error!("the element's pads cannot be linked");
        source.link(&pad("sink")?).map_err(failed)?;
        pad("src")?.link(&sink).map_err(failed)?;
        let harness = Self { element, source, sink, received, bus };
        harness.start(caps)?;
        Ok(harness)
    }

    fn start(&self, caps: &gst::Caps) -> Result<(), Error> {
        self.sink.set_active(true)?;
        self.source.set_active(true)?;
        if let Err(error) = self.element.set_state(gst::State::Playing) {
            return Err(self.failure(error.to_string()));
        }
        self.source.push_event(gst::event::StreamStart::new("harness"));
        if !self.source.push_event(gst::event::Caps::new(caps)) {
            return Err(self.failure(format!("{caps} was refused")));
        }
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.source.push_event(gst::event::Segment::new(&segment));
        Ok(())
    }

    /// Gives the element its next frame.
    ///
    /// # Errors
    /// [`Error::Element`].
    pub fn push(&self, buffer: gst::Buffer) -> Result<(), Error> {
        self.source.push(buffer).map(drop).map_err(|error| self.failure(error.to_string()))
    }

    /// The frames that have come out since the last call.
    pub fn take(&self) -> impl Iterator<Item = gst::Buffer> + '_ {
        self.received.try_iter()
    }

    /// Waits until the element holds no frame back, without an end of the stream.
    pub fn drain(&self) {
        let marker = gst::Structure::new_empty("drain");
        self.source.push_event(gst::event::CustomDownstream::new(marker));
    }

    /// Ends the stream: what the element holds back comes out.
    pub fn finish(&self) {
        self.source.push_event(gst::event::Eos::new());
    }

    /// The element's property `stats`.
    pub fn stats(&self) -> gst::Structure {
        self.element.property("stats")
    }

    /// What the element said on the bus, or `otherwise`.
    fn failure(&self, otherwise: String) -> Error {
        let message = self.bus.pop_filtered(&[gst::MessageType::Error]);
        Error::Element(match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => error.error().message().to_owned(),
            _ => otherwise,
        })
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

/// The element's properties that ask for `model` on an engine of these options.
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

/// Progressive frames like `frame`, 25 a second.
///
/// # Errors
/// Where GStreamer does not know such frames.
pub fn video(frame: &FrameInfo) -> Result<gst_video::VideoInfo, Error> {
    let format = gst_video::VideoFormat::from_string(frame.format.name());
    let info = gst_video::VideoInfo::builder(format, frame.width, frame.height).fps((25, 1));
    Ok(info.build()?)
}

/// A buffer with the samples of `frame`, stamped as the one of this number.
///
/// # Errors
/// Where there is no memory for it.
pub fn buffer(
    info: &gst_video::VideoInfo,
    frame: &Frame,
    number: u32,
) -> Result<gst::Buffer, Error> {
    let interval = gst::ClockTime::from_mseconds(40);
    let mut buffer = gst::Buffer::with_size(info.size())?;
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(interval * u64::from(number));
        buffer.set_duration(interval);
    }
    let unmapped = |_| gst::glib::bool_error!("the frame's memory cannot be written");
    let mut mapped = gst_video::VideoFrame::from_buffer_writable(buffer, info).map_err(unmapped)?;
    for (plane, (bytes, row)) in (0u32..).zip(frame.planes()) {
        let stride = mapped.plane_stride().get(plane as usize).copied().unwrap_or(0);
        let to = mapped.plane_data_mut(plane)?;
        for (to, from) in to.chunks_mut(stride.max(1) as usize).zip(bytes.chunks(*row)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    Ok(mapped.into_buffer())
}
