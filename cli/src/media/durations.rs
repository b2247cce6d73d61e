//! The durations of frames across the encoder. Where the frame rate is unknown, `h264parse` of
//! GStreamer 1.22 replaces them by 1 ns, and players then drop the last frame.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use gst::prelude::*;

use super::segments::running_range;

/// More frames than an encoder keeps.
const MOST: usize = 1000;

/// Gives the packets that leave `to` the durations that their frames have at `from`.
pub fn keep(from: &gst::Pad, to: &gst::Pad) {
    let waiting = Arc::<Mutex<BTreeMap<i64, gst::ClockTime>>>::default();
    let found = waiting.clone();
    from.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer()
            && let (Some(start), Some(duration)) = (start(pad, buffer), buffer.duration())
        {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(start, duration);
            if found.len() > MOST {
                found.pop_first();
            }
        }
        gst::PadProbeReturn::Ok
    });
    to.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Some(start) = start(pad, buffer)
            && let Some(duration) =
                waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&start)
            && buffer.duration() != Some(duration)
        {
            buffer.make_mut().set_duration(duration);
        }
        gst::PadProbeReturn::Ok
    });
}

/// The running time at which a buffer begins, in nanoseconds.
fn start(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<i64> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    Some(running_range(segment.segment(), buffer)?.0)
}
