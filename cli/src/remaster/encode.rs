//! Encoding one segment, with an encoder of its own.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use gst::{glib, prelude::*};
use gst_app::{AppSink, AppSrc};
use serde::{Deserialize, Serialize};

use super::{
    Error,
    record::Packet,
    watched::{PATIENCE, Watched},
};
use crate::media::{
    durations,
    elements::{self, sink_pad, source_pad},
    encoder,
    signals::Signals,
};

/// Frames that wait for the encoder.
const MAX_FRAMES: u64 = 2;

/// An encoded segment.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Caps of the packets. Empty if there are none.
    pub caps: String,
    pub packets: Vec<Packet>,
    /// The packets' bytes, one after the other.
    pub payload: Vec<u8>,
    /// Caps of the frames as the encoder got them. `None` if there were none.
    pub input: Option<gst::Caps>,
    /// From the first frame to the last packet, without starting the encoder.
    pub time: Duration,
}

/// What the encoder gets and how it encodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// Caps of the frames: their size, pixel aspect ratio, and as far as they are known, format and
    /// colour.
    pub caps: String,
    /// Caps with the frame rate, which some inputs change all the time. Empty: as it comes.
    pub rate: String,
    /// The encoder with its settings, in the syntax of `gst-launch-1.0`.
    pub encoder: String,
}

impl Encoding {
    /// The factory of the encoder.
    pub fn factory(&self) -> Option<&str> {
        self.encoder.split('!').nth(1)?.split_whitespace().next()
    }
}

/// Encodes the frames of one segment.
pub struct Encoder {
    watched: Watched,
    source: AppSrc,
    sink: AppSink,
    /// Its caps are those of the frames that are encoded.
    input: gst::Pad,
    /// When the encoder got the first frame.
    first: Arc<OnceLock<Instant>>,
    encoded: Arc<Mutex<Result<Encoded, glib::BoolError>>>,
}

impl Encoder {
    /// Starts an encoder.
    ///
    /// # Errors
    /// [`Error::Media`] if an element is not available.
    pub fn new(encoding: &Encoding) -> Result<Self, Error> {
        let Encoding { caps, rate, encoder } = encoding;
        let setter = if rate.is_empty() { "" } else { "! capssetter name=rate" };
        let description = format!(
            "appsrc name=source format=time {setter} \
             ! videoscale method=lanczos add-borders=true ! videoconvert \
             ! capsfilter name=input ! {encoder} ! appsink name=sink sync=false"
        );
        let pipeline = elements::pipeline(&description)?;
        let part = |name: &str| {
            pipeline.by_name(name).ok_or_else(|| glib::bool_error!("there is no {name}"))
        };
        let wrong = |_| glib::bool_error!("an end of the encoder has the wrong type");
        let source = part("source")?.downcast::<AppSrc>().map_err(wrong)?;
        let sink = part("sink")?.downcast::<AppSink>().map_err(wrong)?;
        for (name, caps) in [("input", caps), ("rate", rate)] {
            if let Some(element) = pipeline.by_name(name) {
                element.set_property("caps", caps.parse::<gst::Caps>()?);
            }
        }
        let input = source_pad(&part("input")?)?;
        let first = note_first_buffer(&input);
        durations::keep(&input, &sink_pad(sink.upcast_ref())?);
        encoder::complete(pipeline.upcast_ref())?;
        let encoded = Arc::new(Mutex::new(Ok(Encoded::default())));
        let collected = encoded.clone();
        let collect = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let mut encoded = collected.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(so_far) = encoded.as_mut() else { return Err(gst::FlowError::Error) };
            if let Err(error) = add(so_far, &sample) {
                *encoded = Err(error);
                return Err(gst::FlowError::Error);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(collect).build());
        let watched = Watched::new(pipeline)?;
        watched.set_state(gst::State::Playing)?;
        Ok(Self { watched, source, sink, input, first, encoded })
    }

    /// Encodes a frame.
    ///
    /// # Errors
    /// [`Error::Element`] if the encoder failed, or [`Error::Stopped`].
    pub fn push(&self, sample: &gst::Sample, signals: &Signals) -> Result<(), Error> {
        while self.source.current_level_buffers() >= MAX_FRAMES {
            self.wait(signals)?;
        }
        let pushed = self.source.push_sample(sample);
        self.watched.check()?;
        pushed.map(drop).map_err(Error::Flow)
    }

    /// Waits until every frame is encoded.
    ///
    /// # Errors
    /// [`Error::Element`] if the encoder failed, or [`Error::Stopped`].
    pub fn finish(self, signals: &Signals) -> Result<Encoded, Error> {
        self.source.end_of_stream().map_err(Error::Flow)?;
        while !self.sink.is_eos() {
            self.wait(signals)?;
        }
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut encoded = std::mem::replace(&mut *encoded, Ok(Encoded::default()))?;
        encoded.input = self.input.current_caps();
        encoded.time = self.first.get().map_or(Duration::ZERO, Instant::elapsed);
        Ok(encoded)
    }

    fn wait(&self, signals: &Signals) -> Result<(), Error> {
        self.watched.check()?;
        if signals.take().is_some() {
            return Err(Error::Stopped);
        }
        thread::sleep(PATIENCE / 20);
        Ok(())
    }
}

/// Notes when the first buffer passes `pad`.
fn note_first_buffer(pad: &gst::Pad) -> Arc<OnceLock<Instant>> {
    let first = Arc::<OnceLock<Instant>>::default();
    let noted = first.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        noted.get_or_init(Instant::now);
        gst::PadProbeReturn::Remove
    });
    first
}

fn add(encoded: &mut Encoded, sample: &gst::Sample) -> Result<(), glib::BoolError> {
    let buffer = sample.buffer().ok_or_else(|| glib::bool_error!("a sample has no buffer"))?;
    let caps = sample.caps().map(ToString::to_string).unwrap_or_default();
    if encoded.packets.is_empty() {
        encoded.caps = caps;
    } else if encoded.caps != caps {
        return Err(glib::bool_error!("the encoder changed its format within a segment"));
    }
    let segment = sample.segment().and_then(|it| it.downcast_ref::<gst::ClockTime>());
    let time = |time: Option<gst::ClockTime>| {
        let signed = segment?.to_running_time_full(time?)?;
        let nanoseconds = i64::try_from(signed.abs().nseconds()).ok()?;
        Some(if signed.is_positive() { nanoseconds } else { -nanoseconds })
    };
    let pts = time(buffer.pts()).ok_or_else(|| glib::bool_error!("a packet has no time"))?;
    let map = buffer.map_readable()?;
    encoded.packets.push(Packet {
        size: map.len() as u64,
        pts,
        dts: time(buffer.dts()).unwrap_or(pts),
        duration: buffer.duration().map_or(0, gst::ClockTime::nseconds),
        key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
    });
    encoded.payload.extend_from_slice(&map);
    Ok(())
}
