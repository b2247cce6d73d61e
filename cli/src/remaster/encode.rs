//! Encoding one segment, with an encoder of its own.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use gst::{glib, prelude::*};
use gst_app::{AppSink, AppSrc};

use super::{
    Error,
    record::Packet,
    watched::{PATIENCE, Watched},
};
use crate::upscale::elements;

/// An encoded segment.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Caps of the packets. Empty if there are none.
    pub caps: String,
    pub packets: Vec<Packet>,
    /// The packets' bytes, one after the other.
    pub payload: Vec<u8>,
}

/// Encodes the frames of one segment.
pub struct Encoder {
    watched: Watched,
    source: AppSrc,
    sink: AppSink,
    encoded: Arc<Mutex<Result<Encoded, glib::BoolError>>>,
}

impl Encoder {
    /// `encoder` is in the syntax of `gst-launch-1.0`; `caps` are those of the frames it gets.
    ///
    /// # Errors
    /// [`Error::Upscale`] if an element is not available.
    pub fn new(encoder: &str, caps: &str) -> Result<Self, Error> {
        let description = format!(
            "appsrc name=source format=time block=true max-buffers=2 max-bytes=0 \
             ! videoscale method=lanczos add-borders=true ! capsfilter caps=\"{caps}\" \
             ! videoconvert ! {encoder} \
             ! appsink name=sink sync=false"
        );
        let pipeline = elements::pipeline(&description)?;
        let part = |name: &str| {
            pipeline.by_name(name).ok_or_else(|| glib::bool_error!("there is no {name}"))
        };
        let wrong = |_| glib::bool_error!("an end of the encoder has the wrong type");
        let source = part("source")?.downcast::<AppSrc>().map_err(wrong)?;
        let sink = part("sink")?.downcast::<AppSink>().map_err(wrong)?;
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
        Ok(Self { watched, source, sink, encoded })
    }

    /// Encodes a frame.
    ///
    /// # Errors
    /// [`Error::Element`] if the encoder failed.
    pub fn push(&self, sample: &gst::Sample) -> Result<(), Error> {
        let pushed = self.source.push_sample(sample);
        self.watched.check()?;
        pushed.map(drop).map_err(Error::Flow)
    }

    /// Waits until every frame is encoded.
    ///
    /// # Errors
    /// [`Error::Element`] if the encoder failed.
    pub fn finish(self) -> Result<Encoded, Error> {
        self.source.end_of_stream().map_err(Error::Flow)?;
        while !self.sink.is_eos() {
            self.watched.check()?;
            thread::sleep(PATIENCE / 10);
        }
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut *encoded, Ok(Encoded::default()))?)
    }
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
